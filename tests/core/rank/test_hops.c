/* test_hops.c - counts over boards and over pairs against the plainest loops. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rank/pair_hops.h"
#include "core/rank/two_hop.h"
#include "pinsage/rng.h"
#include "tests/support/changes.h"
#include "tests/support/graphs.h"

enum { PINS = 120, BOARDS = 40, EDGES = 500, PAIRS = 150 };
static ps_graph graph;
static ps_pairs pairs;
static ps_pair_graph pair_graph;

static int make_data(void **state)
{
    (void)state;
    uint64_t rng = 5;
    size_t room = 0;
    graph = random_graph(11, PINS, BOARDS, EDGES, 1);
    for (int i = 0; i < PAIRS; i++) {
        uint32_t a = (uint32_t)ps_rng_below(&rng, PINS), b;
        do
            b = (uint32_t)ps_rng_below(&rng, PINS);
        while (b == a);
        assert_int_equal(ps_pairs_add(&pairs, &room, a, b), PS_OK);
    }
    return ps_pair_graph_make(&pair_graph, PINS, &pairs);
}

static int drop_data(void **state)
{
    (void)state;
    ps_pair_graph_done(&pair_graph);
    ps_pairs_free(&pairs);
    ps_graph_free(&graph);
    return 0;
}

/* sum[r][..] of every pin, board by board. */
static void slow_counts(uint32_t query, double sum[PINS][PS_SUMS])
{
    const ps_csr *m = &graph.pin_boards;
    double boards = ps_csr_degree(m, query);
    memset(sum, 0, PINS * sizeof *sum);
    for (uint32_t b = 0; b < BOARDS; b++) {
        double n = ps_csr_degree(&graph.board_pins, b);
        double idf = fmax(.1, log((double)PINS) - log1p(n));
        for (uint32_t r = 0; r < PINS; r++)
            if (r != query && ps_csr_has(m, query, b) && ps_csr_has(m, r, b)) {
                sum[r][PS_HOP_WALK] += 1 / n / boards;
                sum[r][PS_HOP_ROOT] += 1 / sqrt(n);
                sum[r][PS_HOP_RARE] += idf * idf;
            }
    }
}

static void assert_close(double is, double want)
{
    assert_true(fabs(is - want) <= 1e-4 * (fabs(want) + 1e-3));
}

static void counts_are_those_of_the_plain_loop(void **state)
{
    (void)state;
    static double want[PINS][PS_SUMS];
    ps_two_hop *t;
    assert_int_equal(ps_two_hop_new(&t, &graph, 100000), PS_OK);
    for (uint32_t q = 0; q < PINS; q++) {
        const ps_row_sums *s = ps_two_hop_of(t, q);
        uint32_t n = 0;
        slow_counts(q, want);
        for (uint32_t r = 0; r < PINS; r++) {
            const ps_row_sum *at = ps_row_sums_find(s, r);
            assert_true((at != NULL) == (want[r][PS_HOP_WALK] > 0));
            for (int i = 0; at && i < PS_SUMS; i++)
                assert_close((double)at->sum[i], want[r][i]);
            n += at != NULL;
        }
        assert_int_equal(s->n, n);
        assert_null(ps_row_sums_find(s, q));
    }
    ps_two_hop_free(t);
}

/* With a budget below the edges nothing is found twice, and sums are right on average. */
static void a_small_budget_samples_without_bias(void **state)
{
    (void)state;
    static double want[PINS][PS_SUMS];
    double is = 0, all = 0;
    ps_two_hop *t;
    assert_int_equal(ps_two_hop_new(&t, &graph, 25), PS_OK);
    for (uint32_t q = 0; q < PINS; q++) {
        const ps_row_sums *s = ps_two_hop_of(t, q);
        assert_true(s->n <= 25);
        slow_counts(q, want);
        for (uint32_t r = 0; r < PINS; r++) {
            const ps_row_sum *at = ps_row_sums_find(s, r);
            assert_true(!at || want[r][PS_HOP_WALK] > 0);
            is += at ? (double)at->sum[PS_HOP_WALK] : 0;
            all += want[r][PS_HOP_WALK];
        }
    }
    assert_true(is > .7 * all && is < 1.3 * all);
    ps_two_hop_free(t);
}

/* ------------------------------ Pairs -------------------------------------- */

static uint32_t times_paired(uint32_t a, uint32_t b)
{
    uint32_t n = 0;
    for (size_t i = 0; i < pairs.n; i++)
        n += (pairs.pair[i][0] == a && pairs.pair[i][1] == b) ||
             (pairs.pair[i][0] == b && pairs.pair[i][1] == a);
    return n;
}

static void the_graph_of_pairs_counts_both_ways_round(void **state)
{
    (void)state;
    for (uint32_t a = 0; a < PINS; a++) {
        double total = 0;
        for (uint32_t b = 0; b < PINS; b++) {
            uint32_t n = times_paired(a, b);
            total += n;
            assert_int_equal(ps_csr_has(&pair_graph.csr, a, b), n > 0);
        }
        assert_close(ps_pair_total(&pair_graph, a), total);
        for (uint64_t i = pair_graph.csr.indptr[a]; i < pair_graph.csr.indptr[a + 1]; i++)
            assert_close((double)pair_graph.weight[i],
                         times_paired(a, pair_graph.csr.indices[i]));
    }
}

static double step(uint32_t a, uint32_t b)
{
    double total = ps_pair_total(&pair_graph, a);
    return total > 0 ? times_paired(a, b) / total : 0;
}

static void pair_hops_are_chances_of_two_steps(void **state)
{
    (void)state;
    static double near[PINS][PS_SUMS], from[PINS][PS_SUMS];
    ps_two_hop *boards;
    ps_pair_hops *h;
    assert_int_equal(ps_two_hop_new(&boards, &graph, 100000), PS_OK);
    assert_int_equal(ps_pair_hops_new(&h, &pair_graph, &graph), PS_OK);
    for (uint32_t q = 0; q < PINS; q += 11) {
        const ps_row_sums *s = ps_pair_hops_of(h, q, ps_two_hop_of(boards, q));
        slow_counts(q, near);
        for (uint32_t c = 0; c < PINS; c++) {
            double two = 0, after_board = 0, before_board = 0;
            for (uint32_t m = 0; m < PINS; m++) {
                two += step(q, m) * step(m, c);
                after_board += near[m][PS_HOP_WALK] * step(m, c);
                if (step(q, m) > 0) {
                    slow_counts(m, from);
                    before_board += step(q, m) * from[c][PS_HOP_WALK];
                }
            }
            const ps_row_sum *at = ps_row_sums_find(s, c);
            const float none[PS_SUMS] = {0}, *is = at ? at->sum : none;
            assert_close((double)is[PS_HOP_PAIR_PAIR], two);
            assert_close((double)is[PS_HOP_PAIR_BOARD], before_board);
            /* only the strongest first hops are followed */
            assert_true((double)is[PS_HOP_BOARD_PAIR] <= after_board * 1.0001 + 1e-6);
        }
    }
    ps_pair_hops_free(h);
    ps_two_hop_free(boards);
}

static void overlap_tells_groups_from_single_pairs(void **state)
{
    (void)state;
    ps_pairs rooms = {0};
    ps_pair_graph g;
    size_t room = 0;
    for (uint32_t p = 0; p < PINS; p++)
        for (uint32_t o = p - p % 6; o < p - p % 6 + 6; o++)
            if (o != p)
                assert_int_equal(ps_pairs_add(&rooms, &room, p, o), PS_OK);
    assert_int_equal(ps_pair_graph_make(&g, PINS, &rooms), PS_OK);
    assert_close(ps_pairs_overlap(&g), 1);
    assert_true(ps_pairs_overlap(&pair_graph) < PS_PAIRS_GROUPED);
    ps_pair_graph_done(&g);
    ps_pairs_free(&rooms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_those_of_the_plain_loop),
        cmocka_unit_test(a_small_budget_samples_without_bias),
        cmocka_unit_test(the_graph_of_pairs_counts_both_ways_round),
        cmocka_unit_test(pair_hops_are_chances_of_two_steps),
        cmocka_unit_test(overlap_tells_groups_from_single_pairs),
    };
    return cmocka_run_group_tests(tests, make_data, drop_data);
}
