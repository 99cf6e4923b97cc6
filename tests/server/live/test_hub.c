/* test_hub.c - pins on very many boards, and boards of very many pins, are written to,
 * asked about, emptied and deleted like others.
 *
 * Threads: one, and the writer's.
 */
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/clock.h"
#include "server/engine/engine_inside.h"
#include "tests/support/changes.h"
#include "tests/support/lives.h"

enum { MANY = 20000 };

static life known;
static sem_t done;

typedef struct one {
    ps_write write;
    char pin[16], board[16];
    ps_text on;
} one;

static void on_done(ps_write *w)
{
    (void)w;
    sem_post(&done);
}

static void name(char *out, const char *given, uint32_t i)
{
    if (*given)
        snprintf(out, 16, "%s", given);
    else
        snprintf(out, 16, "many%u", i);
}

/* MANY writes of one kind; of a pin or board without a name there is one for each. */
static void write_many(ps_write_kind kind, const char *pin, const char *board)
{
    one *all = calloc(MANY, sizeof *all);
    sem_init(&done, 0, 0);
    for (uint32_t i = 0; i < MANY; i++) {
        one *o = &all[i];
        name(o->pin, pin, i);
        name(o->board, board, i);
        o->on = ps_text_of(o->board);
        o->write = (ps_write){.kind = kind,
                              .pin = ps_text_of(o->pin),
                              .board = o->on,
                              .content = {.board = &o->on, .n_boards = 1},
                              .done = on_done};
        assert_int_equal(ps_writer_submit(life_writes.writer, &o->write), PS_OK);
    }
    for (uint32_t i = 0; i < MANY; i++)
        while (sem_wait(&done))
            ;
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(all[i].write.err, PS_OK);
    free(all);
}

static int make(void **state)
{
    ps_why why = {0};
    char path[PS_PATH_MAX];
    (void)state;
    life_make("hub", &known);
    must(ps_path_join(path, sizeof path, catalog, "live"), &why);
    must(ps_store_open(&life_writes.store, path, (ps_store_opts){0}, &why), &why);
    ps_writer_opts opts = {.batch = 4096, .queue = MANY, .stale = 100};
    must(ps_writer_start(&life_writes.writer, life_writes.store, opts, &why), &why);
    life_writes.stale = opts.stale;
    return life_reload(&why);
}

static int end(void **state)
{
    (void)state;
    life_stop();
    return 0;
}

static uint32_t degree(ps_side side, const char *name)
{
    uint32_t row = 0;
    ps_reader_begin(life_reader);
    int err = side == PS_PINS
                  ? ps_reader_find_pin(life_reader, ps_text_of(name), &row, NULL)
                  : ps_reader_find_board(life_reader, ps_text_of(name), &row, NULL);
    return err ? 0 : ps_graph_degree(ps_reader_graph(life_reader), side, row);
}

static void write_one(ps_write_kind kind, const char *pin)
{
    uint64_t began = ps_now_ns();
    ps_write w = {.kind = kind, .pin = ps_text_of(pin)};
    assert_int_equal(life_write(&w), PS_OK);
    print_message("# %s: %.1f ms\n", kind == PS_WRITE_PUT ? "put" : "delete",
                  (double)(ps_now_ns() - began) * 1e-6);
}

static void ask(const char *pin)
{
    ps_why why = {0};
    ps_ranking a;
    uint64_t began = ps_now_ns();
    ps_reader_begin(life_reader);
    must(ps_reader_related(life_reader, &(ps_related){.pin = ps_text_of(pin), .k = 20},
                           &a, &why),
         &why);
    assert_int_equal(a.n, 20);
    print_message("# related to %s: %.1f ms\n", pin,
                  (double)(ps_now_ns() - began) * 1e-6);
}

static void a_pin_on_very_many_boards_is_emptied_and_deleted(void **state)
{
    (void)state;
    uint32_t before = degree(PS_PINS, "p3");
    for (int turn = 0; turn < 2; turn++) {
        write_many(PS_WRITE_SAVE, "p3", "");
        assert_int_equal(degree(PS_PINS, "p3"), before + MANY);
        ask("p3");
        write_one(turn ? PS_WRITE_DELETE : PS_WRITE_PUT, "p3");
        assert_int_equal(degree(PS_PINS, "p3"), 0);
        assert_int_equal(degree(PS_BOARDS, "many77"), 0);
        before = 0;
    }
    life_settle();
}

static void a_board_of_very_many_pins_is_walked_over(void **state)
{
    (void)state;
    write_many(PS_WRITE_PUT, "", "large");
    assert_int_equal(degree(PS_BOARDS, "large"), MANY);
    ask("many5");
    write_one(PS_WRITE_DELETE, "many5");
    assert_int_equal(degree(PS_BOARDS, "large"), MANY - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pin_on_very_many_boards_is_emptied_and_deleted),
        cmocka_unit_test(a_board_of_very_many_pins_is_walked_over),
    };
    return cmocka_run_group_tests(tests, make, end);
}
