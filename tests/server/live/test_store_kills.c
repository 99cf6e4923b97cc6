/* test_store_kills.c - kill -9 while batches are committed and compacted and the file is
 * written anew: every batch that was acknowledged is there, no batch is torn.
 *
 * A child commits batches without end and says through a pipe which it has; it is killed
 * after a moment of any length, and the next child goes on with what it left.
 *
 * Threads: one; children that are killed.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/rng.h"
#include "tests/support/stores.h"

#define ROUNDS 100
#define PINS   32
#define GROUP  (2 * PINS) /* operations */

/* Group g gives every pin the title g and its board g, and takes it from board g - 1:
 * so whatever is there says which batch it is of. */
static void write_batch(ps_store *s, uint64_t batch)
{
    char id[32], title[32], before[32];
    snprintf(title, sizeof title, "%d", (int)batch);
    snprintf(before, sizeof before, "%d", (int)batch % 7);
    for (int i = 0; i < PINS; i++) {
        snprintf(id, sizeof id, "pin %d", i);
        store_put(s, id, title);
        store_save(s, id, before, batch / 7 % 2);
    }
    store_commit(s);
}

/* Killed at some moment. Says which batch is the newest, the first time once open. */
static void go_on(int ack, bool trim)
{
    ps_why why = {0};
    ps_store *s = store_opened(false, (ps_store_opts){.map_bytes = 1 << 18});
    uint64_t batch = ps_store_lsn(s) / GROUP;
    for (;;) {
        if (write(ack, &batch, sizeof batch) != sizeof batch)
            _exit(1);
        write_batch(s, ++batch);
        /* All but the last two batches, in small steps. */
        bool more = trim && batch > 2;
        while (more)
            store_must(ps_store_trim(s, (batch - 2) * GROUP, true, 9, &more, &why), &why);
        if (trim)
            store_must(ps_store_rewrite(s, &why), &why);
    }
}

/* The newest number that came through the pipe before its end. */
static uint64_t read_acks(int pipe, uint64_t newest)
{
    uint64_t batch;
    while (read(pipe, &batch, sizeof batch) == sizeof batch)
        newest = batch;
    return newest;
}

/* So long after its start, or after it has opened the store. */
static uint64_t killed_after(long nanoseconds, bool opened, bool trim, uint64_t newest)
{
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        close(ends[0]);
        go_on(ends[1], trim);
    }
    close(ends[1]);
    if (opened)
        assert_int_equal(read(ends[0], &newest, sizeof newest), sizeof newest);
    struct timespec moment = {0, nanoseconds};
    nanosleep(&moment, NULL);
    kill(child, SIGKILL);
    newest = read_acks(ends[0], newest);
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return newest;
}

static int on_pin_same(void *cls, const ps_store_pin *pin)
{
    char title[32] = "";
    uint64_t *found = cls; /* batch, pins */
    snprintf(title, sizeof title, "%.*s", (int)pin->title.len, pin->title.data);
    assert_int_equal(strtoull(title, NULL, 10), found[0]);
    found[1]++;
    return 0;
}

static int on_edge_same(void *cls, const ps_store_edge *edge)
{
    uint64_t *found = cls; /* batch, edges of its board */
    if (edge->lsn > (found[0] - 1) * GROUP) {
        assert_int_equal(edge->board.data[0] - '0', found[0] % 7);
        assert_int_equal(edge->saved, found[0] / 7 % 2);
        found[1]++;
    }
    return 0;
}

static uint64_t check_whole(void)
{
    ps_why why = {0};
    ps_store *s = store_opened(false, (ps_store_opts){0});
    uint64_t lsn = ps_store_lsn(s), pins[2] = {lsn / GROUP}, edges[2] = {lsn / GROUP};
    assert_int_equal(lsn % GROUP, 0);
    ps_store_reader *r = store_snapshot(s);
    assert_int_equal(ps_store_reader_lsn(r), lsn);
    store_must(ps_store_each_pin(r, 0, on_pin_same, pins, &why), &why);
    store_must(ps_store_each_edge(r, 0, on_edge_same, edges, &why), &why);
    assert_int_equal(pins[1], lsn ? PINS : 0);
    assert_int_equal(edges[1], lsn ? PINS : 0);
    ps_store_reader_free(r);
    ps_store_close(s);
    return lsn / GROUP;
}

static void acknowledged_groups_survive_kills_and_none_is_torn(void **state)
{
    (void)state;
    uint64_t rng = ps_rng_at(1, 1), newest = 0;
    ps_store_close(store_opened(true, (ps_store_opts){0}));
    for (int i = 0; i < ROUNDS; i++) {
        long moment = (long)ps_rng_below(&rng, 12 * 1000 * 1000);
        newest = killed_after(moment, i % 4, i % 2, newest);
        uint64_t there = check_whole();
        /* What was committed but not said any more may be there: one. */
        assert_true(there == newest || there == newest + 1);
        newest = there;
    }
    print_message("# %d kills, %d batches\n", ROUNDS, (int)newest);
    assert_true(newest > ROUNDS / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acknowledged_groups_survive_kills_and_none_is_torn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
