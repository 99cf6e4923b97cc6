/* test_update.c - an update of several steps: what is served stays until the last, older
 * generations are kept for going back, and links can be set by hand.
 *
 * Generations here are files of a few bytes under the names that count (offer.h). Not
 * here: failing disks, kill -9 (test_draft_faults.c), real steps (tests/e2e/update.py).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/catalog.h"
#include "pinsage/offer.h"
#include "tests/support/changes.h"
#include "tests/support/scratch.h"

static ps_why why;

/* One step: files of this text, "" for none given; then the draft's commit. */
static void step(ps_draft_opts o, unsigned keep, const char *const *files)
{
    static int turn;
    char text[16];
    ps_draft *d;
    snprintf(text, sizeof text, "%d", ++turn);
    must(ps_draft_begin(&d, catalog, o, &why), &why);
    for (; *files; files++)
        must(put(d, *files, text, &why), &why);
    if (ps_manifest_file(ps_draft_manifest(d), "index.faiss", NULL, NULL))
        ps_manifest_made_from(ps_draft_manifest(d), "index.faiss", "features/v.npy");
    must(ps_draft_commit(d, keep, NULL, &why), &why);
}

#define FILES(...) ((const char *const[]){__VA_ARGS__, NULL})

static void import_again(unsigned keep)
{
    step((ps_draft_opts){.step = "import", .create = true, .fresh = true}, keep,
         FILES("features/v.npy"));
}

static void index_again(unsigned keep)
{
    step((ps_draft_opts){.step = "index"}, keep, FILES("index.faiss"));
}

static const char *leads(const char *link)
{
    static char ring[4][64];
    static unsigned turn;
    char path[PS_PATH_MAX], *out = ring[turn++ % 4];
    snprintf(path, sizeof path, "%.4000s/%s", catalog, link);
    ssize_t n = readlink(path, out, 63);
    out[n > 0 ? n : 0] = '\0';
    return out;
}

/* A catalog whose gen-000002 can be served. */
static void begin(const char *name)
{
    use(name);
    import_again(1);
    index_again(1);
    assert_string_equal(listing(), "current gen-000001 gen-000002 lock");
    assert_string_equal(leads("current"), "gen-000002");
}

static void an_update_is_one_switch(void **state)
{
    (void)state;
    begin("one");
    import_again(1);
    assert_string_equal(leads("current"), "gen-000002");
    assert_string_equal(leads("next"), "gen-000003");
    step((ps_draft_opts){.step = "annotate"}, 1, FILES("features/annotation.npy"));
    assert_string_equal(leads("current"), "gen-000002");
    assert_string_equal(leads("next"), "gen-000004");
    index_again(1);
    assert_string_equal(leads("current"), "gen-000005");
    assert_string_equal(listing(), "current gen-000002 gen-000005 lock");
}

static void updates_that_fail_take_nothing_away(void **state)
{
    (void)state;
    begin("failing");
    index_again(1); /* gen-000003, and gen-000002 to go back to */
    for (int i = 0; i < 5; i++)
        import_again(1);
    assert_string_equal(listing(), "current gen-000002 gen-000003 gen-000008 lock next");
    assert_string_equal(leads("current"), "gen-000003");
    index_again(1);
    assert_string_equal(leads("current"), "gen-000009");
    assert_string_equal(listing(), "current gen-000003 gen-000009 lock");
}

static void fewer_methods_wait_until_somebody_says_so(void **state)
{
    (void)state;
    char name[32] = "";
    begin("fewer");
    step((ps_draft_opts){.step = "import", .fresh = true}, 1,
         FILES("features/w.npy", "index.faiss"));
    assert_string_equal(leads("current"), "gen-000002");
    assert_string_equal(leads("next"), "gen-000003");
    assert_int_equal(ps_catalog_switch(catalog, "next", false, name, &why), PS_EMISMATCH);
    assert_non_null(strstr(why.text, "what is in use now: v;"));
    must(ps_catalog_switch(catalog, "next", true, name, &why), &why);
    assert_string_equal(name, "gen-000003");
    assert_string_equal(leads("current"), "gen-000003");
    assert_string_equal(leads("next"), "");
    assert_int_equal(ps_catalog_switch(catalog, "back", false, name, &why), PS_EMISMATCH);
    must(ps_catalog_switch(catalog, "back", true, name, &why), &why);
    assert_string_equal(leads("current"), "gen-000002");
}

/* Of nothing but boards there is nothing to index: such a catalog is whole as it is. */
static void a_catalog_of_ids_does_not_take_the_place_of_a_learned_one(void **state)
{
    (void)state;
    static const char *const ids[] = {"pins.mdb", NULL};
    use("ids");
    step((ps_draft_opts){.step = "import", .create = true}, 1, ids);
    step((ps_draft_opts){.step = "train"}, 1, FILES("model.safetensors"));
    assert_string_equal(leads("next"), "gen-000002");
    step((ps_draft_opts){.step = "embed"}, 1, FILES("embeddings.npy"));
    assert_string_equal(leads("current"), "gen-000001");
    step((ps_draft_opts){.step = "index"}, 1, FILES("index.faiss", "features/v.npy"));
    assert_string_equal(leads("current"), "gen-000004");
    step((ps_draft_opts){.step = "import", .fresh = true}, 1, ids);
    assert_string_equal(leads("current"), "gen-000004");
    assert_string_equal(leads("next"), "gen-000005");
}

static void what_is_held_waits_although_it_is_whole(void **state)
{
    (void)state;
    begin("held");
    step((ps_draft_opts){.step = "import", .fresh = true, .hold = true}, 1,
         FILES("features/v.npy", "index.faiss"));
    assert_string_equal(leads("current"), "gen-000002");
    assert_string_equal(leads("next"), "gen-000003");
    index_again(1);
    assert_string_equal(leads("current"), "gen-000004");
    use("held-first"); /* but there must be a generation */
    step((ps_draft_opts){.step = "import", .create = true, .hold = true}, 1,
         FILES("features/v.npy"));
    assert_string_equal(leads("current"), "gen-000001");
}

/* As after a kill between the two renames of a last step, and of an older program. */
static void a_next_that_says_nothing_is_none(void **state)
{
    (void)state;
    char path[PS_PATH_MAX];
    static const char *const targets[] = {"gen-000002", "gen-000009", "elsewhere"};
    begin("stale");
    snprintf(path, sizeof path, "%.4000s/next", catalog);
    for (size_t i = 0; i < 3; i++) {
        unlink(path);
        assert_int_equal(symlink(targets[i], path), 0);
        assert_int_equal(ps_catalog_next(catalog, path, NULL), PS_ENOENT);
        index_again(1);
        snprintf(path, sizeof path, "%.4000s/next", catalog);
    }
    assert_string_equal(leads("current"), "gen-000005");
}

static void a_compaction_in_between_belongs_to_what_is_served(void **state)
{
    (void)state;
    ps_draft *d;
    begin("compacted");
    import_again(1);
    assert_int_equal(ps_catalog_compacted(catalog, 7), 0);
    must(ps_draft_begin(&d, catalog, (ps_draft_opts){.step = "compact", .serving = true},
                        &why),
         &why);
    ps_manifest_set_u64(ps_draft_manifest(d), PS_COMPACTED, 7);
    must(ps_draft_commit(d, 1, NULL, &why), &why);
    assert_string_equal(leads("current"), "gen-000004");
    assert_string_equal(leads("next"), "gen-000003");
    /* the update contains nothing of it: the store may not forget */
    assert_int_equal(ps_catalog_compacted(catalog, 7), 0);
    index_again(1);
    assert_string_equal(leads("current"), "gen-000005");
    assert_int_equal(ps_catalog_compacted(catalog, 7), 7);
    char name[32];
    assert_string_equal(listing(), "current gen-000004 gen-000005 lock");
    must(ps_catalog_switch(catalog, "back", false, name, &why), &why);
    assert_int_equal(ps_catalog_switch(catalog, "gen-000005", false, name, &why),
                     PS_EMISMATCH);
    assert_non_null(strstr(why.text, "it lacks writes"));
}

static void an_erasure_leaves_no_update_behind(void **state)
{
    (void)state;
    begin("erased");
    import_again(1);
    must(ps_catalog_prune(catalog, 0, &why), &why);
    assert_string_equal(listing(), "current gen-000002 lock");
}

static void a_switch_by_hand_is_refused_in_words(void **state)
{
    (void)state;
    char name[32];
    begin("by-hand");
    static const struct {
        const char *to, *words;
        int err;
    } bad[] = {
        {"next", "no update is under way", PS_ENOENT},
        {"back", "no generation before gen-000002 that can be served", PS_ENOENT},
        {"gen-000001", "it waits for `pinsage index`", PS_EMISMATCH},
        {"gen-000009", "", PS_ENOENT},
        {"../x", "neither next, back, current nor a generation", PS_EINVAL},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int err = ps_catalog_switch(catalog, bad[i].to, false, name, &why);
        if (err != bad[i].err || !strstr(why.text, bad[i].words))
            fail_msg("%s: %s: %s", bad[i].to, ps_errname(err), why.text);
        assert_string_equal(leads("current"), "gen-000002");
    }
    assert_int_equal(ps_catalog_switch(catalog, "gen-000009", true, name, &why),
                     PS_ENOENT);
    import_again(1);
    must(ps_catalog_switch(catalog, "current", false, name, &why), &why);
    assert_string_equal(leads("next"), "");
    index_again(1); /* goes on from what is in use */
    assert_string_equal(leads("current"), "gen-000004");
}

static void when_current_cannot_be_served_the_newest_that_can_is_found(void **state)
{
    (void)state;
    char path[PS_PATH_MAX], name[32];
    begin("fallback");
    must(ps_catalog_servable(catalog, path, &why), &why);
    assert_string_equal(strrchr(path, '/'), "/gen-000002");
    import_again(1);
    must(ps_catalog_switch(catalog, "next", true, name, &why), &why);
    must(ps_catalog_servable(catalog, path, &why), &why);
    assert_string_equal(strrchr(path, '/'), "/gen-000002");
    import_again(1); /* nothing served is replaced: it takes over, and gen-2 stays */
    import_again(1);
    assert_string_equal(leads("current"), "gen-000005");
    must(ps_catalog_servable(catalog, path, &why), &why);
    assert_string_equal(strrchr(path, '/'), "/gen-000002");
    use("never");
    import_again(1);
    assert_int_equal(ps_catalog_servable(catalog, path, &why), PS_ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_update_is_one_switch),
        cmocka_unit_test(updates_that_fail_take_nothing_away),
        cmocka_unit_test(fewer_methods_wait_until_somebody_says_so),
        cmocka_unit_test(a_catalog_of_ids_does_not_take_the_place_of_a_learned_one),
        cmocka_unit_test(what_is_held_waits_although_it_is_whole),
        cmocka_unit_test(a_next_that_says_nothing_is_none),
        cmocka_unit_test(a_compaction_in_between_belongs_to_what_is_served),
        cmocka_unit_test(an_erasure_leaves_no_update_behind),
        cmocka_unit_test(a_switch_by_hand_is_refused_in_words),
        cmocka_unit_test(when_current_cannot_be_served_the_newest_that_can_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
