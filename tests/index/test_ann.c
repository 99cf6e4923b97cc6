/* test_ann.c - indexes of every kind over vectors in memory: recall floors, skipping,
 * odd shapes, and what FAISS refuses.
 *
 * Vectors are clustered, as embeddings are. Floors lie a little below what each kind
 * reached when the test was written; the exact kinds must be exact.
 *
 * Threads: searches run in three threads at once in one test.
 */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "index/ann_inside.h"
#include "pinsage/half.h"
#include "pinsage/rng.h"
#include "server/cli/steps.h"

enum { N = 6000, D = 32, CLUSTERS = 150 };

static float numbers[N * D];
static uint16_t halves[N * D];
static ps_npy array = {.dtype = PS_F32, .ndim = 2, .rows = N, .cols = D, .data = numbers};
static ps_npy half = {.dtype = PS_F16, .ndim = 2, .rows = N, .cols = D, .data = halves};

static int fill(void **state)
{
    (void)state;
    static float centre[CLUSTERS * D];
    uint64_t rng = ps_rng_at(1, 1);
    for (size_t i = 0; i < CLUSTERS * D; i++)
        centre[i] = ps_rng_unit(&rng) - .5f;
    for (size_t r = 0; r < N; r++) {
        const float *c = centre + ps_rng_below(&rng, CLUSTERS) * D;
        float squares = 0, *row = numbers + r * D;
        for (size_t i = 0; i < D; i++) {
            row[i] = c[i] + .9f * (ps_rng_unit(&rng) - .5f);
            squares += row[i] * row[i];
        }
        for (size_t i = 0; i < D; i++)
            row[i] /= sqrtf(squares);
    }
    ps_f32_to_f16(numbers, halves, N * D);
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

/* Share of the true ten best (the query left in) that a search finds. */
static double recall(const ps_ann *a, const ps_npy *vectors)
{
    int hits = 0;
    for (size_t q = 0; q < N; q += 60) {
        float query[D];
        ps_scored want[10], got[10];
        uint32_t n, m;
        ps_npy_row_f32(vectors, q, query);
        ps_exact_search(vectors, 0, &(ps_search){.vector = query, .k = 10}, want, &n);
        assert_int_equal(
            ps_ann_search(a, &(ps_search){.vector = query, .k = 10}, got, &m, NULL),
            PS_OK);
        assert_int_equal(m, 10);
        for (uint32_t i = 0; i < m; i++)
            hits += got[i].score >= want[9].score;
    }
    return hits / (10.0 * N / 60);
}

/* ------------------------------ Recall ------------------------------------- */

static void every_kind_reaches_its_recall(void **state)
{
    (void)state;
    static const struct {
        const char *factory;
        double floor;
    } kinds[] = {{"Flat", 1},
                 {"SQfp16", .999},
                 {"SQ8", .99},
                 {"HNSW32,Flat", .95},
                 {"HNSW16_SQ8", .93},
                 {"IVF64,Flat", .93},
                 {"IVF64,SQ8", .93},
                 {"IVF64,PQ16x4fs", .93},
                 {"IVF32_HNSW16,PQ16x4fs,RFlat", .93},
                 {"PCA16,IVF32,SQ8", .93},
                 {"PQ16x4fs", .93},
                 {"LSH", .93},
                 {"LSHrt", .93},
                 {"RR128,LSH", .93}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        ps_ann_report r;
        ps_ann *a = make(&array, "embeddings", kinds[i].factory, &r);
        double got = recall(a, &array);
        if (got < kinds[i].floor || !r.reached || r.recall_at_10 < .95)
            fail_msg("%s: recall %.3f, reported %.3f with \"%s\" x%u", kinds[i].factory,
                     got, r.recall_at_10, r.knob, r.overfetch);
        assert_string_equal(r.factory, kinds[i].factory);
        ps_ann_close(a);
    }
}

static void a_higher_target_turns_the_dials_further(void **state)
{
    (void)state;
    ps_ann_report low, high;
    ps_ann_build_opts opts = ps_cli_index_defaults();
    ps_ann *a;
    memset(&low, 0, sizeof low);
    memset(&high, 0, sizeof high);
    opts.factory = "IVF64,SQ8";
    opts.recall = .6;
    assert_int_equal(ann_make(&a, &array, "embeddings", &opts, &low, NULL, NULL), PS_OK);
    ps_ann_close(a);
    opts.recall = .99;
    assert_int_equal(ann_make(&a, &array, "embeddings", &opts, &high, NULL, NULL), PS_OK);
    ps_ann_close(a);
    assert_true(low.recall_at_10 >= .6 && high.recall_at_10 >= .99);
    assert_true(strtoul(low.knob + 7, NULL, 10) < strtoul(high.knob + 7, NULL, 10));
}

static void a_recall_out_of_reach_is_said_so(void **state)
{
    (void)state;
    enum { MANY = 25000, WIDE = 16 };
    float *many = malloc(MANY * WIDE * sizeof *many);
    uint64_t rng = ps_rng_at(8, 8);
    for (size_t i = 0; i < MANY * WIDE; i++)
        many[i] = ps_rng_unit(&rng) - .5f;
    ps_npy vectors = {
        .dtype = PS_F32, .ndim = 2, .rows = MANY, .cols = WIDE, .data = many};
    ps_ann_report r = {0};
    ps_ann_build_opts opts = ps_cli_index_defaults();
    ps_ann *a;
    opts.factory = "PCA1,Flat"; /* one number of sixteen */
    opts.recall = 1;
    opts.sample = 100;
    assert_int_equal(ann_make(&a, &vectors, "embeddings", &opts, &r, NULL, NULL), PS_OK);
    assert_false(r.reached);
    assert_true(r.recall_at_10 < 1 && r.recall_at_10 > .1);
    ps_ann_close(a);
    free(many);
}

static void halves_and_blocks_are_searched_as_well(void **state)
{
    (void)state;
    ps_ann_report r;
    ps_ann *a = make(&half, "embeddings", "IVF64,SQ8", &r);
    assert_true(recall(a, &half) >= .93);
    ps_ann_close(a);

    /* A block is searched by cosine: lengths must not matter. */
    static float longer[N * D];
    for (size_t i = 0; i < N * D; i++)
        longer[i] = numbers[i] * (float)(1 + i / D % 9);
    ps_npy block = array;
    block.data = longer;
    a = make(&block, "visual", "IVF64,SQ8", &r);
    assert_true(r.reached);
    ps_scored got[5];
    uint32_t n;
    ps_ann_search(a, &(ps_search){.vector = longer + 77 * D, .k = 5}, got, &n, NULL);
    assert_int_equal(got[0].row, 77);
    assert_true(fabsf(got[0].score - 1) < 1e-5f);
    ps_ann_close(a);
}

static void auto_is_exact_when_small_and_an_inverted_file_when_large(void **state)
{
    (void)state;
    char out[128];
    factory_auto(19999, 19999, 128, out);
    assert_string_equal(out, "Flat");
    factory_auto(40000, 40000, 128, out);
    assert_string_equal(out, "IVF400,PQ64x4fs");
    factory_auto(40000, 400, 128, out); /* most rows hold no vector */
    assert_string_equal(out, "IVF40,PQ64x4fs");
    factory_auto(40000, 0, 128, out);
    assert_string_equal(out, "IVF1,PQ64x4fs");
    factory_auto(40000, 40000, 7, out);
    assert_string_equal(out, "IVF400,SQ8");
    assert_int_equal(factory_lists("PCA64,IVF4096_HNSW32,PQ32"), 4096);
    assert_int_equal(factory_lists("HNSW32"), 0);
}

/* ------------------------------ Skipping ----------------------------------- */

static bool only_multiples(void *cls, uint32_t row)
{
    return row % *(uint32_t *)cls == 0;
}

static bool nothing(void *cls, uint32_t row)
{
    (void)cls, (void)row;
    return false;
}

/* What a search returns must be what exact search returns, for any filter that leaves
 * so few rows that the search has to look at all of them. */
static void skipping_most_rows_ends_in_the_exact_answer(void **state)
{
    (void)state;
    static ps_scored want[1000], got[1000];
    ps_ann_report r;
    uint32_t every = 500, n, m;
    ps_ann *a = make(&array, "embeddings", "IVF64,SQ8", &r);
    const float *query = numbers + 123 * D;
    ps_exact_search(&array, 0,
                    &(ps_search){.vector = query,
                                 .k = 20,
                                 .filter = &(ps_filter){only_multiples, &every, 0}},
                    want, &n);
    ps_ann_search(a,
                  &(ps_search){.vector = query,
                               .k = 20,
                               .filter = &(ps_filter){only_multiples, &every, 0}},
                  got, &m, NULL);
    assert_int_equal(n, N / 500);
    assert_int_equal(m, n);
    assert_memory_equal(want, got, n * sizeof *want);

    assert_int_equal(ps_ann_search(a,
                                   &(ps_search){.vector = query,
                                                .k = 20,
                                                .filter = &(ps_filter){nothing, NULL, 0}},
                                   got, &m, NULL),
                     PS_OK);
    assert_int_equal(m, 0);

    every = 3;
    ps_ann_search(a,
                  &(ps_search){.vector = query,
                               .k = 20,
                               .filter = &(ps_filter){only_multiples, &every, 0}},
                  got, &m, NULL);
    assert_int_equal(m, 20);
    for (uint32_t i = 0; i < m; i++)
        assert_int_equal(got[i].row % 3, 0);

    ps_exact_search(&array, 0, &(ps_search){.vector = query, .k = 1000}, want, &n);
    ps_ann_search(a, &(ps_search){.vector = query, .k = 1000}, got, &m, NULL);
    assert_memory_equal(want, got, sizeof want);
    ps_ann_close(a);
}

/* ------------------------------ Odd shapes --------------------------------- */

static void one_row_is_an_index(void **state)
{
    (void)state;
    static const char *const kinds[] = {"auto", "SQ8", "HNSW32", "LSH"};
    for (size_t i = 0; i < 4; i++) {
        ps_npy one = array;
        one.rows = 1;
        ps_ann_report r;
        ps_scored got[10];
        uint32_t n;
        ps_ann *a = make(&one, "embeddings", kinds[i], &r);
        ps_ann_search(a, &(ps_search){.vector = numbers, .k = 10}, got, &n, NULL);
        assert_int_equal(n, 1);
        assert_int_equal(got[0].row, 0);
        assert_true(r.reached);
        ps_ann_close(a);
    }
}

static void all_rows_equal_is_an_index(void **state)
{
    (void)state;
    static float same[N * D];
    for (size_t i = 0; i < N * D; i++)
        same[i] = i % D == 3;
    ps_npy block = array;
    block.data = same;
    ps_ann_report r;
    ps_ann *a = make(&block, "embeddings", "IVF16,SQ8", &r);
    assert_true(r.reached);
    ps_ann_close(a);
}

/* ------------------------------ Refusals ----------------------------------- */

static int refused(const char *factory, double target, ps_why *why)
{
    ps_ann_report r = {0};
    ps_ann *a = NULL;
    ps_ann_build_opts opts = ps_cli_index_defaults();
    opts.factory = factory;
    opts.recall = target;
    ps_npy few = array;
    few.rows = 50;
    int err = ann_make(&a, &few, "embeddings", &opts, &r, NULL, why);
    assert_null(a);
    return err;
}

static void what_faiss_refuses_arrives_in_its_words_without_its_paths(void **state)
{
    (void)state;
    ps_why why;
    assert_int_equal(refused("bogus", .95, &why), PS_EINVAL);
    assert_non_null(strstr(why.text, "could not parse index string bogus"));
    assert_null(strchr(why.text, '/'));
    assert_int_equal(refused("PQ7", .95, &why), PS_EINVAL);
    assert_non_null(strstr(why.text, "multiple of the number of subquantizers"));
    assert_int_equal(refused("IVF64,SQ8", .95, &why), PS_ELIBRARY);
    assert_non_null(strstr(why.text, "training points (50)"));
    assert_int_equal(refused("IVF99999999999999,Flat", .95, &why), PS_EINVAL);
}

static void what_would_crash_faiss_is_refused_before(void **state)
{
    (void)state;
    ps_why why;
    assert_int_equal(refused("IVF0,Flat", .95, &why), PS_EINVAL);
    assert_int_equal(refused("HNSW0", .95, &why), PS_EINVAL);
    assert_int_equal(refused("", .95, &why), PS_EINVAL);
    assert_int_equal(refused("NSG32", .95, &why), PS_EINVAL);
    assert_int_equal(refused("Flat", 1.5, &why), PS_EINVAL);
    assert_int_equal(refused("Flat", NAN, &why), PS_EINVAL);
}

/* ------------------------------ The same again ----------------------------- */

static void *read_all(const char *path, size_t *size)
{
    ps_map m;
    assert_int_equal(ps_map_open(&m, path, PS_SEQUENTIAL, NULL), PS_OK);
    void *copy = malloc(m.size);
    assert_non_null(copy);
    memcpy(copy, m.data, m.size);
    *size = m.size;
    ps_map_close(&m);
    return copy;
}

static void two_builds_write_the_same_bytes(void **state)
{
    (void)state;
    static const char *const kinds[] = {"IVF64,PQ16x4fs", "HNSW16_SQ8",
                                        "IVF64_HNSW16,SQ8"};
    for (size_t i = 0; i < 3; i++) {
        void *bytes[2];
        size_t size[2];
        for (size_t j = 0; j < 2; j++) {
            char path[] = "/tmp/pinsage-ann-XXXXXX";
            ps_ann_report r;
            ps_ann *a = make(&array, "embeddings", kinds[i], &r);
            close(mkstemp(path));
            assert_int_equal(ps_faiss_write(a->faiss, path, NULL), PS_OK);
            bytes[j] = read_all(path, &size[j]);
            unlink(path);
            ps_ann_close(a);
        }
        assert_int_equal(size[0], size[1]);
        assert_memory_equal(bytes[0], bytes[1], size[0]);
        free(bytes[0]);
        free(bytes[1]);
    }
}

static void *search_some(void *cls)
{
    const ps_ann *a = cls;
    for (size_t q = 0; q < 200; q++) {
        ps_scored got[10];
        uint32_t n;
        if (ps_ann_search(a, &(ps_search){.vector = numbers + q * D, .k = 10}, got, &n,
                          NULL) ||
            n != 10 || got[0].row != q)
            return "wrong";
    }
    return NULL;
}

static void threads_search_at_once(void **state)
{
    (void)state;
    ps_ann_report r;
    pthread_t thread[3];
    ps_ann *a = make(&array, "embeddings", "IVF64,SQ8", &r);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, search_some, a), 0);
    for (size_t i = 0; i < 3; i++) {
        void *wrong;
        pthread_join(thread[i], &wrong);
        assert_null(wrong);
    }
    ps_ann_close(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_reaches_its_recall),
        cmocka_unit_test(a_higher_target_turns_the_dials_further),
        cmocka_unit_test(a_recall_out_of_reach_is_said_so),
        cmocka_unit_test(halves_and_blocks_are_searched_as_well),
        cmocka_unit_test(auto_is_exact_when_small_and_an_inverted_file_when_large),
        cmocka_unit_test(skipping_most_rows_ends_in_the_exact_answer),
        cmocka_unit_test(one_row_is_an_index),
        cmocka_unit_test(all_rows_equal_is_an_index),
        cmocka_unit_test(what_faiss_refuses_arrives_in_its_words_without_its_paths),
        cmocka_unit_test(what_would_crash_faiss_is_refused_before),
        cmocka_unit_test(two_builds_write_the_same_bytes),
        cmocka_unit_test(threads_search_at_once),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
