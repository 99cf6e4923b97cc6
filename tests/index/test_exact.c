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

typedef bool (*passes)(void *cls, uint32_t row);

/* All rows that pass and hold a vector, sorted, into `all`. */
static uint32_t sort_all(int cosine, const float *query, passes pass, void *cls)
{
    uint32_t n = 0;
    ps_rows rows = {numbers, D, 0}, one = {query, D, 0};
    double q = sqrt(ps_dot_plain(query, one, 0));
    for (uint32_t r = 0; r < N; r++) {
        double norm = sqrt(ps_dot_plain(numbers + r * D, rows, r));
        double score = ps_dot_plain(query, rows, r);
        if (cosine)
            score = score / norm / q;
        if (norm > 0 && q > 0 && (!pass || pass(cls, r)))
            all[n++] = (ps_scored){r, (float)score};
    }
    qsort(all, n, sizeof *all, best_first);
    return n;
}

static void compare(const ps_npy *a, int cosine, const float *query, uint32_t k,
                    passes pass, void *cls)
{
    static ps_scored found[2 * N];
    uint32_t got, n = sort_all(cosine, query, pass, cls);
    ps_filter filter = {pass, cls, 0};
    ps_search search = {.vector = query, .k = k, .filter = &filter};
    assert_int_equal(ps_exact_search(a, cosine, &search, found, &got), PS_OK);
    assert_int_equal(got, k < n ? k : n);
    for (uint32_t i = 0; i < got; i++) {
        assert_true(fabsf(found[i].score - all[i].score) <= 2e-6f * fabsf(all[i].score));
        if (!cosine) /* whole numbers: the order of ties is the one by row */
            assert_int_equal(found[i].row, all[i].row);
        if (i)
            assert_true(best_first(&found[i - 1], &found[i]) < 0);
    }
}

static bool is_even(void *cls, uint32_t row)
{
    ++*(int *)cls;
    return row % 2 == 0;
}

static void inner_product_gives_the_sorted_list(void **state)
{
    (void)state;
    int asked = 0;
    for (size_t q = 0; q < 20; q++) {
        compare(&array, 0, numbers + q * D, 25, NULL, NULL);
        compare(&half, 0, numbers + q * D, 25, NULL, NULL);
        compare(&array, 0, numbers + q * D, 25, is_even, &asked);
    }
    assert_in_range(asked, 20 * N + 1, 20 * N + 20 * N / 2); /* the oracle asks for all */
}

static void cosine_gives_the_sorted_list(void **state)
{
    (void)state;
    int asked = 0;
    for (size_t q = 0; q < 20; q++) {
        compare(&array, 1, numbers + q * D, 25, NULL, NULL);
        compare(&half, 1, numbers + q * D, 25, is_even, &asked);
    }
}

static void more_than_all_rows_gives_all_rows(void **state)
{
    (void)state;
    int asked = 0;
    compare(&array, 0, numbers, N + 100, NULL, NULL);
    compare(&array, 0, numbers, N, is_even, &asked);
    compare(&array, 0, numbers, 0, NULL, NULL);
}

/* Asked first, the filter gives the same answer; and so do all rows as a list. */
static void few_that_pass_are_found_in_another_way_with_the_same_answer(void **state)
{
    (void)state;
    static ps_scored want[N], got[N];
    static uint32_t every[N];
    int asked = 0;
    uint32_t n, m;
    for (uint32_t r = 0; r < N; r++)
        every[r] = r;
    for (size_t q = 0; q < 20; q++) {
        ps_filter plain = {is_even, &asked, 0}, few = {is_even, &asked, 7};
        ps_search search = {.vector = numbers + q * D, .k = 30, .filter = &plain};
        ps_exact_search(&array, q % 2, &search, want, &n);
        search.filter = &few;
        ps_exact_search(&array, q % 2, &search, got, &m);
        assert_int_equal(n, m);
        assert_memory_equal(want, got, n * sizeof *want);
        ps_exact_among(&array, q % 2, &search, every, N, got, &m);
        assert_int_equal(n, m);
        assert_memory_equal(want, got, n * sizeof *want);
    }
}

static void a_zero_vector_is_neither_answered_nor_answered_for(void **state)
{
    (void)state;
    static ps_scored found[N];
    const float zero[D] = {0, -0.0f};
    uint32_t n;
    for (int cosine = 0; cosine < 2; cosine++) {
        ps_exact_search(&array, cosine, &(ps_search){.vector = zero, .k = 3}, found, &n);
        assert_int_equal(n, 0);
        ps_exact_search(&half, cosine, &(ps_search){.vector = numbers, .k = N}, found,
                        &n);
        assert_int_equal(n, N - 1);
        for (uint32_t i = 0; i < n; i++)
            assert_int_not_equal(found[i].row, 5);
    }
}

/* Cosines do not change with the length of either vector, whatever floats can hold: the
 * truth is that of the plain numbers. */
static void cosine_does_not_depend_on_length(void **state)
{
    (void)state;
    static float scaled[N * D];
    static ps_scored want[N], got[N];
    const double lengths[] = {1e-44, 1e-40, 1e-30, 1e-22, 1e-18, 1e18, 1e22, 1e30, 1e38};
    ps_npy other = array;
    other.data = scaled;
    uint32_t n, m, query = 17;
    ps_exact_search(&array, 1, &(ps_search){numbers + query * D, N, NULL, NULL}, want,
                    &n);
    for (size_t s = 0; s < sizeof lengths / sizeof *lengths; s++) {
        for (size_t i = 0; i < N * D; i++) /* only some rows, and the query */
            scaled[i] = (float)((double)numbers[i] *
                                (i / D % 3 && i / D != query ? 1 : lengths[s]));
        ps_exact_search(&other, 1, &(ps_search){scaled + query * D, N, NULL, NULL}, got,
                        &m);
        assert_int_equal(n, m);
        for (uint32_t i = 0; i < n; i++) { /* 1e-44 has one or two binary digits */
            float room = lengths[s] < 1e-38 ? .25f : 2e-6f;
            assert_true(fabsf(want[i].score - got[i].score) <= room);
        }
    }
}

static void integers_are_refused(void **state)
{
    (void)state;
    ps_npy wrong = {.dtype = PS_U32, .rows = 1, .cols = 1, .data = numbers};
    ps_scored found[1];
    uint32_t n;
    assert_int_equal(
        ps_exact_search(&wrong, 0, &(ps_search){.vector = numbers, .k = 1}, found, &n),
        PS_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inner_product_gives_the_sorted_list),
        cmocka_unit_test(cosine_gives_the_sorted_list),
        cmocka_unit_test(more_than_all_rows_gives_all_rows),
        cmocka_unit_test(few_that_pass_are_found_in_another_way_with_the_same_answer),
        cmocka_unit_test(a_zero_vector_is_neither_answered_nor_answered_for),
        cmocka_unit_test(cosine_does_not_depend_on_length),
        cmocka_unit_test(integers_are_refused),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
