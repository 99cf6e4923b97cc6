/* test_pool.c - vectorised and plain loops against one number at a time, at every width
 * that leaves a tail.
 *
 * Threads: teams of one and three.
 */
#include "core/model/pool.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/half.h"
#include "pinsage/npy.h"
#include "pinsage/rng.h"

enum { N = 37, IN = 50, T = 6, WIDEST = 1100 };

/* Tails of strips of 64 and of registers of 8; more than max pooling's 1024 at once. */
static const uint32_t widths[] = {1,  2,  7,  8,   9,   15,  16,  31,  63,   64,
                                  65, 71, 72, 127, 128, 129, 200, 321, 1024, WIDEST};
enum { WIDTHS = sizeof widths / sizeof widths[0] };

typedef struct sample {
    uint32_t nbr[N * T];
    float weight[N * T];
    float message[IN * WIDEST]; /* not negative, as after ReLU; rounded to halves */
    uint16_t half[IN * WIDEST]; /* the same numbers */
    float out[N * WIDEST], want[N * WIDEST];
    uint16_t best[N * WIDEST];
} sample;

static sample *s;

static int make_sample(void **state)
{
    (void)state;
    uint64_t rng = 5;
    s = calloc(1, sizeof *s);
    assert_non_null(s);
    for (size_t i = 0; i < (size_t)IN * WIDEST; i++) {
        float x = 2 * ps_rng_unit(&rng) - 1;
        s->message[i] = x > 0 ? x : 0;
    }
    ps_f32_to_f16(s->message, s->half, (size_t)IN * WIDEST);
    ps_f16_to_f32(s->half, s->message, (size_t)IN * WIDEST);
    for (size_t i = 0; i < (size_t)N * T; i++) {
        bool empty = i / T == 3 || i % 11 == 5; /* a node without any, and holes */
        s->nbr[i] = (uint32_t)ps_rng_below(&rng, IN);
        s->weight[i] = empty ? 0 : 0.05f + ps_rng_unit(&rng);
    }
    return 0;
}

static int free_sample(void **state)
{
    (void)state;
    free(s);
    return 0;
}

static ps_pool pool_of(uint32_t m, ps_pooling how)
{
    return (ps_pool){
        .n = N, .T = T, .m = m, .nbr = s->nbr, .weight = s->weight, .how = how};
}

static double slow(const ps_pool *p, uint32_t u, uint32_t j)
{
    double sum = 0, most = 0;
    for (uint32_t t = 0; t < T; t++) {
        double a = (double)p->weight[u * T + t];
        double x = (double)s->message[p->nbr[u * T + t] * p->m + j];
        sum += a * x;
        most = a > 0 && x > most ? x : most;
    }
    return p->how == PS_POOL_MAX ? most : sum;
}

static void check(const ps_pool *p)
{
    for (uint32_t u = 0; u < N; u++)
        for (uint32_t j = 0; j < p->m; j++) {
            double want = slow(p, u, j), got = (double)s->out[u * p->m + j];
            assert_true(fabs(got - want) <= 1e-6 * (1 + fabs(want)));
            if (p->how == PS_POOL_MAX || u == 3)
                assert_true(got == want);
        }
}

/* Both kinds of loops, with and without a workers, must write every number of out. */
static void check_all_ways(uint32_t m, ps_pooling how, bool half)
{
    ps_pool p = pool_of(m, how);
    ps_workers *workers;
    assert_int_equal(ps_workers_new(&workers, 3), PS_OK);
    for (int way = 0; way < 4; way++) {
        ps_workers *who = way & 1 ? workers : NULL;
        ps_pool_force_plain(way & 2);
        memset(s->out, 0xff, sizeof s->out); /* NaN */
        assert_int_equal(half ? ps_pool_forward_half(who, &p, s->half, s->out)
                              : ps_pool_forward(who, &p, s->message, s->out),
                         PS_OK);
        check(&p);
    }
    ps_pool_force_plain(false);
    ps_workers_free(workers);
}

static void weighted_sums_are_the_slow_ones_at_any_width(void **state)
{
    (void)state;
    for (size_t i = 0; i < WIDTHS; i++)
        check_all_ways(widths[i], PS_POOL_IMPORTANCE, false);
}

static void weighted_sums_of_halves_are_the_slow_ones_at_any_width(void **state)
{
    (void)state;
    for (size_t i = 0; i < WIDTHS; i++)
        check_all_ways(widths[i], PS_POOL_IMPORTANCE, true);
}

static void maxima_are_the_slow_ones_also_of_halves(void **state)
{
    (void)state;
    for (size_t i = 0; i < WIDTHS; i++) {
        check_all_ways(widths[i], PS_POOL_MAX, false);
        check_all_ways(widths[i], PS_POOL_MAX, true);
    }
}

/* Nothing beyond the last row is read or written: the guard stays. */
static void nothing_is_written_beyond_the_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < WIDTHS; i++) {
        ps_pool p = pool_of(widths[i], PS_POOL_IMPORTANCE);
        size_t cells = (size_t)N * p.m;
        float *out = malloc((cells + 1) * sizeof *out);
        assert_non_null(out);
        for (int half = 0; half < 2; half++) {
            out[cells] = 42;
            if (half)
                ps_pool_forward_half(NULL, &p, s->half, out);
            else
                ps_pool_forward(NULL, &p, s->message, out);
            assert_true(out[cells] == 42);
        }
        free(out);
    }
}

/* ------------------------------ Backward ---------------------------------- */

static void turned_lists_name_every_reader_once(void **state)
{
    (void)state;
    ps_pool p = pool_of(8, PS_POOL_IMPORTANCE);
    uint32_t start[IN + 1], entry[N * T], seen = 0, real = 0;
    ps_pool_transpose(&p, IN, start, entry);
    for (uint32_t i = 0; i < N * T; i++)
        real += s->weight[i] > 0;
    assert_int_equal(start[0], 0);
    assert_int_equal(start[IN], real);
    for (uint32_t v = 0; v < IN; v++)
        for (uint32_t at = start[v]; at < start[v + 1]; at++, seen++) {
            assert_int_equal(s->nbr[entry[at]], v);
            assert_true(s->weight[entry[at]] > 0);
            assert_true(at == start[v] || entry[at] > entry[at - 1]);
        }
    assert_int_equal(seen, real);
}

/* The gradient of sum(r * pooled), written down from the definition. */
static void slow_backward(const ps_pool *p, const float *r, double *din)
{
    memset(din, 0, (size_t)IN * p->m * sizeof *din);
    for (uint32_t u = 0; u < N; u++)
        for (uint32_t j = 0; j < p->m; j++) {
            double most = slow(p, u, j);
            for (uint32_t t = 0; t < T; t++) {
                uint32_t v = p->nbr[u * T + t];
                double x = (double)s->message[v * p->m + j];
                double a = (double)p->weight[u * T + t];
                if (a == 0 || x <= 0)
                    continue;
                if (p->how == PS_POOL_MAX && x != most)
                    continue;
                din[v * p->m + j] +=
                    (double)r[u * p->m + j] * (p->how == PS_POOL_MAX ? 1 : a);
                if (p->how == PS_POOL_MAX)
                    break; /* the first of equals wins */
            }
        }
}

static void check_backward(uint32_t m, ps_pooling how)
{
    ps_pool p = pool_of(m, how);
    uint32_t start[IN + 1], entry[N * T];
    size_t cells = (size_t)IN * m;
    float *r = malloc((size_t)N * m * sizeof *r), *din = malloc(cells * sizeof *din);
    double *want = malloc(cells * sizeof *want);
    uint64_t rng = 4;
    p.best = s->best;
    assert_true(r && din && want);
    for (size_t i = 0; i < (size_t)N * m; i++)
        r[i] = 2 * ps_rng_unit(&rng) - 1;
    for (int plain = 0; plain < 2; plain++) {
        ps_pool_force_plain(plain);
        assert_int_equal(ps_pool_forward(NULL, &p, s->message, s->out), PS_OK);
        ps_pool_transpose(&p, IN, start, entry);
        assert_int_equal(ps_pool_backward(NULL, &p, IN, start, entry, r, s->message, din),
                         PS_OK);
        slow_backward(&p, r, want);
        for (size_t i = 0; i < cells; i++)
            assert_true(fabs((double)din[i] - want[i]) < 1e-5);
    }
    ps_pool_force_plain(false);
    free(r), free(din), free(want);
}

static void gradients_go_to_who_was_pooled(void **state)
{
    (void)state;
    for (size_t i = 0; i < WIDTHS; i += 3)
        for (int how = 0; how < 3; how++)
            if (how != PS_POOL_MEAN)
                check_backward(widths[i], (ps_pooling)how);
}

/* ------------------------------ Weights ----------------------------------- */

static void mean_pooling_counts_each_neighbour_alike(void **state)
{
    (void)state;
    static const float in[] = {0.5f, 0.3f, 0.2f, 0, 0.9f, 0, 0.1f, 0, 0, 0, 0, 0};
    static const float mean[] = {1.0f / 3, 1.0f / 3, 1.0f / 3, 0, 0.5f, 0,
                                 0.5f,     0,        0,        0, 0,    0};
    float out[12];
    ps_pool_weights(PS_POOL_MEAN, in, 3, 4, out);
    assert_memory_equal(out, mean, sizeof mean);
    ps_pool_weights(PS_POOL_IMPORTANCE, in, 3, 4, out);
    assert_memory_equal(out, in, sizeof in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weighted_sums_are_the_slow_ones_at_any_width),
        cmocka_unit_test(weighted_sums_of_halves_are_the_slow_ones_at_any_width),
        cmocka_unit_test(maxima_are_the_slow_ones_also_of_halves),
        cmocka_unit_test(nothing_is_written_beyond_the_end),
        cmocka_unit_test(turned_lists_name_every_reader_once),
        cmocka_unit_test(gradients_go_to_who_was_pooled),
        cmocka_unit_test(mean_pooling_counts_each_neighbour_alike),
    };
    return cmocka_run_group_tests_name("pool", tests, make_sample, free_sample);
}
