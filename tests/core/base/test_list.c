/* test_list.c - names in one string.
 *
 * Threads: one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/list.h"
#include "pinsage/err.h"

static void a_name_is_found_whole_and_anywhere(void **state)
{
    (void)state;
    const char *list = "annotation,structure2,visual";
    assert_true(ps_list_has(list, "annotation"));
    assert_true(ps_list_has(list, "structure2"));
    assert_true(ps_list_has(list, "visual"));
    assert_false(ps_list_has(list, "structure"));
    assert_false(ps_list_has(list, "visual2"));
    assert_false(ps_list_has(list, "isual"));
    assert_false(ps_list_has("", "visual"));
    assert_false(ps_list_has(NULL, "visual"));
}

static void names_are_added_as_long_as_they_fit(void **state)
{
    (void)state;
    char list[8] = "";
    assert_int_equal(ps_list_add(list, sizeof list, "ab"), PS_OK);
    assert_int_equal(ps_list_add(list, sizeof list, "cdef"), PS_OK);
    assert_string_equal(list, "ab,cdef");
    assert_int_equal(ps_list_add(list, sizeof list, ""), PS_ERANGE);
    assert_int_equal(ps_list_add(list, sizeof list, "g"), PS_ERANGE);
    assert_string_equal(list, "ab,cdef");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_found_whole_and_anywhere),
        cmocka_unit_test(names_are_added_as_long_as_they_fit),
    };
    return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
