/* test_enum.c - a value's name, and the value of a name. */
#include "pinsage/enum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *const names[] = {"red", NULL, "blue"};
static const ps_enum colours = PS_ENUM(names);

static void names_and_values_go_both_ways(void **state)
{
    (void)state;
    assert_int_equal(colours.n, 3);
    assert_string_equal(ps_enum_name(colours, 2), "blue");
    assert_int_equal(ps_enum_find(colours, ps_text_of("blue")), 2);
    assert_int_equal(ps_enum_find(*PS_CHOICES("a", "b"), ps_text_of("b")), 1);
}

static void what_is_none_has_no_name_and_no_value(void **state)
{
    (void)state;
    assert_string_equal(ps_enum_name(colours, 1), "");
    assert_string_equal(ps_enum_name(colours, 3), "");
    assert_string_equal(ps_enum_name(colours, SIZE_MAX), "");
    assert_int_equal(ps_enum_find(colours, ps_text_of("Red")), PS_ENOENT);
    assert_int_equal(ps_enum_find(colours, ps_text_of("")), PS_ENOENT);
    assert_int_equal(ps_enum_find(colours, ps_text_of("redd")), PS_ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_values_go_both_ways),
        cmocka_unit_test(what_is_none_has_no_name_and_no_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
