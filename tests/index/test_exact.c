/* test_exact.c - exact search against sorting everything.
 *
 * Threads: none.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "index/exact.h"
#include "pinsage/half.h"
#include "pinsage/rng.h"

enum { N = 1400, D = 37 };

static float numbers[N * D];
static uint16_t halves[N * D];
static ps_npy array = {.dtype = PS_F32, .ndim = 2, .rows = N, .cols = D, .data = numbers};
static ps_npy half = {.dtype = PS_F16, .ndim = 2, .rows = N, .cols = D, .data = halves};

/* Small whole numbers: scores tie and are exact in any order of sums. */
static int fill(void **state)
{
    (void)state;
    uint64_t rng = ps_rng_at(1, 1);
    for (size_t i = 0; i < N * D; i++)
        numbers[i] = (float)ps_rng_below(&rng, 7) - 3;
    memset(numbers + 5 * D, 0, D * sizeof *numbers);
    ps_f32_to_f16(numbers, halves, N * D);
    return 0;
}

static ps_scored all[N];

static int best_first(const void *a, const void *b)
{
    const ps_scored *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* All rows that may stay, sorted, into `all`. */
static uint32_t sort_all(int cosine, const float *query, ps_ann_skip leave, void *cls)
{
    uint32_t n = 0;
    ps_rows rows = {numbers, D, 0}, one = {query, D, 0};
    double q = sqrt(ps_dot_plain(query, one, 0));
    for (uint32_t r = 0; r < N; r++) {
        double norm = sqrt(ps_dot_plain(numbers + r * D, rows, r));
        double score = ps_dot_plain(query, rows, r);
        if (cosine)
            score = norm > 0 && q > 0 ? score / norm / q : 0;
        if (!leave || !leave(cls, r))
            all[n++] = (ps_scored){r, (float)score};
    }
    qsort(all, n, sizeof *all, best_first);
    return n;
}

static void compare(const ps_npy *a, int cosine, const float *query, uint32_t k,
                    ps_ann_skip leave, void *cls)
{
    static ps_scored found[2 * N];
    uint32_t got, n = sort_all(cosine, query, leave, cls);
    assert_int_equal(ps_exact_search(a, cosine, query, k, leave, cls, found, &got),
                     PS_OK);
    assert_int_equal(got, k < n ? k : n);
    for (uint32_t i = 0; i < got; i++) {
        assert_true(fabsf(found[i].score - all[i].score) <= 2e-6f * fabsf(all[i].score));
        if (!cosine) /* whole numbers: the order of ties is the one by row */
            assert_int_equal(found[i].row, all[i].row);
        if (i)
            assert_true(best_first(&found[i - 1], &found[i]) < 0);
    }
}

static int is_odd(void *cls, uint32_t row)
{
    ++*(int *)cls;
    return row % 2;
}

static void inner_product_gives_the_sorted_list(void **state)
{
    (void)state;
    int asked = 0;
    for (size_t q = 0; q < 20; q++) {
        compare(&array, 0, numbers + q * D, 25, NULL, NULL);
        compare(&half, 0, numbers + q * D, 25, NULL, NULL);
        compare(&array, 0, numbers + q * D, 25, is_odd, &asked);
    }
    assert_in_range(asked, 20 * N + 1, 20 * N + 20 * N / 2); /* the oracle asks for all */
}

static void cosine_gives_the_sorted_list(void **state)
{
    (void)state;
    int asked = 0;
    for (size_t q = 0; q < 20; q++) {
        compare(&array, 1, numbers + q * D, 25, NULL, NULL);
        compare(&half, 1, numbers + q * D, 25, is_odd, &asked);
    }
}

static void more_than_all_rows_gives_all_rows(void **state)
{
    (void)state;
    int asked = 0;
    compare(&array, 0, numbers, N + 100, NULL, NULL);
    compare(&array, 0, numbers, N, is_odd, &asked);
    compare(&array, 0, numbers, 0, NULL, NULL);
}

static void a_zero_query_scores_zero_and_stands_by_row(void **state)
{
    (void)state;
    const float zero[D] = {0};
    ps_scored found[3];
    uint32_t n;
    for (int cosine = 0; cosine < 2; cosine++) {
        ps_exact_search(&array, cosine, zero, 3, NULL, NULL, found, &n);
        assert_int_equal(n, 3);
        for (uint32_t i = 0; i < 3; i++) {
            assert_int_equal(found[i].row, i);
            assert_true(found[i].score == 0);
        }
    }
}

static void integers_are_refused(void **state)
{
    (void)state;
    ps_npy wrong = {.dtype = PS_U32, .rows = 1, .cols = 1, .data = numbers};
    ps_scored found[1];
    uint32_t n;
    assert_int_equal(ps_exact_search(&wrong, 0, numbers, 1, NULL, NULL, found, &n),
                     PS_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inner_product_gives_the_sorted_list),
        cmocka_unit_test(cosine_gives_the_sorted_list),
        cmocka_unit_test(more_than_all_rows_gives_all_rows),
        cmocka_unit_test(a_zero_query_scores_zero_and_stands_by_row),
        cmocka_unit_test(integers_are_refused),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
