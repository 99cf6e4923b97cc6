/* test_loss.c - both losses against a slow one and its slopes; Adam against its formula.
 *
 * Threads: one.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/model/adam.h"
#include "core/model/loss.h"
#include "pinsage/gemm.h"
#include "pinsage/rng.h"

enum { B = 6, NEG = 9, HARD = 2, N = 14, E = 5 };

static uint32_t query[B], related[B], negative[NEG], own[B * HARD];
static uint8_t masked[B * NEG];
static float z[N * E];

static ps_loss_batch random_batch(uint64_t seed)
{
    uint64_t rng = ps_rng_at(seed, 1);
    for (size_t i = 0; i < (size_t)N * E; i++)
        z[i] = 2 * ps_rng_unit(&rng) - 1;
    for (size_t i = 0; i < B; i++) {
        query[i] = (uint32_t)ps_rng_below(&rng, N);
        related[i] = (uint32_t)ps_rng_below(&rng, N);
    }
    for (size_t i = 0; i < NEG; i++)
        negative[i] = (uint32_t)ps_rng_below(&rng, N);
    for (size_t i = 0; i < (size_t)B * HARD; i++)
        own[i] = i % 5 == 0 ? UINT32_MAX : (uint32_t)ps_rng_below(&rng, N);
    for (size_t i = 0; i < (size_t)B * NEG; i++)
        masked[i] = ps_rng_below(&rng, 4) == 0;
    return (ps_loss_batch){.pairs = B,
                           .negatives = NEG,
                           .hard = HARD,
                           .n = N,
                           .e = E,
                           .query = query,
                           .related = related,
                           .negative = negative,
                           .own = own,
                           .masked = masked};
}

static double slow_dot(uint32_t a, uint32_t b)
{
    double sum = 0;
    for (int i = 0; i < E; i++)
        sum += (double)z[a * E + (uint32_t)i] * (double)z[b * E + (uint32_t)i];
    return sum;
}

static double slow_pair(const ps_loss_opts *o, uint32_t p)
{
    double positive = slow_dot(query[p], related[p]), margin = 0, n = 0;
    double sum = exp(positive / (double)o->temperature);
    for (uint32_t j = 0; j < NEG + HARD; j++) {
        uint32_t row = j < NEG ? negative[j] : own[p * HARD + j - NEG];
        if (j < NEG ? masked[p * NEG + j] : row == UINT32_MAX)
            continue;
        double s = slow_dot(query[p], row);
        margin += fmax(0, s - positive + (double)o->margin);
        sum += exp(s / (double)o->temperature);
        n++;
    }
    return o->kind == PS_LOSS_XENT ? log(sum) - positive / (double)o->temperature
                                   : margin / n;
}

static double slow_loss(const ps_loss_opts *o)
{
    double sum = 0;
    for (uint32_t p = 0; p < B; p++)
        sum += slow_pair(o, p);
    return sum / B;
}

static void check(ps_loss_opts o)
{
    float dz[N * E];
    ps_loss_value value;
    ps_loss_batch b = random_batch(21);
    assert_int_equal(ps_loss_backward(NULL, &b, &o, z, dz, &value), PS_OK);
    assert_true(fabs(value.loss - slow_loss(&o)) < 1e-5);
    assert_true(value.violated >= 0 && value.violated <= 1);
    for (size_t i = 0; i < (size_t)N * E; i++) {
        float old = z[i];
        volatile float up = old + 1e-3f, down = old - 1e-3f;
        z[i] = up;
        double high = slow_loss(&o);
        z[i] = down;
        double low = slow_loss(&o);
        z[i] = old;
        double slope = (high - low) / ((double)up - (double)down);
        assert_true(fabs(slope - (double)dz[i]) < 2e-3 * (1 + fabs(slope)));
    }
}

static void the_margin_loss_has_the_slopes_of_the_slow_one(void **state)
{
    (void)state;
    check((ps_loss_opts){.kind = PS_LOSS_MARGIN, .margin = 0.3f, .temperature = 1});
}

static void the_softmax_loss_has_the_slopes_of_the_slow_one(void **state)
{
    (void)state;
    check((ps_loss_opts){.kind = PS_LOSS_XENT, .temperature = 1});
    check((ps_loss_opts){.kind = PS_LOSS_XENT, .temperature = 0.2f});
}

static void a_pair_whose_negatives_are_all_masked_costs_nothing(void **state)
{
    (void)state;
    float dz[N * E];
    ps_loss_value value;
    ps_loss_batch b = random_batch(4);
    memset(masked, 1, sizeof masked);
    b.hard = 0;
    for (int kind = 0; kind < 2; kind++) {
        ps_loss_opts o = {.kind = (ps_loss)kind, .margin = 0.1f, .temperature = 0.05f};
        assert_int_equal(ps_loss_backward(NULL, &b, &o, z, dz, &value), PS_OK);
        assert_true(fabs(value.loss) < 1e-12);
        for (size_t i = 0; i < (size_t)N * E; i++)
            assert_true(dz[i] == 0.0f);
    }
}

static void adam_takes_the_steps_of_its_formula(void **state)
{
    (void)state;
    ps_adam a;
    double mean = 0, square = 0, x = 1;
    float param[3] = {1, 1, 1};
    assert_int_equal(ps_adam_new(&a, 3), PS_OK);
    for (int t = 1; t <= 50; t++) {
        double g = 2 * x;
        float grad[3];
        for (int i = 0; i < 3; i++)
            grad[i] = 2 * param[i];
        mean = 0.9 * mean + 0.1 * g;
        square = 0.999 * square + 0.001 * g * g;
        x -= 0.05 * (mean / (1 - pow(0.9, t))) /
             (sqrt(square / (1 - pow(0.999, t))) + 1e-8);
        assert_int_equal(ps_adam_step(&a, NULL, 0.05f, param, grad), PS_OK);
        assert_true(grad[0] == 0.0f && grad[2] == 0.0f);
        assert_true(fabs((double)param[1] - x) < 1e-4);
    }
    ps_adam_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_margin_loss_has_the_slopes_of_the_slow_one),
        cmocka_unit_test(the_softmax_loss_has_the_slopes_of_the_slow_one),
        cmocka_unit_test(a_pair_whose_negatives_are_all_masked_costs_nothing),
        cmocka_unit_test(adam_takes_the_steps_of_its_formula),
    };
    ps_gemm_init();
    return cmocka_run_group_tests_name("loss", tests, NULL, NULL);
}
