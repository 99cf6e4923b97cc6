/* test_svd.c - the randomised decomposition against a dense one; fold-in; determinism.
 *
 * The oracle forms the whole matrix and takes the eigenvectors of A^T A.
 *
 * Threads: teams of one and three.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/structure/svd.h"
#include "pinsage/rng.h"
#include "pinsage/structure.h"

enum { PINS = 60, BOARDS = 40, K = 6 };

static ps_graph graph;
static float pin_scale[PINS], board_scale[BOARDS];
static ps_bipartite matrix = {&graph, pin_scale, board_scale};

/* Three groups of pins that prefer their own boards, so that the first values stand
 * apart; pin 0 is isolated. */
static int make_graph(void **state)
{
    (void)state;
    static uint32_t pairs[2000][2];
    uint64_t rng = ps_rng_at(3, 3);
    size_t n = 0;
    for (uint32_t p = 1; p < PINS; p++)
        for (uint32_t b = 0; b < BOARDS; b++)
            if (ps_rng_below(&rng, 100) < (p % 3 == b % 3 ? 60u : 8u)) {
                pairs[n][0] = p;
                pairs[n++][1] = b;
            }
    if (ps_graph_from_pairs(&graph, PINS, BOARDS, (const uint32_t(*)[2])pairs, n))
        return -1;
    for (uint32_t p = 0; p < PINS; p++)
        pin_scale[p] = p ? 1 / sqrtf((float)ps_csr_degree(&graph.pin_boards, p)) : 0;
    for (uint32_t b = 0; b < BOARDS; b++)
        board_scale[b] = 1 / sqrtf((float)ps_csr_degree(&graph.board_pins, b));
    return 0;
}

static int free_graph(void **state)
{
    (void)state;
    ps_graph_free(&graph);
    return 0;
}

static void dense_gram(double *gram)
{
    static double a[PINS][BOARDS];
    memset(a, 0, sizeof a);
    for (uint32_t p = 0; p < PINS; p++)
        for (uint32_t i = 0; i < ps_csr_degree(&graph.pin_boards, p); i++) {
            uint32_t b = ps_csr_row(&graph.pin_boards, p)[i];
            a[p][b] = (double)pin_scale[p] * (double)board_scale[b];
        }
    memset(gram, 0, BOARDS * BOARDS * sizeof *gram);
    for (int p = 0; p < PINS; p++)
        for (int i = 0; i < BOARDS; i++)
            for (int j = 0; j < BOARDS; j++)
                gram[i * BOARDS + j] += a[p][i] * a[p][j];
}

static void eigenvectors_solve_their_equation(void **state)
{
    (void)state;
    static double a[BOARDS * BOARDS], copy[BOARDS * BOARDS], value[BOARDS],
        vector[BOARDS * BOARDS];
    dense_gram(a);
    memcpy(copy, a, sizeof a);
    ps_eigen_symmetric(copy, BOARDS, value, vector);
    for (int j = 0; j < BOARDS; j++) {
        assert_true(j == 0 || value[j] <= value[j - 1] + 1e-15);
        for (int i = 0; i < BOARDS; i++) {
            double sum = 0;
            for (int l = 0; l < BOARDS; l++)
                sum += a[i * BOARDS + l] * vector[l * BOARDS + j];
            assert_true(fabs(sum - value[j] * vector[i * BOARDS + j]) < 1e-12);
        }
    }
}

static void values_and_vectors_equal_the_dense_ones(void **state)
{
    (void)state;
    static double gram[BOARDS * BOARDS], exact[BOARDS], vector[BOARDS * BOARDS];
    double value[K];
    static float right[BOARDS * K];
    ps_workers *workers;
    dense_gram(gram);
    ps_eigen_symmetric(gram, BOARDS, exact, vector);
    assert_int_equal(ps_workers_new(&workers, 1), 0);
    assert_int_equal(ps_svd_right(&matrix, K, 8, 1, workers, NULL, value, right), 0);
    assert_true(fabs(value[0] - 1) < 1e-5); /* a normalised graph's first value */
    for (int j = 0; j < K; j++) {
        double dot = 0;
        assert_true(fabs(value[j] - sqrt(exact[j])) < 1e-4);
        for (int b = 0; b < BOARDS; b++)
            dot += (double)right[b * K + j] * vector[b * BOARDS + j];
        if (j < 3) /* these stand apart from their neighbours */
            assert_true(fabs(dot) > 0.999);
    }
    ps_workers_free(workers);
}

static void any_team_gives_the_same_bits(void **state)
{
    (void)state;
    static float right[2][BOARDS * K];
    double value[2][K];
    for (unsigned i = 0; i < 2; i++) {
        ps_workers *workers;
        assert_int_equal(ps_workers_new(&workers, 1 + 2 * i), 0);
        assert_int_equal(
            ps_svd_right(&matrix, K, 3, 7, workers, NULL, value[i], right[i]), 0);
        ps_workers_free(workers);
    }
    assert_memory_equal(right[0], right[1], sizeof right[0]);
    assert_memory_equal(value[0], value[1], sizeof value[0]);
}

static void directions_that_are_not_there_have_value_zero(void **state)
{
    (void)state;
    static const uint32_t pairs[][2] = {{0, 0}, {1, 0}, {2, 1}, {3, 1}};
    static const float half[4] = {1, 1, 1, 1}, boards[4] = {0.5f, 0.5f, 0, 0};
    ps_graph two;
    ps_workers *workers;
    double value[4];
    float right[16];
    assert_int_equal(ps_graph_from_pairs(&two, 4, 4, pairs, 4), 0);
    ps_bipartite a = {&two, half, boards};
    assert_int_equal(ps_workers_new(&workers, 1), 0);
    assert_int_equal(ps_svd_right(&a, 4, 5, 1, workers, NULL, value, right), 0);
    assert_true(value[1] > 0.6 && value[2] < 1e-3 && value[3] < 1e-3);
    for (int i = 0; i < 16; i++)
        assert_true(isfinite(right[i]));
    ps_workers_free(workers);
    ps_graph_free(&two);
}

static void a_pin_without_boards_folds_into_nothing(void **state)
{
    (void)state;
    const float rows[] = {1, 0, 0, 2, -1, 0};
    ps_npy vectors = {.rows = 3, .cols = 2, .data = rows};
    const uint32_t both[] = {0, 1}, cancelling[] = {0, 2};
    float out[2];
    assert_int_equal(ps_structure_fold_in(&vectors, both, 0, out), 0);
    assert_true(out[0] == 0 && out[1] == 0);
    assert_int_equal(ps_structure_fold_in(&vectors, both, 2, out), 2);
    assert_true(fabsf(out[0] - 0.4472136f) < 1e-6f && fabsf(out[1] - 0.8944272f) < 1e-6f);
    assert_int_equal(ps_structure_fold_in(&vectors, cancelling, 2, out), 2);
    assert_true(out[0] == 0 && out[1] == 0);
}

static void boards_without_a_vector_add_nothing(void **state)
{
    (void)state;
    const float rows[] = {1, 0, 0, 2};
    ps_npy vectors = {.rows = 2, .cols = 2, .data = rows};
    const uint32_t newer[] = {2, UINT32_MAX}, mixed[] = {7, 1, 2};
    float out[2] = {9, 9};
    assert_int_equal(ps_structure_fold_in(&vectors, newer, 2, out), 0);
    assert_true(out[0] == 0 && out[1] == 0);
    assert_int_equal(ps_structure_fold_in(&vectors, mixed, 3, out), 1);
    assert_true(out[0] == 0 && out[1] == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eigenvectors_solve_their_equation),
        cmocka_unit_test(values_and_vectors_equal_the_dense_ones),
        cmocka_unit_test(any_team_gives_the_same_bits),
        cmocka_unit_test(directions_that_are_not_there_have_value_zero),
        cmocka_unit_test(a_pin_without_boards_folds_into_nothing),
        cmocka_unit_test(boards_without_a_vector_add_nothing),
    };
    return cmocka_run_group_tests_name("svd", tests, make_graph, free_graph);
}
