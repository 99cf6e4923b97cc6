/* test_lines.c - sums, means and bootstrap intervals, by hand and by simulation.
 *
 * Threads: teams of one and of three must agree to the last bit.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/measures/lines.h"
#include "pinsage/rng.h"

#define assert_near(got, want, room) assert_true(fabs((got) - (want)) <= (room))

static uint32_t few[6][2] = {{7, 1}, {3, 2}, {7, 4}, {5, 5}, {3, 1}, {7, 0}};
static const ps_pairs few_pairs = {.pair = few, .n = 6};

static void pairs_are_grouped_by_query_without_self_pairs(void **state)
{
    (void)state;
    groups g;
    assert_int_equal(groups_make(&g, &few_pairs), PS_OK);
    assert_int_equal(g.n, 2);
    assert_int_equal(g.query[0], 3);
    assert_int_equal(g.query[1], 7);
    assert_int_equal(g.start[1], 2);
    assert_int_equal(g.start[2], 5);
    const size_t order[5] = {1, 4, 0, 2, 5};
    assert_memory_equal(g.order, order, sizeof order);
    groups_done(&g);
}

static void means_are_the_ones_worked_out_by_hand(void **state)
{
    (void)state;
    const float rank[6] = {1, 2.5f, 10, 0, 100, 101};
    const uint32_t cut[2] = {2, 10};
    groups g;
    double lines[2 * LINE_MAX];
    ps_workers *workers;
    ps_measures s;
    assert_int_equal(groups_make(&g, &few_pairs), PS_OK);
    assert_int_equal(ps_workers_new(&workers, 1), PS_OK);
    lines_of_ranks(&g, rank, cut, 2, lines);
    line_set set = {.lines = lines, .n_cuts = 2, .n = g.n};
    assert_int_equal(lines_scores(set, 0, 1, workers, &s), PS_OK);

    assert_int_equal(s.pairs, 5);
    assert_int_equal(s.queries, 2);
    assert_near(s.hit_rate[0].mean, 1 / 5.0, 1e-12);
    assert_near(s.hit_rate[1].mean, 3 / 5.0, 1e-12);
    assert_near(s.recall[0].mean, (0 + 1 / 3.0) / 2, 1e-12);
    assert_near(s.recall[1].mean, (1 / 2.0 + 2 / 3.0) / 2, 1e-12);
    assert_near(s.mrr.mean, (1 + .4 + .1 + .01 + 1 / 101.0) / 5, 1e-12);
    assert_near(s.mrr_scaled.mean, 4.5 / 5, 1e-12);
    assert_true(s.mrr.low == s.mrr.mean && s.mrr.high == s.mrr.mean);
    groups_done(&g);
    ps_workers_free(workers);
}

/* n queries of one pair each that hit with chance p. */
static void draw_lines(double *lines, size_t n, double p, uint64_t *rng)
{
    for (size_t i = 0; i < n; i++) {
        double hit = (double)ps_rng_unit(rng) < p;
        double line[5] = {1, hit, hit, hit, hit};
        memcpy(lines + i * 5, line, sizeof line);
    }
}

static void intervals_cover_the_truth_about_95_times_in_100(void **state)
{
    (void)state;
    enum { TRIALS = 400, QUERIES = 200 };
    static double lines[QUERIES * 5];
    ps_workers *workers;
    assert_int_equal(ps_workers_new(&workers, 2), PS_OK);
    int covered = 0;
    for (uint64_t t = 0; t < TRIALS; t++) {
        uint64_t rng = ps_rng_at(99, t);
        draw_lines(lines, QUERIES, .3, &rng);
        ps_measures s;
        line_set set = {.lines = lines, .n_cuts = 1, .n = QUERIES};
        assert_int_equal(lines_scores(set, 300, t, workers, &s), PS_OK);
        covered += s.hit_rate[0].low <= .3 && .3 <= s.hit_rate[0].high;
        assert_true(s.hit_rate[0].low <= s.hit_rate[0].mean);
        assert_true(s.hit_rate[0].mean <= s.hit_rate[0].high);
    }
    ps_workers_free(workers);
    assert_in_range(covered, TRIALS * 90 / 100, TRIALS * 99 / 100);
}

static void the_width_is_the_one_of_the_normal_approximation(void **state)
{
    (void)state;
    enum { QUERIES = 2000 };
    static double lines[QUERIES * 5];
    uint64_t rng = ps_rng_at(5, 5);
    ps_workers *workers;
    ps_measures s;
    draw_lines(lines, QUERIES, .5, &rng);
    assert_int_equal(ps_workers_new(&workers, 2), PS_OK);
    line_set set = {.lines = lines, .n_cuts = 1, .n = QUERIES};
    assert_int_equal(lines_scores(set, 2000, 1, workers, &s), PS_OK);
    double want = 2 * 1.96 * sqrt(.25 / QUERIES);
    assert_near(s.mrr.high - s.mrr.low, want, want / 10);
    ps_workers_free(workers);
}

static void thread_counts_agree_to_the_last_bit(void **state)
{
    (void)state;
    enum { QUERIES = 300 };
    static double lines[QUERIES * 5];
    uint64_t rng = ps_rng_at(6, 6);
    draw_lines(lines, QUERIES, .2, &rng);
    ps_measures s[2];
    memset(s, 0, sizeof s);
    for (unsigned i = 0; i < 2; i++) {
        ps_workers *workers;
        assert_int_equal(ps_workers_new(&workers, 1 + 2 * i), PS_OK);
        line_set set = {.lines = lines, .n_cuts = 1, .n = QUERIES};
        assert_int_equal(lines_scores(set, 500, 7, workers, &s[i]), PS_OK);
        ps_workers_free(workers);
    }
    assert_memory_equal(&s[0], &s[1], sizeof s[0]);
}

static void an_empty_bucket_has_no_pairs_and_no_interval(void **state)
{
    (void)state;
    ps_workers *workers;
    ps_measures s;
    double none[5];
    assert_int_equal(ps_workers_new(&workers, 1), PS_OK);
    line_set set = {.lines = none, .n_cuts = 1, .n = 0};
    assert_int_equal(lines_scores(set, 100, 1, workers, &s), PS_OK);
    assert_int_equal(s.pairs, 0);
    assert_true(s.mrr.mean == 0 && s.mrr.high == 0);
    ps_workers_free(workers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_are_grouped_by_query_without_self_pairs),
        cmocka_unit_test(means_are_the_ones_worked_out_by_hand),
        cmocka_unit_test(intervals_cover_the_truth_about_95_times_in_100),
        cmocka_unit_test(the_width_is_the_one_of_the_normal_approximation),
        cmocka_unit_test(thread_counts_agree_to_the_last_bit),
        cmocka_unit_test(an_empty_bucket_has_no_pairs_and_no_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
