/* test_idmap.c - names get numbers in order of appearance, one by one or many at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/catalog/idmap.h"
#include "pinsage/err.h"

enum { N = 50000 };

static char text[N][12];

static ps_text name(uint32_t i)
{
    size_t len = (size_t)snprintf(text[i], sizeof text[i], "n%u", i * 3);
    return (ps_text){text[i], len};
}

static void a_name_keeps_the_number_it_got_first(void **state)
{
    (void)state;
    ps_idmap m = {0};
    uint32_t number;
    bool added;
    assert_int_equal(ps_idmap_find(&m, name(0)), PS_NO_NUMBER);
    for (int round = 0; round < 2; round++)
        for (uint32_t i = 0; i < N; i++) {
            assert_int_equal(ps_idmap_add(&m, name(i), &number, &added), PS_OK);
            assert_int_equal(number, i);
            assert_int_equal(added, round == 0);
        }
    assert_int_equal(m.n, N);
    for (uint32_t i = 0; i < N; i++) {
        ps_text have = ps_idmap_name(&m, i), want = name(i);
        assert_int_equal(have.len, want.len);
        assert_memory_equal(have.data, want.data, want.len);
        assert_int_equal(ps_idmap_find(&m, want), i);
    }
    assert_int_equal(ps_idmap_find(&m, (ps_text){"n1", 2}), PS_NO_NUMBER);
    ps_idmap_forget_slots(&m);
    assert_int_equal(ps_idmap_name(&m, 7).len, 3);
    ps_idmap_done(&m);
}

static void many_at_once_are_what_one_by_one_would_be(void **state)
{
    (void)state;
    ps_idmap one = {0}, many = {0};
    static ps_text names[N];
    static uint32_t number[N], want[N];
    bool added;
    for (uint32_t i = 0; i < N; i++) /* each name several times, also within a group */
        names[i] = name((i * 2654435761u) % (i % 3 ? 900 : N));
    for (uint32_t i = 0; i < N; i++)
        assert_int_equal(ps_idmap_add(&one, names[i], &want[i], &added), PS_OK);
    assert_int_equal(ps_idmap_add_all(&many, names, N, number), PS_OK);
    assert_memory_equal(number, want, sizeof want);
    assert_int_equal(many.n, one.n);
    memset(number, 0, sizeof number);
    ps_idmap_find_all(&many, names, N, number);
    assert_memory_equal(number, want, sizeof want);
    names[5] = (ps_text){"nowhere", 7};
    ps_idmap_find_all(&many, names, N, number);
    assert_int_equal(number[5], PS_NO_NUMBER);
    ps_idmap_done(&one);
    ps_idmap_done(&many);
    ps_idmap_find_all(&many, names, 3, number);
    assert_int_equal(number[0], PS_NO_NUMBER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_keeps_the_number_it_got_first),
        cmocka_unit_test(many_at_once_are_what_one_by_one_would_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
