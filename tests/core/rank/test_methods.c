/* test_methods.c - the table of names and the tables of what ranks by them say the same.
 *
 * Threads: none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/methods.h"
#include "pinsage/scorer.h"
#include "tests/support/changes.h"
#include "tests/support/planted.h"

enum { MOST = 32 };

static bool is_of(const char *name, char (*list)[40], size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], name) == 0)
            return true;
    return false;
}

static void what_evaluation_knows_is_reserved_and_nothing_else(void **state)
{
    (void)state;
    static planted world;
    char list[MOST][40];
    planted_make(&world, 60, 3, 3);
    use("methods");
    planted_import(&world);
    ps_generation *g = planted_open();
    size_t n = ps_method_list(g, list, MOST);
    for (size_t i = 0; i < n; i++) /* blocks by their names, two of them known before */
        assert_true(ps_method_is_reserved(list[i]) || ps_generation_block(g, list[i]) ||
                    !strcmp(list[i], "visual") || !strcmp(list[i], "annotation"));
    for (size_t i = 0; i < PS_BASELINES; i++)
        assert_true(ps_method_is_reserved(ps_enum_name(ps_baseline_names, i)));
    for (size_t i = 0; ps_method_name(i); i++) {
        bool baseline = false;
        for (size_t v = 0; v < PS_BASELINES; v++)
            baseline |= !strcmp(ps_enum_name(ps_baseline_names, v), ps_method_name(i));
        assert_true(baseline || is_of(ps_method_name(i), list, n));
    }
    assert_false(ps_method_is_reserved("visual"));
    ps_generation_release(g);
    planted_free(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_evaluation_knows_is_reserved_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
