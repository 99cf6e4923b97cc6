/* test_tables.c - neighbour lists and hard negatives against slow ones, and against what
 * chance says of a uniform draw.
 *
 * Threads: teams of one to three.
 */
#include "core/neighbours/tables.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/rng.h"
#include "tests/support/changes.h"
#include "tests/support/graphs.h"

/* ------------------------------ Helpers ----------------------------------- */

static uint64_t *seeds_of(uint32_t n, uint64_t run)
{
    uint64_t *seed = malloc(((size_t)n + 1) * sizeof *seed);
    assert_non_null(seed);
    for (uint32_t i = 0; i < n; i++)
        seed[i] = ps_rng_at(run, i);
    return seed;
}

static ps_table make(const ps_graph *g, ps_walk_opts walk, bool khop, uint64_t run,
                     unsigned threads)
{
    ps_table t;
    ps_workers *workers;
    ps_why why = {0};
    uint64_t *seeds = seeds_of(g->pin_boards.rows, run);
    ps_table_opts o = {.walk = walk, .khop = khop, .seeds = seeds, .stage = "test"};
    assert_int_equal(ps_workers_new(&workers, threads), PS_OK);
    must(ps_table_make(&t, g, &o, workers, NULL, &why), &why);
    ps_workers_free(workers);
    free(seeds);
    return t;
}

/* 1 if u and v lie on a board together. */
static int share_board(const ps_graph *g, uint32_t u, uint32_t v)
{
    for (uint32_t i = 0; i < ps_csr_degree(&g->pin_boards, u); i++)
        if (ps_csr_has(&g->board_pins, ps_csr_row(&g->pin_boards, u)[i], v))
            return u != v;
    return 0;
}

static uint32_t count_sharers(const ps_graph *g, uint32_t u)
{
    uint32_t n = 0;
    for (uint32_t v = 0; v < g->pin_boards.rows; v++)
        n += (uint32_t)share_board(g, u, v);
    return n;
}

/* ------------------------------ Walks ------------------------------------- */

static void walk_tables_hold_the_plain_ranking(void **state)
{
    (void)state;
    ps_walk_opts o = {.n_walks = 100, .length = 2, .top = 7};
    ps_graph g = random_graph(3, 300, 100, 900, 1);
    ps_table t = make(&g, o, false, 9, 2);
    uint64_t *seeds = seeds_of(300, 9);
    assert_true(t.n == 300 && t.T == 7);
    for (uint32_t u = 0; u < 300; u++) {
        ps_visit v[7];
        uint32_t n = ps_walk_visits_plain(&g, o, u, seeds[u], v, 7), total = 0;
        for (uint32_t i = 0; i < n; i++)
            total += v[i].count;
        for (uint32_t i = 0; i < 7; i++) {
            assert_int_equal(t.row[u * 7 + i], i < n ? v[i].row : u);
            float share = i < n ? (float)v[i].count / (float)total : 0;
            assert_true(t.weight[u * 7 + i] == share);
        }
    }
    free(seeds);
    ps_table_done(&t);
    ps_graph_free(&g);
}

static void any_team_makes_the_same_table(void **state)
{
    (void)state;
    ps_graph g = random_graph(5, 500, 100, 2000, 1);
    for (int khop = 0; khop < 2; khop++) {
        ps_walk_opts o = {.n_walks = 50, .length = 2, .top = 5};
        ps_table a = make(&g, o, khop, 1, 1), b = make(&g, o, khop, 1, 3);
        assert_memory_equal(a.row, b.row, 500 * 5 * sizeof *a.row);
        assert_memory_equal(a.weight, b.weight, 500 * 5 * sizeof *a.weight);
        ps_table_done(&a);
        ps_table_done(&b);
    }
    ps_graph_free(&g);
}

/* ------------------------------ k-hop ------------------------------------- */

static void khop_keeps_all_when_few_share_a_board(void **state)
{
    (void)state;
    ps_graph g = random_graph(7, 60, 30, 100, 1);
    ps_table t = make(&g, (ps_walk_opts){.top = 60}, true, 1, 1);
    for (uint32_t u = 0; u < 60; u++) {
        uint8_t seen[60] = {0};
        uint32_t want = count_sharers(&g, u);
        for (uint32_t i = 0; i < 60; i++) {
            uint32_t v = t.row[u * 60 + i];
            float weight = t.weight[u * 60 + i];
            assert_true(weight == (i < want ? 1.0f / (float)want : 0.0f));
            if (i >= want) {
                assert_int_equal(v, u);
                continue;
            }
            assert_true(share_board(&g, u, v));
            assert_false(seen[v]++);
        }
    }
    ps_table_done(&t);
    ps_graph_free(&g);
}

/* Pin 0 shares boards with 1..12, with some of them twice; five are drawn each time. */
static void khop_draws_each_sharing_pin_with_the_same_chance(void **state)
{
    (void)state;
    enum { PINS = 13, TOP = 5, RUNS = 4000 };
    uint32_t edge[40][2], n = 0, count[PINS] = {0};
    for (uint32_t v = 0; v < PINS; v++)
        edge[n][0] = v, edge[n++][1] = 0;
    for (uint32_t v = 0; v < PINS; v += 2) /* the even ones on a second board too */
        edge[n][0] = v, edge[n++][1] = 1;
    ps_graph g;
    assert_int_equal(ps_graph_from_pairs(&g, PINS, 2, (const uint32_t(*)[2])edge, n),
                     PS_OK);
    for (uint64_t run = 0; run < RUNS; run++) {
        ps_table t = make(&g, (ps_walk_opts){.top = TOP}, true, run, 1);
        uint32_t mask = 0;
        for (int i = 0; i < TOP; i++) {
            assert_true(t.row[i] != 0 && t.weight[i] == 1.0f / TOP);
            assert_false(mask & 1u << t.row[i]);
            mask |= 1u << t.row[i];
            count[t.row[i]]++;
        }
        ps_table_done(&t);
    }
    double expected = (double)RUNS * TOP / (PINS - 1), chi = 0;
    for (int v = 1; v < PINS; v++)
        chi += ((double)count[v] - expected) * ((double)count[v] - expected) / expected;
    assert_true(chi < 31.3); /* 11 degrees of freedom, one run in a thousand */
    ps_graph_free(&g);
}

/* ------------------------------ Hard negatives ---------------------------- */

static uint32_t *mine(const ps_graph *g, const uint32_t *queries, size_t n, ps_band band,
                      unsigned threads)
{
    ps_workers *workers;
    uint64_t *seeds = seeds_of(g->pin_boards.rows, 4);
    uint32_t *out = malloc((n + 1) * PS_HARD_MAX * sizeof *out);
    assert_non_null(out);
    assert_int_equal(ps_workers_new(&workers, threads), PS_OK);
    assert_int_equal(ps_hard_make(out, g, queries, n, seeds, band, workers, NULL), PS_OK);
    ps_workers_free(workers);
    free(seeds);
    return out;
}

static void hard_negatives_have_the_ranks_of_their_band(void **state)
{
    (void)state;
    enum { QUERIES = 100 };
    ps_graph g = connected_graph(11, 600, 200, 2400, 1);
    ps_band band = {100, 200};
    ps_walk_opts walk = {.n_walks = 2000, .length = 3, .top = 1};
    uint64_t *seeds = seeds_of(600, 4);
    uint32_t queries[QUERIES];
    for (uint32_t i = 0; i < QUERIES; i++)
        queries[i] = 599 - 6 * i;
    uint32_t *hard = mine(&g, queries, QUERIES, band, 2);
    uint32_t *again = mine(&g, queries, QUERIES, band, 1);
    assert_memory_equal(hard, again, QUERIES * PS_HARD_MAX * sizeof *hard);
    for (size_t i = 0; i < QUERIES; i++) {
        ps_visit v[600];
        uint32_t q = queries[i], at = 0;
        uint32_t found = ps_walk_visits_plain(&g, walk, q, seeds[q], v, 600);
        uint32_t low = found / 2 < band.low ? found / 2 : band.low;
        uint32_t high = found < band.high ? found : band.high;
        if (found > band.high)
            assert_int_equal(low, band.low);
        at = low;
        for (int j = 0; j < PS_HARD_MAX; j++) {
            uint32_t pin = hard[i * PS_HARD_MAX + (size_t)j];
            assert_true(pin != UINT32_MAX);
            while (at < high && v[at].row != pin) /* ranks ascend */
                at++;
            assert_true(at < high);
            at++;
        }
    }
    free(seeds);
    free(hard);
    free(again);
    ps_graph_free(&g);
}

/* A path of three boards: each end reaches few pins, and pin 9 none. */
static void short_bands_are_padded_and_empty_ones_are_empty(void **state)
{
    (void)state;
    static const uint32_t edges[][2] = {{0, 0}, {1, 0}, {1, 1}, {2, 1}, {2, 2}, {3, 2}};
    static const uint32_t queries[] = {0, 9, 4};
    ps_graph g;
    assert_int_equal(ps_graph_from_pairs(&g, 10, 3, edges, 6), PS_OK);
    uint32_t *hard = mine(&g, queries, 3, (ps_band){20, 60}, 1);
    /* 0 visits 1, 2, 3: the last half of three ranks is two. */
    assert_true(hard[0] <= 3 && hard[1] <= 3 && hard[0] != hard[1]);
    assert_true(hard[0] != 0 && hard[1] != 0);
    for (int j = 2; j < PS_HARD_MAX; j++)
        assert_true(hard[j] == UINT32_MAX);
    for (int j = 0; j < 2 * PS_HARD_MAX; j++)
        assert_true(hard[PS_HARD_MAX + j] == UINT32_MAX);
    free(hard);
    ps_graph_free(&g);
}

/* ------------------------------ Refusals ---------------------------------- */

static int on_progress_stop(void *cls, const char *stage, uint64_t done, uint64_t total,
                            const char *unit, const char *note)
{
    (void)cls, (void)stage, (void)total, (void)unit, (void)note;
    return done > 100 ? PS_ECANCELLED : PS_OK;
}

static void a_table_may_be_stopped_and_odd_options_are_refused(void **state)
{
    (void)state;
    ps_graph g = random_graph(5, 500, 100, 2000, 1);
    ps_progress progress = {.at = on_progress_stop};
    ps_workers *workers;
    ps_table t;
    ps_why why = {0};
    uint64_t *seeds = seeds_of(500, 1);
    ps_table_opts o = {.walk = {50, 2, 5}, .seeds = seeds, .stage = "test"};
    assert_int_equal(ps_workers_new(&workers, 2), PS_OK);
    assert_int_equal(ps_table_make(&t, &g, &o, workers, &progress, &why), PS_ECANCELLED);
    assert_null(t.row);
    o.walk.n_walks = 0;
    assert_int_equal(ps_table_make(&t, &g, &o, workers, NULL, &why), PS_EINVAL);
    assert_null(t.row);
    ps_workers_free(workers);
    free(seeds);
    ps_graph_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walk_tables_hold_the_plain_ranking),
        cmocka_unit_test(any_team_makes_the_same_table),
        cmocka_unit_test(khop_keeps_all_when_few_share_a_board),
        cmocka_unit_test(khop_draws_each_sharing_pin_with_the_same_chance),
        cmocka_unit_test(hard_negatives_have_the_ranks_of_their_band),
        cmocka_unit_test(short_bands_are_padded_and_empty_ones_are_empty),
        cmocka_unit_test(a_table_may_be_stopped_and_odd_options_are_refused),
    };
    return cmocka_run_group_tests_name("tables", tests, NULL, NULL);
}
