/* test_store_faults.c - the Nth call that writes fails: what was acknowledged is there,
 * what failed is not, nothing is torn, and the next commit goes through.
 *
 * LMDB is a shared library, out of --wrap's reach; but a program's own definition of a
 * function comes before the C library's for it as well. So the calls that change a file
 * are defined here, counted, and made by syscall.
 *
 * Threads: one.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/stores.h"

/* ------------------------------ Faults ------------------------------------ */

enum what {
    NOTHING,
    REFUSE,  /* not done, error */
    CUT,     /* half done, where that is possible */
    LIE,     /* done, and an error all the same */
    LIE_ONCE /* and those after it are refused */
};

static struct {
    enum what what;
    int at, times; /* the at-th call from here on, and as many in all */
    int error;
    int count;
} faults;

static void arm(enum what what, int at, int times, int error)
{
    faults.what = what;
    faults.at = at;
    faults.times = times;
    faults.error = error;
    faults.count = 0;
}

static enum what due(void)
{
    faults.count++;
    bool now = faults.count >= faults.at && faults.count < faults.at + faults.times;
    errno = faults.error;
    if (now && faults.what == LIE_ONCE)
        return faults.count == faults.at ? LIE : REFUSE;
    return now ? faults.what : NOTHING;
}

/* Result of a call that failed in this way, or did not. */
static long outcome(enum what what, long done)
{
    if (what != REFUSE && what != LIE)
        return done;
    errno = faults.error;
    return -1;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    enum what what = due();
    return what == REFUSE
               ? -1
               : outcome(what, syscall(SYS_pwrite64, fd, data,
                                       what == CUT ? (size + 1) / 2 : size, at));
}

ssize_t writev(int fd, const struct iovec *parts, int n)
{
    enum what what = due();
    return what == REFUSE
               ? -1
               : outcome(what, syscall(SYS_writev, fd, parts, what == CUT ? 1 : n));
}

int fdatasync(int fd)
{
    enum what what = due();
    return what == REFUSE ? -1 : (int)outcome(what, syscall(SYS_fdatasync, fd));
}

int fsync(int fd)
{
    enum what what = due();
    return what == REFUSE ? -1 : (int)outcome(what, syscall(SYS_fsync, fd));
}

int ftruncate(int fd, off_t size)
{
    enum what what = due();
    return what == REFUSE ? -1 : (int)outcome(what, syscall(SYS_ftruncate, fd, size));
}

/* ------------------------------ Batches ------------------------------------ */

#define PINS 6

/* A batch: pins with a text, each on a board, some replaced and deleted again. */
static int write_batch(ps_store *s, int batch, ps_why *why)
{
    char id[32], title[16], long_text[3000];
    memset(long_text, 'x', sizeof long_text);
    snprintf(title, sizeof title, "%d", batch);
    for (int i = 0; i < PINS; i++) {
        snprintf(id, sizeof id, "pin %d", i);
        ps_store_pin pin = {.id = ps_text_of(id),
                            .title = ps_text_of(title),
                            .text = {long_text, sizeof long_text / (size_t)(i + 1)}};
        ps_store_edge edge = {
            .pin = ps_text_of(id), .board = ps_text_of(title), .saved = true};
        store_must(ps_store_put_pin(s, &pin, NULL, why), why);
        store_must(ps_store_put_edge(s, &edge, NULL, why), why);
    }
    snprintf(id, sizeof id, "gone %d", batch);
    store_must(ps_store_drop_pin(s, ps_text_of(id), 1, NULL, why), why);
    return ps_store_commit(s, why);
}

#define GROUP (2 * PINS + 1) /* operations */

/* The newest batch in the store: whole, and those before it too. */
static int newest_batch(ps_store *s)
{
    char id[32];
    int batch = (int)(ps_store_lsn(s) / GROUP);
    assert_int_equal(ps_store_lsn(s) % GROUP, 0);
    for (int i = 0; i < PINS; i++) {
        snprintf(id, sizeof id, "pin %d", i);
        const char *title = store_title(s, id);
        assert_int_equal(title ? atoi(title) : 0, batch);
        assert_int_equal(store_edges_of(s, id, 0), batch);
    }
    snprintf(id, sizeof id, "gone %d", batch);
    assert_true(batch == 0 || store_title(s, id));
    snprintf(id, sizeof id, "gone %d", batch + 1);
    assert_null(store_title(s, id));
    return batch;
}

static int calls_of_a_batch(void)
{
    ps_why why = {0};
    ps_store *s = store_opened(true, (ps_store_opts){0});
    for (int i = 1; i <= 3; i++)
        store_must(write_batch(s, i, &why), &why);
    arm(NOTHING, 0, 0, 0);
    store_must(write_batch(s, 4, &why), &why);
    int calls = faults.count;
    ps_store_close(s);
    return calls;
}

static int doubts; /* commits of which the store could not tell */

/* Three batches, a fourth during which calls fail, and a fifth if they allow. Returns the
 * error of the fourth. */
static int suffer(enum what what, int at, int times, int error)
{
    ps_why why = {0};
    ps_store *s = store_opened(true, (ps_store_opts){0});
    for (int i = 1; i <= 3; i++)
        store_must(write_batch(s, i, &why), &why);
    arm(what, at, times, error);
    int err = write_batch(s, 4, &why);
    bool failed = faults.count >= at;
    bool doubt = err && strstr(why.text, "next start");
    doubts += doubt;
    int batch = doubt ? 3 : newest_batch(s); /* reading writes nothing */
    arm(NOTHING, 0, 0, 0);
    assert_int_equal(batch, err ? 3 : 4);
    assert_true(failed || !err);
    if (doubt)
        assert_int_equal(write_batch(s, 5, &why), PS_EIO);
    else if (err) {
        store_must(write_batch(s, 4, &why), &why);
        batch = newest_batch(s);
        assert_int_equal(batch, 4);
    }
    ps_store_close(s);
    s = store_opened(false, (ps_store_opts){0});
    int later = newest_batch(s);
    if (doubt)
        assert_true(later == 3 || later == 4);
    else
        assert_int_equal(later, batch);
    store_must(write_batch(s, later + 1, &why), &why);
    ps_store_close(s);
    return err;
}

/* ------------------------------ Tests ------------------------------------- */

static void one_refused_call_undoes_its_group_alone(void **state)
{
    (void)state;
    int failed = 0, calls = calls_of_a_batch();
    assert_true(calls >= 3);
    for (int n = 1; n <= calls; n++) {
        int err = suffer(REFUSE, n, 1, EIO);
        /* A commit that found EIO is tried again, and then goes through. */
        assert_true(err == PS_OK || err == PS_EIO);
        err = suffer(REFUSE, n, 1, ENOSPC);
        assert_int_equal(err, PS_EFULL);
        failed += err != PS_OK;
    }
    assert_int_equal(failed, calls);
}

static void calls_that_go_on_failing_undo_their_group_alone(void **state)
{
    (void)state;
    int calls = calls_of_a_batch();
    for (int n = 1; n <= calls; n++) {
        assert_int_equal(suffer(REFUSE, n, 1000, ENOSPC), PS_EFULL);
        assert_int_equal(suffer(REFUSE, n, 1000, EIO), PS_EIO);
        suffer(REFUSE, n, 2, EIO); /* may go through, tried again */
    }
}

static void a_write_cut_short_is_no_torn_batch(void **state)
{
    (void)state;
    int calls = calls_of_a_batch();
    for (int n = 1; n <= calls; n++) {
        suffer(CUT, n, 1, 0);
        suffer(CUT, n, 1000, 0);
    }
}

static void a_call_that_was_done_but_says_it_failed_leaves_no_half(void **state)
{
    (void)state;
    int calls = calls_of_a_batch();
    for (int n = 1; n <= calls; n++) {
        suffer(LIE, n, 1, EIO);
        suffer(LIE, n, 2, EIO);
        suffer(LIE, n, 1000, EIO);
    }
}

/* The meta page was written, whatever was said, and cannot be taken back. */
static void what_cannot_be_told_is_said_and_the_next_start_finds_out(void **state)
{
    (void)state;
    int kept = 0, calls = calls_of_a_batch();
    doubts = 0;
    for (int n = 1; n <= calls; n++) {
        kept += suffer(LIE_ONCE, n, 2, EINVAL) == PS_OK;
        suffer(LIE_ONCE, n, 1000, EINVAL);
    }
    assert_true(kept > 0 && doubts > 0);
}

static void a_store_that_cannot_be_written_anew_stays_as_it_is(void **state)
{
    (void)state;
    ps_why why = {0};
    for (int n = 1, failed = true; failed; n++) {
        ps_store *s = store_opened(true, (ps_store_opts){0});
        for (int i = 1; i <= 3; i++)
            store_must(write_batch(s, i, &why), &why);
        arm(REFUSE, n, 1000, ENOSPC);
        int err = ps_store_rewrite(s, &why);
        failed = faults.count >= n;
        arm(NOTHING, 0, 0, 0);
        assert_int_equal(err, failed ? PS_EFULL : PS_OK);
        assert_int_equal(newest_batch(s), 3);
        store_must(write_batch(s, 4, &why), &why);
        ps_store_close(s);
        s = store_opened(false, (ps_store_opts){0});
        assert_int_equal(newest_batch(s), 4);
        ps_store_close(s);
    }
}

static void a_store_that_could_not_be_made_can_be_made_later(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_store *s = NULL;
    arm(NOTHING, 0, 0, 0);
    ps_store_close(store_opened(true, (ps_store_opts){0}));
    int calls = faults.count, refused = 0;
    for (int n = 1; n <= calls; n++) {
        const char *dir = store_dir(true);
        arm(REFUSE, n, 1000, ENOSPC);
        int err = ps_store_open(&s, dir, (ps_store_opts){0}, &why);
        arm(NOTHING, 0, 0, 0);
        if (err)
            refused++;
        else
            ps_store_close(s);
        assert_true(err == PS_OK || err == PS_EFULL);
        s = store_opened(false, (ps_store_opts){0});
        store_must(write_batch(s, 1, &why), &why);
        assert_int_equal(newest_batch(s), 1);
        ps_store_close(s);
    }
    assert_true(refused >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_refused_call_undoes_its_group_alone),
        cmocka_unit_test(calls_that_go_on_failing_undo_their_group_alone),
        cmocka_unit_test(a_write_cut_short_is_no_torn_batch),
        cmocka_unit_test(a_call_that_was_done_but_says_it_failed_leaves_no_half),
        cmocka_unit_test(what_cannot_be_told_is_said_and_the_next_start_finds_out),
        cmocka_unit_test(a_store_that_cannot_be_written_anew_stays_as_it_is),
        cmocka_unit_test(a_store_that_could_not_be_made_can_be_made_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
