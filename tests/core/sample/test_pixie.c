/* test_pixie.c - Pixie against the algorithm as the paper prints it, one walk at a
 * time, and against exact personalised PageRank. */
#include "pinsage/pixie.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/rng.h"
#include "tests/support/graphs.h"

/* ------------------------------ The oracle -------------------------------- */

/* Visits of one query, (n_pins); returns the hops. A loop around a loop, no table. */
static uint64_t plain_visits(const ps_graph *g, ps_pixie_opts o, ps_pixie_query q,
                             uint32_t budget, uint32_t *visits)
{
    uint64_t steps = 0;
    uint32_t high = 0;
    memset(visits, 0, g->pin_boards.rows * sizeof *visits);
    if (ps_csr_degree(&g->pin_boards, q.row) == 0)
        return 0;
    for (uint64_t walk = 0; steps < budget; walk++) {
        uint64_t rng = ps_rng_at(q.seed, walk), left = budget - steps, hops = 1;
        while (hops < left && ps_rng_unit(&rng) >= o.restart)
            hops++;
        uint32_t pin = q.row;
        for (; hops; hops--) {
            const ps_csr *m = &g->pin_boards;
            uint32_t board =
                ps_csr_row(m, pin)[ps_rng_below(&rng, ps_csr_degree(m, pin))];
            m = &g->board_pins;
            pin = ps_csr_row(m, board)[ps_rng_below(&rng, ps_csr_degree(m, board))];
            steps++;
            if (pin == q.row)
                continue;
            visits[pin]++;
            if (visits[pin] == o.n_v)
                high++;
            if (o.n_v && high > o.n_p)
                return steps;
        }
    }
    return steps;
}

typedef struct answer {
    ps_scored *scored; /* (n) */
    uint32_t n;
    uint64_t steps;
} answer;

static int better(const void *a, const void *b)
{
    const ps_scored *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->row > y->row) - (x->row < y->row);
}

static answer plain(const ps_graph *g, ps_pixie_opts o, const ps_pixie_query *q,
                    uint32_t n)
{
    uint32_t pins = g->pin_boards.rows;
    uint32_t *visits = malloc(pins * 4), *budget = malloc(n * 4);
    float *sum = calloc(pins, 4);
    answer a = {malloc(pins * sizeof *a.scored), 0, 0};
    ps_pixie_budget(g, q, n, o.steps, budget);
    for (uint32_t i = 0; i < n; i++) {
        a.steps += plain_visits(g, o, q[i], budget[i], visits);
        for (uint32_t p = 0; p < pins; p++)
            sum[p] += o.no_boost || n == 1 ? (float)visits[p] : sqrtf((float)visits[p]);
    }
    for (uint32_t i = 0; i < n; i++)
        sum[q[i].row] = 0;
    for (uint32_t p = 0; p < pins; p++) {
        float score = o.no_boost || n == 1 ? sum[p] : sum[p] * sum[p];
        if (o.correction != 0)
            score /= powf((float)ps_csr_degree(&g->pin_boards, p), o.correction);
        if (sum[p] > 0)
            a.scored[a.n++] = (ps_scored){p, score};
    }
    qsort(a.scored, a.n, sizeof *a.scored, better);
    free(visits), free(budget), free(sum);
    return a;
}

static answer ours(const ps_graph *g, ps_pixie_opts o, const ps_pixie_query *q,
                   uint32_t n, uint32_t max)
{
    ps_pixie *p;
    answer a = {malloc((max + 1) * sizeof *a.scored), 0, 0};
    assert_int_equal(ps_pixie_new(&p, g, o), PS_OK);
    assert_int_equal(ps_pixie_related(p, q, n, a.scored, max, &a.n, NULL), PS_OK);
    assert_int_equal(ps_pixie_related(p, q, n, a.scored, max, &a.n, &a.steps), PS_OK);
    ps_pixie_free(p); /* twice: nothing of the first call is left in the second */
    return a;
}

static void as_plain(const ps_graph *g, ps_pixie_opts o, const ps_pixie_query *q,
                     uint32_t n)
{
    uint32_t pins = g->pin_boards.rows;
    answer want = plain(g, o, q, n), got = ours(g, o, q, n, pins), few;
    few = ours(g, o, q, n, 3);
    assert_int_equal(got.steps, want.steps);
    assert_int_equal(got.n, want.n);
    assert_memory_equal(got.scored, want.scored, want.n * sizeof *want.scored);
    assert_int_equal(few.n, want.n < 3 ? want.n : 3);
    assert_memory_equal(few.scored, want.scored, few.n * sizeof *few.scored);
    free(want.scored), free(got.scored), free(few.scored);
}

static ps_pixie_query query(uint32_t row, float weight)
{
    return (ps_pixie_query){row, weight, ps_rng_at(77, row)};
}

/* ------------------------------ Against the oracle ------------------------ */

static void lanes_stop_where_one_walk_at_a_time_stops(void **state)
{
    (void)state;
    static const float restarts[] = {0.5f, 0.1f, 0.9f, 1.0f, 0.01f};
    uint64_t rng = 2;
    for (uint32_t i = 0; i < 300; i++) {
        uint32_t pins = 2 + (uint32_t)ps_rng_below(&rng, 150);
        ps_graph g = random_graph(rng, pins, 1 + (uint32_t)ps_rng_below(&rng, 60),
                                  ps_rng_below(&rng, 600), (int)i % 4);
        ps_pixie_opts o = PS_PIXIE_DEFAULTS;
        o.steps = 10 + (uint32_t)ps_rng_below(&rng, i % 2 ? 3000 : 100);
        o.restart = restarts[i % 5];
        o.n_p = (uint32_t)ps_rng_below(&rng, 20);
        o.n_v = (uint32_t)ps_rng_below(&rng, 6);
        o.correction = i % 3 ? 0 : 0.5f;
        o.no_boost = i % 7 == 0;
        ps_pixie_query q[5];
        uint32_t n = 1 + i % 5;
        for (uint32_t k = 0; k < n; k++)
            q[k] = query((uint32_t)ps_rng_below(&rng, pins), 0.25f + (float)k);
        as_plain(&g, o, q, n);
        ps_graph_free(&g);
    }
}

static void long_budgets_are_as_plain_too(void **state)
{
    (void)state;
    ps_graph g = random_graph(4, 20000, 3000, 80000, 1);
    ps_pixie_opts o = PS_PIXIE_DEFAULTS;
    ps_pixie_query q[] = {query(5, 1), query(700, 2), query(1, 0.1f)};
    as_plain(&g, o, q, 1);
    as_plain(&g, o, q, 3);
    o.steps = 300000;
    o.n_v = 0;
    as_plain(&g, o, q, 1);
    o.correction = 1;
    as_plain(&g, o, q, 3);
    ps_graph_free(&g);
}

/* ------------------------------ Early stop -------------------------------- */

/* One board of six pins: every hop goes to any of the six. */
static ps_graph one_board(void)
{
    static const uint32_t pairs[][2] = {{0, 0}, {1, 0}, {2, 0}, {3, 0}, {4, 0}, {5, 0}};
    ps_graph g;
    assert_int_equal(ps_graph_from_pairs(&g, 6, 1, pairs, 6), PS_OK);
    return g;
}

/* The two mistakes there are: walking on while *either* limit is unmet, and counting
 * a pin again at each visit beyond n_v. */
static void walks_stop_when_more_than_n_p_pins_have_n_v_visits(void **state)
{
    (void)state;
    ps_graph g = one_board();
    ps_pixie_query q = query(0, 1);
    for (uint32_t n_p = 0; n_p < 5; n_p++) {
        ps_pixie_opts o = {.steps = 100000, .restart = 0.5f, .n_p = n_p, .n_v = 30};
        answer a = ours(&g, o, &q, 1, 6);
        uint32_t high = 0, just = 0;
        for (uint32_t i = 0; i < a.n; i++) {
            high += a.scored[i].score >= 30;
            just += a.scored[i].score == 30;
        }
        assert_int_equal(high, n_p + 1); /* more than n_p, and not one pin more */
        assert_true(just >= 1);          /* the visit that made it so was the last */
        assert_true(a.steps < 1000);
        free(a.scored);
    }
    ps_graph_free(&g);
}

static void without_enough_pins_the_whole_budget_is_walked(void **state)
{
    (void)state;
    ps_graph g = one_board();
    ps_pixie_query q = query(0, 1);
    ps_pixie_opts o = {.steps = 5000, .restart = 0.5f, .n_p = 5, .n_v = 3};
    answer a = ours(&g, o, &q, 1, 6);
    assert_int_equal(a.steps, 5000); /* there are only five to visit */
    free(a.scored);
    o.n_p = 0;
    o.n_v = 0;
    a = ours(&g, o, &q, 1, 6);
    assert_int_equal(a.steps, 5000);
    free(a.scored);
    ps_graph_free(&g);
}

/* ------------------------------ Budgets ----------------------------------- */

/* Pin i has degree i + 1; the last is the hub. */
static ps_graph stairs(uint32_t n)
{
    ps_graph g;
    size_t k = 0;
    uint32_t(*pair)[2] = malloc((size_t)n * n * sizeof *pair);
    for (uint32_t p = 0; p < n; p++)
        for (uint32_t b = 0; b <= p; b++, k++)
            pair[k][0] = p, pair[k][1] = b;
    assert_int_equal(ps_graph_from_pairs(&g, n, n, (const uint32_t(*)[2])pair, k), 0);
    free(pair);
    return g;
}

static void budgets_grow_with_degree_but_ever_more_slowly(void **state)
{
    (void)state;
    enum { N = 200, STEPS = 1000000 };
    ps_graph g = stairs(N);
    ps_pixie_query q[N];
    uint32_t b[N];
    uint64_t total = 0;
    for (uint32_t i = 0; i < N; i++)
        q[i] = query(i, 1);
    ps_pixie_budget(&g, q, N, STEPS, b);
    for (uint32_t i = 0; i < N; i++) {
        total += b[i];
        assert_true(b[i] >= 1);
        if (i > 0) /* to the very hub: C is large enough */
            assert_true(b[i] >= b[i - 1]);
        if (i > 2)
            assert_true(b[i] - b[i - 1] <= b[i - 1] - b[i - 2] + 1);
    }
    assert_true(total <= STEPS && total > STEPS - N);
    /* Linear would be 200 : 1. */
    double ratio = (double)b[N - 1] / b[0], rule = 200.0 / (log(200.0) + 1);
    assert_true(fabs(ratio - rule) < 0.1 * rule);
    ps_graph_free(&g);
}

static void every_query_pin_gets_a_step(void **state)
{
    (void)state;
    ps_graph g = stairs(50);
    ps_pixie_query q[] = {query(49, 1000000), query(0, 1e-6f), query(1, 1e-6f)};
    uint32_t b[3];
    ps_pixie_budget(&g, q, 3, 3, b);
    assert_true(b[0] == 1 && b[1] == 1 && b[2] == 1);
    ps_pixie_budget(&g, q, 3, 100, b);
    assert_true(b[0] >= 97 && b[1] == 1 && b[2] == 1);
    ps_pixie_budget(&g, q, 1, 100, b);
    assert_int_equal(b[0], 100);
    q[0].weight = q[1].weight = 1;
    q[0].row = q[1].row = 7;
    ps_pixie_budget(&g, q, 2, 100, b);
    assert_true(b[0] == 50 && b[1] == 50);
    q[1].weight = 3;
    ps_pixie_budget(&g, q, 2, 402, b);
    assert_true(b[0] == 101 && b[1] == 301);
    ps_graph_free(&g);
}

/* ------------------------------ Several query pins ------------------------ */

/* Board 0 holds pins 0, 1 and 2; board 1 holds 3, 4 and 2: pin 2 alone is near both. */
static void the_booster_prefers_what_several_query_pins_reach(void **state)
{
    (void)state;
    static const uint32_t pairs[][2] = {{0, 0}, {1, 0}, {2, 0}, {3, 1}, {4, 1}, {2, 1}};
    ps_graph g;
    assert_int_equal(ps_graph_from_pairs(&g, 5, 2, pairs, 6), PS_OK);
    ps_pixie_query q[] = {query(0, 1), query(3, 1)};
    ps_pixie_opts o = {.steps = 2000, .restart = 1};
    answer plain_sum, boosted = ours(&g, o, q, 2, 5);
    o.no_boost = true;
    plain_sum = ours(&g, o, q, 2, 5);
    assert_int_equal(boosted.n, 3); /* 2, 1, 4: query pins are left out */
    assert_int_equal(boosted.scored[0].row, 2);
    float sum = plain_sum.scored[0].score, joint = boosted.scored[0].score;
    assert_true(joint > 1.9f * sum && joint <= 2.001f * sum);
    assert_true(boosted.scored[1].score < 1.001f * plain_sum.scored[1].score);
    free(boosted.scored), free(plain_sum.scored);
    ps_graph_free(&g);
}

static void correction_takes_from_hubs(void **state)
{
    (void)state;
    ps_graph g = stairs(40);
    ps_pixie_query q = query(3, 1);
    ps_pixie_opts o = {.steps = 100000, .restart = 0.5f};
    answer a = ours(&g, o, &q, 1, 40);
    o.correction = 1;
    answer b = ours(&g, o, &q, 1, 40);
    assert_true(a.scored[0].row > b.scored[0].row);
    assert_int_equal(a.n, b.n);
    free(a.scored), free(b.scored);
    ps_graph_free(&g);
}

/* ------------------------------ Against theory ---------------------------- */

/* Share of hops that end at each pin: restart * sum_k (1 - restart)^(k-1) P^k. */
static void exact_pagerank(const double *chance, size_t n, uint32_t start, double restart,
                           double *rank)
{
    double *at = calloc(n, sizeof *at), *next = calloc(n, sizeof *next);
    at[start] = restart;
    for (int hop = 0; hop < 400; hop++) {
        memset(next, 0, n * sizeof *next);
        for (size_t p = 0; p < n; p++)
            for (size_t r = 0; r < n; r++)
                next[r] += at[p] * chance[p * n + r];
        for (size_t r = 0; r < n; r++) {
            rank[r] += next[r];
            at[r] = next[r] * (1 - restart);
        }
    }
    free(at), free(next);
}

static void visits_converge_to_personalised_pagerank(void **state)
{
    (void)state;
    enum { PINS = 80, STEPS = 2000000, START = 2 };
    static const float restarts[] = {0.15f, 0.5f, 1.0f};
    ps_graph g = random_graph(31, PINS, 40, 300, 1);
    double *chance = hop_chances(&g);
    ps_pixie_query q = query(START, 1);
    for (int k = 0; k < 3; k++) {
        ps_pixie_opts o = {.steps = STEPS, .restart = restarts[k]};
        double rank[PINS] = {0}, visits[PINS] = {0}, sum = 0;
        answer a = ours(&g, o, &q, 1, PINS);
        exact_pagerank(chance, PINS, START, restarts[k], rank);
        for (uint32_t i = 0; i < a.n; i++)
            visits[a.scored[i].row] = a.scored[i].score;
        for (uint32_t p = 0; p < PINS; p++) {
            double want = rank[p] * STEPS;
            sum += rank[p];
            if (p != START)
                assert_true(fabs(visits[p] - want) < 8 * sqrt(want) + 3);
        }
        assert_true(fabs(sum - 1) < 1e-6);
        free(a.scored);
    }
    free(chance);
    ps_graph_free(&g);
}

/* ------------------------------ Edges of the contract --------------------- */

static void pins_without_boards_have_nothing_related(void **state)
{
    (void)state;
    static const uint32_t pairs[][2] = {{1, 0}, {2, 0}, {4, 1}};
    ps_graph g;
    assert_int_equal(ps_graph_from_pairs(&g, 5, 2, pairs, 3), PS_OK);
    ps_pixie_query q[] = {query(0, 1), query(1, 1), query(4, 1)};
    ps_pixie_opts o = {.steps = 1000, .restart = 0.5f};
    answer a = ours(&g, o, &q[0], 1, 5);
    assert_true(a.n == 0 && a.steps == 0);
    free(a.scored);
    a = ours(&g, o, &q[2], 1, 5); /* alone on its board: walks, and meets itself */
    assert_true(a.n == 0 && a.steps == 1000);
    free(a.scored);
    a = ours(&g, o, q, 3, 5);
    assert_true(a.n == 1 && a.scored[0].row == 2);
    free(a.scored);
    ps_graph_free(&g);
}

static void bad_options_and_queries_are_refused(void **state)
{
    (void)state;
    static const ps_pixie_opts bad[] = {
        {.steps = 0, .restart = 0.5f},
        {.steps = 10000001, .restart = 0.5f},
        {.steps = 10, .restart = 0},
        {.steps = 10, .restart = 1.5f},
        {.steps = 10, .restart = NAN},
        {.steps = 10, .restart = 0.5f, .correction = -1},
        {.steps = 10, .restart = 0.5f, .correction = NAN},
    };
    ps_graph g = one_board();
    ps_pixie *p = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(ps_pixie_new(&p, &g, bad[i]), PS_EINVAL);
    assert_null(p);
    ps_pixie_opts o = {.steps = 2, .restart = 0.5f};
    assert_int_equal(ps_pixie_new(&p, &g, o), PS_OK);
    ps_pixie_query q[] = {query(0, 1), query(1, 1), query(2, 1)};
    ps_scored s;
    uint32_t found = 9;
    assert_int_equal(ps_pixie_related(p, q, 0, &s, 1, &found, NULL), PS_EINVAL);
    assert_int_equal(found, 0);
    assert_int_equal(ps_pixie_related(p, q, 3, &s, 1, &found, NULL), PS_EINVAL);
    q[0].row = 6;
    assert_int_equal(ps_pixie_related(p, q, 1, &s, 1, &found, NULL), PS_EINVAL);
    static const float weights[] = {0, -1, NAN, INFINITY};
    for (int i = 0; i < 4; i++) {
        q[0] = query(0, weights[i]);
        assert_int_equal(ps_pixie_related(p, q, 1, &s, 1, &found, NULL), PS_EINVAL);
    }
    q[0] = query(0, 1);
    assert_int_equal(ps_pixie_related(p, q, 1, &s, 0, &found, NULL), PS_OK);
    assert_int_equal(found, 0);
    ps_pixie_free(p);
    ps_pixie_free(NULL);
    ps_graph_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lanes_stop_where_one_walk_at_a_time_stops),
        cmocka_unit_test(long_budgets_are_as_plain_too),
        cmocka_unit_test(walks_stop_when_more_than_n_p_pins_have_n_v_visits),
        cmocka_unit_test(without_enough_pins_the_whole_budget_is_walked),
        cmocka_unit_test(budgets_grow_with_degree_but_ever_more_slowly),
        cmocka_unit_test(every_query_pin_gets_a_step),
        cmocka_unit_test(the_booster_prefers_what_several_query_pins_reach),
        cmocka_unit_test(correction_takes_from_hubs),
        cmocka_unit_test(visits_converge_to_personalised_pagerank),
        cmocka_unit_test(pins_without_boards_have_nothing_related),
        cmocka_unit_test(bad_options_and_queries_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
