/* test_dot.c - inner products against the plainest code, in every shape of call.
 *
 * Threads: none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/dot.h"
#include "pinsage/rng.h"

enum { QUERIES = 11, ROWS = 37, DIM_MAX = 300 };

static float queries[QUERIES * DIM_MAX], numbers[ROWS * DIM_MAX];
static uint16_t halves[ROWS * DIM_MAX];
static float out[QUERIES * ROWS];

static float between(uint64_t *rng)
{
    return 2 * ps_rng_unit(rng) - 1;
}

static void fill(uint64_t seed)
{
    uint64_t rng = ps_rng_at(seed, 0);
    for (size_t i = 0; i < QUERIES * DIM_MAX; i++)
        queries[i] = between(&rng);
    for (size_t i = 0; i < ROWS * DIM_MAX; i++) {
        numbers[i] = between(&rng);
        /* finite halves of every size, both signs, subnormals among them */
        halves[i] = (uint16_t)(ps_rng_next(&rng) % 0x3c00 | (ps_rng_next(&rng) & 0x8000));
    }
}

static void compare(ps_rows rows)
{
    ps_dot_block(queries, QUERIES, rows, 0, ROWS, out, ROWS);
    for (size_t i = 0; i < QUERIES; i++)
        for (size_t r = 0; r < ROWS; r++) {
            double want = ps_dot_plain(queries + i * rows.dim, rows, r);
            assert_float_equal(out[i * ROWS + r], want, 1e-4);
        }
}

static void every_dimension_agrees_with_the_plain_sum(void **state)
{
    (void)state;
    const size_t dims[] = {1, 2, 7, 8, 9, 15, 16, 31, 64, 100, 128, 255, 300};
    fill(1);
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
        compare((ps_rows){numbers, dims[i], 0});
        compare((ps_rows){halves, dims[i], 1});
    }
}

static void a_block_gives_the_same_bits_as_single_queries_and_lists(void **state)
{
    (void)state;
    float one[ROWS], listed[ROWS];
    uint32_t list[ROWS];
    for (uint32_t r = 0; r < ROWS; r++)
        list[r] = ROWS - 1 - r;
    fill(2);
    for (int half = 0; half < 2; half++) {
        ps_rows rows = {half ? (void *)halves : (void *)numbers, 100, half};
        ps_dot_block(queries, QUERIES, rows, 0, ROWS, out, ROWS);
        for (size_t i = 0; i < QUERIES; i++) {
            ps_dot_block(queries + i * 100, 1, rows, 3, ROWS - 3, one, ROWS);
            ps_dot_list(queries + i * 100, rows, list, ROWS, listed);
            for (size_t r = 0; r < ROWS; r++) {
                if (r >= 3)
                    assert_memory_equal(&one[r - 3], &out[i * ROWS + r], 4);
                assert_memory_equal(&listed[ROWS - 1 - r], &out[i * ROWS + r], 4);
            }
        }
    }
}

static void nothing_outside_the_asked_rows_is_written(void **state)
{
    (void)state;
    fill(3);
    memset(out, 0x5a, sizeof out);
    ps_dot_block(queries, 5, (ps_rows){numbers, 24, 0}, 2, 9, out, ROWS);
    uint32_t untouched = 0x5a5a5a5a;
    for (size_t i = 0; i < QUERIES; i++)
        for (size_t r = 0; r < ROWS; r++)
            if (i >= 5 || r >= 9)
                assert_memory_equal(&out[i * ROWS + r], &untouched, 4);
}

static void squares_are_the_dot_of_a_row_with_itself(void **state)
{
    (void)state;
    float sums[ROWS];
    fill(4);
    for (int half = 0; half < 2; half++) {
        ps_rows rows = {half ? (void *)halves : (void *)numbers, 77, half};
        ps_dot_squares(rows, 1, ROWS - 1, sums);
        for (size_t r = 1; r < ROWS; r++) {
            double want = 0;
            for (size_t i = 0; i < 77; i++) {
                float unit[77] = {0};
                unit[i] = 1;
                double x = ps_dot_plain(unit, rows, r);
                want += x * x;
            }
            assert_float_equal(sums[r - 1], want, 1e-4);
        }
    }
}

static void known_halves_have_their_values(void **state)
{
    (void)state;
    const uint16_t half[8] = {0x0000, 0x3c00, 0xc000, 0x7bff,
                              0x0001, 0x03ff, 0x0400, 0x3555};
    const double value[8] = {0,       1,         -2, 65504, 0x1p-24, 1023 * 0x1p-24,
                             0x1p-14, 0x1.554p-2};
    float got[8], unit[8];
    for (size_t i = 0; i < 8; i++) {
        memset(unit, 0, sizeof unit);
        unit[i] = 1;
        ps_rows rows = {half, 8, 1};
        assert_true(ps_dot_plain(unit, rows, 0) == value[i]);
        ps_dot_block(unit, 1, rows, 0, 1, &got[i], 1);
        assert_true((double)got[i] == value[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_dimension_agrees_with_the_plain_sum),
        cmocka_unit_test(a_block_gives_the_same_bits_as_single_queries_and_lists),
        cmocka_unit_test(nothing_outside_the_asked_rows_is_written),
        cmocka_unit_test(squares_are_the_dot_of_a_row_with_itself),
        cmocka_unit_test(known_halves_have_their_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
