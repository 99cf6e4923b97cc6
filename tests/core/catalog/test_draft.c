/* test_draft.c - drafts: what they inherit, publish, keep, refuse and drop.
 *
 * Not here: failing disks and kill -9 (test_draft_faults.c).
 *
 * Link: -Wl,--wrap=link
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/catalog.h"
#include "pinsage/file.h"
#include "tests/support/changes.h"
#include "tests/support/kills.h"
#include "tests/support/scratch.h"

/* What link() shall fail with; 0: it works. */
static int link_errno;

int __real_link(const char *from, const char *to);
int __wrap_link(const char *from, const char *to);

int __wrap_link(const char *from, const char *to)
{
    if (!link_errno)
        return __real_link(from, to);
    errno = link_errno;
    return -1;
}

/* ------------------------------ The plain path ---------------------------- */

static void a_first_draft_makes_the_catalog(void **state)
{
    (void)state;
    ps_why why = {0};
    use("a/b/first");
    must(change("one", true, 1, &why), &why);
    assert_string_equal(listing(), "current gen-000001 lock");
    assert_string_equal(whole("one"), "gen-000001");
}

static void a_second_draft_inherits_by_link_and_never_writes_through(void **state)
{
    (void)state;
    ps_why why = {0};
    struct stat a1, a2, b1, b2;
    char path[PS_PATH_MAX];
    use("second");
    must(change("one", true, 1, &why), &why);
    must(change("two", false, 1, &why), &why);
    assert_string_equal(listing(), "current gen-000001 gen-000002 lock");
    assert_string_equal(whole("two"), "gen-000002");
    snprintf(path, sizeof path, "%.4000s/gen-000001/a", catalog);
    char *old = slurp(path, NULL);
    assert_string_equal(old, "one");
    free(old);
    assert_int_equal(stat(path, &a1), 0);
    snprintf(path, sizeof path, "%.4000s/gen-000002/a", catalog);
    assert_int_equal(stat(path, &a2), 0);
    snprintf(path, sizeof path, "%.4000s/gen-000001/graph/b", catalog);
    assert_int_equal(stat(path, &b1), 0);
    snprintf(path, sizeof path, "%.4000s/gen-000002/graph/b", catalog);
    assert_int_equal(stat(path, &b2), 0);
    assert_true(a1.st_ino != a2.st_ino);
    assert_true(b1.st_ino == b2.st_ino);
}

static void the_manifest_tells_where_a_generation_comes_from(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_manifest *m;
    char path[PS_PATH_MAX];
    use("lineage");
    must(change("one", true, 1, &why), &why);
    must(change("two", false, 1, &why), &why);
    snprintf(path, sizeof path, "%.4000s/current/manifest.json", catalog);
    must(ps_manifest_load(&m, path, &why), &why);
    assert_int_equal(ps_manifest_u64(m, "generation", 0), 2);
    assert_string_equal(ps_manifest_text(m, "parent", ""), "gen-000001");
    assert_string_equal(ps_manifest_text(m, "lineage.gen-000001", ""), "test");
    assert_string_equal(ps_manifest_text(m, "lineage.gen-000002", ""), "test");
    assert_int_equal(strlen(ps_manifest_text(m, "created", "")), 20);
    ps_manifest_free(m);
}

static void without_hard_links_files_are_copied(void **state)
{
    (void)state;
    ps_why why = {0};
    struct stat b1, b2;
    char path[PS_PATH_MAX];
    use("copies");
    must(change("one", true, 1, &why), &why);
    static const int reasons[] = {EPERM, EOPNOTSUPP, EMLINK, EXDEV, ENOSYS};
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        link_errno = reasons[i];
        must(change("two", false, 1, &why), &why);
    }
    link_errno = EIO;
    assert_int_equal(change("three", false, 1, &why), PS_EIO);
    link_errno = 0;
    whole("two");
    assert_string_equal(listing(), "current gen-000005 gen-000006 lock");
    snprintf(path, sizeof path, "%.4000s/gen-000005/graph/b", catalog);
    assert_int_equal(stat(path, &b1), 0);
    snprintf(path, sizeof path, "%.4000s/gen-000006/graph/b", catalog);
    assert_int_equal(stat(path, &b2), 0);
    assert_true(b1.st_ino != b2.st_ino);
}

static void older_generations_are_kept_as_asked(void **state)
{
    (void)state;
    ps_why why = {0};
    use("keep");
    must(change("1", true, 3, &why), &why);
    for (int i = 0; i < 4; i++)
        must(change("n", false, 3, &why), &why);
    assert_string_equal(listing(),
                        "current gen-000002 gen-000003 gen-000004 gen-000005 lock");
    must(change("n", false, 0, &why), &why); /* at least one */
    assert_string_equal(listing(), "current gen-000005 gen-000006 lock");
}

/* An operator pointed `current` back: the numbers above are not used again, and what
 * the new generation was made from is the one that is kept. */
static void after_a_roll_back_numbers_go_on(void **state)
{
    (void)state;
    ps_why why = {0};
    char path[PS_PATH_MAX];
    use("rollback");
    must(change("1", true, 9, &why), &why);
    must(change("2", false, 9, &why), &why);
    must(change("3", false, 9, &why), &why);
    snprintf(path, sizeof path, "%.4000s/current", catalog);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("gen-000001", path), 0);
    assert_string_equal(whole("1"), "gen-000001");
    must(change("4", false, 1, &why), &why);
    assert_string_equal(listing(), "current gen-000001 gen-000004 lock");
    assert_string_equal(whole("4"), "gen-000004");
}

static void a_fresh_draft_inherits_nothing(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_draft *d;
    char path[PS_PATH_MAX], name[PS_PATH_MAX];
    use("fresh");
    must(change("1", true, 1, &why), &why);
    must(ps_draft_begin(&d, catalog,
                        (ps_draft_opts){.step = "import", .create = true, .fresh = true},
                        &why),
         &why);
    assert_null(ps_manifest_file_at(ps_draft_manifest(d), 0));
    must(ps_draft_commit(d, 1, name, &why), &why);
    assert_string_equal(name, "gen-000002");
    snprintf(path, sizeof path, "%.4000s/current/a", catalog);
    assert_false(ps_file_exists(path));
    snprintf(path, sizeof path, "%.4000s/current/features", catalog);
    assert_true(ps_file_exists(path));
}

static void a_fresh_draft_keeps_what_of_live_writes_is_in_the_catalog(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_draft *d;
    char path[PS_PATH_MAX];
    use("compacted");
    must(ps_draft_begin(&d, catalog, (ps_draft_opts){.step = "compact", .create = true},
                        &why),
         &why);
    must(put(d, PS_FILE_VOTES, "{}\n", &why), &why);
    ps_manifest_set_u64(ps_draft_manifest(d), PS_COMPACTED, 17);
    ps_manifest_set_u64(ps_draft_manifest(d), "counts.votes", 1);
    ps_manifest_set_u64(ps_draft_manifest(d), "counts.pins", 1);
    must(ps_draft_commit(d, 1, NULL, &why), &why);
    must(ps_draft_begin(&d, catalog,
                        (ps_draft_opts){.step = "import", .create = true, .fresh = true},
                        &why),
         &why);
    assert_int_equal(ps_manifest_u64(ps_draft_manifest(d), PS_COMPACTED, 0), 17);
    assert_int_equal(ps_manifest_u64(ps_draft_manifest(d), "counts.votes", 0), 1);
    assert_false(ps_manifest_has(ps_draft_manifest(d), "counts.pins"));
    must(ps_draft_commit(d, 1, NULL, &why), &why);
    snprintf(path, sizeof path, "%.4000s/current/" PS_FILE_VOTES, catalog);
    char *votes = slurp(path, NULL);
    assert_string_equal(votes, "{}\n");
    free(votes);
}

static void older_generations_can_be_removed_at_once(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_draft *d;
    use("pruned");
    must(change("one", true, 9, &why), &why);
    for (int i = 0; i < 3; i++)
        must(change("more", false, 9, &why), &why);
    must(ps_catalog_prune(catalog, 2, &why), &why);
    assert_string_equal(listing(), "current gen-000002 gen-000003 gen-000004 lock");
    must(ps_draft_begin(&d, catalog, (ps_draft_opts){.step = "train"}, &why), &why);
    assert_int_equal(ps_catalog_prune(catalog, 0, &why), PS_EBUSY);
    ps_draft_abort(d);
    must(ps_catalog_prune(catalog, 0, &why), &why);
    assert_string_equal(listing(), "current gen-000004 lock");
    assert_string_equal(whole("more"), "gen-000004");
}

static void an_aborted_draft_leaves_no_trace(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_draft *d;
    use("aborted/deep/in");
    must(ps_draft_begin(&d, catalog, (ps_draft_opts){.step = "import", .create = true},
                        &why),
         &why);
    must(put(d, "features/c", "x", &why), &why);
    ps_draft_abort(d);
    assert_false(ps_file_exists(scratch("aborted")));
    must(change("1", true, 1, &why), &why);
    must(ps_draft_begin(&d, catalog, (ps_draft_opts){.step = "import", .create = true},
                        &why),
         &why);
    ps_draft_abort(d);
    assert_string_equal(listing(), "current gen-000001 lock");
    whole("1");
}

/* ------------------------------ Refusals ---------------------------------- */

static void a_missing_or_empty_catalog_is_refused_in_words(void **state)
{
    (void)state;
    ps_why why = {0};
    char path[PS_PATH_MAX];
    use("none");
    assert_int_equal(change("1", false, 1, &why), PS_ENOENT);
    assert_string_equal(why.text, "there is no such catalog");
    assert_string_equal(listing(), "nothing");
    assert_int_equal(ps_catalog_current(catalog, path, &why), PS_ENOENT);
    assert_int_equal(mkdir(catalog, 0700), 0);
    assert_int_equal(change("1", false, 1, &why), PS_ENOENT);
    assert_non_null(strstr(why.text, "nothing was imported"));
    assert_int_equal(ps_catalog_current(catalog, path, &why), PS_ENOENT);
    assert_non_null(strstr(why.text, "nothing was imported"));
    must(change("1", true, 1, &why), &why);
}

static void a_current_that_leads_nowhere_is_refused(void **state)
{
    (void)state;
    ps_why why = {0};
    char path[PS_PATH_MAX], out[PS_PATH_MAX];
    use("nowhere");
    must(change("1", true, 1, &why), &why);
    snprintf(path, sizeof path, "%.4000s/current", catalog);
    static const char *const targets[] = {"gen-000009",  "gen-9",      "../x",
                                          "gen-000001/", "gen--00001", "/etc"};
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        unlink(path);
        assert_int_equal(symlink(targets[i], path), 0);
        int err = ps_catalog_current(catalog, out, &why);
        assert_int_equal(err, i ? PS_EFORMAT : PS_ENOENT);
    }
}

static int another_is_refused(void *cls)
{
    (void)cls;
    return change("2", false, 1, NULL) != PS_EBUSY;
}

static void a_second_writer_is_refused_and_told_who_writes(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_draft *d;
    char me[32];
    use("busy");
    must(change("1", true, 1, &why), &why);
    must(ps_draft_begin(&d, catalog, (ps_draft_opts){.step = "index"}, &why), &why);
    assert_true(survives(another_is_refused, NULL));
    assert_int_equal(change("2", false, 1, &why), PS_EBUSY);
    snprintf(me, sizeof me, "process %ld, index", (long)getpid());
    assert_non_null(strstr(why.text, me));
    must(ps_draft_commit(d, 1, NULL, &why), &why);
    must(change("3", false, 1, &why), &why);
    whole("3");
}

static void a_listed_file_that_is_not_as_listed_stops_the_commit(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_draft *d;
    use("lies");
    must(change("1", true, 1, &why), &why);
    must(ps_draft_begin(&d, catalog, (ps_draft_opts){.step = "x"}, &why), &why);
    ps_draft_file(d, "never-written", 1, 1);
    assert_int_equal(ps_draft_commit(d, 1, NULL, &why), PS_ENOENT);
    must(ps_draft_begin(&d, catalog, (ps_draft_opts){.step = "x"}, &why), &why);
    must(put(d, "a", "12", &why), &why);
    ps_draft_file(d, "a", 3, 1);
    assert_int_equal(ps_draft_commit(d, 1, NULL, &why), PS_EMISMATCH);
    assert_string_equal(listing(), "current gen-000001 lock");
    whole("1");
}

/* ------------------------------ Stale parts ------------------------------- */

static void what_was_made_from_a_changed_part_is_dropped_with_its_own(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_draft *d;
    char path[PS_PATH_MAX];
    use("stale");
    must(change("1", true, 1, &why), &why);
    must(ps_draft_begin(&d, catalog, (ps_draft_opts){.step = "x"}, &why), &why);
    must(put(d, "embeddings.npy", "e", &why), &why);
    must(put(d, "index.faiss", "i", &why), &why);
    ps_manifest_made_from(ps_draft_manifest(d), "embeddings.npy", "a");
    ps_manifest_made_from(ps_draft_manifest(d), "index.faiss", "embeddings.npy");
    must(ps_draft_commit(d, 1, NULL, &why), &why);
    must(ps_draft_begin(&d, catalog, (ps_draft_opts){.step = "x"}, &why), &why);
    must(put(d, "a", "1", &why), &why); /* the same content: nothing is stale */
    must(ps_draft_commit(d, 1, NULL, &why), &why);
    snprintf(path, sizeof path, "%.4000s/current/index.faiss", catalog);
    assert_true(ps_file_exists(path));
    must(ps_draft_begin(&d, catalog, (ps_draft_opts){.step = "test"}, &why), &why);
    must(put(d, "a", "2", &why), &why);
    must(ps_draft_commit(d, 1, NULL, &why), &why);
    assert_true(ps_file_exists(path)); /* what could be served still is */
    ps_manifest *m;
    snprintf(path, sizeof path, "%.4000s/next/index.faiss", catalog);
    assert_false(ps_file_exists(path));
    snprintf(path, sizeof path, "%.4000s/next/manifest.json", catalog);
    must(ps_manifest_load(&m, path, &why), &why);
    char *dropped = ps_manifest_json(m, "dropped");
    assert_non_null(strstr(dropped, "embeddings.npy"));
    assert_non_null(strstr(dropped, "index.faiss"));
    free(dropped);
    ps_manifest_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_draft_makes_the_catalog),
        cmocka_unit_test(a_second_draft_inherits_by_link_and_never_writes_through),
        cmocka_unit_test(the_manifest_tells_where_a_generation_comes_from),
        cmocka_unit_test(without_hard_links_files_are_copied),
        cmocka_unit_test(older_generations_are_kept_as_asked),
        cmocka_unit_test(after_a_roll_back_numbers_go_on),
        cmocka_unit_test(a_fresh_draft_inherits_nothing),
        cmocka_unit_test(a_fresh_draft_keeps_what_of_live_writes_is_in_the_catalog),
        cmocka_unit_test(older_generations_can_be_removed_at_once),
        cmocka_unit_test(an_aborted_draft_leaves_no_trace),
        cmocka_unit_test(a_missing_or_empty_catalog_is_refused_in_words),
        cmocka_unit_test(a_current_that_leads_nowhere_is_refused),
        cmocka_unit_test(a_second_writer_is_refused_and_told_who_writes),
        cmocka_unit_test(a_listed_file_that_is_not_as_listed_stops_the_commit),
        cmocka_unit_test(what_was_made_from_a_changed_part_is_dropped_with_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
