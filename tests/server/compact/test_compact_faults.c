/* test_compact_faults.c - a compaction that fails or is killed anywhere loses nothing:
 * what is open afterwards is the corpus, and the next compaction goes through.
 *
 * The calls that change the disk are defined here, before the C library's, also for LMDB;
 * they are counted, and the Nth one fails or is the moment of a kill -9, for every N. The
 * same for each word of progress.
 *
 * Threads: one, and the writer's while the corpus is looked at; children that are killed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/rng.h"
#include "server/compact/compact.h"
#include "tests/support/changes.h"
#include "tests/support/faults.h"
#include "tests/support/kills.h"
#include "tests/support/lives.h"
#include "tests/support/scratch.h"

/* ------------------------------ Faults ------------------------------------ */

ssize_t write(int fd, const void *data, size_t size)
{
    return due() ? -1 : syscall(SYS_write, fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    return due() ? -1 : syscall(SYS_pwrite64, fd, data, size, at);
}

ssize_t writev(int fd, const struct iovec *parts, int n)
{
    return due() ? -1 : syscall(SYS_writev, fd, parts, n);
}

/* A kill leaves the page cache: these only count. */
int fsync(int fd)
{
    (void)fd;
    return due() ? -1 : 0;
}

int fdatasync(int fd)
{
    (void)fd;
    return due() ? -1 : 0;
}

int ftruncate(int fd, off_t size)
{
    return due() ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int rename(const char *from, const char *to)
{
    return due() ? -1 : (int)syscall(SYS_renameat2, -100, from, -100, to, 0);
}

int link(const char *from, const char *to)
{
    return due() ? -1 : (int)syscall(SYS_linkat, -100, from, -100, to, 0);
}

int symlink(const char *from, const char *to)
{
    return due() ? -1 : (int)syscall(SYS_symlinkat, from, -100, to);
}

/* ------------------------------ A world ----------------------------------- */

static life known;
static ps_compact_report report;
static ps_why why;

static int compact(void *progress)
{
    const ps_compact_opts opts = {.threads = 1, .keep = 0, .seed = 1};
    why = (ps_why){0};
    return ps_compact_catalog(catalog, &opts, &report, progress, &why);
}

/* A copy of the template, which was imported and written to once. */
static void begin_anew(const char *name)
{
    arm(NONE, 0);
    use_copy(name, "template");
}

static int open_world(void **state)
{
    (void)state;
    arm(NONE, 0);
    life_make("template", &known);
    life_start();
    life_write_many(&known, 3, 150);
    life_stop();
    return 0;
}

static void all_is_there(void)
{
    arm(NONE, 0);
    life_start();
    life_check(&known);
    life_stop();
}

static void the_next_compaction_goes_through(void)
{
    all_is_there();
    must(compact(NULL), &why);
    life_check_generation(&known);
    planted_verify();
    all_is_there();
}

static int count_calls(void)
{
    begin_anew("count");
    must(compact(NULL), &why);
    return calls_made();
}

/* ------------------------------ Tests ------------------------------------- */

static void a_failure_at_any_call_to_the_disk_is_told_and_harmless(void **state)
{
    (void)state;
    int all = count_calls(), told = 0;
    assert_in_range(all, 60, 400);
    for (int at = 1; at <= all; at++) {
        begin_anew("fail");
        arm(FAIL, at);
        int err = compact(NULL);
        told += err != PS_OK;
        if (err)
            assert_true(why.text[0] != '\0');
        the_next_compaction_goes_through();
    }
    assert_in_range(told, all * 3 / 4, all); /* of the lock and of pruning it may fail */
}

static void a_kill_at_any_call_to_the_disk_is_harmless(void **state)
{
    (void)state;
    int all = count_calls();
    for (int at = 1; at <= all; at++) {
        begin_anew("kill");
        arm(KILL, at);
        survives(compact, NULL);
        the_next_compaction_goes_through();
    }
}

static void a_kill_at_any_word_of_progress_is_harmless(void **state)
{
    (void)state;
    moment last = {.nth = 0};
    ps_progress progress = kill_at(&last);
    begin_anew("words");
    must(compact(&progress), &why);
    int all = last.heard;
    assert_in_range(all, 20, 2000);
    for (int at = 1; at <= all; at += all > 100 ? all / 100 : 1) {
        begin_anew("word");
        last = (moment){.nth = at};
        survives(compact, &progress);
        the_next_compaction_goes_through();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_at_any_call_to_the_disk_is_told_and_harmless),
        cmocka_unit_test(a_kill_at_any_call_to_the_disk_is_harmless),
        cmocka_unit_test(a_kill_at_any_word_of_progress_is_harmless),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, open_world, NULL);
}
