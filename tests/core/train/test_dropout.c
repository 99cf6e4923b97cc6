/* test_dropout.c - what a minibatch leaves out of the features, against x as it is.
 *
 * Threads: a workers of one.
 */
#include "core/train/sampler.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/changes.h"
#include "tests/support/planted.h"

enum { PINS = 400, BATCH = 64, NEGATIVES = 200 };

static planted world;
static ps_features features;
static ps_pairs pairs;
static ps_workers *workers;
static ps_sampler sampler;

static int open_world(void **state)
{
    (void)state;
    ps_why why = {0};
    planted_make(&world, PINS, 8, 5);
    must(ps_features_open(&features, &world.generation, NULL, &why), &why);
    assert_int_equal(ps_workers_new(&workers, 1), PS_OK);
    pairs = planted_pairs(&world, 300, 2);
    sampler = (ps_sampler){.features = &features,
                           .batch = BATCH,
                           .negatives = NEGATIVES,
                           .dropout = 0.25f,
                           .seed = 77,
                           .pair = (const uint32_t(*)[2])pairs.pair,
                           .n_pairs = pairs.n};
    assert_int_equal(ps_sampler_init(&sampler, workers), PS_OK);
    ps_sampler_shuffle(&sampler, 1);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    ps_sampler_done(&sampler);
    ps_pairs_free(&pairs);
    ps_workers_free(workers);
    planted_free(&world);
    return 0;
}

static ps_minibatch *filled(uint32_t epoch, uint64_t i)
{
    ps_minibatch *m;
    assert_int_equal(ps_minibatch_new(&m, &sampler), PS_OK);
    assert_int_equal(ps_minibatch_fill(m, &sampler, epoch, i, 0), PS_OK);
    return m;
}

static void a_number_is_gone_or_grown_and_the_degree_stays(void **state)
{
    (void)state;
    size_t D = features.dim, gone = 0, all = 0;
    float *x = malloc(D * sizeof *x);
    assert_non_null(x);
    ps_minibatch *m = filled(1, 2);
    for (uint32_t i = 0; i < m->graph.n[0]; i++) {
        ps_features_row(&features, m->graph.row[i], x);
        for (size_t j = 0; j + 1 < D; j++) {
            float got = m->x[i * D + j];
            all += x[j] != 0.0f;
            gone += x[j] != 0.0f && got == 0.0f;
            assert_true(got == 0.0f || fabsf(got - x[j] * (4 / 3.0f)) < 1e-6f);
        }
        assert_true(m->x[i * D + D - 1] == x[D - 1]);
    }
    assert_true(all > 2000);
    assert_true(fabs((double)gone / (double)all - 0.25) < 0.04);
    ps_minibatch_free(m);
    free(x);
}

/* A pin's x in a minibatch, NULL when it is not there. */
static const float *x_of(const ps_minibatch *m, uint32_t row)
{
    for (uint32_t i = 0; i < m->graph.n[0]; i++)
        if (m->graph.row[i] == row)
            return m->x + i * features.dim;
    return NULL;
}

static void what_is_left_out_depends_on_epoch_and_minibatch_alone(void **state)
{
    (void)state;
    ps_minibatch *m = filled(1, 2), *again = filled(1, 2);
    ps_minibatch *later = filled(2, 2), *next = filled(1, 3);
    size_t bytes = features.dim * sizeof(float), met = 0, other = 0;
    assert_memory_equal(m->x, again->x, m->graph.n[0] * bytes);
    for (uint32_t i = 0; i < m->graph.n[0]; i++) {
        const float *x = m->x + i * features.dim;
        const float *twin[] = {x_of(later, m->graph.row[i]), x_of(next, m->graph.row[i])};
        for (int k = 0; k < 2; k++)
            if (twin[k]) {
                met++;
                other += memcmp(x, twin[k], bytes) != 0;
            }
    }
    assert_true(met > 100 && other > met * 8 / 10);
    ps_minibatch_free(m);
    ps_minibatch_free(again);
    ps_minibatch_free(later);
    ps_minibatch_free(next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_is_gone_or_grown_and_the_degree_stays),
        cmocka_unit_test(what_is_left_out_depends_on_epoch_and_minibatch_alone),
    };
    return cmocka_run_group_tests_name("dropout", tests, open_world, close_world);
}
