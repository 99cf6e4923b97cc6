/* test_ann_sample.c - blocks of which few rows hold a vector, or vectors of odd lengths:
 * what is measured, what is refused, and what is found.
 *
 * Threads: one, and those of the builds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "index/ann_inside.h"
#include "pinsage/rng.h"
#include "server/cli/steps.h"

enum { N = 6000, D = 32, CLUSTERS = 150 };

static float numbers[N * D];
static ps_npy array = {.dtype = PS_F32, .ndim = 2, .rows = N, .cols = D, .data = numbers};

static int fill(void **state)
{
    (void)state;
    static float centre[CLUSTERS * D];
    uint64_t rng = ps_rng_at(1, 1);
    for (size_t i = 0; i < CLUSTERS * D; i++)
        centre[i] = ps_rng_unit(&rng) - .5f;
    for (size_t r = 0; r < N; r++) {
        const float *c = centre + ps_rng_below(&rng, CLUSTERS) * D;
        float *row = numbers + r * D;
        for (size_t i = 0; i < D; i++)
            row[i] = c[i] + .9f * (ps_rng_unit(&rng) - .5f);
        ps_direction(row, D, row);
    }
    return 0;
}

static ps_ann *make(const ps_npy *vectors, const char *name, const char *factory,
                    ps_ann_report *r)
{
    ps_ann *a = NULL;
    ps_why why = {0};
    ps_ann_build_opts opts = ps_cli_index_defaults();
    opts.factory = factory;
    opts.sample = 200;
    opts.threads = 2;
    memset(r, 0, sizeof *r);
    if (ann_make(&a, vectors, name, &opts, r, NULL, &why))
        fail_msg("%s: %s", factory, why.text);
    return a;
}

/* ------------------------------ Few rows ----------------------------------- */

static void rows_without_content_do_no_harm(void **state)
{
    (void)state;
    static float sparse[N * D];
    static const char *const kinds[] = {"Flat", "IVF32,PQ16x4fs", "HNSW16_SQ8", "LSH"};
    memcpy(sparse, numbers, sizeof sparse);
    for (size_t r = 0; r < N; r++)
        if (r % 3)
            memset(sparse + r * D, 0, D * sizeof *sparse);
    ps_npy block = array;
    block.data = sparse;
    for (size_t i = 0; i < 4; i++) {
        ps_ann_report r;
        ps_scored got[10];
        uint32_t n;
        ps_ann *a = make(&block, "visual", kinds[i], &r);
        assert_true(r.reached);
        ps_ann_search(a, &(ps_search){.vector = sparse + 300 * D, .k = 10}, got, &n,
                      NULL);
        assert_int_equal(n, 10);
        assert_int_equal(got[0].row, 300);
        ps_ann_search(a, &(ps_search){.vector = sparse + 301 * D, .k = 10}, got, &n,
                      NULL); /* zero */
        assert_int_equal(n, 0);
        ps_ann_close(a);
    }
}

/* A block that few rows are filled of: every n-th one, and no other. */
static ps_npy sparse_block(uint32_t filled)
{
    static float few[N * D];
    memset(few, 0, sizeof few);
    for (uint32_t i = 0; i < filled; i++) {
        size_t row = (size_t)i * N / filled + i % 7;
        memcpy(few + row * D, numbers + row * D, D * sizeof *few);
    }
    ps_npy block = array;
    block.data = few;
    return block;
}

static double recall_of_filled(const ps_ann *a, const ps_npy *block)
{
    uint32_t hits = 0, wanted = 0;
    for (size_t q = 0; q < N; q++) {
        ps_scored want[11], got[11];
        uint32_t n, m;
        const float *query = (const float *)block->data + q * D;
        if (ps_row_is_none(ps_rows_of(block), q))
            continue;
        ps_search search = {.vector = query, .k = 11};
        ps_exact_search(block, 1, &search, want, &n);
        ps_ann_search(a, &search, got, &m, NULL);
        assert_int_equal(m, n);
        for (uint32_t i = 0; i < m; i++)
            hits += got[i].score >= want[n - 1].score - 1e-6f;
        wanted += n;
    }
    return (double)hits / wanted;
}

/* The measure is taken of rows that hold a vector, and tells of how many; where they are
 * too few to say anything, all is searched. */
static void recall_is_measured_with_rows_that_hold_a_vector(void **state)
{
    (void)state;
    static const uint32_t filled[] = {3, 40, 90, 100, 150, 400};
    static const char *const kinds[] = {"IVF300,SQ8", "IVF300,PQ16x4fs", "HNSW16_SQ8"};
    for (size_t i = 0; i < sizeof filled / sizeof *filled; i++)
        for (size_t j = 0; j < sizeof kinds / sizeof *kinds; j++) {
            ps_ann_report r;
            ps_npy block = sparse_block(filled[i]);
            ps_ann *a = make(&block, "visual", kinds[j], &r);
            double got = recall_of_filled(a, &block);
            uint32_t sample = filled[i] < 200 ? filled[i] : 200;
            assert_int_equal(r.queries, sample);
            if (!r.reached || got < .93 || (filled[i] < 50 && got < 1))
                fail_msg("%u rows, %s %s: recall %.3f, reported %.3f", filled[i],
                         kinds[j], r.knob, got, r.recall_at_10);
            ps_ann_close(a);
        }
}

static void nothing_but_zeros_is_an_index_that_answers_nothing(void **state)
{
    (void)state;
    ps_ann_report r;
    ps_scored got[10];
    uint32_t n;
    ps_npy block = sparse_block(0);
    ps_ann *a = make(&block, "visual", "IVF16,SQ8", &r);
    assert_int_equal(r.queries, 0);
    ps_ann_search(a, &(ps_search){.vector = numbers, .k = 10}, got, &n, NULL);
    assert_int_equal(n, 0);
    ps_ann_close(a);
}

/* ------------------------------ Lengths ------------------------------------ */

static void embeddings_of_any_length_are_refused_with_their_row(void **state)
{
    (void)state;
    static float odd[N * D];
    const float lengths[] = {3e38f, 1e25f, 1e-25f};
    for (size_t i = 0; i < 3; i++) {
        ps_why why;
        ps_ann *a = NULL;
        ps_ann_report r = {0};
        ps_ann_build_opts opts = ps_cli_index_defaults();
        memcpy(odd, numbers, sizeof odd);
        odd[77 * D + 3] = lengths[i];
        for (size_t j = 0; j < D && lengths[i] < 1; j++)
            odd[77 * D + j] = lengths[i];
        ps_npy block = array;
        block.data = odd;
        assert_int_equal(ann_make(&a, &block, "embeddings", &opts, &r, NULL, &why),
                         PS_EINVAL);
        assert_non_null(strstr(why.text, "row 77 "));
        assert_int_equal(ann_make(&a, &block, "visual", &opts, &r, NULL, &why), PS_OK);
        ps_ann_close(a);
    }
}

/* The same directions at another length are the same index. */
static void a_block_may_have_any_length(void **state)
{
    (void)state;
    static float odd[N * D];
    static const char *const kinds[] = {"Flat", "IVF64,PQ16x4fs", "HNSW16_SQ8", "LSH"};
    const float lengths[] = {1e25f, 1e-25f, 1e20f, 1e-40f, 1};
    ps_npy block = array;
    block.data = odd;
    for (size_t i = 0; i < N * D; i++)
        odd[i] = numbers[i] * lengths[i / D % 5];
    for (size_t i = 0; i < 4; i++) {
        ps_ann_report r;
        ps_ann *a = make(&block, "visual", kinds[i], &r);
        assert_true(r.reached);
        for (size_t q = 0; q < 25; q++) {
            ps_scored want[10], got[10];
            uint32_t n, m;
            ps_exact_search(&array, 1, &(ps_search){numbers + q * D, 10, NULL, NULL},
                            want, &n);
            ps_ann_search(a, &(ps_search){odd + q * D, 10, NULL, NULL}, got, &m, NULL);
            assert_int_equal(m, 10);
            assert_int_equal(got[0].row, q);
            for (uint32_t j = 0; j < m; j++)
                assert_true(got[j].score <= want[j].score + 1e-3f && got[j].score > -1);
        }
        ps_ann_close(a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_without_content_do_no_harm),
        cmocka_unit_test(recall_is_measured_with_rows_that_hold_a_vector),
        cmocka_unit_test(nothing_but_zeros_is_an_index_that_answers_nothing),
        cmocka_unit_test(embeddings_of_any_length_are_refused_with_their_row),
        cmocka_unit_test(a_block_may_have_any_length),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
