/* test_generation.c - what opens, what is refused and why, and opening while others
 * write. */
#include "pinsage/generation.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/changes.h"
#include "tests/support/numpy.h"
#include "tests/support/planted.h"
#include "tests/support/scratch.h"
#include "tests/support/tiny.h"

/* ------------------------------ Helpers ----------------------------------- */

/* Opening fails with err, and its words hold this. */
static void refused(int err, const char *part)
{
    ps_generation *g = NULL;
    ps_why why = {0};
    char text[600];
    int got = ps_generation_open_base(&g, catalog, &why);
    ps_why_format(&why, got, text, sizeof text);
    if (got != err || !strstr(text, part))
        print_message("%s: %s, expected \"%s\"\n", ps_errname(got), text, part);
    assert_int_equal(got, err);
    assert_non_null(strstr(text, part));
    assert_null(g);
}

static void change_manifest(void (*fn)(ps_manifest *))
{
    ps_manifest *m;
    ps_why why = {0};
    must(ps_manifest_load(&m, tiny_path("manifest.json"), &why), &why);
    fn(m);
    must(ps_manifest_save(m, tiny_path("manifest.json"), &why), &why);
    ps_manifest_free(m);
}

/* ------------------------------ Opening ----------------------------------- */

static void every_part_is_mapped(void **state)
{
    (void)state;
    char path[PS_PATH_MAX];
    use("open");
    tiny_import();
    tiny_embed();
    ps_generation *g = planted_open();
    assert_string_equal(g->name, "gen-000002");
    assert_int_equal(g->n_pins, TINY_PINS);
    assert_int_equal(g->n_boards, TINY_BOARDS);
    assert_int_equal(g->graph.pin_boards.edges, TINY_EDGES);
    assert_int_equal(g->n_blocks, 2);
    assert_string_equal(g->blocks[0].name, "annotation");
    assert_string_equal(g->blocks[1].name, "visual");
    assert_ptr_equal(ps_generation_block(g, "visual"), &g->blocks[1]);
    assert_int_equal(ps_generation_block(g, "visual")->array.cols, 3);
    assert_null(ps_generation_block(g, "vis"));
    assert_int_equal(g->embeddings.rows, TINY_PINS);
    assert_int_equal(g->nbr_rows.cols, 2);
    assert_int_equal(g->nbr_weights.cols, 2);
    assert_true(ps_generation_file(g, "index.faiss", path));
    assert_string_equal(path, tiny_path("index.faiss"));
    assert_false(ps_generation_file(g, "words.safetensors", path));
    ps_generation_release(g);
    ps_generation_release(NULL);
}

static void a_bare_import_opens_without_the_later_parts(void **state)
{
    (void)state;
    ps_why why;
    ps_npy a;
    use("bare");
    tiny_import();
    ps_generation *g = planted_open();
    assert_int_equal(g->embeddings.rows, 0);
    assert_int_equal(g->nbr_rows.rows, 0);
    assert_int_equal(ps_generation_array(g, "messages.1.npy", &a, &why), PS_ENOENT);
    ps_generation_release(g);
}

static void arrays_of_later_steps_are_mapped_on_request(void **state)
{
    (void)state;
    ps_npy a;
    ps_why why = {0};
    use("later");
    tiny_import();
    tiny_embed();
    ps_generation *g = planted_open();
    must(ps_generation_array(g, "messages.1.npy", &a, &why), &why);
    assert_int_equal(a.cols, 4);
    ps_npy_close(&a);
    ps_generation_release(g);
}

static void the_last_release_closes_and_an_old_one_outlives_its_files(void **state)
{
    (void)state;
    use("refs");
    tiny_import();
    ps_generation *g = planted_open();
    assert_ptr_equal(ps_generation_acquire(g), g);
    for (int i = 0; i < 3; i++)
        tiny_import();
    assert_false(ps_file_exists(g->dir));
    ps_generation_release(g);
    assert_true(((const float *)ps_generation_block(g, "visual")->array.data)[0] == 1.0f);
    assert_int_equal(ps_csr_degree(&g->graph.pin_boards, 1), 2);
    ps_generation_release(g);
}

static void a_directory_opens_with_or_without_a_slash(void **state)
{
    (void)state;
    char dir[PS_PATH_MAX], slashed[PS_PATH_MAX + 2];
    ps_generation *g;
    ps_why why = {0};
    use("slash");
    tiny_import();
    must(ps_catalog_base(catalog, dir, &why), &why);
    snprintf(slashed, sizeof slashed, "%s//", dir);
    must(ps_generation_open_dir(&g, slashed, &why), &why);
    assert_string_equal(g->name, "gen-000001");
    ps_generation_release(g);
    assert_int_equal(ps_generation_open_dir(&g, "", &why), PS_ERANGE);
    memset(slashed, 'x', 600);
    slashed[600] = '\0';
    assert_int_equal(ps_generation_open_dir(&g, slashed, &why), PS_ERANGE);
}

/* ------------------------------ Refusals ---------------------------------- */

static void a_file_of_another_size_is_refused_by_name(void **state)
{
    (void)state;
    use("sizes");
    tiny_import();
    tiny_embed();
    ps_generation *g = planted_open();
    const char *name;
    for (size_t i = 0; (name = ps_manifest_file_at(g->manifest, i)); i++) {
        size_t size;
        char *data = slurp(tiny_path(name), &size);
        for (int longer = 0; longer < 2; longer++) {
            assert_int_equal(truncate(tiny_path(name), (off_t)size + (longer ? 1 : -1)),
                             0);
            refused(PS_EMISMATCH, name);
        }
        FILE *f = fopen(tiny_path(name), "wb");
        assert_int_equal(fwrite(data, 1, size, f), size);
        fclose(f);
        free(data);
        assert_int_equal(rename(tiny_path(name), scratch("aside")), 0);
        refused(PS_ENOENT, name);
        assert_int_equal(rename(scratch("aside"), tiny_path(name)), 0);
    }
    ps_generation_release(g);
    ps_generation_release(planted_open());
}

static void change_embeddings(ps_manifest *m)
{
    uint64_t size;
    ps_manifest_file(m, "embeddings.npy", &size, NULL);
    ps_manifest_set_file(m, "embeddings.npy", size, 77);
}

static void parts_made_from_another_version_are_refused(void **state)
{
    (void)state;
    use("mixed");
    tiny_import();
    tiny_embed();
    change_manifest(change_embeddings);
    refused(PS_EMISMATCH, "index.faiss: it was made from another embeddings.npy");
}

static void wrong_pins(ps_manifest *m)
{
    ps_manifest_set_u64(m, "counts.pins", 6);
}

static void wrong_edges(ps_manifest *m)
{
    ps_manifest_set_u64(m, "counts.pins", TINY_PINS);
    ps_manifest_set_u64(m, "counts.edges", 8);
}

static void no_graph(ps_manifest *m)
{
    ps_manifest_remove_file(m, "graph/board_pins.indices.npy");
}

static void a_manifest_that_tells_other_things_is_refused(void **state)
{
    (void)state;
    use("counts");
    tiny_import();
    change_manifest(wrong_pins);
    refused(PS_EMISMATCH, "pins.mdb holds 5 pins, the manifest says 6");
    change_manifest(wrong_edges);
    refused(PS_EMISMATCH, "graph/pin_boards holds 7 edges, the manifest says 8");
    change_manifest(no_graph);
    refused(PS_EMISMATCH, "its manifest lists no graph/board_pins.indices.npy");
    assert_int_equal(unlink(tiny_path("manifest.json")), 0);
    refused(PS_ENOENT, "manifest.json");
}

/* A draft that writes one array, and what opening says. */
static void refused_array(const char *name, ps_dtype t, uint64_t rows, uint64_t cols,
                          const char *part)
{
    static const char zeros[4096];
    use("arrays");
    tiny_import();
    tiny_embed();
    ps_draft *d = tiny_begin(false);
    tiny_array(d, name, t, rows, cols, zeros);
    tiny_commit(d);
    refused(PS_EMISMATCH, part);
}

static void arrays_of_a_wrong_shape_or_type_are_refused(void **state)
{
    (void)state;
    refused_array("features/x.npy", PS_F32, 4, 3,
                  "x.npy: its shape is (4, 3) for 5 pins");
    refused_array("features/x.npy", PS_F32, 5, 0, "x.npy: its shape is (5, 0)");
    refused_array("features/x.npy", PS_U32, 5, 3, "features/x.npy holds <u4");
    refused_array("embeddings.npy", PS_U64, 5, 3, "embeddings.npy holds <u8");
    refused_array("embeddings.npy", PS_F16, 6, 3, "its shape is (6, 3)");
    refused_array("neighbours.indices.npy", PS_U32, 5, 3, "not u32 and f32 of one shape");
    refused_array("neighbours.weights.npy", PS_F16, 5, 2, "not u32 and f32 of one shape");
    refused_array("neighbours.weights.npy", PS_F32, 4, 2, "its shape is (4, 2)");
}

static void half_of_the_neighbours_is_refused(void **state)
{
    (void)state;
    ps_why why = {0};
    use("half");
    tiny_import();
    tiny_embed();
    ps_draft *d = tiny_begin(false);
    must(ps_draft_drop(d, "neighbours.weights.npy", &why), &why);
    tiny_commit(d);
    refused(PS_EMISMATCH, "neighbours.indices.npy is there without");
}

/* Any byte of pins.mdb: LMDB itself would not always survive opening it. */
static void damaged_pins_are_refused_before_they_are_opened(void **state)
{
    (void)state;
    ps_generation *g = NULL;
    ps_why why = {0};
    size_t size;
    use("damaged");
    tiny_import();
    must(ps_generation_open_checked(&g, catalog, &why), &why);
    ps_generation_release(g);
    char *data = slurp(tiny_path("pins.mdb"), &size);
    for (size_t at = 0; at < size; at += 97) {
        FILE *f = fopen(tiny_path("pins.mdb"), "r+b");
        assert_int_equal(fseek(f, (long)at, SEEK_SET), 0);
        fputc(data[at] ^ 0xff, f);
        assert_int_equal(fclose(f), 0);
        assert_int_equal(ps_generation_open_checked(&g, catalog, &why), PS_EMISMATCH);
        assert_non_null(strstr(why.text, "it is damaged"));
        f = fopen(tiny_path("pins.mdb"), "r+b");
        assert_int_equal(fseek(f, (long)at, SEEK_SET), 0);
        fputc(data[at], f);
        assert_int_equal(fclose(f), 0);
    }
    free(data);
}

static void no_catalog_is_refused_in_words(void **state)
{
    (void)state;
    use("no-such");
    refused(PS_ENOENT, "there is no such catalog");
}

/* ------------------------------ NumPy ------------------------------------- */

/* The documented layout, read by somebody who knows nothing of this program: the graph
 * is SciPy's CSR both ways, and every array says what it is. */
static void numpy_opens_every_array_as_documented(void **state)
{
    (void)state;
    char code[PS_PATH_MAX + 2048];
    if (!have_numpy())
        skip();
    use("numpy");
    tiny_import();
    tiny_embed();
    snprintf(code, sizeof code,
             "import json, os\n"
             "os.chdir('%s/current')\n"
             "def csr(name, rows, cols):\n"
             "    indptr = np.load('graph/%%s.indptr.npy' %% name, mmap_mode='r')\n"
             "    indices = np.load('graph/%%s.indices.npy' %% name, mmap_mode='r')\n"
             "    assert indptr.dtype == '<u8' and indices.dtype == '<u4'\n"
             "    assert indptr.shape == (rows + 1,) and indptr[-1] == len(indices)\n"
             "    dense = np.zeros((rows, cols), int)\n"
             "    for r in range(rows):\n"
             "        dense[r, indices[int(indptr[r]):int(indptr[r + 1])]] += 1\n"
             "    return dense\n"
             "m = json.load(open('manifest.json'))\n"
             "n, b = m['counts']['pins'], m['counts']['boards']\n"
             "forth, back = csr('pin_boards', n, b), csr('board_pins', b, n)\n"
             "assert (forth == back.T).all() and forth.sum() == m['counts']['edges']\n"
             "assert (forth == [[1,0,1],[1,1,0],[1,1,0],[0,1,0],[0,0,0]]).all()\n"
             "for name, file in m['files'].items():\n"
             "    assert os.path.getsize(name) == file['size'], name\n"
             "    if name.endswith('.npy') and not name.startswith('graph/'):\n"
             "        assert np.load(name).shape[0] == n, name\n"
             "assert np.load('features/annotation.npy').dtype == '<f2'\n"
             "assert np.load('features/visual.npy')[2].tolist() == [0, 0, 2]\n"
             "w = np.load('neighbours.weights.npy')\n"
             "assert w.dtype == '<f4' and w.sum(1).tolist() == [1, 1, 1, 1, 0]\n",
             catalog);
    assert_true(numpy(code));
}

/* ------------------------------ Concurrency ------------------------------- */

/* A writer commits as fast as it can and keeps one old generation; a reader that opens
 * what is current never sees half of one, nor none. */
static void opening_while_others_commit_always_finds_a_whole_generation(void **state)
{
    (void)state;
    use("race");
    tiny_import();
    pid_t child = fork();
    if (child == 0)
        for (;;)
            tiny_commit(tiny_begin(false));
    int opens = 0;
    char last[32] = "";
    for (int turns = 0; opens < 10 && turns < 20000; turns++) {
        ps_generation *g = planted_open();
        opens += strcmp(last, g->name) != 0; /* until ten different ones were seen */
        memcpy(last, g->name, sizeof last);
        ps_generation_release(g);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_true(opens >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_part_is_mapped),
        cmocka_unit_test(a_bare_import_opens_without_the_later_parts),
        cmocka_unit_test(arrays_of_later_steps_are_mapped_on_request),
        cmocka_unit_test(the_last_release_closes_and_an_old_one_outlives_its_files),
        cmocka_unit_test(a_directory_opens_with_or_without_a_slash),
        cmocka_unit_test(a_file_of_another_size_is_refused_by_name),
        cmocka_unit_test(parts_made_from_another_version_are_refused),
        cmocka_unit_test(a_manifest_that_tells_other_things_is_refused),
        cmocka_unit_test(arrays_of_a_wrong_shape_or_type_are_refused),
        cmocka_unit_test(half_of_the_neighbours_is_refused),
        cmocka_unit_test(damaged_pins_are_refused_before_they_are_opened),
        cmocka_unit_test(no_catalog_is_refused_in_words),
        cmocka_unit_test(numpy_opens_every_array_as_documented),
        cmocka_unit_test(opening_while_others_commit_always_finds_a_whole_generation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
