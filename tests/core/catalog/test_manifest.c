/* test_manifest.c - values by path, the file list, fingerprints, and what is refused. */
#include "pinsage/manifest.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "pinsage/file.h"
#include "tests/support/scratch.h"

static void values_are_set_and_read_by_dotted_path(void **state)
{
    (void)state;
    ps_manifest *m = ps_manifest_new();
    ps_manifest_set_u64(m, "counts.pins", 12);
    ps_manifest_set_real(m, "index.recall_at_10", 0.95);
    ps_manifest_set_text(m, "options.index.factory", "IVF64,Flat");
    assert_int_equal(ps_manifest_u64(m, "counts.pins", 0), 12);
    assert_true(ps_manifest_real(m, "index.recall_at_10", 0) == 0.95);
    assert_true(ps_manifest_real(m, "counts.pins", 0) == 12);
    assert_string_equal(ps_manifest_text(m, "options.index.factory", ""), "IVF64,Flat");
    assert_true(ps_manifest_has(m, "options.index"));
    assert_false(ps_manifest_has(m, "options.embed"));
    ps_manifest_remove(m, "options.index");
    assert_false(ps_manifest_has(m, "options.index.factory"));
    ps_manifest_free(m);
}

static void missing_or_wrongly_typed_values_give_the_default(void **state)
{
    (void)state;
    ps_manifest *m = ps_manifest_new();
    ps_manifest_set_text(m, "a.b", "text");
    ps_manifest_set_json(m, "negative", "-1");
    assert_int_equal(ps_manifest_u64(m, "a.b", 7), 7);
    assert_int_equal(ps_manifest_u64(m, "a.b.c", 7), 7);
    assert_int_equal(ps_manifest_u64(m, "negative", 7), 7);
    assert_int_equal(ps_manifest_u64(m, "a", 7), 7);
    assert_int_equal(ps_manifest_u64(m, "", 7), 7);
    assert_true(ps_manifest_real(m, "a.b", 0.5) == 0.5);
    assert_string_equal(ps_manifest_text(m, "negative", "none"), "none");
    assert_null(ps_manifest_text(m, "a.c", NULL));
    ps_manifest_free(m);
}

static void a_number_in_a_path_leads_into_an_array(void **state)
{
    (void)state;
    ps_manifest *m = ps_manifest_new();
    ps_manifest_set_json(m, "train.curve", "[{\"loss\":2},{\"loss\":1.5}]");
    assert_int_equal(ps_manifest_length(m, "train.curve"), 2);
    assert_int_equal(ps_manifest_length(m, "train"), 0);
    assert_int_equal(ps_manifest_length(m, "nothing"), 0);
    assert_true(ps_manifest_real(m, "train.curve.1.loss", 0) == 1.5);
    assert_true(ps_manifest_real(m, "train.curve.2.loss", 7) == 7);
    assert_false(ps_manifest_has(m, "train.curve.x.loss"));
    assert_false(ps_manifest_has(m, "train.curve.1x"));
    assert_true(ps_manifest_has(m, "train.curve.0"));
    ps_manifest_free(m);
}

static void numbers_json_cannot_hold_survive_or_become_null(void **state)
{
    (void)state;
    ps_manifest *m = ps_manifest_new(), *again;
    ps_manifest_set_u64(m, "seed", UINT64_MAX);
    ps_manifest_set_u64(m, "edges", INT64_MAX);
    ps_manifest_set_real(m, "loss", NAN);
    ps_manifest_set_text(m, "name", "\xff");
    const char *path = scratch("m.json");
    assert_int_equal(ps_manifest_save(m, path, NULL), PS_OK);
    assert_int_equal(ps_manifest_load(&again, path, NULL), PS_OK);
    assert_true(ps_manifest_u64(again, "seed", 0) == UINT64_MAX);
    assert_true(ps_manifest_u64(again, "edges", 0) == INT64_MAX);
    assert_true(ps_manifest_real(again, "loss", 3) == 3);
    assert_true(ps_manifest_has(again, "loss"));
    ps_manifest_free(m);
    ps_manifest_free(again);
}

static void json_values_go_in_and_out(void **state)
{
    (void)state;
    ps_manifest *m = ps_manifest_new();
    assert_int_equal(ps_manifest_set_json(m, "trials", "[{\"loss\": 0.5}, 2]"), PS_OK);
    assert_int_equal(ps_manifest_set_json(m, "trials", "[1,"), PS_EFORMAT);
    assert_int_equal(ps_manifest_set_json(m, "word", "\"x\""), PS_OK);
    assert_string_equal(ps_manifest_text(m, "word", ""), "x");
    char *text = ps_manifest_json(m, "trials");
    assert_non_null(strstr(text, "0.5"));
    free(text);
    assert_null(ps_manifest_json(m, "nothing"));
    text = ps_manifest_json(m, "");
    assert_non_null(strstr(text, "\"format\": 1"));
    free(text);
    ps_manifest_free(m);
}

static void files_are_listed_in_sorted_order(void **state)
{
    (void)state;
    ps_manifest *m = ps_manifest_new();
    uint64_t size, hash;
    ps_manifest_set_file(m, "pins.mdb", 5, 0xabc);
    ps_manifest_set_file(m, "graph/a.b.npy", 6, UINT64_MAX);
    ps_manifest_set_file(m, "embeddings.npy", 7, 0);
    ps_manifest_set_file(m, "pins.mdb", 8, 1);
    assert_string_equal(ps_manifest_file_at(m, 0), "embeddings.npy");
    assert_string_equal(ps_manifest_file_at(m, 1), "graph/a.b.npy");
    assert_string_equal(ps_manifest_file_at(m, 2), "pins.mdb");
    assert_null(ps_manifest_file_at(m, 3));
    assert_true(ps_manifest_file(m, "graph/a.b.npy", &size, &hash));
    assert_true(size == 6 && hash == UINT64_MAX);
    assert_true(ps_manifest_file(m, "pins.mdb", &size, NULL));
    assert_int_equal(size, 8);
    ps_manifest_remove_file(m, "embeddings.npy");
    ps_manifest_remove_file(m, "not there");
    assert_string_equal(ps_manifest_file_at(m, 0), "graph/a.b.npy");
    assert_false(ps_manifest_file(m, "embeddings.npy", &size, &hash));
    ps_manifest_free(m);
}

/* ------------------------------ Fingerprints ------------------------------ */

static void a_changed_input_makes_what_was_made_from_it_stale(void **state)
{
    (void)state;
    ps_why why;
    uint64_t hash;
    ps_manifest *m = ps_manifest_new();
    ps_manifest_set_file(m, "embeddings.npy", 10, 1);
    ps_manifest_set_file(m, "index.faiss", 10, 2);
    assert_int_equal(ps_manifest_made_from(m, "index.faiss", "nothing"), PS_ENOENT);
    assert_int_equal(ps_manifest_made_from(m, "nothing", "index.faiss"), PS_ENOENT);
    assert_int_equal(ps_manifest_made_from(m, "index.faiss", "embeddings.npy"), PS_OK);
    assert_true(ps_manifest_fingerprint(m, "index.faiss", "embeddings.npy", &hash));
    assert_int_equal(hash, 1);
    assert_int_equal(ps_manifest_check(m, &why), PS_OK);
    assert_null(ps_manifest_stale(m));

    ps_manifest_set_file(m, "embeddings.npy", 10, 3);
    assert_int_equal(ps_manifest_check(m, &why), PS_EMISMATCH);
    assert_string_equal(why.where, "index.faiss");
    assert_string_equal(why.text,
                        "it was made from another embeddings.npy than the one beside it");
    ps_manifest_remove_file(m, "embeddings.npy");
    assert_int_equal(ps_manifest_check(m, &why), PS_EMISMATCH);
    assert_string_equal(why.text, "it was made from embeddings.npy, which is not there");
    assert_string_equal(ps_manifest_stale(m), "index.faiss");

    ps_manifest_set_file(m, "index.faiss", 10, 2); /* made anew: from nothing yet */
    assert_int_equal(ps_manifest_check(m, &why), PS_OK);
    assert_false(ps_manifest_fingerprint(m, "index.faiss", "embeddings.npy", &hash));
    ps_manifest_free(m);
}

/* ------------------------------ On disk ----------------------------------- */

static void what_changed_together_fits_together_again(void **state)
{
    (void)state;
    uint64_t hash;
    ps_why why = {0};
    ps_manifest *before = ps_manifest_new(), *m = ps_manifest_new();
    for (int i = 0; i < 2; i++) {
        ps_manifest *each = i ? m : before;
        ps_manifest_set_file(each, "a", 1, 10 + (uint64_t)i);
        ps_manifest_set_file(each, "b", 1, 20 + (uint64_t)i);
        ps_manifest_set_file(each, "c", 1, 30); /* as it was */
    }
    ps_manifest_set_file(before, "gone", 1, 40);
    assert_int_equal(ps_manifest_made_from(before, "b", "a"), PS_OK);
    assert_int_equal(ps_manifest_made_from(before, "c", "a"), PS_OK);
    assert_int_equal(ps_manifest_made_from(before, "c", "gone"), PS_OK);
    assert_int_equal(ps_manifest_made_from(before, "gone", "a"), PS_OK);
    ps_manifest_carry(m, before);
    assert_int_equal(ps_manifest_check(m, &why), PS_OK);
    assert_true(ps_manifest_fingerprint(m, "b", "a", &hash) && hash == 11);
    assert_true(ps_manifest_fingerprint(m, "c", "a", &hash) && hash == 11);
    assert_false(ps_manifest_fingerprint(m, "c", "gone", &hash));
    ps_manifest_set_file(m, "a", 1, 12);
    assert_string_equal(ps_manifest_stale(m), "b");
    ps_manifest_free(before);
    ps_manifest_free(m);
}

static void the_same_values_give_the_same_bytes_in_any_order(void **state)
{
    (void)state;
    char *text[2];
    for (int turn = 0; turn < 2; turn++) {
        ps_manifest *m = ps_manifest_new();
        for (int i = 0; i < 20; i++) {
            char path[32];
            snprintf(path, sizeof path, "a.v%d", turn ? 19 - i : i);
            ps_manifest_set_text(m, path, path);
        }
        ps_manifest_set_file(m, turn ? "x" : "y", 1, 1);
        ps_manifest_set_file(m, turn ? "y" : "x", 1, 1);
        assert_int_equal(ps_manifest_save(m, scratch("m.json"), NULL), PS_OK);
        text[turn] = slurp(scratch("m.json"), NULL);
        ps_manifest_free(m);
    }
    assert_string_equal(text[0], text[1]);
    free(text[0]);
    free(text[1]);
}

static void what_a_newer_program_added_survives(void **state)
{
    (void)state;
    ps_manifest *m;
    const char *path =
        scratch_text("m.json", "{\"format\": 1, \"future\": {\"x\": [1]}}");
    assert_int_equal(ps_manifest_load(&m, path, NULL), PS_OK);
    assert_int_equal(ps_manifest_save(m, path, NULL), PS_OK);
    ps_manifest_free(m);
    assert_int_equal(ps_manifest_load(&m, path, NULL), PS_OK);
    assert_true(ps_manifest_has(m, "future.x"));
    ps_manifest_free(m);
}

static void broken_manifests_are_refused_in_words(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int err;
        const char *part;
    } cases[] = {
        {"", PS_EFORMAT, "not JSON"},
        {"{", PS_EFORMAT, "not JSON"},
        {"[]", PS_EFORMAT, "not a manifest"},
        {"{}", PS_EFORMAT, "not a manifest"},
        {"{\"format\": \"1\"}", PS_EFORMAT, "not a manifest"},
        {"{\"format\": 0}", PS_EFORMAT, "not a manifest"},
        {"{\"format\": 2}", PS_EUNSUPPORTED, "newer than this program"},
        {"{\"format\": 1, \"format\": 1}", PS_EFORMAT, "not JSON"},
        {"{\"format\": 1, \"files\": []}", PS_EFORMAT, "not an object"},
        {"{\"format\": 1, \"files\": {\"a\": 1}}", PS_EFORMAT, "file a is listed"},
        {"{\"format\": 1, \"files\": {\"a\": {\"size\": 1}}}", PS_EFORMAT, "file a"},
        {"{\"format\": 1, \"files\": {\"a\": {\"size\": -1, \"xxh3\": "
         "\"0123456789abcdef\"}}}",
         PS_EFORMAT, "file a"},
        {"{\"format\": 1, \"files\": {\"a\": {\"size\": 1, \"xxh3\": "
         "\"0123456789ABCDEF\"}}}",
         PS_EFORMAT, "file a"},
        {"{\"format\": 1, \"files\": {\"a\": {\"size\": 1, \"xxh3\": \"0123\"}}}",
         PS_EFORMAT, "file a"},
        {"{\"format\": 1, \"files\": {\"../a\": {}}}", PS_EFORMAT, "name \"../a\""},
        {"{\"format\": 1, \"files\": {\"/a\": {}}}", PS_EFORMAT, "name \"/a\""},
        {"{\"format\": 1, \"files\": {\"a/../b\": {}}}", PS_EFORMAT, "name"},
        {"{\"format\": 1, \"files\": {\"\": {}}}", PS_EFORMAT, "name"},
        {"{\"format\": 1, \"files\": {\"a/\": {}}}", PS_EFORMAT, "name"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ps_manifest *m = NULL;
        ps_why why = {0};
        const char *path = scratch_text("m.json", cases[i].text);
        int err = ps_manifest_load(&m, path, &why);
        if (err != cases[i].err || !strstr(why.text, cases[i].part))
            print_message("%s: %s\n", cases[i].text, why.text);
        assert_int_equal(err, cases[i].err);
        assert_non_null(strstr(why.text, cases[i].part));
        assert_string_equal(why.where, path);
        assert_null(m);
    }
}

static void a_syntax_error_is_told_with_its_line(void **state)
{
    (void)state;
    ps_manifest *m;
    ps_why why = {0};
    const char *path = scratch_text("m.json", "{\n \"format\": 1,\n oops\n}\n");
    assert_int_equal(ps_manifest_load(&m, path, &why), PS_EFORMAT);
    assert_int_equal(why.line, 3);
    assert_int_equal(ps_manifest_load(&m, scratch("missing"), &why), PS_ENOENT);
}

static void a_manifest_that_cannot_be_saved_leaves_the_old_one(void **state)
{
    (void)state;
    ps_manifest *m = ps_manifest_new(), *again;
    ps_why why;
    const char *path = scratch("kept.json"), *blocker = scratch("kept.json.new");
    ps_manifest_set_u64(m, "x", 1);
    assert_int_equal(ps_manifest_save(m, path, &why), PS_OK);
    assert_int_equal(mkdir(blocker, 0700), 0); /* nothing can be written beside it */
    ps_manifest_set_u64(m, "x", 2);
    assert_int_equal(ps_manifest_save(m, path, &why), PS_EIO);
    assert_int_equal(ps_manifest_load(&again, path, &why), PS_OK);
    assert_int_equal(ps_manifest_u64(again, "x", 0), 1);
    ps_manifest_free(m);
    ps_manifest_free(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_set_and_read_by_dotted_path),
        cmocka_unit_test(missing_or_wrongly_typed_values_give_the_default),
        cmocka_unit_test(a_number_in_a_path_leads_into_an_array),
        cmocka_unit_test(numbers_json_cannot_hold_survive_or_become_null),
        cmocka_unit_test(json_values_go_in_and_out),
        cmocka_unit_test(files_are_listed_in_sorted_order),
        cmocka_unit_test(a_changed_input_makes_what_was_made_from_it_stale),
        cmocka_unit_test(what_changed_together_fits_together_again),
        cmocka_unit_test(the_same_values_give_the_same_bytes_in_any_order),
        cmocka_unit_test(what_a_newer_program_added_survives),
        cmocka_unit_test(broken_manifests_are_refused_in_words),
        cmocka_unit_test(a_syntax_error_is_told_with_its_line),
        cmocka_unit_test(a_manifest_that_cannot_be_saved_leaves_the_old_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
