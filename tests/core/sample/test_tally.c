/* test_tally.c - counts by row, and how they are forgotten. */
#include "core/sample/tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pinsage/rng.h"

static void a_tally_counts_any_rows_and_forgets_them(void **state)
{
    (void)state;
    enum { ROOM = 300 };
    ps_tally t;
    uint64_t rng = 5;
    assert_int_equal(ps_tally_init(&t, ROOM), PS_OK);
    for (int turn = 0; turn < 50; turn++) {
        uint32_t count[ROOM] = {0}, stride = 1u << ps_rng_below(&rng, 23);
        size_t distinct = 0;
        for (int i = 0; i < 1000; i++) {
            uint32_t x = (uint32_t)ps_rng_below(&rng, ROOM);
            distinct += count[x] == 0;
            assert_int_equal(ps_tally_add(&t, x * stride), ++count[x]);
        }
        assert_int_equal(t.n, distinct);
        for (size_t i = 0; i < t.n; i++) {
            const ps_visit *v = &t.slot[t.used[i]];
            assert_int_equal(v->count, count[v->row / stride]);
        }
        ps_tally_clear(&t);
    }
    ps_tally_done(&t);
    assert_int_equal(ps_tally_init(&t, ((size_t)1 << 30) + 1), PS_ERANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tally_counts_any_rows_and_forgets_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
