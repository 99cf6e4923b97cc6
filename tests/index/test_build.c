/* test_build.c - an index on disk: built as a generation, opened, refused when wrong,
 * and never half there.
 *
 * The catalog is imported from files written here: 2500 pins, a block `visual`, a block
 * `sparse` that is mostly zero, and in some tests embeddings in half precision.
 *
 * Threads: builds use two.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/ann.h"
#include "pinsage/generation.h"
#include "pinsage/half.h"
#include "pinsage/import.h"
#include "pinsage/rng.h"
#include "server/cli/steps.h"
#include "tests/support/kills.h"

enum { N = 2500, D = 16 };

static char folder[64], catalog[80];
static float numbers[N * D];

static void path_of(char out[120], const char *name)
{
    snprintf(out, 120, "%s/%s", folder, name);
}

static void write_text(const char *name, const char *head, const char *line, size_t n)
{
    char path[120];
    path_of(path, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(head, f);
    for (size_t i = 0; i < n; i++)
        fprintf(f, line, i, i % 100);
    assert_int_equal(fclose(f), 0);
}

static void write_matrix(const char *name, ps_dtype type, size_t keep)
{
    char path[120];
    void *data;
    ps_npy a;
    path_of(path, name);
    assert_int_equal(ps_npy_create(&a, &data, path, type, N, D, NULL), PS_OK);
    for (size_t r = 0; r < N; r++)
        if (r % keep == 0 && type == PS_F16)
            ps_f32_to_f16(numbers + r * D, (uint16_t *)data + r * D, D);
        else if (r % keep == 0)
            memcpy((float *)data + r * D, numbers + r * D, D * sizeof *numbers);
    ps_npy_close(&a);
}

static void import_all(const char *embeddings)
{
    char pins[120], edges[120], visual[120], sparse[120], vectors[120];
    path_of(pins, "pins.tsv");
    path_of(edges, "edges.tsv");
    path_of(visual, "visual.npy");
    path_of(sparse, "sparse.npy");
    path_of(vectors, embeddings ? embeddings : "");
    ps_import_feature features[2] = {{"sparse", sparse}, {"visual", visual}};
    ps_import_opts opts = {.pins = pins,
                           .edges = edges,
                           .features = features,
                           .n_features = 2,
                           .embeddings = embeddings ? vectors : NULL,
                           .keep = 1};
    ps_import_report report;
    ps_why why = {0};
    if (ps_import(catalog, &opts, &report, NULL, &why))
        fail_msg("%s: %s", why.where, why.text);
}

static int make_files(void **state)
{
    (void)state;
    uint64_t rng = ps_rng_at(4, 4);
    strcpy(folder, "/tmp/pinsage-index-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(catalog, sizeof catalog, "%s/catalog", folder);
    for (size_t i = 0; i < N * D; i++)
        numbers[i] = ps_rng_unit(&rng) + ps_rng_unit(&rng) - 1;
    write_text("pins.tsv", "pin\n", "p%zu\n", N);
    write_text("edges.tsv", "pin\tboard\n", "p%zu\tb%zu\n", N);
    write_matrix("visual.npy", PS_F32, 1);
    write_matrix("sparse.npy", PS_F32, 5);
    write_matrix("embeddings.npy", PS_F16, 1);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    return ps_dir_remove(folder, NULL);
}

static int fresh(void **state)
{
    (void)state;
    ps_dir_remove(catalog, NULL);
    import_all(NULL);
    return 0;
}

static void build(const char *factory, const char *vectors, ps_ann_report *r)
{
    ps_ann_build_opts opts = ps_cli_index_defaults();
    ps_why why = {0};
    opts.factory = factory;
    opts.vectors = vectors;
    opts.threads = 2;
    opts.sample = 100;
    if (ps_ann_build(catalog, &opts, r, NULL, &why))
        fail_msg("%s: %s", why.where, why.text);
}

static ps_generation *current(void)
{
    ps_generation *g;
    ps_why why = {0};
    if (ps_generation_open_base(&g, catalog, &why))
        fail_msg("%s: %s", why.where, why.text);
    return g;
}

/* ------------------------------ Good --------------------------------------- */

static void the_manifest_tells_what_was_built(void **state)
{
    (void)state;
    ps_ann_report r;
    build("auto", NULL, &r);
    ps_generation *g = current();
    const ps_manifest *m = g->manifest;
    assert_string_equal(g->name, r.generation);
    assert_string_equal(ps_manifest_text(m, "index.asked", ""), "auto");
    assert_string_equal(ps_manifest_text(m, "index.factory", ""), "Flat");
    assert_string_equal(ps_manifest_text(m, "index.vectors", ""), "visual");
    assert_string_equal(ps_manifest_text(m, "index.similarity", ""), "cosine");
    assert_int_equal(ps_manifest_u64(m, "index.rows", 0), N);
    assert_int_equal(ps_manifest_u64(m, "index.dim", 0), D);
    assert_int_equal(ps_manifest_u64(m, "index.bytes", 0), r.bytes);
    assert_true(ps_manifest_real(m, "index.recall_at_10", 0) == 1);
    assert_true(ps_manifest_real(m, "index.search_us", 0) > 0);
    assert_true(ps_manifest_real(m, "index.exact_us", 0) > 0);
    uint64_t of;
    assert_true(ps_manifest_fingerprint(m, "index.faiss", "features/visual.npy", &of));
    assert_true(r.reached && r.bytes > N * D * 4);
    ps_generation_release(g);
}

static void an_opened_index_answers_as_exact_search(void **state)
{
    (void)state;
    ps_ann_report r;
    ps_ann *a;
    build("IVF20,SQ8", "visual", &r);
    ps_generation *g = current();
    assert_int_equal(ps_ann_open(&a, g, NULL), PS_OK);
    assert_string_equal(ps_ann_vectors(a), "visual");
    const ps_npy *visual = &ps_generation_block(g, "visual")->array;
    ps_generation_release(g); /* the index keeps it */
    int same = 0;
    for (size_t q = 0; q < 100; q++) {
        ps_scored want[10], got[10];
        uint32_t n, m;
        ps_exact_search(visual, 1, &(ps_search){.vector = numbers + q * D, .k = 10}, want,
                        &n);
        assert_int_equal(ps_ann_search(a,
                                       &(ps_search){.vector = numbers + q * D, .k = 10},
                                       got, &m, NULL),
                         PS_OK);
        assert_int_equal(m, 10);
        assert_memory_equal(&want[0], &got[0], sizeof want[0]);
        for (size_t i = 0; i < 10; i++)
            same += got[i].score >= want[9].score;
    }
    assert_true(same >= 920);
    ps_ann_close(a);
}

static void a_saved_index_gives_the_same_answers_each_time_it_is_opened(void **state)
{
    (void)state;
    ps_ann_report r;
    ps_ann *a[2];
    build("IVF20,PQ8x4fs", "visual", &r);
    ps_generation *g = current();
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(ps_ann_open(&a[i], g, NULL), PS_OK);
    for (size_t q = 0; q < N; q += 7) {
        ps_scored got[2][10];
        uint32_t n[2];
        for (size_t i = 0; i < 2; i++)
            ps_ann_search(a[i], &(ps_search){.vector = numbers + q * D, .k = 10}, got[i],
                          &n[i], NULL);
        assert_int_equal(n[0], n[1]);
        assert_memory_equal(got[0], got[1], n[0] * sizeof got[0][0]);
    }
    ps_ann_close(a[0]);
    ps_ann_close(a[1]);
    ps_generation_release(g);
}

static void embeddings_come_before_blocks_and_by_inner_product(void **state)
{
    (void)state;
    ps_ann_report r;
    import_all("embeddings.npy");
    build("auto", NULL, &r);
    assert_string_equal(r.vectors, "embeddings");
    ps_generation *g = current();
    ps_ann *a;
    assert_int_equal(ps_ann_open(&a, g, NULL), PS_OK);
    ps_scored want[20], got[20];
    uint32_t n, m;
    ps_exact_search(&g->embeddings, 0, &(ps_search){.vector = numbers, .k = 20}, want,
                    &n);
    ps_ann_search(a, &(ps_search){.vector = numbers, .k = 20}, got, &m, NULL);
    assert_memory_equal(want, got, sizeof want);
    ps_ann_close(a);
    ps_generation_release(g);
}

static void coarse_codes_are_made_up_for_by_looking_at_more(void **state)
{
    (void)state;
    ps_ann_report r;
    build("PCA1,Flat", "visual", &r); /* one number of sixteen */
    assert_true(r.reached && r.recall_at_10 >= .95);
    assert_true(r.overfetch > 8);
}

/* ------------------------------ Refused ------------------------------------ */

static int open_error(ps_why *why)
{
    ps_ann *a = NULL;
    ps_generation *g = NULL;
    int err = ps_generation_open_base(&g, catalog, why);
    if (!err)
        err = ps_ann_open(&a, g, why);
    ps_ann_close(a);
    ps_generation_release(g);
    return err;
}

static void no_index_is_told_with_the_command(void **state)
{
    (void)state;
    ps_why why;
    assert_int_equal(open_error(&why), PS_ENOENT);
    assert_non_null(strstr(why.text, "pinsage index"));
}

static void index_path(char out[200], const char *generation)
{
    snprintf(out, 200, "%s/%s/index.faiss", catalog, generation);
}

static void a_flipped_byte_is_found_wherever_it_is(void **state)
{
    (void)state;
    ps_ann_report r;
    char path[200];
    build("IVF20,SQ8", "visual", &r);
    index_path(path, r.generation);
    assert_int_equal(chmod(path, 0600), 0);
    for (uint64_t i = 0; i < 8; i++) {
        long at = (long)(r.bytes / 8 * i);
        FILE *f = fopen(path, "r+");
        assert_non_null(f);
        fseek(f, at, SEEK_SET);
        int c = fgetc(f);
        fseek(f, at, SEEK_SET);
        fputc(c ^ 0x40, f);
        fclose(f);
        ps_why why = {0};
        assert_int_equal(open_error(&why), PS_EFORMAT);
        assert_non_null(strstr(why.where, "index.faiss"));
        f = fopen(path, "r+");
        fseek(f, at, SEEK_SET);
        fputc(c, f);
        fclose(f);
    }
    assert_int_equal(open_error(NULL), PS_OK);
}

static void a_cut_file_is_refused(void **state)
{
    (void)state;
    ps_ann_report r;
    ps_why why;
    char path[200];
    build("Flat", "visual", &r);
    index_path(path, r.generation);
    assert_int_equal(truncate(path, (off_t)r.bytes - 1), 0);
    assert_int_not_equal(open_error(&why), PS_OK);
    assert_non_null(strstr(why.where, "index.faiss"));
    assert_int_equal(unlink(path), 0);
    assert_int_not_equal(open_error(&why), PS_OK);
}

static void an_index_of_other_vectors_is_refused(void **state)
{
    (void)state;
    ps_ann_report r;
    ps_why why;
    build("Flat", "visual", &r);
    ps_generation *g = current();
    ps_manifest_set_text(g->manifest, "index.of", "0123456789abcdef");
    ps_ann *a = NULL;
    assert_int_equal(ps_ann_open(&a, g, &why), PS_EMISMATCH);
    assert_non_null(strstr(why.text, "features/visual.npy"));
    ps_manifest_set_text(g->manifest, "index.vectors", "gone");
    assert_int_equal(ps_ann_open(&a, g, &why), PS_EMISMATCH);
    assert_non_null(strstr(why.text, "gone"));
    assert_null(a);
    ps_generation_release(g);
}

static int build_error(const char *factory, const char *vectors, ps_why *why)
{
    ps_ann_report r;
    ps_ann_build_opts opts = ps_cli_index_defaults();
    opts.factory = factory;
    opts.vectors = vectors;
    opts.threads = 1; /* a forked child has no workers of OpenMP's to wait for */
    return ps_ann_build(catalog, &opts, &r, NULL, why);
}

static void a_failed_build_leaves_the_generation_in_use(void **state)
{
    (void)state;
    ps_why why;
    ps_generation *before = current();
    assert_int_equal(build_error("auto", "nothing", &why), PS_ENOENT);
    assert_int_equal(build_error("bogus", "visual", &why), PS_EINVAL);
    assert_int_equal(build_error("IVF9999,Flat", "visual", &why), PS_ELIBRARY);
    ps_generation *after = current();
    assert_string_equal(before->name, after->name);
    ps_generation_release(before);
    ps_generation_release(after);
}

/* ------------------------------ Brutal ------------------------------------- */

/* ThreadSanitizer ends a forked child that starts threads. */
static void skip_under_tsan(void)
{
#if defined(__SANITIZE_THREAD__)
    skip();
#endif
}

static int build_in_child(void *progress)
{
    ps_ann_report r;
    ps_ann_build_opts opts = ps_cli_index_defaults();
    opts.threads = 1;
    opts.factory = "IVF20,SQ8";
    return ps_ann_build(catalog, &opts, &r, progress, NULL);
}

static bool survives_stage(const char *stage)
{
    moment last = {.stage = stage, .nth = 1};
    ps_progress progress = kill_at(&last);
    return survives(build_in_child, &progress);
}

static void kill_9_leaves_an_old_or_a_new_generation_never_a_part(void **state)
{
    (void)state;
    skip_under_tsan();
    ps_generation *g = current();
    char before[32];
    strcpy(before, g->name);
    ps_generation_release(g);
    assert_false(survives_stage("index"));
    assert_false(survives_stage("measure"));
    g = current();
    assert_string_equal(g->name, before);
    ps_generation_release(g);
    for (long after = 500; after < 200000; after = after * 3 / 2) {
        survives_for(after, build_in_child, NULL);
        g = current();
        assert_int_equal(ps_generation_verify(g, NULL, NULL, NULL, NULL), PS_OK);
        if (ps_manifest_has(g->manifest, "index"))
            assert_int_equal(open_error(NULL), PS_OK);
        ps_generation_release(g);
    }
    ps_ann_report r;
    build("Flat", "visual", &r); /* and the next one finds its way */
    assert_int_equal(open_error(NULL), PS_OK);
}

static int build_on_a_small_disk(void *cls)
{
    struct rlimit small = {N * D, N * D}; /* a quarter of the index */
    (void)cls;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    return build_error("Flat", "visual", NULL) != PS_EIO;
}

static void a_full_disk_is_an_error_and_leaves_nothing(void **state)
{
    (void)state;
    skip_under_tsan();
    assert_true(survives(build_on_a_small_disk, NULL));
    ps_generation *g = current();
    assert_false(ps_manifest_has(g->manifest, "index"));
    ps_generation_release(g);
}

int main(void)
{
#define each(test) cmocka_unit_test_setup(test, fresh)
    const struct CMUnitTest tests[] = {
        each(the_manifest_tells_what_was_built),
        each(an_opened_index_answers_as_exact_search),
        each(a_saved_index_gives_the_same_answers_each_time_it_is_opened),
        each(embeddings_come_before_blocks_and_by_inner_product),
        each(coarse_codes_are_made_up_for_by_looking_at_more),
        each(no_index_is_told_with_the_command),
        each(a_flipped_byte_is_found_wherever_it_is),
        each(a_cut_file_is_refused),
        each(an_index_of_other_vectors_is_refused),
        each(a_failed_build_leaves_the_generation_in_use),
        each(kill_9_leaves_an_old_or_a_new_generation_never_a_part),
        each(a_full_disk_is_an_error_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
