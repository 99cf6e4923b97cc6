/* test_overlay_memory.c - a live graph when memory runs out, and whether it gives back
 * what versions leave behind.
 *
 * The Nth request fails, for every N of a story of changes: what failed was not made, a
 * second try is, and the end is the same.
 *
 * Link: -Wl,--wrap=calloc,--wrap=realloc,--wrap=ps_slab_take,--wrap=ps_slab_give
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/graph/slab.h"
#include "pinsage/overlay.h"
#include "pinsage/rng.h"
#include "tests/support/graphs.h"

/* ------------------------------ Allocation -------------------------------- */

static int left;                 /* requests until one fails; 0: none does */
static size_t blocks, block_sum; /* of the slab in use, and their sizes */

static bool due(void)
{
    return left > 0 && left-- == 1;
}

void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_ps_slab_take(ps_slab *s, size_t size);
void __real_ps_slab_give(ps_slab *s, void *block, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_ps_slab_take(ps_slab *s, size_t size);
void __wrap_ps_slab_give(ps_slab *s, void *block, size_t size);

void *__wrap_calloc(size_t n, size_t size)
{
    return due() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return due() ? NULL : __real_realloc(old, size);
}

void *__wrap_ps_slab_take(ps_slab *s, size_t size)
{
    if (due())
        return NULL;
    blocks++;
    block_sum += ps_slab_size(size);
    return __real_ps_slab_take(s, size);
}

void __wrap_ps_slab_give(ps_slab *s, void *block, size_t size)
{
    blocks -= block != NULL;
    block_sum -= block ? ps_slab_size(size) : 0;
    __real_ps_slab_give(s, block, size);
}

/* ------------------------------ The story --------------------------------- */

enum { PINS = 150, BOARDS = 40, GROUPS = 6, CHANGES = 200 };

typedef struct story {
    ps_graph base;
    ps_epoch *epoch;
    ps_overlay *o;
    unsigned char saved[PINS][BOARDS], kept[PINS][BOARDS];
    int failures;
} story;

/* The oracle's group is committed, or was never there. */
static void keep(story *s)
{
    memcpy(s->kept, s->saved, sizeof s->saved);
}

static void begin_again(story *s)
{
    memcpy(s->saved, s->kept, sizeof s->saved);
}

static void begin(story *s)
{
    memset(s, 0, sizeof *s);
    s->base = random_graph(3, PINS - 20, BOARDS - 5, 900, 2);
    for (uint32_t p = 0; p < s->base.pin_boards.rows; p++)
        for (uint32_t i = 0; i < ps_csr_degree(&s->base.pin_boards, p); i++)
            s->saved[p][ps_csr_row(&s->base.pin_boards, p)[i]] = 1;
    assert_int_equal(ps_epoch_new(&s->epoch, 0), PS_OK);
    assert_int_equal(ps_overlay_new(&s->o, &s->base, s->epoch), PS_OK);
    keep(s);
}

static void end(story *s)
{
    ps_overlay_free(s->o);
    ps_epoch_free(s->epoch);
    ps_graph_free(&s->base);
}

static int try_change(story *s, uint32_t pin, uint32_t board, bool clear)
{
    if (clear)
        return ps_overlay_clear_pin(s->o, pin, NULL);
    return s->saved[pin][board] ? ps_overlay_unsave(s->o, pin, board)
                                : ps_overlay_save(s->o, pin, board);
}

/* The rows of one pin and its boards, as the oracle has them. */
static void shows(const story *s, uint64_t at, uint32_t pin)
{
    ps_graph view = ps_graph_view(&s->base, s->o, at);
    uint32_t degree = 0, row[PINS];
    for (uint32_t b = 0; b < BOARDS; b++) {
        degree += s->saved[pin][b];
        assert_int_equal(ps_graph_has(&view, pin, b), s->saved[pin][b]);
        uint32_t n = ps_graph_slice(&view, PS_BOARDS, b, 0, PINS, row), there = 0;
        assert_int_equal(n, ps_graph_degree(&view, PS_BOARDS, b));
        for (uint32_t i = 0; i < n; i++)
            there += row[i] == pin;
        assert_int_equal(there, s->saved[pin][b]);
    }
    assert_int_equal(ps_graph_degree(&view, PS_PINS, pin), degree);
}

/* Toggle an edge, or clear a pin, until it succeeds: the second time at the latest. */
static void change(story *s, uint64_t version, uint32_t pin, uint32_t board, bool clear)
{
    int err = try_change(s, pin, board, clear);
    if (err) {
        assert_int_equal(err, PS_ENOMEM);
        s->failures++;
        shows(s, version, pin);
        assert_int_equal(try_change(s, pin, board, clear), PS_OK);
    }
    s->saved[pin][board] ^= 1;
    if (clear)
        memset(s->saved[pin], 0, BOARDS);
}

static void tell(story *s)
{
    uint64_t rng = 5;
    for (uint64_t version = 1; version <= GROUPS; version++) {
        ps_overlay_begin(s->o, version);
        for (int i = 0; i < CHANGES; i++) {
            uint32_t pin = (uint32_t)ps_rng_below(&rng, PINS);
            uint32_t board = (uint32_t)ps_rng_below(&rng, i % 2 ? BOARDS : 3);
            change(s, version, pin, board, i % 50 == 7);
        }
        ps_overlay_commit(s->o);
        ps_epoch_publish(s->epoch, version);
        ps_epoch_reclaim(s->epoch);
    }
    for (uint32_t p = 0; p < PINS; p++)
        shows(s, GROUPS, p);
}

static void what_failed_was_not_made(void **state)
{
    (void)state;
    static story s;
    int n = 0;
    do {
        begin(&s);
        left = ++n;
        tell(&s);
        left = 0;
        end(&s);
    } while (s.failures);
    print_message("# %d requests failed, one at a time\n", n - 1);
    assert_true(n > 500);
}

static void no_memory_for_an_overlay_is_told(void **state)
{
    (void)state;
    ps_graph g = random_graph(1, 10, 10, 20, 0);
    ps_epoch *e;
    ps_overlay *o;
    int n = 1, err = PS_ENOMEM;
    assert_int_equal(ps_epoch_new(&e, 0), PS_OK);
    for (; err; n++) {
        left = n;
        err = ps_overlay_new(&o, &g, e);
        left = 0;
        assert_true(err == PS_OK || err == PS_ENOMEM);
    }
    assert_true(n > 4);
    ps_overlay_free(o);
    ps_epoch_free(e);
    ps_graph_free(&g);
}

/* ------------------------------ Giving back ------------------------------- */

/* The pages that rows of this graph are on. */
enum { PAGES = (PINS + 63) / 64 + (BOARDS + 63) / 64 };

/* A row that was changed is one block, and leaves if it is long: nothing older is kept.
 */
static void old_versions_are_given_back(void **state)
{
    (void)state;
    static story s;
    begin(&s);
    blocks = block_sum = 0;
    uint64_t rng = 9, most = 0;
    for (uint64_t version = 1; version <= 3000; version++) {
        uint32_t pin = (uint32_t)ps_rng_below(&rng, PINS);
        uint32_t board = (uint32_t)ps_rng_below(&rng, BOARDS);
        ps_overlay_begin(s.o, version);
        change(&s, version, pin, board, version % 100 == 99);
        if (version % 3 == 0) {
            ps_overlay_abort(s.o);
            begin_again(&s);
        } else {
            ps_overlay_commit(s.o);
            keep(&s);
        }
        ps_epoch_publish(s.epoch, version);
        ps_epoch_reclaim(s.epoch);
        most = block_sum > most ? block_sum : most;
    }
    ps_overlay_counts c = ps_overlay_count(s.o);
    assert_int_equal(ps_epoch_waiting(s.epoch), 0);
    size_t leaves = (c.added + c.removed) / 10;
    assert_in_range(blocks, c.pins + c.boards + PAGES,
                    c.pins + c.boards + PAGES + leaves);
    assert_in_range(c.bytes, most, 2 * most + (64 << 10));
    end(&s);
}

static void what_is_undone_takes_no_room(void **state)
{
    (void)state;
    static story s;
    begin(&s);
    blocks = 0;
    for (uint64_t version = 1; version <= 401; version++) {
        ps_overlay_begin(s.o, version);
        for (uint32_t p = 0; p < (version < 401 ? PINS : 1); p++)
            change(&s, version, p, 1, false);
        ps_overlay_commit(s.o);
        ps_epoch_publish(s.epoch, version);
        ps_epoch_reclaim(s.epoch);
    }
    ps_overlay_counts c = ps_overlay_count(s.o);
    assert_int_equal(c.added + c.removed, 1);
    assert_int_equal(c.pins, PINS);
    assert_int_equal(c.boards, 1);
    assert_int_equal(blocks, c.pins + c.boards + PAGES);
    end(&s);
}

static void a_long_row_cleared_at_once_takes_no_room(void **state)
{
    (void)state;
    static story s;
    begin(&s);
    blocks = 0;
    for (uint64_t version = 1; version <= 20; version++) {
        ps_overlay_begin(s.o, version);
        for (uint32_t b = 0; b < BOARDS; b++)
            change(&s, version, PINS - 1, b, false);
        change(&s, version, PINS - 1, 0, true);
        ps_overlay_commit(s.o);
        ps_epoch_publish(s.epoch, version);
        ps_epoch_reclaim(s.epoch);
    }
    ps_overlay_counts c = ps_overlay_count(s.o);
    assert_int_equal(c.added + c.removed, 0);
    assert_int_equal(blocks, c.pins + c.boards + 2);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_failed_was_not_made),
        cmocka_unit_test(no_memory_for_an_overlay_is_told),
        cmocka_unit_test(old_versions_are_given_back),
        cmocka_unit_test(what_is_undone_takes_no_room),
        cmocka_unit_test(a_long_row_cleared_at_once_takes_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
