/* test_draft_faults.c - a change appears whole or not at all: whatever fails, whoever
 * kills it.
 *
 * Every call that changes the disk goes through a counter first (the linker's --wrap):
 * the Nth one can be made to fail, or to be the moment of a kill -9, for every N.
 *
 * Link: -Wl,--wrap=write,--wrap=fsync,--wrap=rename
 * Link: -Wl,--wrap=link,--wrap=symlink,--wrap=mkdir
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/catalog.h"
#include "pinsage/file.h"
#include "pinsage/offer.h"
#include "tests/support/changes.h"
#include "tests/support/faults.h"
#include "tests/support/kills.h"
#include "tests/support/scratch.h"

/* ------------------------------ Faults ------------------------------------ */

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

/* ------------------------------ Tests ------------------------------------- */

/* Calls of a change, when nothing fails. */
static int count_calls(bool first)
{
    ps_why why = {0};
    use("counted");
    if (!first)
        must(change("old", true, 1, &why), &why);
    arm(NONE, 0);
    must(change("new", first, 1, &why), &why);
    return calls_made();
}

static void any_failing_call_leaves_the_old_generation_and_nothing_else(void **state)
{
    (void)state;
    int calls = count_calls(false), failed = 0;
    for (int n = 1; n <= calls; n++) {
        ps_why why = {0};
        use("failing");
        must(change("old", true, 1, &why), &why);
        arm(FAIL, n);
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
        arm(FAIL, n);
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

static int change_in_child(void *first)
{
    return change("new", *(bool *)first, 1, NULL);
}

static void killed_before_any_call(bool first)
{
    int calls = count_calls(first);
    for (int n = 1; n <= calls; n++) {
        ps_why why = {0};
        use("killed");
        if (!first)
            must(change("old", true, 1, &why), &why);
        arm(KILL, n);
        assert_false(survives(change_in_child, &first));
        arm(NONE, 0);
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

static int change_forever(void *cls)
{
    int err = PS_OK;
    (void)cls;
    while (!err)
        err = change("x", false, 1, NULL);
    return err;
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
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        assert_false(survives_for((long)(seed >> 33) % 20000, change_forever, NULL));
        whole(NULL);
    }
    must(change("last", false, 1, &why), &why);
    whole("last");
    assert_null(strstr(listing(), "."));
}

/* ------------------------------ Updates ----------------------------------- */

static int step(const char *text, bool import, ps_why *why)
{
    ps_draft_opts o = {.step = "test", .create = import, .fresh = import};
    ps_draft *d = NULL;
    int err = ps_draft_begin(&d, catalog, o, why);
    if (err)
        return err;
    err = put(d, import ? "features/v.npy" : "index.faiss", text, why);
    if (err)
        ps_draft_abort(d);
    else
        err = ps_draft_commit(d, 1, NULL, why);
    return err;
}

/* Two steps: vectors, that cannot be served, and their index. */
static int update(const char *text, ps_why *why)
{
    int err = step(text, true, why);
    return err ? err : step(text, false, why);
}

/* The text of what is in use, which must be whole and fit to be served. */
static const char *served(void)
{
    static char text[16];
    char dir[PS_PATH_MAX], path[PS_PATH_MAX];
    static const char *const files[] = {"features/v.npy", "index.faiss"};
    ps_manifest *m;
    ps_offer offer;
    ps_why why = {0};
    must(ps_catalog_current(catalog, dir, &why), &why);
    must(ps_path_in(path, dir, "manifest.json", &why), &why);
    must(ps_manifest_load(&m, path, &why), &why);
    ps_offer_of(&offer, m);
    assert_null(offer.waits_for);
    ps_manifest_free(m);
    for (size_t i = 0; i < 2; i++) {
        must(ps_path_in(path, dir, files[i], &why), &why);
        char *got = slurp(path, NULL);
        if (i)
            assert_string_equal(got, text); /* both of one update */
        snprintf(text, sizeof text, "%s", got);
        free(got);
    }
    return text;
}

static int calls_of_an_update(void)
{
    ps_why why = {0};
    use("counted-update");
    must(update("old", &why), &why);
    arm(NONE, 0);
    must(update("new", &why), &why);
    return calls_made();
}

static void any_failing_call_of_an_update_leaves_what_is_served(void **state)
{
    (void)state;
    int calls = calls_of_an_update(), failed = 0;
    for (int n = 1; n <= calls; n++) {
        ps_why why = {0};
        use("failing-update");
        must(update("old", &why), &why);
        arm(n % 2 ? FAIL : FAIL_ON, n); /* once, or from then on */
        int err = update("new", &why);
        arm(NONE, 0);
        failed += err != PS_OK;
        if (err && n % 2)
            assert_string_equal(served(), "old");
        served();
        must(update("after", &why), &why);
        assert_string_equal(served(), "after");
        assert_null(strstr(listing(), "next"));
    }
    assert_true(failed > 25);
}

static int update_in_child(void *cls)
{
    (void)cls;
    return update("new", NULL);
}

static void a_kill_at_any_call_of_an_update_leaves_what_is_served(void **state)
{
    (void)state;
    int calls = calls_of_an_update();
    for (int n = 1; n <= calls; n++) {
        ps_why why = {0};
        use("killed-update");
        must(update("old", &why), &why);
        arm(KILL, n);
        assert_false(survives(update_in_child, NULL));
        arm(NONE, 0);
        served();
        char next[PS_PATH_MAX];
        if (ps_catalog_next(catalog, next, NULL) == PS_OK) { /* go on where it stopped */
            must(step("new", false, &why), &why);
            assert_string_equal(served(), "new");
        }
        must(update("after", &why), &why);
        assert_string_equal(served(), "after");
        assert_null(strstr(listing(), "next"));
        assert_null(strstr(listing(), "."));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_failing_call_leaves_the_old_generation_and_nothing_else),
        cmocka_unit_test(any_failing_call_of_a_first_import_leaves_nothing),
        cmocka_unit_test(a_disk_that_dies_leaves_a_whole_generation),
        cmocka_unit_test(a_kill_at_any_call_leaves_a_whole_generation),
        cmocka_unit_test(a_kill_at_any_call_of_a_first_import_does_no_harm),
        cmocka_unit_test(kills_at_odd_times_never_break_the_catalog),
        cmocka_unit_test(any_failing_call_of_an_update_leaves_what_is_served),
        cmocka_unit_test(a_kill_at_any_call_of_an_update_leaves_what_is_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
