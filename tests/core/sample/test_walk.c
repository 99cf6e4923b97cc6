/* test_walk.c - walks in lanes against walks one at a time, and against what the theory
 * of random walks says must come out. */
#include "pinsage/walk.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/rng.h"
#include "tests/support/graphs.h"

/* ------------------------------ Helpers ----------------------------------- */

static ps_walker *walker(const ps_graph *g, ps_walk_opts opts)
{
    ps_walker *w;
    assert_int_equal(ps_walker_new(&w, g, opts), PS_OK);
    return w;
}

static uint64_t seed_of(uint32_t pin)
{
    return ps_rng_at(99, pin);
}

/* The neighbourhood that the plain visits make: (top) rows and weights. */
static void plain_neighbours(const ps_graph *g, ps_walk_opts o, uint32_t pin,
                             uint64_t seed, uint32_t *rows, float *weights)
{
    ps_visit *v = malloc(o.top * sizeof *v);
    uint32_t n = ps_walk_visits_plain(g, o, pin, seed, v, o.top), total = 0;
    for (uint32_t i = 0; i < n; i++)
        total += v[i].count;
    for (uint32_t i = 0; i < o.top; i++) {
        rows[i] = i < n ? v[i].row : pin;
        weights[i] = i < n ? (float)v[i].count / (float)total : 0;
    }
    free(v);
}

/* Neighbours of every pin, asked for in batches of a size. */
static void all_as_plain(const ps_graph *g, ps_walk_opts o, uint32_t batch)
{
    uint32_t n = g->pin_boards.rows;
    uint32_t *pins = malloc(n * 4), *rows = malloc((size_t)n * o.top * 4);
    uint32_t *want = malloc(o.top * 4);
    float *weights = malloc((size_t)n * o.top * 4), *share = malloc(o.top * 4);
    uint64_t *seeds = malloc(n * 8);
    for (uint32_t p = 0; p < n; p++) {
        pins[p] = (p * 7 + 3) % n; /* not in order, some twice if 7 divides n */
        seeds[p] = seed_of(pins[p]);
    }
    ps_walker *w = walker(g, o);
    for (uint32_t p = 0; p < n; p += batch)
        ps_walk_neighbours(w, pins + p, seeds + p, n - p < batch ? n - p : batch,
                           rows + (size_t)p * o.top, weights + (size_t)p * o.top);
    for (uint32_t p = 0; p < n; p++) {
        plain_neighbours(g, o, pins[p], seeds[p], want, share);
        assert_memory_equal(rows + (size_t)p * o.top, want, o.top * 4);
        assert_memory_equal(weights + (size_t)p * o.top, share, o.top * 4);
    }
    ps_walker_free(w);
    free(pins), free(rows), free(want), free(weights), free(share), free(seeds);
}

/* ------------------------------ Against the oracle ------------------------ */

static void lanes_and_batches_change_nothing(void **state)
{
    (void)state;
    static const uint32_t walks[] = {1, 2, 5, 31, 32, 33, 100, 200};
    uint64_t rng = 1;
    for (uint32_t i = 0; i < 64; i++) {
        uint32_t pins = 1 + (uint32_t)ps_rng_below(&rng, 120);
        uint32_t boards = 1 + (uint32_t)ps_rng_below(&rng, 60);
        ps_graph g = random_graph(rng, pins, boards, ps_rng_below(&rng, 500), (int)i % 4);
        ps_walk_opts o = {walks[i % 8], 1 + i % 5, 1 + (uint32_t)ps_rng_below(&rng, 40)};
        all_as_plain(&g, o, 1);
        all_as_plain(&g, o, 7);
        all_as_plain(&g, o, pins);
        ps_graph_free(&g);
    }
}

/* No valid graph has a board without pins that some pin is on; a damaged one, or one
 * whose pins have been deleted, may. Such a walk ends; the others go on. */
static void walks_that_cannot_go_on_end_alone(void **state)
{
    (void)state;
    for (uint32_t emptied = 0; emptied < 10; emptied++) {
        ps_graph g = random_graph(emptied, 100, 20, 300, 0);
        uint64_t *indptr = (uint64_t *)(uintptr_t)g.board_pins.indptr;
        for (uint32_t b = 0; b < emptied; b++)
            indptr[b] = indptr[emptied]; /* the first boards hold nothing */
        all_as_plain(&g, (ps_walk_opts){1 + 30 * (emptied % 3), 4, 20}, 9);
        ps_graph_free(&g);
    }
}

/* Any number may stand in a damaged file: a walk ends there. */
static void edges_out_of_range_end_a_walk(void **state)
{
    (void)state;
    static const uint32_t pairs[][2] = {{0, 0}, {1, 0}, {2, 0}, {2, 1}, {3, 1}};
    static const uint32_t boards[] = {0, 1};
    for (int turn = 0; turn < 10; turn++) {
        ps_graph g;
        assert_int_equal(ps_graph_from_pairs(&g, 4, 2, pairs, 5), PS_OK);
        ps_csr *m = turn % 2 ? &g.pin_boards : &g.board_pins;
        ((uint32_t *)(uintptr_t)m->indices)[turn / 2] = turn < 6 ? UINT32_MAX : 1u << 20;
        ps_walker *w = walker(&g, PS_WALK_DEFAULTS);
        for (uint32_t pin = 0; pin < 4; pin++) {
            uint32_t rows[20];
            float weights[20];
            uint64_t seed = pin;
            ps_walk_neighbours(w, &pin, &seed, 1, rows, weights);
            for (int i = 0; i < 20; i++)
                assert_true(rows[i] < 4);
            ps_walk_unstored(w, boards, 2, 200, pin, rows, weights);
            for (int i = 0; i < 20; i++)
                assert_true(rows[i] < 4 || rows[i] == PS_NO_PIN);
        }
        ps_walker_free(w);
        ps_graph_free(&g);
    }
}

static void rankings_of_any_length_are_the_plain_ones(void **state)
{
    (void)state;
    static const ps_walk_opts opts[] = {
        {200, 2, 20}, {1, 1, 1}, {20000, 3, 50}, {7, 32, 5}};
    ps_graph g = random_graph(42, 3000, 400, 9000, 1);
    ps_visit *want = malloc(3000 * sizeof *want), *got = malloc(3000 * sizeof *got);
    for (size_t i = 0; i < sizeof opts / sizeof *opts; i++) {
        ps_walker *w = walker(&g, opts[i]);
        for (uint32_t p = 0; p < 3000; p += 271)
            for (uint32_t max = 0; max <= 3000; max = max * 7 + 1) {
                uint32_t n = ps_walk_visits(w, p, seed_of(p), got, max);
                assert_int_equal(
                    n, ps_walk_visits_plain(&g, opts[i], p, seed_of(p), want, max));
                assert_memory_equal(got, want, n * sizeof *got);
            }
        ps_walker_free(w);
    }
    free(want), free(got);
    ps_graph_free(&g);
}

/* ------------------------------ By hand ----------------------------------- */

/* Pins 0 and 1 share a board; 2 is on no board; 3 is alone on its own. */
static ps_graph by_hand(void)
{
    static const uint32_t pairs[][2] = {{0, 0}, {1, 0}, {3, 1}};
    ps_graph g;
    assert_int_equal(ps_graph_from_pairs(&g, 4, 2, pairs, 3), PS_OK);
    return g;
}

static void a_pin_is_not_its_own_neighbour(void **state)
{
    (void)state;
    ps_graph g = by_hand();
    ps_walker *w = walker(&g, (ps_walk_opts){100, 2, 3});
    ps_visit v[4];
    assert_int_equal(ps_walk_visits(w, 0, 5, v, 4), 1);
    assert_int_equal(v[0].row, 1);
    assert_in_range(v[0].count, 60, 140); /* half of 200 hops */
    assert_int_equal(ps_walk_visits(w, 3, 5, v, 4), 0);
    ps_walker_free(w);
    ps_graph_free(&g);
}

static void pins_without_neighbours_are_padded_with_themselves(void **state)
{
    (void)state;
    ps_graph g = by_hand();
    ps_walker *w = walker(&g, (ps_walk_opts){100, 2, 3});
    static const uint32_t pins[] = {2, 0, 3};
    static const uint64_t seeds[] = {1, 2, 3};
    static const uint32_t want[] = {2, 2, 2, 1, 0, 0, 3, 3, 3};
    uint32_t rows[9];
    float weights[9];
    ps_walk_neighbours(w, pins, seeds, 3, rows, weights);
    assert_memory_equal(rows, want, sizeof want);
    for (int i = 0; i < 9; i++)
        assert_true(weights[i] == (i == 3 ? 1.0f : 0.0f));
    ps_walk_neighbours(w, pins, seeds, 0, NULL, NULL);
    ps_walker_free(w);
    ps_graph_free(&g);
}

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    static const ps_walk_opts bad[] = {{0, 2, 20},    {100001, 2, 20}, {200, 0, 20},
                                       {200, 33, 20}, {200, 2, 0},     {200, 2, 1001}};
    ps_graph g = by_hand();
    ps_walker *w = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(ps_walker_new(&w, &g, bad[i]), PS_EINVAL);
    assert_null(w);
    assert_int_equal(ps_walker_new(&w, &g, PS_WALK_DEFAULTS), PS_OK);
    ps_walker_free(w);
    ps_walker_free(NULL);
    ps_graph_free(&g);
}

/* ------------------------------ Against theory ---------------------------- */

/* Visits to every pin but the start by walks of a length. */
static void count_visits(const ps_graph *g, uint32_t length, uint32_t start,
                         double count[])
{
    uint32_t n_pins = g->pin_boards.rows;
    ps_visit *v = malloc(n_pins * sizeof *v);
    ps_walker *w = walker(g, (ps_walk_opts){20000, length, 1});
    for (uint32_t n = ps_walk_visits(w, start, 4, v, n_pins); n--;)
        count[v[n].row] = v[n].count;
    ps_walker_free(w);
    free(v);
}

/* Once a walk on a connected graph has forgotten where it began it visits pins in
 * proportion to their degree. Longer walks begin as shorter ones do, so the difference
 * of their visits are those of the last hops. */
static void long_walks_visit_pins_by_degree(void **state)
{
    (void)state;
    enum { PINS = 60 };
    ps_graph g = connected_graph(8, PINS, 25, 300, 1);
    double early[PINS] = {0}, late[PINS] = {0}, visits = 0;
    uint32_t start = PINS - 1;
    count_visits(&g, 16, start, early);
    count_visits(&g, 32, start, late);
    for (uint32_t q = 0; q < PINS; q++)
        visits += late[q] - early[q];
    double edges = (double)g.pin_boards.edges - ps_csr_degree(&g.pin_boards, start);
    for (uint32_t q = 0; q < PINS; q++) {
        double want = ps_csr_degree(&g.pin_boards, q) / edges * visits;
        double off = late[q] - early[q] - want;
        if (q != start)
            assert_true(fabs(off) < 0.03 * want + 5 * sqrt(want));
    }
    ps_graph_free(&g);
}

/* expected[q]: visits to q a walk of `length` hops from start makes on average. */
static void expect_visits(const double *chance, size_t n, uint32_t start, uint32_t length,
                          double *expected)
{
    double *at = calloc(n, sizeof *at), *next = calloc(n, sizeof *next);
    at[start] = 1;
    for (uint32_t hop = 0; hop < length; hop++) {
        memset(next, 0, n * sizeof *next);
        for (size_t p = 0; p < n; p++)
            for (size_t q = 0; q < n; q++)
                next[q] += at[p] * chance[p * n + q];
        memcpy(at, next, n * sizeof *at);
        for (size_t q = 0; q < n; q++)
            expected[q] += at[q];
    }
    free(at), free(next);
}

/* Visit counts are within five standard deviations of the exact expectation, on every
 * pin; and all together not suspiciously far (chi-square over the pins). */
static void visits_are_as_often_as_exact_chances_say(void **state)
{
    (void)state;
    enum { PINS = 80, WALKS = 100000 };
    ps_graph g = random_graph(21, PINS, 30, 260, 1);
    double *chance = hop_chances(&g);
    for (uint32_t length = 1; length <= 4; length++) {
        ps_walker *w = walker(&g, (ps_walk_opts){WALKS, length, 1});
        double expected[PINS] = {0}, chi = 0;
        uint32_t count[PINS] = {0}, freedom = 0;
        ps_visit v[PINS];
        expect_visits(chance, PINS, 3, length, expected);
        uint32_t n = ps_walk_visits(w, 3, 1000 + length, v, PINS);
        for (uint32_t i = 0; i < n; i++)
            count[v[i].row] = v[i].count;
        for (uint32_t q = 0; q < PINS; q++) {
            double want = expected[q] * WALKS, off = count[q] - want;
            if (q == 3 || want == 0) {
                assert_int_equal(count[q], 0);
                continue;
            }
            assert_true(fabs(off) < 5 * sqrt(want * length) + 5);
            chi += off * off / want;
            freedom++;
        }
        /* Visits of one walk to one pin go together: variance up to `length` times. */
        assert_true(chi < length * (freedom + 5 * sqrt(2.0 * freedom)));
        assert_true(chi > freedom / 3.0);
        ps_walker_free(w);
    }
    free(chance);
    ps_graph_free(&g);
}

/* ------------------------------ Unstored pins ------------------------------------ */

/* What walks of two hops from these boards come to, by exact chances. */
static double *unstored_chances(const ps_graph *g, const uint32_t *boards, uint32_t n)
{
    uint32_t pins = g->pin_boards.rows;
    double *hop = hop_chances(g), *first = calloc(pins, sizeof *first);
    double *all = calloc(pins, sizeof *all);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t degree = ps_csr_degree(&g->board_pins, boards[i]);
        for (uint32_t j = 0; j < degree; j++)
            first[ps_csr_row(&g->board_pins, boards[i])[j]] += 1.0 / (n * (double)degree);
    }
    for (uint32_t p = 0; p < pins; p++) {
        all[p] += first[p] / 2;
        for (uint32_t q = 0; q < pins; q++)
            all[q] += first[p] * hop[(size_t)p * pins + q] / 2;
    }
    free(hop);
    free(first);
    return all;
}

static void an_unstored_pin_visits_pins_as_often_as_exact_chances_say(void **state)
{
    (void)state;
    ps_graph g = connected_graph(4, 30, 12, 90, 0);
    const uint32_t boards[] = {1, 5, 7};
    uint32_t rows[30];
    float weights[30];
    double *want = unstored_chances(&g, boards, 3), sum = 0;
    ps_walker *w = walker(&g, (ps_walk_opts){100000, 2, 30});
    ps_walk_unstored(w, boards, 3, 100000, 77, rows, weights);
    for (uint32_t i = 0; i < 30 && rows[i] != PS_NO_PIN; i++) {
        assert_true(!i || weights[i] <= weights[i - 1]);
        assert_true(fabs((double)weights[i] - want[rows[i]]) < 0.005);
        sum += (double)weights[i];
        want[rows[i]] = 0;
    }
    assert_true(fabs(sum - 1) < 1e-4);
    for (uint32_t p = 0; p < 30; p++)
        assert_true(want[p] < 0.005); /* what was not visited is hardly ever */
    ps_walker_free(w);
    ps_graph_free(&g);
    free(want);
}

static void an_unstored_pin_leaves_nothing_behind(void **state)
{
    (void)state;
    ps_graph g = connected_graph(4, 30, 12, 90, 0);
    const uint32_t boards[] = {1, 5};
    uint32_t rows[2][10], pin = 3;
    float weights[2][10];
    uint64_t seed = seed_of(pin);
    ps_walker *w = walker(&g, (ps_walk_opts){50, 2, 10});
    ps_walk_neighbours(w, &pin, &seed, 1, rows[0], weights[0]);
    ps_walk_unstored(w, boards, 2, 50, 1, rows[1], weights[1]);
    ps_walk_neighbours(w, &pin, &seed, 1, rows[1], weights[1]);
    assert_memory_equal(rows[0], rows[1], sizeof rows[0]);
    assert_memory_equal(weights[0], weights[1], sizeof weights[0]);
    ps_walk_unstored(w, boards, 0, 50, 1, rows[0], weights[0]);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(rows[0][i], PS_NO_PIN);
        assert_true(weights[0][i] == 0);
    }
    ps_walker_free(w);
    ps_graph_free(&g);
}

/* ------------------------------ Threads ----------------------------------- */

typedef struct task {
    const ps_graph *g;
    uint32_t rows[400 * 10];
    float weights[400 * 10];
} task;

static void *walk_all(void *cls)
{
    task *t = cls;
    uint32_t pins[400];
    uint64_t seeds[400];
    ps_walker *w;
    for (uint32_t p = 0; p < 400; p++) {
        pins[p] = p;
        seeds[p] = seed_of(p);
    }
    if (ps_walker_new(&w, t->g, (ps_walk_opts){50, 2, 10}))
        return NULL;
    ps_walk_neighbours(w, pins, seeds, 400, t->rows, t->weights);
    ps_walker_free(w);
    return t;
}

static void threads_with_walkers_of_their_own_agree(void **state)
{
    (void)state;
    static task tasks[3];
    pthread_t thread[3];
    ps_graph g = random_graph(6, 400, 100, 2000, 1);
    for (int i = 0; i < 3; i++) {
        tasks[i].g = &g;
        assert_int_equal(pthread_create(&thread[i], NULL, walk_all, &tasks[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        void *done;
        assert_int_equal(pthread_join(thread[i], &done), 0);
        assert_non_null(done);
        assert_memory_equal(tasks[i].rows, tasks[0].rows, sizeof tasks[0].rows);
        assert_memory_equal(tasks[i].weights, tasks[0].weights, sizeof tasks[0].weights);
    }
    ps_graph_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lanes_and_batches_change_nothing),
        cmocka_unit_test(walks_that_cannot_go_on_end_alone),
        cmocka_unit_test(edges_out_of_range_end_a_walk),
        cmocka_unit_test(rankings_of_any_length_are_the_plain_ones),
        cmocka_unit_test(a_pin_is_not_its_own_neighbour),
        cmocka_unit_test(pins_without_neighbours_are_padded_with_themselves),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(long_walks_visit_pins_by_degree),
        cmocka_unit_test(visits_are_as_often_as_exact_chances_say),
        cmocka_unit_test(an_unstored_pin_visits_pins_as_often_as_exact_chances_say),
        cmocka_unit_test(an_unstored_pin_leaves_nothing_behind),
        cmocka_unit_test(threads_with_walkers_of_their_own_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
