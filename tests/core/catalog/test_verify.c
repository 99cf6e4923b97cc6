/* test_verify.c - each check passes on a whole generation and fails on its own damage. */
#include "pinsage/generation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/buf.h"
#include "tests/support/changes.h"
#include "tests/support/kills.h"
#include "tests/support/scratch.h"
#include "tests/support/tiny.h"

/* ------------------------------ Helpers ----------------------------------- */

/* "ok name\n" or "FAILED name: detail\n" for each check. */
static void note(void *cls, const char *name, int err, const char *detail)
{
    ps_buf_printf(cls, "%s %s%s%s\n", err ? "FAILED" : "ok", name, detail ? ": " : "",
                  detail ? detail : "");
}

/* Verify the current generation; the notes are for the caller to ps_buf_done. */
static int verified(ps_buf *notes, ps_why *why)
{
    ps_generation *g;
    *notes = (ps_buf){0};
    must(ps_generation_open_base(&g, catalog, why), why);
    int err = ps_generation_verify(g, note, notes, NULL, why);
    ps_generation_release(g);
    return err;
}

/* Verify fails in the check whose line begins so, and says this. */
static void fails(int err, const char *check, const char *part)
{
    ps_buf notes;
    ps_why why = {0};
    char line[256];
    int got = verified(&notes, &why);
    snprintf(line, sizeof line, "FAILED %s", check);
    const char *found = strstr(notes.data, line);
    if (got != err || !found || !strstr(found, part))
        print_message("%s\n%s", ps_errname(got), notes.data);
    assert_int_equal(got, err);
    assert_non_null(found);
    assert_non_null(strstr(found, part));
    assert_non_null(strstr(why.text, part));
    ps_buf_done(&notes);
}

static void prepare(void)
{
    use("verify");
    tiny_import();
    tiny_embed();
}

/* Overwrite bytes of a file in place. */
static void poke(const char *name, long at, const void *data, size_t size)
{
    FILE *f = fopen(tiny_path(name), "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

/* Replace an array by another draft's. */
static void replace(const char *name, ps_dtype t, uint64_t cols, const void *data)
{
    prepare();
    ps_draft *d = tiny_begin(false);
    tiny_array(d, name, t, TINY_PINS, cols, data);
    tiny_commit(d);
}

/* ------------------------------ Tests ------------------------------------- */

static void a_whole_generation_passes_every_check(void **state)
{
    (void)state;
    static const char *const checks[] = {
        "ok files: sizes: 12 files\n",
        "ok checksum: embeddings.npy\n",
        "ok checksum: graph/board_pins.indices.npy\n",
        "ok checksum: pins.mdb\n",
        "ok fingerprints",
        "ok graph: offsets, order, range and transpose: 5 pins, 3 boards, 7 edges\n",
        "ok pins: ids both ways: 5 pins\n",
        "ok boards: ids both ways: 3 boards\n",
        "ok features/annotation: finite: (5, 2) <f2, 3 zero rows\n",
        "ok features/visual: finite: (5, 3) <f4, 1 zero rows\n",
        "ok messages.1.npy: finite",
        "ok embeddings: finite, of length 1: (5, 2) <f4, 1 zero rows\n",
        "ok neighbours: in range, weights sum to 1: (5, 2)\n",
    };
    ps_buf notes;
    ps_why why = {0};
    prepare();
    must(verified(&notes, &why), &why);
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        if (!strstr(notes.data, checks[i]))
            print_message("no \"%s\" in\n%s", checks[i], notes.data);
        assert_non_null(strstr(notes.data, checks[i]));
    }
    assert_null(strstr(notes.data, "FAILED"));
    ps_buf_done(&notes);
}

static bool opens(void)
{
    ps_generation *g = NULL;
    int err = ps_generation_open_base(&g, catalog, NULL);
    ps_generation_release(g);
    return err == PS_OK;
}

/* The last byte of each file in turn: wherever it opens (offsets and pins.mdb are looked
 * at before), its checksum tells, and the checks after it are made all the same. */
static void one_changed_byte_of_any_file_is_found(void **state)
{
    (void)state;
    ps_generation *g;
    ps_why why = {0};
    prepare();
    must(ps_generation_open_base(&g, catalog, &why), &why);
    const char *name;
    for (size_t i = 0; (name = ps_manifest_file_at(g->manifest, i)); i++) {
        size_t size;
        char check[300], *data = slurp(tiny_path(name), &size);
        char other = (char)(data[size - 1] ^ 0x01);
        poke(name, -1, &other, 1);
        snprintf(check, sizeof check, "checksum: %s", name);
        if (opens())
            fails(PS_EMISMATCH, check, "the manifest says");
        else
            assert_true(strstr(name, "indptr") || strstr(name, "pins.mdb"));
        poke(name, -1, &data[size - 1], 1);
        free(data);
    }
    ps_generation_release(g);
    ps_buf notes;
    must(verified(&notes, &why), &why);
    ps_buf_done(&notes);
}

static void a_failure_does_not_hide_the_next_one(void **state)
{
    (void)state;
    ps_buf notes;
    ps_why why = {0};
    prepare();
    poke("index.faiss", 0, "N", 1);
    poke("messages.1.npy", -1, "\x7e", 1); /* and a NaN: 0x7e.. */
    assert_int_equal(verified(&notes, &why), PS_EMISMATCH);
    assert_non_null(strstr(notes.data, "FAILED checksum: index.faiss"));
    assert_non_null(strstr(notes.data, "FAILED checksum: messages.1.npy"));
    assert_non_null(strstr(notes.data, "FAILED messages.1.npy: finite"));
    assert_non_null(strstr(notes.data, "ok neighbours"));
    assert_non_null(strstr(why.where, "index.faiss")); /* the first */
    ps_buf_done(&notes);
}

static void numbers_that_are_not_finite_are_found_with_their_row(void **state)
{
    (void)state;
    const float nan_row[TINY_PINS][2] = {{0}, {0}, {0, __builtin_nanf("")}, {0}, {0}};
    const uint16_t inf_row[TINY_PINS][2] = {{0}, {0}, {0}, {0}, {0x7c00, 0}};
    replace("features/x.npy", PS_F32, 2, nan_row);
    fails(PS_EFORMAT, "features/x: finite", "row 2");
    replace("features/x.npy", PS_F16, 2, inf_row);
    fails(PS_EFORMAT, "features/x: finite", "row 4");
}

static void embeddings_that_are_not_of_length_1_are_found(void **state)
{
    (void)state;
    const float z[TINY_PINS][2] = {{1, 0}, {0.5f, 0.5f}, {1, 0}, {1, 0}, {1, 0}};
    replace("embeddings.npy", PS_F32, 2, z);
    fails(PS_EFORMAT, "embeddings: finite, of length 1", "row 1");
}

static void wrong_neighbours_are_found(void **state)
{
    (void)state;
    static const struct {
        uint32_t rows[2];
        float weights[2];
        const char *part;
    } cases[] = {
        {{5, 2}, {0.5f, 0.5f}, "row 3: a neighbour is no pin"},
        {{0, 2}, {1.5f, 0.5f}, "row 3: a weight is not between"},
        {{0, 2}, {__builtin_nanf(""), 0.5f}, "row 3: a weight is not between"},
        {{0, 2}, {0.5f, -0.5f}, "row 3: a weight is not between"},
        {{0, 3}, {0.5f, 0.5f}, "row 3: the pin is its own neighbour"},
        {{0, 2}, {1, 0}, "row 3: a neighbour has weight 0"},
        {{0, 2}, {0.25f, 0.75f}, "row 3: the weights do not descend"},
        {{0, 2}, {0.5f, 0.25f}, "row 3: the weights do not sum to 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        prepare();
        poke("neighbours.indices.npy", 128 + 3 * 8, cases[i].rows, 8);
        poke("neighbours.weights.npy", 128 + 3 * 8, cases[i].weights, 8);
        tiny_relist("neighbours.indices.npy");
        tiny_relist("neighbours.weights.npy");
        fails(PS_EFORMAT, "neighbours", cases[i].part);
    }
}

/* board_pins says that board 0 has pin 3, pin_boards does not. */
static void a_graph_that_contradicts_itself_is_found(void **state)
{
    (void)state;
    const uint32_t pin = 3;
    ps_buf notes;
    ps_why why = {0};
    prepare();
    poke("graph/board_pins.indices.npy", 128 + 2 * 4, &pin, 4);
    tiny_relist("graph/board_pins.indices.npy");
    assert_true(verified(&notes, &why) < 0);
    assert_non_null(strstr(notes.data, "FAILED graph: offsets"));
    assert_non_null(strstr(notes.data, "ok pins"));
    ps_buf_done(&notes);
}

static void ids_that_lead_elsewhere_are_found(void **state)
{
    (void)state;
    prepare();
    ps_draft *d = tiny_begin(false);
    tiny_pins(d, 1);
    tiny_commit(d);
    fails(PS_EMISMATCH, "pins: ids both ways", "pin 1 is \"p1\", which leads to pin 2");
}

static void a_listener_may_stop_it(void **state)
{
    (void)state;
    moment first = {.nth = 1};
    ps_progress progress = stop_at(&first);
    ps_generation *g;
    ps_why why = {0};
    prepare();
    must(ps_generation_open_base(&g, catalog, &why), &why);
    assert_int_equal(ps_generation_verify(g, NULL, NULL, &progress, &why), PS_ECANCELLED);
    assert_true(first.heard >= 1);
    ps_generation_release(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_generation_passes_every_check),
        cmocka_unit_test(one_changed_byte_of_any_file_is_found),
        cmocka_unit_test(a_failure_does_not_hide_the_next_one),
        cmocka_unit_test(numbers_that_are_not_finite_are_found_with_their_row),
        cmocka_unit_test(embeddings_that_are_not_of_length_1_are_found),
        cmocka_unit_test(wrong_neighbours_are_found),
        cmocka_unit_test(a_graph_that_contradicts_itself_is_found),
        cmocka_unit_test(ids_that_lead_elsewhere_are_found),
        cmocka_unit_test(a_listener_may_stop_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
