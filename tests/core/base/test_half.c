/* test_half.c - half precision against arithmetic and against the hardware. */
#include "pinsage/half.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HALVES 65536

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The definition: (-1)^s 2^(e-15) 1.m, or 2^-14 0.m. */
static double value_of(unsigned half)
{
    int e = (int)(half >> 10 & 31), m = (int)(half & 1023);
    double x = e == 31  ? (m ? (double)NAN : (double)INFINITY)
               : e == 0 ? ldexp(m, -24)
                        : ldexp(1024 + m, e - 25);
    return half & 0x8000 ? -x : x;
}

/* Nearest half of a finite x by search over all positive ones, ties to the even one. */
static uint16_t nearest(float x)
{
    double want = fabs((double)x);
    unsigned low = 0, high = 0x7c00; /* largest finite step up counts as infinity */
    while (high - low > 1) {
        unsigned middle = (low + high) / 2;
        if (value_of(middle) <= want)
            low = middle;
        else
            high = middle;
    }
    double above = high == 0x7c00 ? 65536.0 : value_of(high);
    double down = want - value_of(low), up = above - want;
    unsigned best = down < up || (!(down > up) && low % 2 == 0) ? low : high;
    return (uint16_t)(best | (signbit(x) ? 0x8000 : 0));
}

static void widening_gives_the_value_of_every_half(void **state)
{
    (void)state;
    for (unsigned h = 0; h < HALVES; h++) {
        uint16_t half = (uint16_t)h;
        float got;
        ps_f16_to_f32_plain(&half, &got, 1);
        double want = value_of(h);
        if (isnan(want))
            assert_true(isnan(got));
        else
            assert_true((double)got == want && !signbit(got) == !signbit(want));
    }
}

static void hardware_and_plain_widen_alike(void **state)
{
    (void)state;
    uint16_t *in = malloc(HALVES * sizeof *in);
    float *plain = malloc(HALVES * sizeof *plain), *fast = malloc(HALVES * sizeof *fast);
    for (unsigned h = 0; h < HALVES; h++)
        in[h] = (uint16_t)h;
    ps_f16_to_f32_plain(in, plain, HALVES);
    ps_f16_to_f32(in, fast, HALVES);
    assert_memory_equal(plain, fast, HALVES * sizeof *plain);
    ps_f16_to_f32(in + 1, fast, 13); /* not a multiple of eight, not aligned */
    assert_memory_equal(plain + 1, fast, 13 * sizeof *plain);
    free(in);
    free(plain);
    free(fast);
}

static void every_half_survives_the_round_trip(void **state)
{
    (void)state;
    for (unsigned h = 0; h < HALVES; h++) {
        uint16_t half = (uint16_t)h, back;
        float wide;
        ps_f16_to_f32_plain(&half, &wide, 1);
        ps_f32_to_f16_plain(&wide, &back, 1);
        if (isnan(wide))
            assert_int_equal(back & 0x7e00, 0x7e00);
        else
            assert_int_equal(back, half);
    }
}

/* Around every half and every midpoint between two: there rounding goes wrong. */
static void narrowing_rounds_to_nearest_and_ties_to_even(void **state)
{
    (void)state;
    for (unsigned h = 0; h < 0x7c00; h++) {
        double above = h == 0x7bff ? 65536.0 : value_of(h + 1);
        float middle = (float)((value_of(h) + above) / 2);
        float tries[] = {(float)value_of(h), middle, nextafterf(middle, 0.0f),
                         nextafterf(middle, INFINITY), -middle};
        for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
            uint16_t plain, fast;
            ps_f32_to_f16_plain(&tries[i], &plain, 1);
            ps_f32_to_f16(&tries[i], &fast, 1);
            assert_int_equal(plain, nearest(tries[i]));
            assert_int_equal(fast, plain);
        }
    }
}

static void narrowing_of_any_bits_is_the_hardwares(void **state)
{
    (void)state;
    float in[64];
    uint16_t plain[64], fast[64];
    uint32_t bits = 0;
    for (int turn = 0; turn < 100000; turn++) {
        for (int i = 0; i < 64; i++)
            in[i] = float_of(bits += 2654435761u);
        ps_f32_to_f16_plain(in, plain, 64);
        ps_f32_to_f16(in, fast, 64);
        assert_memory_equal(plain, fast, sizeof plain);
    }
}

static void values_beyond_the_range_become_infinite_or_zero(void **state)
{
    (void)state;
    const struct {
        float in;
        uint16_t out;
    } cases[] = {{INFINITY, 0x7c00}, {-INFINITY, 0xfc00}, {65504.0f, 0x7bff},
                 {65519.0f, 0x7bff}, {65520.0f, 0x7c00},  {1e30f, 0x7c00},
                 {0x1p-25f, 0},      {0x1.8p-25f, 1},     {-0.0f, 0x8000},
                 {1e-40f, 0},        {1.0f, 0x3c00}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint16_t got;
        ps_f32_to_f16(&cases[i].in, &got, 1);
        assert_int_equal(got, cases[i].out);
    }
    assert_int_equal(bits_of(1.0f), 0x3f800000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(widening_gives_the_value_of_every_half),
        cmocka_unit_test(hardware_and_plain_widen_alike),
        cmocka_unit_test(every_half_survives_the_round_trip),
        cmocka_unit_test(narrowing_rounds_to_nearest_and_ties_to_even),
        cmocka_unit_test(narrowing_of_any_bits_is_the_hardwares),
        cmocka_unit_test(values_beyond_the_range_become_infinite_or_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
