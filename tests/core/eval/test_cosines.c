/* test_cosines.c - moments by hand, samples against a slow cosine of the same pairs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/eval/inside.h"
#include "pinsage/half.h"
#include "pinsage/rng.h"

#define assert_near(got, want, room) assert_true(fabs((got) - (want)) <= (room))

/* ------------------------------ Moments ------------------------------------ */

static void moments_are_the_ones_worked_out_by_hand(void **state)
{
    (void)state;
    float value[6] = {.7f, .2f, 0, .2f, 0, -.3f};
    ps_eval_cosines c;
    cosines_describe(value, 6, &c);
    double mean = .8 / 6, second = 0, fourth = 0;
    const double same[6] = {.7, .2, 0, .2, 0, -.3};
    for (int i = 0; i < 6; i++) {
        second += (same[i] - mean) * (same[i] - mean) / 6;
        fourth += pow(same[i] - mean, 4) / 6;
    }
    assert_int_equal(c.pairs, 6);
    assert_near(c.mean, mean, 1e-7);
    assert_near(c.deviation, sqrt(second), 1e-7);
    assert_near(c.kurtosis, fourth / (second * second) - 3, 1e-5);
    assert_near(c.quantile[2], .1, 1e-7);
    assert_near(c.quantile[0], -.3 + .05 * .3, 1e-6);
}

static void two_points_have_kurtosis_minus_two_and_a_rare_one_a_high_one(void **state)
{
    (void)state;
    float two[4] = {1, -1, 1, -1}, rare[100] = {0};
    ps_eval_cosines c;
    cosines_describe(two, 4, &c);
    assert_near(c.kurtosis, -2, 1e-12);
    assert_near(c.deviation, 1, 1e-12);
    assert_int_equal(c.bin[0], 2);
    assert_int_equal(c.bin[PS_EVAL_BINS - 1], 2);
    rare[7] = 1; /* p = .01: 1 / (p (1 - p)) - 6 */
    cosines_describe(rare, 100, &c);
    assert_near(c.kurtosis, 1 / (.01 * .99) - 6, 1e-4);
}

static void equal_values_and_none_have_no_kurtosis(void **state)
{
    (void)state;
    float same[3] = {.5f, .5f, .5f};
    ps_eval_cosines c;
    cosines_describe(same, 3, &c);
    assert_true(c.kurtosis == 0 && c.deviation == 0);
    cosines_describe(same, 0, &c);
    assert_int_equal(c.pairs, 0);
}

/* ------------------------------ Samples ------------------------------------ */

enum { N = 400, D = 7 };
static float rows[N * D];
static const ps_npy array = {
    .dtype = PS_F32, .ndim = 2, .rows = N, .cols = D, .data = rows};

static double normal(uint64_t *rng)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += (double)ps_rng_unit(rng);
    return sum;
}

static int make_rows(void **state)
{
    (void)state;
    uint64_t rng = ps_rng_at(3, 3);
    for (size_t i = 0; i < N * D; i++)
        rows[i] = (float)normal(&rng);
    return 0;
}

static void measure(unsigned threads, ps_eval_cosines *out)
{
    ps_workers *workers;
    assert_int_equal(ps_workers_new(&workers, threads), PS_OK);
    assert_int_equal(cosines_measure(&array, 5, workers, out), PS_OK);
    ps_workers_free(workers);
}

static double slow_cosine(const float *a, const float *b)
{
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < D; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return ab / sqrt(aa) / sqrt(bb);
}

static void samples_say_what_all_pairs_say(void **state)
{
    (void)state;
    ps_eval_cosines c;
    double n = 0, sum = 0, square = 0;
    measure(2, &c);
    for (size_t a = 0; a < N; a++)
        for (size_t b = 0; b < a; b++) {
            double x = slow_cosine(rows + a * D, rows + b * D);
            n++;
            sum += x;
            square += x * x;
        }
    double mean = sum / n, deviation = sqrt(square / n - mean * mean);
    assert_int_equal(c.pairs, PS_EVAL_COSINES);
    assert_near(c.mean, mean, 5 * deviation / sqrt(PS_EVAL_COSINES));
    assert_near(c.deviation, deviation, .01 * deviation);
    /* directions of a sphere: excess kurtosis -6 / (D + 2) */
    assert_near(c.kurtosis, -6.0 / (D + 2), .08);
    uint64_t binned = 0;
    for (size_t b = 0; b < PS_EVAL_BINS; b++)
        binned += c.bin[b];
    assert_int_equal(binned, c.pairs);
}

static void threads_change_nothing(void **state)
{
    (void)state;
    ps_eval_cosines one, three;
    measure(1, &one);
    measure(3, &three);
    assert_memory_equal(&one, &three, sizeof one);
}

static void zero_vectors_are_left_out_and_half_precision_is_read(void **state)
{
    (void)state;
    static float part[4 * 2] = {0, 0, 1, 0, 0, 0, 1, 0};
    static uint16_t half[4 * 2];
    ps_npy a = {.dtype = PS_F16, .ndim = 2, .rows = 4, .cols = 2, .data = half};
    ps_workers *workers;
    ps_eval_cosines c;
    ps_f32_to_f16(part, half, 8);
    assert_int_equal(ps_workers_new(&workers, 1), PS_OK);
    assert_int_equal(cosines_measure(&a, 1, workers, &c), PS_OK);
    assert_in_range(c.pairs, PS_EVAL_COSINES / 6 - 1500, PS_EVAL_COSINES / 6 + 1500);
    assert_true(c.mean == 1 && c.kurtosis == 0);
    a.rows = 1;
    assert_int_equal(cosines_measure(&a, 1, workers, &c), PS_OK);
    assert_int_equal(c.pairs, 0);
    ps_workers_free(workers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_are_the_ones_worked_out_by_hand),
        cmocka_unit_test(two_points_have_kurtosis_minus_two_and_a_rare_one_a_high_one),
        cmocka_unit_test(equal_values_and_none_have_no_kurtosis),
        cmocka_unit_test(samples_say_what_all_pairs_say),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(zero_vectors_are_left_out_and_half_precision_is_read),
    };
    return cmocka_run_group_tests(tests, make_rows, NULL);
}
