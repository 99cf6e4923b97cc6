/* test_blend_newton.c - weights that made the data come back; the slope is 0 there. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rank/blend_newton.h"
#include "pinsage/err.h"
#include "pinsage/rng.h"

enum { QUERIES = 1500, CANDIDATES = 40, WIDTH = 4, HITS = 2 };
static float x[QUERIES][CANDIDATES][WIDTH];
static uint32_t hit[QUERIES][HITS];
static newton_query query[QUERIES];
static const double truth[WIDTH] = {1.5, -.7, 0, .01};

static double score(const double *w, const float *v)
{
    double sum = 0;
    for (size_t i = 0; i < WIDTH; i++)
        sum += w[i] * (double)v[i];
    return sum;
}

/* A candidate drawn by the softmax of the true weights. */
static uint32_t draw(float (*v)[WIDTH], uint64_t *rng)
{
    double total = 0, at;
    for (size_t c = 0; c < CANDIDATES; c++)
        total += exp(score(truth, v[c]));
    at = total * (double)ps_rng_unit(rng);
    for (uint32_t c = 0; c < CANDIDATES; c++)
        if ((at -= exp(score(truth, v[c]))) <= 0)
            return c;
    return CANDIDATES - 1;
}

static int make_data(void **state)
{
    (void)state;
    for (size_t q = 0; q < QUERIES; q++) {
        uint64_t rng = ps_rng_at(21, q);
        for (size_t c = 0; c < CANDIDATES; c++)
            for (size_t i = 0; i < WIDTH; i++)
                x[q][c][i] = (ps_rng_unit(&rng) - .5f) * (i == 3 ? 100 : 2);
        for (size_t h = 0; h < HITS; h++)
            hit[q][h] = draw(x[q], &rng);
        query[q] = (newton_query){.n = CANDIDATES,
                                  .n_hits = q % 10 ? HITS : 0,
                                  .fold = q & 1,
                                  .x = &x[q][0][0],
                                  .hit = hit[q]};
    }
    return 0;
}

static void fit(uint32_t fold, unsigned threads, double *w)
{
    ps_workers *workers;
    assert_int_equal(ps_workers_new(&workers, threads), PS_OK);
    newton_opts o = {.width = WIDTH, .leave = fold, .ridge = 1};
    assert_int_equal(newton_fit(query, QUERIES, &o, workers, w), PS_OK);
    ps_workers_free(workers);
}

static void the_weights_that_made_the_data_come_back(void **state)
{
    (void)state;
    double w[WIDTH];
    static const uint32_t leave[3] = {0, 1, NEWTON_NONE};
    for (size_t f = 0; f < 3; f++) {
        fit(leave[f], 2, w);
        for (size_t i = 0; i < 3; i++)
            assert_true(fabs(w[i] - truth[i]) < .16);
        assert_true(fabs(w[3] - truth[3]) < .003);
    }
}

/* The log-likelihood by its definition, without ridge. */
static double likelihood(const double *w)
{
    double sum = 0;
    for (size_t q = 0; q < QUERIES; q++)
        for (size_t h = 0; h < query[q].n_hits; h++) {
            double total = 0;
            for (size_t c = 0; c < CANDIDATES; c++)
                total += exp(score(w, x[q][c]));
            sum += score(w, x[q][hit[q][h]]) - log(total);
        }
    return sum;
}

static void the_slope_there_is_what_the_ridge_holds(void **state)
{
    (void)state;
    double w[WIDTH];
    fit(NEWTON_NONE, 2, w);
    for (size_t i = 0; i < WIDTH; i++) {
        double up[WIDTH], down[WIDTH], deviation = i == 3 ? 28.87 : .5774;
        double h = 1e-4 / deviation;
        memcpy(up, w, sizeof up);
        memcpy(down, w, sizeof down);
        up[i] += h;
        down[i] -= h;
        double slope = (likelihood(up) - likelihood(down)) / (2 * h);
        double ridge = w[i] * deviation * deviation;
        assert_true(fabs(slope - ridge) < .02 * (fabs(ridge) + deviation));
    }
}

static void threads_change_nothing(void **state)
{
    (void)state;
    double one[WIDTH], three[WIDTH];
    fit(0, 1, one);
    fit(0, 3, three);
    assert_memory_equal(one, three, sizeof one);
}

static void an_input_that_never_varies_gets_no_weight(void **state)
{
    (void)state;
    static float flat[2][3][2] = {{{1, 5}, {2, 5}, {3, 5}}, {{0, 5}, {2, 5}, {1, 5}}};
    uint32_t best[2] = {2, 1};
    newton_query two[2] = {{.n = 3, .n_hits = 1, .x = flat[0][0], .hit = &best[0]},
                           {.n = 3, .n_hits = 1, .x = flat[1][0], .hit = &best[1]}};
    ps_workers *workers;
    double w[2];
    assert_int_equal(ps_workers_new(&workers, 1), PS_OK);
    newton_opts o = {.width = 2, .leave = NEWTON_NONE, .ridge = 1};
    assert_int_equal(newton_fit(two, 2, &o, workers, w), PS_OK);
    assert_true(w[1] == 0);
    assert_true(w[0] > 0 && w[0] < 100); /* the largest always wins: ridge ends it */
    o.leave = 0;                         /* everybody's fold */
    assert_int_equal(newton_fit(two, 2, &o, workers, w), PS_OK);
    assert_true(w[0] == 0 && w[1] == 0);
    ps_workers_free(workers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_weights_that_made_the_data_come_back),
        cmocka_unit_test(the_slope_there_is_what_the_ridge_holds),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(an_input_that_never_varies_gets_no_weight),
    };
    return cmocka_run_group_tests(tests, make_data, NULL);
}
