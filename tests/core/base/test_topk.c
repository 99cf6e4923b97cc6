/* test_topk.c - the largest k are the first k of everything sorted. */
#include "pinsage/topk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pinsage/rng.h"

static int descending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x < y) - (x > y);
}

static void as_sorted(const uint64_t *key, size_t n, size_t k)
{
    uint64_t *want = malloc((n + 1) * 8), *got = malloc((n + 1) * 8);
    memcpy(want, key, n * 8);
    memcpy(got, key, n * 8);
    qsort(want, n, 8, descending);
    assert_int_equal(ps_top(got, n, k), k < n ? k : n);
    assert_memory_equal(got, want, (k < n ? k : n) * 8);
    qsort(got, n, 8, descending); /* and nothing was lost */
    assert_memory_equal(got, want, n * 8);
    free(want);
    free(got);
}

static void the_first_k_are_those_of_a_full_sort(void **state)
{
    (void)state;
    uint64_t rng = 3, *key = malloc(3000 * 8);
    for (int i = 0; i < 400; i++) {
        size_t n = ps_rng_below(&rng, i % 2 ? 40 : 3000);
        uint64_t weights = 1 + ps_rng_below(&rng, i % 3 ? 4 : 1000000);
        for (size_t j = 0; j < n; j++)
            key[j] = ps_key((uint32_t)ps_rng_below(&rng, weights), (uint32_t)j);
        as_sorted(key, n, ps_rng_below(&rng, 60));
        as_sorted(key, n, n);
        as_sorted(key, n, n + 5);
        as_sorted(key, n, 0);
    }
    free(key);
}

static void ordered_reversed_and_equal_keys_are_no_worse(void **state)
{
    (void)state;
    enum { N = 100000 };
    uint64_t *key = malloc(N * 8);
    for (uint32_t i = 0; i < N; i++)
        key[i] = i;
    as_sorted(key, N, 50);
    for (uint32_t i = 0; i < N; i++)
        key[i] = N - i;
    as_sorted(key, N, 50);
    for (uint32_t i = 0; i < 500; i++)
        key[i] = 7 + i / 400;
    as_sorted(key, 500, 50);
    free(key);
}

static void heavier_comes_first_and_ties_go_to_the_smaller_row(void **state)
{
    (void)state;
    assert_true(ps_key(2, 9) > ps_key(1, 3));
    assert_true(ps_key(2, 3) > ps_key(2, 9));
    assert_true(ps_key_score(0.5f, 9) > ps_key_score(0.25f, 1));
    assert_true(ps_key_score(0.5f, 1) > ps_key_score(0.5f, 2));
    assert_int_equal(ps_key_row(ps_key(7, 4294967294u)), 4294967294u);
    assert_int_equal(ps_key_weight(ps_key(7, 4294967294u)), 7);
    assert_true(ps_key_as_score(ps_key_score(1.75f, 1)) == 1.75f);
    assert_true(ps_key_score(-0.25f, 9) > ps_key_score(-0.5f, 1));
    assert_true(ps_key_score(0, 9) > ps_key_score(-0.5f, 1));
    assert_true(ps_key_as_score(ps_key_score(-1.75f, 1)) == -1.75f);
}

static float any_score(uint64_t *rng, uint64_t kinds)
{
    return ((float)ps_rng_below(rng, kinds) - (float)(kinds / 2)) * 0.37f;
}

/* Both ways, whatever the sign: the same rows in the same order. */
static void a_stream_keeps_what_an_array_does(void **state)
{
    (void)state;
    enum { N = 2000 };
    static uint64_t key[N];
    static ps_scored kept[N + 5];
    uint64_t rng = 11;
    for (int i = 0; i < 300; i++) {
        uint32_t n = (uint32_t)ps_rng_below(&rng, N);
        uint32_t k = (uint32_t)ps_rng_below(&rng, i % 4 ? 60 : N + 5);
        ps_topk list = {.at = kept, .k = k};
        for (uint32_t j = 0; j < n; j++) {
            uint32_t row = (j * 7919u + 13) % n; /* not in the order of rows */
            float score = any_score(&rng, i % 2 ? 5 : 1000000);
            key[j] = ps_key_score(score, row);
            if (ps_topk_wants(&list, row, score))
                ps_topk_keep(&list, row, score);
        }
        assert_int_equal(ps_topk_finish(&list, 1), ps_top(key, n, k));
        for (uint32_t j = 0; j < list.n; j++) {
            assert_int_equal(kept[j].row, ps_key_row(key[j]));
            assert_true(kept[j].score == ps_key_as_score(key[j]));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_k_are_those_of_a_full_sort),
        cmocka_unit_test(ordered_reversed_and_equal_keys_are_no_worse),
        cmocka_unit_test(heavier_comes_first_and_ties_go_to_the_smaller_row),
        cmocka_unit_test(a_stream_keeps_what_an_array_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
