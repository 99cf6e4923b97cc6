/* test_store_rewrite.c - a store written anew is shorter, holds what it held, and shows
 * nothing of what was deleted.
 *
 * Threads: one; children that read.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/file.h"
#include "tests/support/scratch.h"
#include "tests/support/stores.h"

#define PINS 300

static const char *pin_name(int i)
{
    static char id[64];
    snprintf(id, sizeof id, "%s-%d", i < PINS - 10 ? "forget me" : "remember me", i);
    return id;
}

static ps_store *filled(void)
{
    ps_store *s = store_opened(true, (ps_store_opts){0});
    for (int i = 0; i < PINS; i++) {
        store_put(s, pin_name(i), pin_name(i));
        store_save(s, pin_name(i), "board", true);
        if (i % 50 == 49)
            store_commit(s);
    }
    return s;
}

/* Bytes of data.mdb, and whether words stand in them anywhere. */
static size_t file_has(const char *words, bool *found)
{
    char path[PS_PATH_MAX];
    size_t size;
    assert_int_equal(ps_path_join(path, sizeof path, store_dir(false), "data.mdb"),
                     PS_OK);
    char *data = slurp(path, &size);
    *found = memmem(data, size, words, strlen(words));
    free(data);
    return size;
}

static void check_left(ps_store *s)
{
    assert_in_range(store_count(s).pins, 10, 11); /* and one that is put later */
    for (int i = PINS - 10; i < PINS; i++) {
        assert_string_equal(store_title(s, pin_name(i)), pin_name(i));
        assert_int_equal(store_edges_of(s, pin_name(i), 0), 1);
    }
}

static void what_was_compacted_cannot_be_found_in_the_file(void **state)
{
    (void)state;
    bool found;
    ps_why why = {0};
    ps_store *s = filled();
    assert_false(ps_store_has_garbage(s));
    store_trim_all(s, 2 * (PINS - 10), true, 100);
    assert_true(ps_store_has_garbage(s));
    ps_store_close(s);
    s = store_opened(false, (ps_store_opts){0});
    assert_true(ps_store_has_garbage(s));
    size_t before = file_has("forget me", &found);
    assert_true(found); /* or there would be nothing to do */
    store_must(ps_store_rewrite(s, &why), &why);
    size_t after = file_has("forget me", &found);
    assert_false(found);
    assert_true(after < before / 2);
    assert_false(ps_store_has_garbage(s));
    check_left(s);
    assert_int_equal(ps_store_lsn(s), 2 * PINS);
    assert_int_equal(store_count(s).compacted, 2 * (PINS - 10));
    store_put(s, "new", "1");
    store_commit(s);
    store_must(ps_store_rewrite(s, &why), &why);
    store_put(s, "new", "2");
    store_commit(s);
    ps_store_close(s);
    s = store_opened(false, (ps_store_opts){0});
    assert_string_equal(store_title(s, "new"), "2");
    assert_false(ps_store_has_garbage(s));
    store_trim_all(s, 2 * PINS + 2, true, 100);
    store_must(ps_store_rewrite(s, &why), &why); /* of nothing */
    file_has("me-", &found);
    assert_false(found);
    assert_int_equal(ps_store_lsn(s), 2 * PINS + 2);
    ps_store_close(s);
}

/* A process that has the store open for reading until it is told to end. */
static pid_t reading(int *tell)
{
    int up[2], down[2];
    char byte;
    assert_true(pipe(up) == 0 && pipe(down) == 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        ps_store *s;
        close(down[1]);
        int err =
            ps_store_open(&s, store_dir(false), (ps_store_opts){.read_only = true}, NULL);
        if (write(up[1], "", 1) == 1 && !err && read(down[0], &byte, 1) == 0) {
            check_left(s);
            ps_store_close(s);
        }
        _exit(err != PS_OK);
    }
    close(up[1]);
    close(down[0]);
    assert_int_equal(read(up[0], &byte, 1), 1);
    close(up[0]);
    *tell = down[1];
    return child;
}

static void while_another_process_reads_nothing_is_changed(void **state)
{
    (void)state;
    int tell, status;
    ps_why why = {0};
    ps_store *s = filled();
    store_trim_all(s, 2 * (PINS - 10), true, 100);
    pid_t child = reading(&tell);
    assert_int_equal(ps_store_rewrite(s, &why), PS_EBUSY);
    assert_string_equal(why.text, "another process is reading it");
    check_left(s);
    close(tell);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    store_must(ps_store_rewrite(s, &why), &why);
    check_left(s);
    child = reading(&tell); /* the new one can be read */
    store_put(s, "new", "1");
    store_commit(s);
    close(tell);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    ps_store_close(s);
}

static void what_a_crash_left_of_a_copy_is_removed(void **state)
{
    (void)state;
    char path[PS_PATH_MAX];
    ps_store_close(filled());
    snprintf(path, sizeof path, "%.4000s/data.mdb.new", store_dir(false));
    FILE *f = fopen(path, "wb");
    assert_true(f && fputs("half a copy", f) >= 0 && fclose(f) == 0);
    ps_store *s = store_opened(false, (ps_store_opts){0});
    assert_false(ps_file_exists(path));
    assert_int_equal(store_count(s).pins, PINS);
    ps_store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_compacted_cannot_be_found_in_the_file),
        cmocka_unit_test(while_another_process_reads_nothing_is_changed),
        cmocka_unit_test(what_a_crash_left_of_a_copy_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
