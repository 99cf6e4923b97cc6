/* test_live_threads.c - readers and writers at once, generations switched meanwhile, and
 * a checker of what each reader may have seen.
 *
 * Each writer has pins of its own and makes their versions 1, 2, 3 ...: odd ones put the
 * pin, with the number for a title, on one board that follows from it; even ones delete
 * it. A version is noted as begun before it is submitted and as told when it is done. A
 * reader that looks at a pin notes what was told before it began and what was begun
 * after; the version it sees must lie between.
 *
 * Threads: many.
 */
#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/rng.h"
#include "server/engine/engine_inside.h"
#include "tests/support/changes.h"
#include "tests/support/lives.h"

enum { WRITERS = 3, READERS = 3, PINS = 30, ROUNDS = 250, BOARDS = 20 };

static life known;
static atomic_uint begun[PINS], told[PINS];
static atomic_bool ended;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static ps_engine *engine; /* guarded by lock */

static ps_text pin_name(uint32_t i, char *room)
{
    snprintf(room, 16, "q%u", i);
    return ps_text_of(room);
}

static ps_text board_name(uint32_t version, char *room)
{
    snprintf(room, 16, "board%u", version % BOARDS);
    return ps_text_of(room);
}

static ps_engine *engine_now(void)
{
    pthread_mutex_lock(&lock);
    ps_engine *e = ps_engine_acquire(engine);
    pthread_mutex_unlock(&lock);
    return e;
}

/* ------------------------------ Writers ------------------------------------ */

static int write_version(uint32_t pin, uint32_t version, uint64_t *rng)
{
    char id[16], title[16], board[16];
    float visual[PLANTED_VISUAL];
    ps_named_vector v = {ps_text_of("visual"), visual, PLANTED_VISUAL};
    for (int i = 0; i < PLANTED_VISUAL; i++)
        visual[i] = ps_rng_unit(rng) - .5f;
    snprintf(title, sizeof title, "%u", version);
    ps_text on = board_name(version, board);
    ps_write w = {.kind = version % 2 ? PS_WRITE_PUT : PS_WRITE_DELETE,
                  .pin = pin_name(pin, id),
                  .content = {.title = ps_text_of(title),
                              .feature = &v,
                              .n_features = 1,
                              .board = &on,
                              .n_boards = 1}};
    return life_write(&w);
}

static void *write_on(void *cls)
{
    uint32_t me = *(uint32_t *)cls;
    uint64_t rng = me + 1;
    for (int i = 0; i < ROUNDS; i++) {
        uint32_t pin = WRITERS * (uint32_t)ps_rng_below(&rng, PINS / WRITERS) + me;
        uint32_t version = atomic_load(&begun[pin]) + 1;
        atomic_store(&begun[pin], version);
        if (write_version(pin, version, &rng))
            return "a write failed";
        atomic_store(&told[pin], version);
    }
    return NULL;
}

/* ------------------------------ Readers ------------------------------------ */

static uint32_t number_of(ps_text t)
{
    char room[16] = {0};
    memcpy(room, t.data, t.len < 15 ? t.len : 15);
    return (uint32_t)strtoul(room, NULL, 10);
}

/* The pin is on its version's board and no other. */
static const char *check_board(ps_reader *r, uint32_t row, uint32_t version)
{
    char want[16];
    ps_text name;
    const ps_graph *g = ps_reader_graph(r);
    if (ps_graph_degree(g, PS_PINS, row) != 1)
        return "a pin is on more or less than its one board";
    uint32_t board = ps_graph_edge(g, PS_PINS, row, 0);
    if (ps_reader_board(r, board, &name) || !ps_graph_has(g, row, board))
        return "a board has no name, or not the pin";
    board_name(version, want);
    return name.len == strlen(want) && !memcmp(name.data, want, name.len)
               ? NULL
               : "a pin is on the board of another version";
}

static const char *check_pin(ps_reader *r, uint32_t i)
{
    char id[16];
    uint32_t row, version, least = atomic_load(&told[i]);
    ps_pin pin;
    const char *wrong = NULL;
    ps_reader_begin(r);
    bool there = !ps_reader_find_pin(r, pin_name(i, id), &row, NULL);
    if (there) {
        if (ps_reader_pin(r, row, &pin))
            return "a pin that is there has no record";
        version = number_of(pin.title);
        wrong = check_board(r, row, version);
    } else {
        version = least + least % 2; /* the first from there on without it */
    }
    if (!wrong && version < least)
        wrong = "what was told is not seen";
    if (!wrong && version > atomic_load(&begun[i]))
        wrong = there ? "seen before it began" : "a pin is missing";
    return wrong;
}

static const char *check_related(ps_reader *r, ps_text id)
{
    ps_ranking a;
    ps_related q = {.pin = id, .k = 40};
    ps_reader_begin(r);
    int err = ps_reader_related(r, &q, &a, NULL);
    if (err)
        return err == PS_ENOENT ? NULL : "related failed";
    for (uint32_t i = 0; i < a.n; i++) {
        if (!isfinite(a.result[i].score) ||
            (i && a.result[i].score > a.result[i - 1].score))
            return "scores are in no order";
        if (a.result[i].row == a.row ||
            !ps_view_alive(ps_engine_view(ps_reader_engine(r)), &r->snap,
                           a.result[i].row))
            return "a pin is related that is gone, or to itself";
        for (uint32_t j = 0; j < i; j++)
            if (a.result[i].row == a.result[j].row)
                return "a pin is related twice";
    }
    return NULL;
}

static const char *read_some(ps_reader *r, uint64_t *rng)
{
    const char *wrong = NULL;
    for (int i = 0; i < 20 && !wrong; i++) {
        char id[16];
        wrong = check_pin(r, (uint32_t)ps_rng_below(rng, PINS));
        if (!wrong)
            wrong = check_related(r, pin_name((uint32_t)ps_rng_below(rng, PINS), id));
        snprintf(id, sizeof id, "p%u", (uint32_t)ps_rng_below(rng, LIFE_PLANTED));
        if (!wrong)
            wrong = check_related(r, ps_text_of(id));
    }
    return wrong;
}

static void *read_on(void *cls)
{
    uint64_t rng = 100 + *(uint32_t *)cls;
    const char *wrong = NULL;
    while (!wrong && !atomic_load(&ended)) {
        ps_engine *e = engine_now();
        ps_reader *r = NULL;
        wrong = ps_reader_new(&r, e) ? "no reader" : read_some(r, &rng);
        ps_reader_free(r);
        ps_engine_release(e);
    }
    return (void *)(uintptr_t)wrong;
}

/* ------------------------------ Reloads ------------------------------------ */

static void reload(void)
{
    ps_why why = {0};
    ps_engine *e, *old;
    must(ps_engine_open(&e, catalog, &life_writes, NULL, &why), &why);
    must(ps_engine_attach(e, &why), &why);
    pthread_mutex_lock(&lock);
    old = engine;
    engine = e;
    pthread_mutex_unlock(&lock);
    ps_engine_release(old);
}

/* ------------------------------ The test ----------------------------------- */

static void begin_threads(pthread_t *thread, uint32_t n, void *(*run)(void *),
                          uint32_t *number)
{
    for (uint32_t i = 0; i < n; i++) {
        number[i] = i;
        assert_int_equal(pthread_create(&thread[i], NULL, run, &number[i]), 0);
    }
}

static void join_threads(pthread_t *thread, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        void *wrong;
        pthread_join(thread[i], &wrong);
        if (wrong)
            print_error("%s\n", (const char *)wrong);
        assert_null(wrong);
    }
}

static void what_was_told_is_seen_by_every_reader_across_reloads(void **state)
{
    (void)state;
    pthread_t writer[WRITERS], reader[READERS];
    uint32_t number[WRITERS + READERS];
    life_make("threads", &known);
    life_start();
    engine = ps_engine_acquire(life_engine);
    begin_threads(reader, READERS, read_on, number);
    begin_threads(writer, WRITERS, write_on, number + READERS);
    for (int i = 0; i < 6; i++)
        reload();
    join_threads(writer, WRITERS);
    reload(); /* and what a start would read from the store */
    ps_engine *e = engine_now();
    ps_reader *r;
    assert_int_equal(ps_reader_new(&r, e), PS_OK);
    for (uint32_t i = 0; i < PINS; i++) {
        assert_int_equal(atomic_load(&told[i]), atomic_load(&begun[i]));
        const char *wrong = check_pin(r, i);
        if (wrong)
            fail_msg("%s", wrong);
    }
    ps_reader_free(r);
    ps_engine_release(e);
    atomic_store(&ended, true);
    join_threads(reader, READERS);
    ps_engine_release(engine);
    life_check(&known);
    life_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_told_is_seen_by_every_reader_across_reloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
