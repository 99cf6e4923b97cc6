/* test_sampler.c - what minibatches hold, and that nothing but (seed, epoch, i) decides
 * it.
 *
 * Threads: one.
 */
#include "core/train/sampler.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/rng.h"
#include "tests/support/changes.h"
#include "tests/support/planted.h"

/* ------------------------------ A bench ----------------------------------- */

typedef struct bench {
    planted world;
    ps_features features;
    ps_workers *workers;
    ps_table nbr, near;
    ps_pairs pairs;
    ps_sampler sampler;
} bench;

typedef struct wanted {
    uint32_t pins, layers, T, batch, negatives;
    size_t pairs;
    float walk_pairs;
    bool hard;
} wanted;

static const wanted usual = {.pins = 400,
                             .layers = 2,
                             .T = 5,
                             .batch = 32,
                             .negatives = 40,
                             .pairs = 333,
                             .walk_pairs = 0.3f,
                             .hard = true};

static ps_table table(bench *b, uint32_t T)
{
    ps_table t;
    ps_why why = {0};
    uint64_t seeds[4096];
    assert_true(b->world.n_pins <= 4096);
    for (uint32_t i = 0; i < b->world.n_pins; i++)
        seeds[i] = ps_rng_at(8, i);
    ps_table_opts o = {.walk = {60, 2, T}, .seeds = seeds, .stage = "test"};
    must(ps_table_make(&t, &b->world.graph, &o, b->workers, NULL, &why), &why);
    return t;
}

/* Ranks 3..20 of every query's walk. */
static void add_hard(bench *b)
{
    size_t n;
    uint64_t seeds[4096];
    for (uint32_t i = 0; i < b->world.n_pins; i++)
        seeds[i] = ps_rng_at(8, i);
    uint32_t *queries = ps_sampler_queries(&b->sampler, &n);
    uint32_t *hard = malloc(n * PS_HARD_MAX * sizeof *hard);
    assert_true(queries && hard);
    for (size_t i = 1; i < n; i++)
        assert_true(queries[i] > queries[i - 1]);
    assert_int_equal(ps_hard_make(hard, &b->world.graph, queries, n, seeds,
                                  (ps_band){3, 20}, b->workers, NULL),
                     PS_OK);
    assert_int_equal(ps_sampler_hard(&b->sampler, queries, n, hard), PS_OK);
    free(queries);
}

static bench *open_bench(wanted w)
{
    bench *b = calloc(1, sizeof *b);
    ps_why why = {0};
    assert_non_null(b);
    planted_make(&b->world, w.pins, 8, 5);
    must(ps_features_open(&b->features, &b->world.generation, NULL, &why), &why);
    assert_int_equal(ps_workers_new(&b->workers, 1), PS_OK);
    b->near = table(b, 20);
    if (w.layers)
        b->nbr = table(b, w.T);
    b->pairs = planted_pairs(&b->world, w.pairs, 2);
    b->sampler = (ps_sampler){.features = &b->features,
                              .nbr = w.layers ? &b->nbr : NULL,
                              .near = w.walk_pairs > 0 ? &b->near : NULL,
                              .layers = w.layers,
                              .batch = w.batch,
                              .negatives = w.negatives,
                              .walk_pairs = w.walk_pairs,
                              .seed = 77,
                              .pair = (const uint32_t(*)[2])b->pairs.pair,
                              .n_pairs = b->pairs.n};
    assert_int_equal(ps_sampler_init(&b->sampler, b->workers), PS_OK);
    if (w.hard)
        add_hard(b);
    ps_sampler_shuffle(&b->sampler, 1);
    return b;
}

static void close_bench(bench *b)
{
    ps_sampler_done(&b->sampler);
    ps_pairs_free(&b->pairs);
    ps_table_done(&b->nbr);
    ps_table_done(&b->near);
    ps_workers_free(b->workers);
    planted_free(&b->world);
    free(b);
}

static ps_minibatch *fill(ps_minibatch *reuse, const bench *b, uint32_t epoch, uint64_t i,
                          uint32_t n_hard)
{
    ps_minibatch *m = reuse;
    if (!m)
        assert_int_equal(ps_minibatch_new(&m, &b->sampler), PS_OK);
    assert_int_equal(ps_minibatch_fill(m, &b->sampler, epoch, i, n_hard), PS_OK);
    return m;
}

static bool is_pair(const bench *b, uint32_t q, uint32_t r)
{
    for (size_t i = 0; i < b->pairs.n; i++)
        if ((b->pairs.pair[i][0] == q && b->pairs.pair[i][1] == r) ||
            (b->pairs.pair[i][0] == r && b->pairs.pair[i][1] == q))
            return true;
    return false;
}

static uint32_t pin(const ps_minibatch *m, uint32_t place)
{
    assert_true(place < m->loss.n);
    return m->graph.row[place];
}

/* ------------------------------ (seed, epoch, i) -------------------------- */

static void same_bytes(const bench *b, const ps_minibatch *x, const ps_minibatch *y)
{
    const ps_loss_batch *l = &x->loss, *k = &y->loss;
    size_t B = l->pairs, n = x->graph.n[0], T = x->graph.T, K = x->graph.layers;
    assert_true(l->pairs == k->pairs && l->negatives == k->negatives);
    assert_true(l->hard == k->hard && l->n == k->n && x->graph.T == y->graph.T);
    assert_memory_equal(x->graph.n, y->graph.n, (K + 1) * sizeof *x->graph.n);
    assert_memory_equal(l->query, k->query, B * 4);
    assert_memory_equal(l->related, k->related, B * 4);
    assert_memory_equal(l->negative, k->negative, l->negatives * 4);
    assert_memory_equal(l->masked, k->masked, B * l->negatives);
    if (l->hard)
        assert_memory_equal(l->own, k->own, B * l->hard * 4);
    assert_memory_equal(x->graph.row, y->graph.row, n * 4);
    assert_memory_equal(x->x, y->x, n * b->features.dim * 4);
    if (K) {
        assert_memory_equal(x->graph.nbr, y->graph.nbr, x->graph.n[1] * T * 4);
        assert_memory_equal(x->graph.weight, y->graph.weight, x->graph.n[1] * T * 4);
    }
}

static void a_minibatch_depends_on_its_number_alone(void **state)
{
    (void)state;
    bench *b = open_bench(usual);
    uint64_t n = ps_sampler_batches(&b->sampler);
    ps_minibatch *forward[16], *back = NULL;
    assert_int_equal(n, (333 + 31) / 32);
    for (uint64_t i = 0; i < n; i++)
        forward[i] = fill(NULL, b, 4, i, 3);
    back = fill(back, b, 2, 5, 1); /* something else first, in the same memory */
    for (uint64_t i = n; i-- > 0;) {
        back = fill(back, b, 4, i, 3);
        same_bytes(b, forward[i], back);
    }
    for (uint64_t i = 0; i < n; i++)
        ps_minibatch_free(forward[i]);
    ps_minibatch_free(back);
    close_bench(b);
}

static void other_epochs_and_numbers_give_other_minibatches(void **state)
{
    (void)state;
    bench *b = open_bench(usual);
    ps_minibatch *x = fill(NULL, b, 1, 0, 0), *y = fill(NULL, b, 1, 1, 0);
    ps_minibatch *z = fill(NULL, b, 2, 0, 0);
    size_t bytes = x->loss.negatives * 4;
    uint32_t rows[3][64];
    for (uint32_t j = 0; j < x->loss.negatives; j++) {
        rows[0][j] = pin(x, x->loss.negative[j]);
        rows[1][j] = pin(y, y->loss.negative[j]);
        rows[2][j] = pin(z, z->loss.negative[j]);
    }
    assert_memory_not_equal(rows[0], rows[1], bytes);
    assert_memory_not_equal(rows[0], rows[2], bytes);
    ps_minibatch_free(x);
    ps_minibatch_free(y);
    ps_minibatch_free(z);
    close_bench(b);
}

/* Rows made on demand (large catalogs) are the rows kept (small ones). */
static void x_kept_and_x_made_are_the_same(void **state)
{
    (void)state;
    bench *b = open_bench(usual);
    ps_minibatch *kept = fill(NULL, b, 1, 0, 2);
    assert_non_null(b->sampler.x);
    free(b->sampler.x);
    b->sampler.x = NULL;
    ps_minibatch *made = fill(NULL, b, 1, 0, 2);
    same_bytes(b, kept, made);
    ps_minibatch_free(kept);
    ps_minibatch_free(made);
    close_bench(b);
}

/* ------------------------------ The sub-graph ----------------------------- */

static void check_places(const bench *b, const ps_minibatch *m)
{
    const ps_subgraph *g = &m->graph;
    uint32_t n = g->n[0];
    uint8_t *seen = calloc(b->world.n_pins, 1);
    assert_non_null(seen);
    for (uint32_t i = 0; i < n; i++) {
        float x[32];
        assert_true(g->row[i] < b->world.n_pins);
        assert_false(seen[g->row[i]]++);
        ps_features_row(&b->features, g->row[i], x);
        assert_memory_equal(m->x + (size_t)i * b->features.dim, x,
                            b->features.dim * sizeof *x);
    }
    for (uint32_t k = 1; k <= g->layers; k++)
        assert_true(g->n[k] <= g->n[k - 1]);
    free(seen);
}

/* Each list is the table's, and a node of layer k finds its list inside layer k - 1. */
static void check_lists(const bench *b, const ps_minibatch *m)
{
    const ps_subgraph *g = &m->graph;
    for (uint32_t k = 1; k <= g->layers; k++)
        for (uint32_t u = 0; u < g->n[k]; u++)
            for (uint32_t t = 0; t < g->T; t++) {
                size_t at = (size_t)u * g->T + t, from = (size_t)g->row[u] * g->T + t;
                assert_true(g->nbr[at] < g->n[k - 1]);
                assert_int_equal(g->row[g->nbr[at]], b->nbr.row[from]);
                assert_true(g->weight[at] == b->nbr.weight[from]);
            }
}

/* Nobody is computed for nothing: the last layer has the targets and no more. */
static void check_targets(const ps_minibatch *m)
{
    const ps_loss_batch *l = &m->loss;
    uint8_t *used = calloc(l->n, 1);
    assert_non_null(used);
    for (uint32_t p = 0; p < l->pairs; p++)
        used[l->query[p]] = used[l->related[p]] = 1;
    for (uint32_t j = 0; j < l->negatives; j++)
        used[l->negative[j]] = 1;
    for (uint32_t j = 0; j < l->pairs * l->hard; j++)
        if (l->own[j] != UINT32_MAX)
            used[l->own[j]] = 1;
    for (uint32_t i = 0; i < l->n; i++)
        assert_true(used[i]);
    assert_int_equal(l->n, m->graph.n[m->graph.layers]);
    free(used);
}

static void each_pin_stands_once_and_lists_stay_inside(void **state)
{
    (void)state;
    for (uint32_t K = 0; K <= 3; K++) {
        wanted w = usual;
        w.layers = K;
        bench *b = open_bench(w);
        ps_minibatch *m = NULL;
        for (uint64_t i = 0; i < ps_sampler_batches(&b->sampler); i++) {
            m = fill(m, b, 3, i, (uint32_t)i % 4);
            check_places(b, m);
            check_lists(b, m);
            check_targets(m);
        }
        ps_minibatch_free(m);
        close_bench(b);
    }
}

/* ------------------------------ Targets ----------------------------------- */

static void known_positives_are_masked_in_both_directions(void **state)
{
    (void)state;
    wanted w = usual;
    w.pins = 60; /* few, so that many shared negatives are positives */
    bench *b = open_bench(w);
    size_t masked = 0;
    ps_minibatch *m = NULL;
    for (uint64_t i = 0; i < ps_sampler_batches(&b->sampler); i++) {
        m = fill(m, b, 1, i, 2);
        const ps_loss_batch *l = &m->loss;
        for (uint32_t p = 0; p < l->pairs; p++) {
            uint32_t q = pin(m, l->query[p]), r = pin(m, l->related[p]);
            for (uint32_t j = 0; j < l->negatives; j++) {
                uint32_t v = pin(m, l->negative[j]);
                bool want = v == q || v == r || is_pair(b, q, v);
                assert_int_equal(l->masked[p * l->negatives + j], want);
                masked += want;
            }
        }
    }
    assert_true(masked > 100);
    ps_minibatch_free(m);
    close_bench(b);
}

static void hard_negatives_are_never_right_answers(void **state)
{
    (void)state;
    bench *b = open_bench(usual);
    ps_minibatch *m = NULL;
    size_t real = 0, none = 0;
    for (uint64_t i = 0; i < ps_sampler_batches(&b->sampler); i++) {
        m = fill(m, b, 2, i, 6);
        const ps_loss_batch *l = &m->loss;
        assert_int_equal(l->hard, 6);
        for (uint32_t j = 0; j < l->pairs * l->hard; j++) {
            if (l->own[j] == UINT32_MAX) {
                none++;
                continue;
            }
            uint32_t q = pin(m, l->query[j / 6]), v = pin(m, l->own[j]);
            assert_true(v != q && v != pin(m, l->related[j / 6]));
            assert_false(is_pair(b, q, v));
            real++;
        }
    }
    assert_true(real > none);
    ps_minibatch_free(m);
    close_bench(b);
}

static void without_hard_negatives_none_are_asked_for(void **state)
{
    (void)state;
    wanted w = usual;
    w.hard = false;
    bench *b = open_bench(w);
    ps_minibatch *m = fill(NULL, b, 5, 0, 4);
    assert_int_equal(m->loss.hard, 0);
    ps_minibatch_free(m);
    close_bench(b);
}

/* ------------------------------ Pairs ------------------------------------- */

static void an_epoch_uses_every_pair_once(void **state)
{
    (void)state;
    wanted w = usual;
    w.walk_pairs = 0;
    bench *b = open_bench(w);
    uint32_t *count = calloc(b->pairs.n, sizeof *count), total = 0;
    ps_minibatch *m = NULL;
    for (uint64_t i = 0; i < ps_sampler_batches(&b->sampler); i++) {
        m = fill(m, b, 1, i, 0);
        assert_int_equal(m->loss.pairs, i < 10 ? 32 : 333 - 320); /* the last is short */
        for (uint32_t p = 0; p < m->loss.pairs; p++) {
            uint32_t at = b->sampler.shuffled[total++];
            count[at]++;
            assert_int_equal(pin(m, m->loss.query[p]), b->pairs.pair[at][0]);
            assert_int_equal(pin(m, m->loss.related[p]), b->pairs.pair[at][1]);
        }
    }
    assert_int_equal(total, 333);
    for (size_t i = 0; i < b->pairs.n; i++)
        assert_int_equal(count[i], 1);
    uint32_t *first = malloc(333 * sizeof *first);
    memcpy(first, b->sampler.shuffled, 333 * sizeof *first);
    ps_sampler_shuffle(&b->sampler, 2);
    assert_memory_not_equal(first, b->sampler.shuffled, 333 * sizeof *first);
    ps_sampler_shuffle(&b->sampler, 1);
    assert_memory_equal(first, b->sampler.shuffled, 333 * sizeof *first);
    free(first);
    free(count);
    ps_minibatch_free(m);
    close_bench(b);
}

/* A walk pair's related pin is in the query's list; a labelled one hardly ever by chance,
 * so share * slots of the pairs that are no label must be walk pairs. */
static void walk_pairs_fill_their_share(void **state)
{
    (void)state;
    wanted w = usual;
    w.walk_pairs = 0.4f;
    w.pairs = 4000;
    w.pins = 2000;
    w.batch = 256;
    bench *b = open_bench(w);
    ps_minibatch *m = NULL;
    double walks = 0, all = 0;
    for (uint64_t i = 0; i < ps_sampler_batches(&b->sampler); i++) {
        m = fill(m, b, 1, i, 0);
        for (uint32_t p = 0; p < m->loss.pairs; p++) {
            uint32_t q = pin(m, m->loss.query[p]), r = pin(m, m->loss.related[p]);
            uint32_t at = b->sampler.shuffled[(uint32_t)all++];
            if (q == b->pairs.pair[at][0] && r == b->pairs.pair[at][1])
                continue;
            const uint32_t *list = b->near.row + (size_t)q * b->near.T;
            const float *weight = b->near.weight + (size_t)q * b->near.T;
            bool found = false;
            for (uint32_t t = 0; t < b->near.T; t++)
                found |= list[t] == r && weight[t] > 0;
            assert_true(found && q != r);
            walks++;
        }
    }
    assert_true(fabs(walks / all - 0.4) < 5 * sqrt(0.4 * 0.6 / all));
    ps_minibatch_free(m);
    close_bench(b);
}

/* ------------------------------ Sizes ------------------------------------- */

static void the_papers_sizes_fit(void **state)
{
    (void)state;
    wanted w = {.pins = 2500,
                .layers = 2,
                .T = 50,
                .batch = 2048,
                .negatives = 500,
                .pairs = 2200,
                .hard = true};
    bench *b = open_bench(w);
    ps_minibatch *m = NULL;
    for (uint64_t i = 0; i < 2; i++) {
        m = fill(m, b, 7, i, 6);
        assert_int_equal(m->loss.pairs, i ? 2200 - 2048 : 2048);
        check_places(b, m);
        check_lists(b, m);
        check_targets(m);
    }
    ps_minibatch_free(m);
    close_bench(b);
}

static void a_single_pair_makes_a_minibatch(void **state)
{
    (void)state;
    wanted w = usual;
    w.pairs = 1;
    bench *b = open_bench(w);
    assert_int_equal(ps_sampler_batches(&b->sampler), 1);
    ps_minibatch *m = fill(NULL, b, 1, 0, 1);
    assert_int_equal(m->loss.pairs, 1);
    check_places(b, m);
    check_targets(m);
    ps_minibatch_free(m);
    close_bench(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_minibatch_depends_on_its_number_alone),
        cmocka_unit_test(other_epochs_and_numbers_give_other_minibatches),
        cmocka_unit_test(x_kept_and_x_made_are_the_same),
        cmocka_unit_test(each_pin_stands_once_and_lists_stay_inside),
        cmocka_unit_test(known_positives_are_masked_in_both_directions),
        cmocka_unit_test(hard_negatives_are_never_right_answers),
        cmocka_unit_test(without_hard_negatives_none_are_asked_for),
        cmocka_unit_test(an_epoch_uses_every_pair_once),
        cmocka_unit_test(walk_pairs_fill_their_share),
        cmocka_unit_test(the_papers_sizes_fit),
        cmocka_unit_test(a_single_pair_makes_a_minibatch),
    };
    return cmocka_run_group_tests_name("sampler", tests, NULL, NULL);
}
