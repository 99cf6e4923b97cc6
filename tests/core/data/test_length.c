/* test_length.c - whether a row holds a vector, and its squares, against the plainest
 * loops, at both ends of what floats and halves can hold.
 *
 * Threads: one.
 */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/length.h"
#include "pinsage/npy.h"
#include "pinsage/rng.h"

enum { DIM_MAX = 70 };

static void one_number_anywhere_makes_a_vector(void **state)
{
    (void)state;
    const float least[] = {FLT_TRUE_MIN, -FLT_TRUE_MIN, FLT_MAX, 1};
    for (size_t dim = 1; dim <= DIM_MAX; dim++) {
        float row[2 * DIM_MAX] = {0};
        uint16_t half[2 * DIM_MAX] = {0};
        ps_rows rows = {row, dim, 0}, halves = {half, dim, 1};
        row[dim] = -0.0f;
        half[dim] = 0x8000;
        assert_true(ps_row_is_none(rows, 1) && ps_row_is_none(halves, 1));
        assert_true(ps_row_squares(rows, 1) == 0 && ps_row_squares(halves, 1) == 0);
        for (size_t i = 0; i < dim; i++) {
            row[dim + i] = least[i % 4];
            half[dim + i] = 0x8001; /* the smallest there is */
            assert_false(ps_row_is_none(rows, 1));
            assert_false(ps_row_is_none(halves, 1));
            assert_true(ps_row_is_none(rows, 0) && ps_row_is_none(halves, 0));
            assert_true(ps_row_squares(rows, 1) > 0 && ps_row_squares(halves, 1) > 0);
            row[dim + i] = 0;
            half[dim + i] = 0;
        }
    }
}

static void a_direction_has_length_one_whatever_the_vector(void **state)
{
    (void)state;
    uint64_t rng = ps_rng_at(3, 3);
    for (int power = -37; power <= 38; power++) {
        float v[DIM_MAX], out[DIM_MAX];
        for (size_t i = 0; i < DIM_MAX; i++)
            v[i] =
                (1.01f + ps_rng_unit(&rng)) * (i % 2 ? 1 : -1) * powf(10, (float)power);
        assert_true(ps_direction(v, DIM_MAX, out));
        assert_true(fabs(ps_squares(out, DIM_MAX) - 1) < 1e-6);
        for (size_t i = 0; i < DIM_MAX; i++)
            assert_true(fabs((double)v[i] / v[0] - (double)out[i] / out[0]) <
                        1e-5 * fabs((double)v[i] / v[0]));
        assert_true(ps_direction(v, DIM_MAX, v)); /* in place */
        assert_memory_equal(v, out, sizeof v);
    }
    float zero[3] = {0, -0.0f, 0};
    assert_false(ps_direction(zero, 3, zero));
}

static void what_fits_is_a_range_with_zero(void **state)
{
    (void)state;
    assert_true(ps_length_fits(0) && ps_length_fits(1) && ps_length_fits(1e36));
    assert_false(ps_length_fits(1e37) || ps_length_fits(1e-40) || ps_length_fits(NAN));
    assert_false(ps_squares_fit(0) || ps_squares_fit(INFINITY) || ps_squares_fit(NAN));
    assert_true(ps_squares_fit(1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_number_anywhere_makes_a_vector),
        cmocka_unit_test(a_direction_has_length_one_whatever_the_vector),
        cmocka_unit_test(what_fits_is_a_range_with_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
