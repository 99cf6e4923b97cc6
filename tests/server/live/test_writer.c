/* test_writer.c - batches of writes: their order, their bounds, and what ends them.
 *
 * The writer calls done() on its own thread, so a done() that waits holds it, and what is
 * submitted meanwhile is what the next batch has to choose from.
 *
 * Threads: one or two, and the writer's.
 */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/file.h"
#include "pinsage/rng.h"
#include "server/engine/engine_inside.h"
#include "tests/support/changes.h"
#include "tests/support/lives.h"

static life known;

/* ------------------------------ The parts ---------------------------------- */

static void start(ps_writer_opts opts)
{
    ps_why why = {0};
    char path[PS_PATH_MAX];
    must(ps_path_join(path, sizeof path, catalog, "live"), &why);
    must(ps_store_open(&life_writes.store, path, (ps_store_opts){0}, &why), &why);
    must(ps_writer_start(&life_writes.writer, life_writes.store, opts, &why), &why);
    life_writes.stale = opts.stale;
}

static void start_with_engine(ps_writer_opts opts)
{
    ps_why why = {0};
    start(opts);
    must(life_reload(&why), &why);
}

static int make(void **state)
{
    (void)state;
    life_make("writer", &known);
    return 0;
}

/* A writer that waits in done() until it is let go. */
static sem_t held, go;

static void on_hold(ps_write *w)
{
    (void)w;
    sem_post(&held);
    while (sem_wait(&go))
        ;
}

static ps_write holder;

static void hold(void)
{
    sem_init(&held, 0, 0);
    sem_init(&go, 0, 0);
    holder = (ps_write){.kind = PS_WRITE_VOTE, .json = ps_text_of("{}"), .done = on_hold};
    assert_int_equal(ps_writer_submit(life_writes.writer, &holder), PS_OK);
    while (sem_wait(&held))
        ;
}

/* Writes that are counted as they are done. */
enum { MANY = 60 };
typedef struct batch {
    ps_write write[MANY];
    char title[MANY][16], pin[MANY][16];
    uint32_t order[MANY]; /* in which they were done */
    atomic_uint done;
} batch;

static batch *all;

static void on_done(ps_write *w)
{
    all->order[all->done] = (uint32_t)(w - all->write);
    atomic_fetch_add(&all->done, 1);
}

static void wait_for(uint32_t n)
{
    for (int i = 0; i < 60000 && all->done < n; i++)
        usleep(1000);
    assert_int_equal(all->done, n);
}

/* The i-th of the batch: a put of this pin, with its number for a title. */
static int post(uint32_t i, const char *pin)
{
    snprintf(all->title[i], sizeof all->title[i], "%u", i);
    snprintf(all->pin[i], sizeof all->pin[i], "%s", pin);
    all->write[i] = (ps_write){.kind = PS_WRITE_PUT,
                               .pin = ps_text_of(all->pin[i]),
                               .content = {.title = ps_text_of(all->title[i])},
                               .done = on_done};
    return ps_writer_submit(life_writes.writer, &all->write[i]);
}

static int begin(void **state)
{
    all = calloc(1, sizeof *all);
    return all ? make(state) : -1;
}

static int end(void **state)
{
    (void)state;
    life_stop();
    free(all);
    return 0;
}

static bool title_is(const char *pin, const char *want)
{
    uint32_t row;
    ps_pin p;
    ps_reader_begin(life_reader);
    assert_int_equal(ps_reader_find_pin(life_reader, ps_text_of(pin), &row, NULL), PS_OK);
    assert_int_equal(ps_reader_pin(life_reader, row, &p), PS_OK);
    return p.title.len == strlen(want) && !memcmp(p.title.data, want, p.title.len);
}

/* ------------------------------ Batches ------------------------------------- */

static void writes_are_done_in_the_order_they_came_in(void **state)
{
    (void)state;
    start_with_engine((ps_writer_opts){.batch = 7, .queue = 100, .stale = 9});
    hold();
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(post(i, i % 3 ? "one" : "other"), PS_OK);
    sem_post(&go);
    wait_for(MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        assert_int_equal(all->order[i], i);
        assert_int_equal(all->write[i].err, PS_OK);
        assert_true(!i || all->write[i].lsn > all->write[i - 1].lsn);
        assert_int_equal(all->write[i].changed, i == 0 || i == 1);
    }
    assert_true(title_is("one", "59"));
    assert_true(title_is("other", "57"));
}

static void a_group_has_no_pin_twice_and_no_more_than_its_size(void **state)
{
    (void)state;
    const char *const pin[] = {"a", "b", "a", "c", "d", "e", "f", "g", "e"};
    start_with_engine((ps_writer_opts){.batch = 4, .queue = 100, .stale = 9});
    hold();
    uint64_t before = ps_writer_count(life_writes.writer).batches;
    for (uint32_t i = 0; i < 9; i++)
        assert_int_equal(post(i, pin[i]), PS_OK);
    assert_int_equal(ps_writer_count(life_writes.writer).waiting, 9);
    sem_post(&go);
    wait_for(9);
    ps_writer_counts c = ps_writer_count(life_writes.writer);
    assert_int_equal(c.batches - before, 3); /* a b | a c d e | f g e */
    assert_int_equal(c.waiting, 0);
    assert_int_equal(c.writes, 10);
}

static int save(uint32_t i, const char *pin, const char *board, ps_write_kind kind)
{
    all->write[i] = (ps_write){.kind = kind,
                               .pin = ps_text_of(pin),
                               .board = ps_text_of(board),
                               .done = on_done};
    return ps_writer_submit(life_writes.writer, &all->write[i]);
}

static void saves_of_a_pin_to_different_boards_are_one_batch(void **state)
{
    (void)state;
    static const char *const board[] = {"x", "y", "z"};
    uint32_t row;
    start_with_engine((ps_writer_opts){.batch = 40, .queue = 100, .stale = 9});
    hold();
    uint64_t before = ps_writer_count(life_writes.writer).batches;
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(save(i, "p1", board[i], PS_WRITE_SAVE), PS_OK);
    assert_int_equal(save(3, "p1", "y", PS_WRITE_UNSAVE), PS_OK); /* another batch */
    assert_int_equal(save(4, "p1", "y", PS_WRITE_SAVE), PS_OK);   /* another */
    assert_int_equal(save(5, "p1", "w", PS_WRITE_SAVE), PS_OK);
    assert_int_equal(post(6, "p1"), PS_OK); /* another, which takes it from all */
    assert_int_equal(save(7, "p1", "x", PS_WRITE_SAVE), PS_OK); /* another */
    sem_post(&go);
    wait_for(8);
    assert_int_equal(ps_writer_count(life_writes.writer).batches - before, 5);
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(all->order[i], i);
        assert_int_equal(all->write[i].err, PS_OK);
        assert_int_equal(all->write[i].changed, i != 6);
        assert_true(!i || all->write[i].lsn > all->write[i - 1].lsn);
    }
    ps_reader_begin(life_reader);
    assert_int_equal(ps_reader_find_pin(life_reader, ps_text_of("p1"), &row, NULL),
                     PS_OK);
    assert_int_equal(ps_graph_degree(ps_reader_graph(life_reader), PS_PINS, row), 1);
    assert_int_equal(ps_reader_lsn(life_reader, row), all->write[7].lsn);
}

static void a_delay_gathers_what_comes_meanwhile(void **state)
{
    (void)state;
    start_with_engine(
        (ps_writer_opts){.batch = 5, .queue = 100, .stale = 9, .delay = 1000});
    for (uint32_t i = 0; i < 5; i++) {
        char pin[16];
        snprintf(pin, sizeof pin, "pin%u", i);
        assert_int_equal(post(i, pin), PS_OK);
    }
    wait_for(5);
    assert_int_equal(ps_writer_count(life_writes.writer).batches, 1);
}

static void a_full_queue_refuses_and_takes_more_later(void **state)
{
    (void)state;
    start_with_engine((ps_writer_opts){.batch = 4, .queue = 6, .stale = 9});
    hold();
    for (uint32_t i = 0; i < 6; i++)
        assert_int_equal(post(i, "p1"), PS_OK);
    assert_int_equal(post(6, "p1"), PS_EBUSY);
    assert_int_equal(post(6, "p2"), PS_EBUSY);
    assert_int_equal(ps_writer_count(life_writes.writer).refused, 2);
    sem_post(&go);
    wait_for(6);
    assert_int_equal(post(6, "p1"), PS_OK);
    wait_for(7);
    assert_true(title_is("p1", "6"));
}

/* Together they are more than one transaction may have. */
static void what_does_not_fit_beside_others_is_not_refused_for_it(void **state)
{
    (void)state;
    size_t each = PS_STORE_RECORD_MAX - 4096;
    char *large = malloc(each);
    memset(large, 'x', each);
    start_with_engine((ps_writer_opts){.batch = 64, .queue = 100, .stale = 9});
    hold();
    for (uint32_t i = 0; i < 18; i++) {
        char pin[16];
        snprintf(pin, sizeof pin, "large%u", i);
        snprintf(all->pin[i], sizeof all->pin[i], "%s", pin);
        all->write[i] = (ps_write){.kind = PS_WRITE_PUT,
                                   .pin = ps_text_of(all->pin[i]),
                                   .content = {.text = {large, each - (i == 5) * each}},
                                   .done = on_done};
        if (i == 9) /* one that is too large for itself */
            all->write[i].content.title = all->write[i].content.text;
        assert_int_equal(ps_writer_submit(life_writes.writer, &all->write[i]), PS_OK);
    }
    sem_post(&go);
    wait_for(18);
    for (uint32_t i = 0; i < 18; i++) {
        assert_int_equal(all->order[i], i);
        assert_int_equal(all->write[i].err, i == 9 ? PS_ERANGE : PS_OK);
    }
    assert_int_equal(ps_writer_count(life_writes.writer).failed, 1);
    free(large);
}

/* ------------------------------ What goes wrong ---------------------------- */

static void without_a_view_writes_are_refused(void **state)
{
    (void)state;
    start((ps_writer_opts){.batch = 4, .queue = 6, .stale = 9});
    assert_int_equal(post(0, "p1"), PS_OK);
    wait_for(1);
    assert_int_equal(all->write[0].err, PS_EBUSY);
    assert_int_equal(ps_store_lsn(life_writes.store), 0);
}

static void a_full_disk_fails_writes_and_no_reads_until_there_is_room(void **state)
{
    (void)state;
    struct rlimit before, limit;
    char *large = malloc(200000);
    memset(large, 'x', 200000);
    start_with_engine((ps_writer_opts){.batch = 4, .queue = 100, .stale = 9});
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    limit = before;
    limit.rlim_cur = 500500;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    uint32_t written = 0;
    for (uint32_t i = 0; i < 8; i++) {
        ps_write w = {.kind = PS_WRITE_PUT,
                      .pin = ps_text_of("large"),
                      .content = {.title = ps_text_of(i % 2 ? "odd" : "even"),
                                  .text = {large, 200000 - i}}};
        char pin[16];
        snprintf(pin, sizeof pin, "full%u", i);
        w.pin = ps_text_of(pin);
        int err = life_write(&w);
        assert_true(!err || err == PS_EFULL);
        assert_int_equal(ps_writer_count(life_writes.writer).full, err == PS_EFULL);
        written += !err;
        uint32_t row;
        ps_reader_begin(life_reader);
        assert_int_equal(ps_reader_find_pin(life_reader, ps_text_of(pin), &row, NULL),
                         err ? PS_ENOENT : PS_OK);
    }
    assert_in_range(written, 1, 4);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    ps_write w = {.kind = PS_WRITE_PUT, .pin = ps_text_of("later")};
    assert_int_equal(life_write(&w), PS_OK);
    assert_false(ps_writer_count(life_writes.writer).full);
    free(large);
    life_check(&known); /* the others are what they were */
}

/* ------------------------------ The end ------------------------------------ */

static void *stop_it(void *cls)
{
    ps_writer_stop(cls);
    return NULL;
}

static void a_stop_finishes_what_was_submitted_and_takes_no_more(void **state)
{
    (void)state;
    pthread_t stopper;
    start_with_engine((ps_writer_opts){.batch = 4, .queue = 100, .stale = 9});
    ps_reader_free(life_reader);
    life_reader = NULL;
    hold();
    for (uint32_t i = 0; i < MANY - 1; i++)
        assert_int_equal(post(i, i % 2 ? "p1" : "p2"), PS_OK);
    assert_int_equal(pthread_create(&stopper, NULL, stop_it, life_writes.writer), 0);
    usleep(20000);
    sem_post(&go);
    ps_engine_release(life_engine); /* detaches, while writes are shown in it */
    life_engine = NULL;
    pthread_join(stopper, NULL);
    assert_int_equal(all->done, MANY - 1);
    for (uint32_t i = 0; i < MANY - 1; i++) /* those after the engine are refused */
        assert_true(!all->write[i].err || all->write[i].err == PS_EBUSY);
    assert_int_equal(post(MANY - 1, "p1"), PS_EBUSY);
    ps_writer_free(life_writes.writer);
    ps_store_close(life_writes.store);
    life_writes = (ps_writes){0};
    /* What was acknowledged is there after a start. */
    uint32_t last = 0;
    for (uint32_t i = 0; i < MANY - 1; i++)
        if (i % 2 && !all->write[i].err)
            last = i;
    start_with_engine((ps_writer_opts){.batch = 4, .queue = 100, .stale = 9});
    if (last)
        assert_true(title_is("p1", all->title[last]));
}

/* ------------------------------ Two views ---------------------------------- */

static atomic_bool ended;

static void *write_on(void *cls)
{
    uint64_t rng = 5;
    while (!atomic_load(&ended))
        life_random(cls, &rng);
    return NULL;
}

static void same_rows(ps_reader *a, ps_reader *b)
{
    for (uint32_t i = 0; i < LIFE_PINS; i++) {
        char id[16];
        uint32_t row[2];
        ps_pin pin[2];
        snprintf(id, sizeof id, "p%u", i);
        int err = ps_reader_find_pin(a, ps_text_of(id), &row[0], NULL);
        assert_int_equal(ps_reader_find_pin(b, ps_text_of(id), &row[1], NULL), err);
        if (err)
            continue;
        assert_int_equal(ps_reader_pin(a, row[0], &pin[0]), PS_OK);
        assert_int_equal(ps_reader_pin(b, row[1], &pin[1]), PS_OK);
        assert_int_equal(pin[0].title.len, pin[1].title.len);
        assert_memory_equal(pin[0].title.data, pin[1].title.data, pin[0].title.len);
        assert_int_equal(ps_reader_lsn(a, row[0]), ps_reader_lsn(b, row[1]));
        assert_int_equal(ps_graph_degree(ps_reader_graph(a), PS_PINS, row[0]),
                         ps_graph_degree(ps_reader_graph(b), PS_PINS, row[1]));
    }
}

static void views_that_come_and_go_under_writes_end_equal(void **state)
{
    (void)state;
    ps_why why = {0};
    pthread_t thread;
    start_with_engine((ps_writer_opts){.batch = 8, .queue = 100, .stale = 20});
    atomic_store(&ended, false);
    assert_int_equal(pthread_create(&thread, NULL, write_on, &known), 0);
    ps_engine *e = NULL;
    ps_reader *r;
    for (int i = 0; i < 12; i++) {
        ps_engine_release(e);
        must(ps_engine_open(&e, catalog, &life_writes, NULL, &why), &why);
        must(ps_engine_attach(e, &why), &why);
        usleep(20000);
    }
    atomic_store(&ended, true);
    pthread_join(thread, NULL);
    must(ps_reader_new(&r, e), &why);
    life_check(&known);
    same_rows(life_reader, r);
    assert_int_equal(e->live.lsn, life_engine->live.lsn);
    ps_reader_free(r);
    ps_engine_release(e);
}

int main(void)
{
#define WITH_WRITER(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        WITH_WRITER(writes_are_done_in_the_order_they_came_in),
        WITH_WRITER(a_group_has_no_pin_twice_and_no_more_than_its_size),
        WITH_WRITER(saves_of_a_pin_to_different_boards_are_one_batch),
        WITH_WRITER(a_delay_gathers_what_comes_meanwhile),
        WITH_WRITER(a_full_queue_refuses_and_takes_more_later),
        WITH_WRITER(what_does_not_fit_beside_others_is_not_refused_for_it),
        WITH_WRITER(without_a_view_writes_are_refused),
        WITH_WRITER(a_full_disk_fails_writes_and_no_reads_until_there_is_room),
        WITH_WRITER(a_stop_finishes_what_was_submitted_and_takes_no_more),
        WITH_WRITER(views_that_come_and_go_under_writes_end_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
