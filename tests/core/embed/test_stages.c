/* test_stages.c - all vectors in memory against the slow way, and stages whose cuts
 * nobody sees.
 *
 * Threads: teams of one to three.
 */
#include "core/embed/stages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/embed.h"
#include "pinsage/gemm.h"
#include "tests/support/changes.h"
#include "tests/support/kills.h"
#include "tests/support/models.h"

static planted world;
static ps_features features;

/* More than two blocks of 1024 rows, the last of them short. */
static int open_world(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_gemm_init();
    planted_make(&world, 2100, 8, 3);
    must(ps_features_open(&features, &world.generation, NULL, &why), &why);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    planted_free(&world);
    return 0;
}

static float *embed(const ps_model *m, const ps_table *t, unsigned threads)
{
    ps_workers *workers;
    float *z = malloc((size_t)world.n_pins * m->config.e * sizeof *z);
    assert_non_null(z);
    assert_int_equal(ps_workers_new(&workers, threads), PS_OK);
    assert_int_equal(ps_embed_all(m, &features, t->row, t->weight, workers, z), PS_OK);
    ps_workers_free(workers);
    return z;
}

static void check(ps_model_config c)
{
    ps_model m = model_random(&c, 5);
    ps_table t = {0};
    if (c.layers)
        t = model_table(&world.graph, &c);
    float *z = embed(&m, &t, 1 + c.layers % 3);
    double *want = slow_vectors(&m, &features, &t);
    near_vectors(z, want, (size_t)world.n_pins * c.e, 3e-3);
    free(z);
    free(want);
    ps_table_done(&t);
    ps_model_free(&m);
}

static void vectors_are_the_slow_ones_for_any_number_of_layers(void **state)
{
    (void)state;
    for (uint32_t K = 0; K <= 3; K++) {
        ps_model_config c = model_config();
        c.layers = K;
        c.skip = K != 1;
        check(c);
    }
}

static void vectors_are_the_slow_ones_for_every_pooling(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        ps_model_config c = model_config();
        c.pooling = (ps_pooling)how;
        c.similarity = how == 1 ? PS_SIMILARITY_COSINE : PS_SIMILARITY_IP;
        c.neighbourhood = how == 2 ? PS_NEIGHBOURS_KHOP : PS_NEIGHBOURS_WALK;
        check(c);
    }
}

static void any_team_gives_the_same_bits(void **state)
{
    (void)state;
    ps_model_config c = model_config();
    ps_model m = model_random(&c, 5);
    ps_table t = model_table(&world.graph, &c);
    float *one = embed(&m, &t, 1), *three = embed(&m, &t, 3);
    assert_memory_equal(one, three, (size_t)world.n_pins * c.e * sizeof *one);
    free(one);
    free(three);
    ps_table_done(&t);
    ps_model_free(&m);
}

static void each_stage_may_be_stopped(void **state)
{
    (void)state;
    ps_model_config c = model_config();
    ps_model m = model_random(&c, 5);
    ps_table t = model_table(&world.graph, &c);
    ps_workers *workers;
    size_t n = world.n_pins;
    uint16_t *messages = calloc(n * c.m, sizeof *messages);
    float *h = calloc(n * c.d, sizeof *h), *z = calloc(n * c.e, sizeof *z);
    moment last = {.stage = "map 1", .nth = 1};
    ps_progress progress = stop_at(&last);
    assert_int_equal(ps_workers_new(&workers, 2), PS_OK);
    ps_stages s = {.model = &m,
                   .features = &features,
                   .nbr = t.row,
                   .weight = t.weight,
                   .n = world.n_pins,
                   .T = t.T,
                   .workers = workers,
                   .progress = &progress};
    assert_int_equal(ps_stages_map(&s, 1, NULL, messages), PS_ECANCELLED);
    last = (moment){.stage = "reduce 1", .nth = 1};
    assert_int_equal(ps_stages_map(&s, 1, NULL, messages), PS_OK);
    assert_int_equal(ps_stages_reduce(&s, 1, NULL, messages, h), PS_ECANCELLED);
    last = (moment){.stage = "head", .nth = 1};
    assert_int_equal(ps_stages_reduce(&s, 1, NULL, messages, h), PS_OK);
    assert_int_equal(ps_stages_head(&s, h, z), PS_ECANCELLED);
    ps_workers_free(workers);
    free(messages), free(h), free(z);
    ps_table_done(&t);
    ps_model_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_are_the_slow_ones_for_any_number_of_layers),
        cmocka_unit_test(vectors_are_the_slow_ones_for_every_pooling),
        cmocka_unit_test(any_team_gives_the_same_bits),
        cmocka_unit_test(each_stage_may_be_stopped),
    };
    return cmocka_run_group_tests_name("stages", tests, open_world, close_world);
}
