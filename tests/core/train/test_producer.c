/* test_producer.c - any number of producers give one sequence, and may be stopped at any
 * moment.
 *
 * Threads: up to three producers and the test.
 */
#include "core/train/producer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/hash.h"
#include "pinsage/rng.h"
#include "tests/support/changes.h"
#include "tests/support/planted.h"

enum { PINS = 300, PAIRS = 700, BATCH = 16, HARD = 2 };

static planted world;
static ps_features features;
static ps_table nbr;
static ps_pairs pairs;
static ps_sampler sampler;

static int open_world(void **state)
{
    (void)state;
    ps_workers *workers;
    ps_why why = {0};
    uint64_t seeds[PINS];
    planted_make(&world, PINS, 6, 1);
    for (uint32_t i = 0; i < PINS; i++)
        seeds[i] = ps_rng_at(1, i);
    ps_table_opts o = {.walk = {40, 2, 5}, .seeds = seeds, .stage = "test"};
    must(ps_features_open(&features, &world.generation, NULL, &why), &why);
    assert_int_equal(ps_workers_new(&workers, 1), PS_OK);
    must(ps_table_make(&nbr, &world.graph, &o, workers, NULL, &why), &why);
    pairs = planted_pairs(&world, PAIRS, 1);
    sampler = (ps_sampler){.features = &features,
                           .nbr = &nbr,
                           .near = &nbr,
                           .layers = 2,
                           .batch = BATCH,
                           .negatives = 20,
                           .walk_pairs = 0.2f,
                           .seed = 3,
                           .pair = (const uint32_t(*)[2])pairs.pair,
                           .n_pairs = PAIRS};
    assert_int_equal(ps_sampler_init(&sampler, workers), PS_OK);
    ps_workers_free(workers);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    ps_sampler_done(&sampler);
    ps_pairs_free(&pairs);
    ps_table_done(&nbr);
    planted_free(&world);
    return 0;
}

static void add_minibatch(ps_hasher *h, const ps_minibatch *b)
{
    const ps_subgraph *g = &b->graph;
    ps_hasher_add(h, g->n, 3 * sizeof *g->n);
    ps_hasher_add(h, g->row, g->n[0] * sizeof *g->row);
    ps_hasher_add(h, g->nbr, (size_t)g->n[1] * g->T * sizeof *g->nbr);
    ps_hasher_add(h, b->x, (size_t)g->n[0] * features.dim * sizeof *b->x);
    ps_hasher_add(h, b->loss.query, b->loss.pairs * sizeof(uint32_t));
    ps_hasher_add(h, b->loss.related, b->loss.pairs * sizeof(uint32_t));
    ps_hasher_add(h, b->loss.masked, (size_t)b->loss.pairs * b->loss.negatives);
}

/* Two epochs from this many producers, as one number. */
static uint64_t sequence(unsigned threads)
{
    ps_producer *p;
    ps_hasher *h = ps_hasher_new();
    assert_int_equal(ps_producer_new(&p, &sampler, threads), PS_OK);
    for (uint32_t epoch = 1; epoch <= 2; epoch++) {
        uint64_t n = ps_sampler_batches(&sampler);
        ps_sampler_shuffle(&sampler, epoch);
        ps_producer_epoch(p, epoch, n, epoch - 1);
        for (uint64_t i = 0; i < n; i++) {
            const ps_minibatch *b;
            assert_int_equal(ps_producer_next(p, &b), PS_OK);
            add_minibatch(h, b);
            ps_producer_release(p);
        }
    }
    uint64_t value = ps_hasher_value(h);
    ps_producer_free(p);
    ps_hasher_free(h);
    return value;
}

static uint64_t sequence_without_producers(void)
{
    ps_minibatch *b;
    ps_hasher *h = ps_hasher_new();
    assert_int_equal(ps_minibatch_new(&b, &sampler), PS_OK);
    for (uint32_t epoch = 1; epoch <= 2; epoch++) {
        ps_sampler_shuffle(&sampler, epoch);
        for (uint64_t i = 0; i < ps_sampler_batches(&sampler); i++) {
            assert_int_equal(ps_minibatch_fill(b, &sampler, epoch, i, epoch - 1), PS_OK);
            add_minibatch(h, b);
        }
    }
    uint64_t value = ps_hasher_value(h);
    ps_minibatch_free(b);
    ps_hasher_free(h);
    return value;
}

static void any_number_of_producers_gives_one_sequence(void **state)
{
    (void)state;
    uint64_t want = sequence_without_producers();
    assert_true(sequence(1) == want);
    assert_true(sequence(3) == want);
    assert_true(sequence(3) == want);
}

static void producers_stop_in_the_middle_of_an_epoch(void **state)
{
    (void)state;
    for (unsigned threads = 1; threads <= 3; threads++)
        for (int used = 0; used < 7; used++) {
            ps_producer *p;
            const ps_minibatch *b;
            assert_int_equal(ps_producer_new(&p, &sampler, threads), PS_OK);
            ps_producer_epoch(p, 1, ps_sampler_batches(&sampler), 0);
            for (int i = 0; i < used; i++) {
                assert_int_equal(ps_producer_next(p, &b), PS_OK);
                if (i + 1 < used) /* the last one is still held */
                    ps_producer_release(p);
            }
            ps_producer_free(p);
        }
}

static void producers_stop_before_any_epoch(void **state)
{
    (void)state;
    ps_producer *p;
    assert_int_equal(ps_producer_new(&p, &sampler, 3), PS_OK);
    ps_producer_free(p);
    ps_producer_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_producers_gives_one_sequence),
        cmocka_unit_test(producers_stop_in_the_middle_of_an_epoch),
        cmocka_unit_test(producers_stop_before_any_epoch),
    };
    return cmocka_run_group_tests_name("producer", tests, open_world, close_world);
}
