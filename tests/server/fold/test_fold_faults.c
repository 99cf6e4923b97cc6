/* test_fold_faults.c - a fold that fails or is killed anywhere loses nothing: what is
 * open afterwards is the corpus, and the next fold goes through.
 *
 * The calls that change the disk are defined here, before the C library's, also for LMDB;
 * they are counted, and the Nth one fails or is the moment of a kill -9, for every N. The
 * same for each word of progress.
 *
 * Threads: one, and the writer's while the corpus is looked at; children that are killed.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/rng.h"
#include "server/fold/fold.h"
#include "tests/support/changes.h"
#include "tests/support/lives.h"
#include "tests/support/scratch.h"

/* ------------------------------ Faults ------------------------------------ */

enum fault { NONE, FAIL, KILL };

static enum fault fault;
static int fault_at, calls;

static void arm(enum fault what, int at)
{
    fault = what;
    fault_at = at;
    calls = 0;
}

static bool due(void)
{
    if (++calls != fault_at || fault == NONE)
        return false;
    if (fault == KILL)
        raise(SIGKILL);
    errno = ENOSPC;
    return true;
}

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
static ps_fold_report report;
static ps_why why;

static int fold(const ps_progress *progress)
{
    const ps_fold_opts opts = {.threads = 1, .keep = 0, .seed = 1};
    why = (ps_why){0};
    return ps_fold_catalog(catalog, &opts, &report, progress, &why);
}

/* A copy of the template, which was imported and written to once. */
static void begin_anew(const char *name)
{
    char command[PS_SCRATCH_COMMAND];
    arm(NONE, 0);
    use(name);
    snprintf(command, sizeof command, "cp -a '%s' '%s'", scratch("template"), catalog);
    assert_int_equal(system(command), 0);
}

static int open_world(void **state)
{
    (void)state;
    uint64_t rng = ps_rng_at(3, 1);
    arm(NONE, 0);
    life_make("template", &known);
    life_start();
    for (int i = 0; i < 150; i++)
        life_random(&known, &rng);
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

static void the_next_fold_goes_through(void)
{
    all_is_there();
    must(fold(NULL), &why);
    life_check_generation(&known);
    ps_generation *g = planted_open();
    must(ps_generation_verify(g, NULL, NULL, NULL, &why), &why);
    ps_generation_release(g);
    all_is_there();
}

static int count_calls(void)
{
    begin_anew("count");
    must(fold(NULL), &why);
    return calls;
}

static void in_child(const ps_progress *progress)
{
    int status;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        fold(progress);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL
                                    : WEXITSTATUS(status) == 0);
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
        int err = fold(NULL);
        told += err != PS_OK;
        if (err)
            assert_true(why.text[0] != '\0');
        the_next_fold_goes_through();
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
        in_child(NULL);
        the_next_fold_goes_through();
    }
}

static int words, word_at;

static int on_progress_die(void *cls, const char *stage, uint64_t done, uint64_t total,
                           const char *unit, const char *note)
{
    (void)cls, (void)stage, (void)done, (void)total, (void)unit, (void)note;
    if (++words == word_at)
        raise(SIGKILL);
    return PS_OK;
}

static void a_kill_at_any_word_of_progress_is_harmless(void **state)
{
    (void)state;
    ps_progress progress = {.at = on_progress_die};
    begin_anew("words");
    words = word_at = 0;
    must(fold(&progress), &why);
    int all = words;
    assert_in_range(all, 20, 2000);
    for (int at = 1; at <= all; at += all > 100 ? all / 100 : 1) {
        begin_anew("word");
        words = 0;
        word_at = at;
        in_child(&progress);
        the_next_fold_goes_through();
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
