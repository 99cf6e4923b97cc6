/* test_loss.c - both losses against slow ones and their slopes; Adam against its formula.
 *
 * Threads: teams of none to five.
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

/* Where exp() gives 0 in double precision: loss and slopes are those of the largest. */
static void a_pair_that_is_far_behind_costs_as_far_as_it_is_behind(void **state)
{
    (void)state;
    ps_loss_opts o = {.kind = PS_LOSS_XENT, .temperature = 0.01f};
    float vectors[4] = {1, -4, 5, 3}, dz[4]; /* query, related, two negatives */
    static const uint32_t one[2] = {2, 3};
    static const uint32_t zero = 0, related_row = 1;
    static const uint8_t none[2] = {0, 0};
    ps_loss_batch b = {.pairs = 1,
                       .negatives = 2,
                       .n = 4,
                       .e = 1,
                       .query = &zero,
                       .related = &related_row,
                       .negative = one,
                       .masked = none};
    ps_loss_value value;
    assert_int_equal(ps_loss_backward(NULL, &b, &o, vectors, dz, &value), PS_OK);
    assert_true(fabs(value.loss - 900) < 1e-3);
    assert_true(value.violated == 1);
    assert_true(fabsf(dz[0] - 900) < 1e-2f && fabsf(dz[1] + 100) < 1e-3f);
    assert_true(fabsf(dz[2] - 100) < 1e-3f && dz[3] == 0.0f);
}

/* More pairs and negatives than a worker's piece has, hard ones missing here and there,
 * some pairs with every negative masked. */
enum { MANY = 333, SHARED = 421, OWN = 3, ROWS = 700, WIDTH = 24 };

typedef struct large {
    uint32_t query[MANY], related[MANY], negative[SHARED], own[MANY * OWN];
    uint8_t masked[MANY * SHARED];
    float z[ROWS * WIDTH], dz[ROWS * WIDTH];
    ps_loss_value value;
} large;

static ps_loss_batch fill_large(large *l)
{
    uint64_t rng = ps_rng_at(77, 0);
    for (size_t i = 0; i < (size_t)ROWS * WIDTH; i++)
        l->z[i] = ps_rng_unit(&rng) - 0.5f;
    for (size_t p = 0; p < MANY; p++) {
        l->query[p] = (uint32_t)ps_rng_below(&rng, ROWS);
        l->related[p] = (uint32_t)ps_rng_below(&rng, ROWS);
    }
    for (size_t j = 0; j < SHARED; j++)
        l->negative[j] = (uint32_t)ps_rng_below(&rng, ROWS);
    for (size_t i = 0; i < (size_t)MANY * OWN; i++)
        l->own[i] = i % 4 == 0 || i / OWN % 50 == 0 ? UINT32_MAX
                                                    : (uint32_t)ps_rng_below(&rng, ROWS);
    for (size_t i = 0; i < (size_t)MANY * SHARED; i++)
        l->masked[i] = ps_rng_below(&rng, 16) == 0 || i / SHARED % 50 == 0;
    return (ps_loss_batch){.pairs = MANY,
                           .negatives = SHARED,
                           .hard = OWN,
                           .n = ROWS,
                           .e = WIDTH,
                           .query = l->query,
                           .related = l->related,
                           .negative = l->negative,
                           .own = l->own,
                           .masked = l->masked};
}

/* The same sums in double precision, pair after pair and slot after slot. */
static double slow_large(const large *l, const ps_loss_opts *o, double *dz)
{
    double loss = 0;
    memset(dz, 0, (size_t)ROWS * WIDTH * sizeof *dz);
    for (size_t p = 0; p < MANY; p++) {
        const float *q = l->z + (size_t)l->query[p] * WIDTH;
        double score[1 + SHARED + OWN], slope[1 + SHARED + OWN], sum = 0;
        uint32_t row[1 + SHARED + OWN] = {l->related[p]};
        size_t n = 1;
        for (size_t j = 0; j < SHARED; j++)
            if (!l->masked[p * SHARED + j])
                row[n++] = l->negative[j];
        for (size_t h = 0; h < OWN; h++)
            if (l->own[p * OWN + h] != UINT32_MAX)
                row[n++] = l->own[p * OWN + h];
        for (size_t i = 0; i < n; i++) {
            score[i] = 0;
            for (size_t k = 0; k < WIDTH; k++)
                score[i] += (double)q[k] * (double)l->z[row[i] * WIDTH + k];
        }
        for (size_t i = 0; i < n; i++)
            sum += exp(score[i] / (double)o->temperature);
        slope[0] = 0;
        for (size_t i = 1; i < n; i++) {
            double over = score[i] - score[0] + (double)o->margin;
            slope[i] = o->kind == PS_LOSS_XENT ? exp(score[i] / (double)o->temperature) /
                                                     sum / (double)o->temperature
                                               : (over > 0) / (double)(n - 1);
            slope[0] -= slope[i];
            loss += o->kind == PS_LOSS_XENT || over < 0 ? 0 : over / (double)(n - 1);
        }
        loss +=
            o->kind == PS_LOSS_XENT ? log(sum) - score[0] / (double)o->temperature : 0;
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < WIDTH; k++) {
                dz[row[i] * WIDTH + k] += slope[i] * (double)q[k] / MANY;
                dz[l->query[p] * WIDTH + k] +=
                    slope[i] * (double)l->z[row[i] * WIDTH + k] / MANY;
            }
    }
    return loss / MANY;
}

static void pieces_of_any_team_are_the_slow_sums_bit_by_bit_alike(void **state)
{
    (void)state;
    static const ps_loss_opts opts[] = {
        {.kind = PS_LOSS_XENT, .temperature = 0.05f},
        {.kind = PS_LOSS_XENT, .temperature = 1},
        {.kind = PS_LOSS_MARGIN, .margin = 0.1f, .temperature = 1},
    };
    large *alone = malloc(sizeof *alone), *many = malloc(sizeof *many);
    double *dz = malloc((size_t)ROWS * WIDTH * sizeof *dz);
    assert_true(alone && many && dz);
    for (size_t i = 0; i < sizeof opts / sizeof opts[0]; i++) {
        ps_loss_batch b = fill_large(alone);
        assert_int_equal(
            ps_loss_backward(NULL, &b, &opts[i], alone->z, alone->dz, &alone->value),
            PS_OK);
        assert_true(fabs(alone->value.loss - slow_large(alone, &opts[i], dz)) < 1e-5);
        for (size_t k = 0; k < (size_t)ROWS * WIDTH; k++)
            assert_true(fabs((double)alone->dz[k] - dz[k]) < 1e-5);
        for (unsigned threads = 1; threads <= 5; threads++) {
            ps_workers *workers;
            assert_int_equal(ps_workers_new(&workers, threads), PS_OK);
            b = fill_large(many);
            assert_int_equal(
                ps_loss_backward(workers, &b, &opts[i], many->z, many->dz, &many->value),
                PS_OK);
            assert_memory_equal(many->dz, alone->dz, sizeof many->dz);
            assert_memory_equal(&many->value, &alone->value, sizeof many->value);
            ps_workers_free(workers);
        }
    }
    free(alone);
    free(many);
    free(dz);
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
        cmocka_unit_test(a_pair_that_is_far_behind_costs_as_far_as_it_is_behind),
        cmocka_unit_test(pieces_of_any_team_are_the_slow_sums_bit_by_bit_alike),
        cmocka_unit_test(adam_takes_the_steps_of_its_formula),
    };
    ps_gemm_init();
    return cmocka_run_group_tests_name("loss", tests, NULL, NULL);
}
