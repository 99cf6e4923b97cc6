/* test_cpu.c - a binary that needs more than the CPU has says so.
 *
 * Threads: none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "index/cpu.h"
#include "pinsage/ann.h"

static void a_missing_feature_is_named(void **state)
{
    (void)state;
    ps_why why;
    assert_int_equal(cpu_check(CPU_AVX2 | CPU_FMA, CPU_FMA, &why), PS_EUNSUPPORTED);
    assert_non_null(strstr(why.text, "no AVX2"));
    assert_int_equal(cpu_check(CPU_AVX2 | CPU_FMA, CPU_AVX2, &why), PS_EUNSUPPORTED);
    assert_non_null(strstr(why.text, "no FMA"));
}

static void enough_is_enough(void **state)
{
    (void)state;
    assert_int_equal(cpu_check(CPU_AVX2 | CPU_FMA, CPU_AVX2 | CPU_FMA, NULL), PS_OK);
    assert_int_equal(cpu_check(0, 0, NULL), PS_OK);
}

static void the_machine_that_built_this_may_run_it(void **state)
{
    (void)state;
    assert_int_equal(ps_ann_cpu_check(NULL), PS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_feature_is_named),
        cmocka_unit_test(enough_is_enough),
        cmocka_unit_test(the_machine_that_built_this_may_run_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
