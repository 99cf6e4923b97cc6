/* test_draft.c - a change appears whole or not at all: whatever fails, whoever kills it.
 *
 * Every call that changes the disk goes through a counter first (the linker's --wrap):
 * the Nth one can be made to fail, or to be the moment of a kill -9, for every N.
 *
 * Link: -Wl,--wrap=write,--wrap=fsync,--wrap=rename
 * Link: -Wl,--wrap=link,--wrap=symlink,--wrap=mkdir
 */
#include "pinsage/catalog.h"

#include <dirent.h>
#include <errno.h>
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

#include "pinsage/file.h"
#include "pinsage/hash.h"
#include "tests/support/scratch.h"

/* ------------------------------ Faults ------------------------------------ */

enum fault { NONE, FAIL_ONCE, FAIL_ON, KILL };

static struct {
    enum fault what;
    int at, count; /* the count-th call from here on */
    int link_errno;
} faults;

static void arm(enum fault what, int at)
{
    faults.what = what;
    faults.at = at;
    faults.count = 0;
}

/* True if this call must fail, with errno set. */
static int due(void)
{
    faults.count++;
    if (faults.what == NONE || faults.count < faults.at)
        return 0;
    if (faults.what == KILL)
        raise(SIGKILL);
    if (faults.what == FAIL_ONCE && faults.count != faults.at)
        return 0;
    errno = ENOSPC;
    return 1;
}

ssize_t __real_write(int fd, const void *data, size_t size);
int __real_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __real_link(const char *from, const char *to);
int __real_symlink(const char *from, const char *to);
int __real_mkdir(const char *path, mode_t mode);
ssize_t __wrap_write(int fd, const void *data, size_t size);
int __wrap_fsync(int fd);
int __wrap_rename(const char *from, const char *to);
int __wrap_link(const char *from, const char *to);
int __wrap_symlink(const char *from, const char *to);
int __wrap_mkdir(const char *path, mode_t mode);

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
    return due() ? -1 : __real_write(fd, data, size);
}

int __wrap_fsync(int fd)
{
    return due() ? -1 : __real_fsync(fd);
}

int __wrap_rename(const char *from, const char *to)
{
    return due() ? -1 : __real_rename(from, to);
}

int __wrap_link(const char *from, const char *to)
{
    if (faults.link_errno) {
        errno = faults.link_errno;
        return -1;
    }
    return due() ? -1 : __real_link(from, to);
}

int __wrap_symlink(const char *from, const char *to)
{
    return due() ? -1 : __real_symlink(from, to);
}

int __wrap_mkdir(const char *path, mode_t mode)
{
    return due() ? -1 : __real_mkdir(path, mode);
}

/* ------------------------------ Helpers ----------------------------------- */

static char catalog[PS_PATH_MAX];

static void use(const char *name)
{
    arm(NONE, 0);
    snprintf(catalog, sizeof catalog, "%s", scratch(name));
    ps_dir_remove(catalog, NULL);
}

static int put(ps_draft *d, const char *name, const char *text, ps_why *why)
{
    char path[PS_PATH_MAX];
    ps_out *o;
    uint64_t hash;
    int err = ps_draft_path(d, name, path, why);
    if (!err)
        err = ps_out_open(&o, path, why);
    if (err)
        return err;
    ps_out_write(o, text, strlen(text));
    err = ps_out_close(o, &hash, why);
    if (!err)
        ps_draft_file(d, name, strlen(text), hash);
    return err;
}

/* One change: a, graph/b (only the first time) and c of this text. */
static int change(const char *text, bool first, unsigned keep, ps_why *why)
{
    ps_draft *d = NULL;
    int err = ps_draft_begin(&d, catalog, (ps_draft_opts){"test", first, false}, why);
    if (err)
        return err;
    err = put(d, "a", text, why);
    if (!err && first)
        err = put(d, "graph/b", "inherited", why);
    if (!err)
        err = put(d, "features/c", text, why);
    if (err)
        ps_draft_abort(d);
    else
        err = ps_draft_commit(d, keep, NULL, why);
    return err;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* "current gen-000001 lock": what stands in the catalog. */
static const char *listing(void)
{
    static char text[1024];
    struct dirent **entry;
    int n = scandir(catalog, &entry, NULL, by_name);
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < n; i++) {
        if (strcmp(entry[i]->d_name, ".") && strcmp(entry[i]->d_name, ".."))
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s",
                                     used ? " " : "", entry[i]->d_name);
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
    return n < 0 ? "nothing" : text;
}

/* The current generation is whole: each listed file has its checksum. Its name. */
static const char *whole(const char *text)
{
    static char dir[PS_PATH_MAX];
    char path[PS_PATH_MAX];
    ps_manifest *m;
    ps_why why = {0};
    const char *name;
    size_t i = 0;
    assert_int_equal(ps_catalog_current(catalog, dir, &why), PS_OK);
    assert_int_equal(ps_path_join(path, sizeof path, dir, "manifest.json"), PS_OK);
    assert_int_equal(ps_manifest_load(&m, path, &why), PS_OK);
    for (; (name = ps_manifest_file_at(m, i)); i++) {
        uint64_t size, hash, real_size, real_hash;
        assert_true(ps_manifest_file(m, name, &size, &hash));
        assert_int_equal(ps_path_join(path, sizeof path, dir, name), PS_OK);
        assert_int_equal(ps_file_hash(path, &real_hash, &real_size, &why), PS_OK);
        assert_true(size == real_size && hash == real_hash);
    }
    assert_int_equal(i, 3);
    assert_string_equal(ps_manifest_text(m, "step", ""), "test");
    ps_manifest_free(m);
    if (text) {
        assert_int_equal(ps_path_join(path, sizeof path, dir, "a"), PS_OK);
        char *got = slurp(path, NULL);
        assert_string_equal(got, text);
        free(got);
    }
    return strrchr(dir, '/') + 1;
}

static void must(int err, const ps_why *why)
{
    if (err)
        print_message("%s: %s\n", why->where, why->text);
    assert_int_equal(err, PS_OK);
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
        faults.link_errno = reasons[i];
        must(change("two", false, 1, &why), &why);
    }
    faults.link_errno = EIO;
    assert_int_equal(change("three", false, 1, &why), PS_EIO);
    faults.link_errno = 0;
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
    assert_int_equal(__real_symlink("gen-000001", path), 0);
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
    must(ps_draft_begin(&d, catalog, (ps_draft_opts){"import", true, true}, &why), &why);
    assert_null(ps_manifest_file_at(ps_draft_manifest(d), 0));
    must(ps_draft_commit(d, 1, name, &why), &why);
    assert_string_equal(name, "gen-000002");
    snprintf(path, sizeof path, "%.4000s/current/a", catalog);
    assert_false(ps_file_exists(path));
    snprintf(path, sizeof path, "%.4000s/current/features", catalog);
    assert_true(ps_file_exists(path));
}

static void an_aborted_draft_leaves_no_trace(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_draft *d;
    use("aborted/deep/in");
    must(ps_draft_begin(&d, catalog, (ps_draft_opts){"import", true, false}, &why), &why);
    must(put(d, "features/c", "x", &why), &why);
    ps_draft_abort(d);
    assert_false(ps_file_exists(scratch("aborted")));
    must(change("1", true, 1, &why), &why);
    must(ps_draft_begin(&d, catalog, (ps_draft_opts){"import", true, false}, &why), &why);
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
    assert_int_equal(__real_mkdir(catalog, 0700), 0);
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
        assert_int_equal(__real_symlink(targets[i], path), 0);
        int err = ps_catalog_current(catalog, out, &why);
        assert_int_equal(err, i ? PS_EFORMAT : PS_ENOENT);
    }
}

static void a_second_writer_is_refused_and_told_who_writes(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_draft *d;
    char me[32];
    use("busy");
    must(change("1", true, 1, &why), &why);
    must(ps_draft_begin(&d, catalog, (ps_draft_opts){"index", false, false}, &why), &why);
    pid_t child = fork();
    if (child == 0)
        _exit(change("2", false, 1, NULL) == PS_EBUSY ? 0 : 1);
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
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
    must(ps_draft_begin(&d, catalog, (ps_draft_opts){"x", false, false}, &why), &why);
    ps_draft_file(d, "never-written", 1, 1);
    assert_int_equal(ps_draft_commit(d, 1, NULL, &why), PS_ENOENT);
    must(ps_draft_begin(&d, catalog, (ps_draft_opts){"x", false, false}, &why), &why);
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
    must(ps_draft_begin(&d, catalog, (ps_draft_opts){"x", false, false}, &why), &why);
    must(put(d, "embeddings.npy", "e", &why), &why);
    must(put(d, "index.faiss", "i", &why), &why);
    ps_manifest_made_from(ps_draft_manifest(d), "embeddings.npy", "a");
    ps_manifest_made_from(ps_draft_manifest(d), "index.faiss", "embeddings.npy");
    must(ps_draft_commit(d, 1, NULL, &why), &why);
    must(ps_draft_begin(&d, catalog, (ps_draft_opts){"x", false, false}, &why), &why);
    must(put(d, "a", "1", &why), &why); /* the same content: nothing is stale */
    must(ps_draft_commit(d, 1, NULL, &why), &why);
    snprintf(path, sizeof path, "%.4000s/current/index.faiss", catalog);
    assert_true(ps_file_exists(path));
    must(ps_draft_begin(&d, catalog, (ps_draft_opts){"test", false, false}, &why), &why);
    must(put(d, "a", "2", &why), &why);
    must(ps_draft_commit(d, 1, NULL, &why), &why);
    assert_false(ps_file_exists(path));
    whole("2"); /* three files again */
    ps_manifest *m;
    snprintf(path, sizeof path, "%.4000s/current/manifest.json", catalog);
    must(ps_manifest_load(&m, path, &why), &why);
    char *dropped = ps_manifest_json(m, "dropped");
    assert_non_null(strstr(dropped, "embeddings.npy"));
    assert_non_null(strstr(dropped, "index.faiss"));
    free(dropped);
    ps_manifest_free(m);
}

/* ------------------------------ Brutal ------------------------------------ */

/* Calls of a change, when nothing fails. */
static int count_calls(bool first)
{
    ps_why why = {0};
    use("counted");
    if (!first)
        must(change("old", true, 1, &why), &why);
    arm(NONE, 0);
    must(change("new", first, 1, &why), &why);
    return faults.count;
}

static void any_failing_call_leaves_the_old_generation_and_nothing_else(void **state)
{
    (void)state;
    int calls = count_calls(false), failed = 0;
    for (int n = 1; n <= calls; n++) {
        ps_why why = {0};
        use("failing");
        must(change("old", true, 1, &why), &why);
        arm(FAIL_ONCE, n);
        int err = change("new", false, 1, &why);
        arm(NONE, 0);
        failed += err != PS_OK;
        if (err) {
            assert_int_equal(err, PS_EFULL);
            assert_true(why.text[0] != '\0');
            assert_string_equal(listing(), "current gen-000001 lock");
            assert_string_equal(whole("old"), "gen-000001");
        } else {
            assert_string_equal(whole("new"), "gen-000002");
        }
        must(change("after", false, 1, &why), &why);
        whole("after");
    }
    assert_true(failed > 15 && failed >= calls - 1);
}

static void any_failing_call_of_a_first_import_leaves_nothing(void **state)
{
    (void)state;
    int calls = count_calls(true);
    for (int n = 1; n <= calls; n++) {
        ps_why why = {0};
        use("failing-first");
        arm(FAIL_ONCE, n);
        int err = change("new", true, 1, &why);
        arm(NONE, 0);
        assert_int_equal(err, PS_EFULL);
        assert_string_equal(listing(), "nothing");
    }
}

/* From the Nth call on nothing works any more, the clean-up's calls neither. */
static void a_disk_that_dies_leaves_a_whole_generation(void **state)
{
    (void)state;
    int calls = count_calls(false);
    for (int n = 1; n <= calls; n++) {
        ps_why why = {0};
        use("dying");
        must(change("old", true, 1, &why), &why);
        arm(FAIL_ON, n);
        change("new", false, 1, &why);
        arm(NONE, 0);
        whole(NULL);
        must(change("after", false, 1, &why), &why);
        whole("after");
    }
}

static void killed_before_any_call(bool first)
{
    int calls = count_calls(first);
    for (int n = 1; n <= calls; n++) {
        ps_why why = {0};
        int status;
        use("killed");
        if (!first)
            must(change("old", true, 1, &why), &why);
        pid_t child = fork();
        if (child == 0) {
            arm(KILL, n);
            _exit(change("new", first, 1, NULL) != PS_OK);
        }
        waitpid(child, &status, 0);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        if (!first)
            whole(NULL); /* old or new, but whole */
        must(change("after", true, 1, &why), &why);
        whole("after");
        assert_null(strstr(listing(), "."));
    }
}

static void a_kill_at_any_call_leaves_a_whole_generation(void **state)
{
    (void)state;
    killed_before_any_call(false);
}

static void a_kill_at_any_call_of_a_first_import_does_no_harm(void **state)
{
    (void)state;
    killed_before_any_call(true);
}

/* The same at any instruction: writers one after the other, each killed some time. */
static void kills_at_odd_times_never_break_the_catalog(void **state)
{
    (void)state;
    ps_why why = {0};
    uint64_t seed = 11;
    use("odd");
    must(change("0", true, 1, &why), &why);
    for (int turn = 0; turn < 60; turn++) {
        pid_t child = fork();
        if (child == 0)
            for (;;)
                change("x", false, 1, NULL);
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        usleep((useconds_t)(seed >> 33) % 20000);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        whole(NULL);
    }
    must(change("last", false, 1, &why), &why);
    whole("last");
    assert_null(strstr(listing(), "."));
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
        cmocka_unit_test(an_aborted_draft_leaves_no_trace),
        cmocka_unit_test(a_missing_or_empty_catalog_is_refused_in_words),
        cmocka_unit_test(a_current_that_leads_nowhere_is_refused),
        cmocka_unit_test(a_second_writer_is_refused_and_told_who_writes),
        cmocka_unit_test(a_listed_file_that_is_not_as_listed_stops_the_commit),
        cmocka_unit_test(what_was_made_from_a_changed_part_is_dropped_with_its_own),
        cmocka_unit_test(any_failing_call_leaves_the_old_generation_and_nothing_else),
        cmocka_unit_test(any_failing_call_of_a_first_import_leaves_nothing),
        cmocka_unit_test(a_disk_that_dies_leaves_a_whole_generation),
        cmocka_unit_test(a_kill_at_any_call_leaves_a_whole_generation),
        cmocka_unit_test(a_kill_at_any_call_of_a_first_import_does_no_harm),
        cmocka_unit_test(kills_at_odd_times_never_break_the_catalog),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
