/* test_overlay_threads.c - one writer, several readers: each reader sees exactly the
 * version it entered, whatever the writer does meanwhile.
 *
 * The writer notes a sum over the edges of each version before it publishes it. Readers
 * add up both sides of their view, and walk it in lanes and plainly. */
#include "pinsage/overlay.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "pinsage/rng.h"
#include "pinsage/walk.h"
#include "tests/support/graphs.h"

enum { READERS = 3, PINS = 60, BOARDS = 25, BASE_PINS = 40, BASE_BOARDS = 20, MOST = 32 };

typedef struct world {
    ps_graph base;
    ps_epoch *epoch;
    ps_overlay *o;
    uint64_t versions;
    uint64_t *sum; /* (versions + 1) of the edges of each */
    bool saved[PINS][BOARDS];
    atomic_bool over;
    atomic_uint wrong, looks;
} world;

static uint64_t sum_of(uint32_t pin, uint32_t board)
{
    return ps_mix64((uint64_t)pin << 32 | board);
}

/* ------------------------------ Readers ----------------------------------- */

static uint64_t sum_side(const ps_graph *view, ps_side side)
{
    uint64_t sum = 0;
    uint32_t rows = side == PS_PINS ? PINS : BOARDS, row[PINS];
    for (uint32_t r = 0; r < rows; r++) {
        uint32_t n = ps_graph_slice(view, side, r, 0, PINS, row);
        for (uint32_t i = 0; i < n; i++)
            sum += side == PS_PINS ? sum_of(r, row[i]) : sum_of(row[i], r);
    }
    return sum;
}

static bool walks_agree(const ps_graph *view, ps_walker *w, uint32_t pin)
{
    static const ps_walk_opts o = {.n_walks = 10, .length = 3, .top = MOST};
    ps_visit lanes[MOST], plain[MOST];
    if (ps_walker_on(w, view))
        return false;
    uint32_t n = ps_walk_visits(w, pin, pin, lanes, MOST);
    return n == ps_walk_visits_plain(view, o, pin, pin, plain, MOST) &&
           memcmp(lanes, plain, n * sizeof *lanes) == 0;
}

static void *read_on(void *arg)
{
    world *w = arg;
    ps_epoch_slot *slot;
    ps_walker *walker;
    ps_walk_opts o = {.n_walks = 10, .length = 3, .top = MOST};
    if (ps_epoch_join(w->epoch, &slot) || ps_walker_new(&walker, &w->base, o))
        abort();
    for (uint32_t i = 0; !w->over; i++) {
        uint64_t at = ps_epoch_enter(slot);
        ps_graph view = ps_graph_view(&w->base, w->o, at);
        w->wrong += sum_side(&view, PS_PINS) != w->sum[at];
        w->wrong += sum_side(&view, PS_BOARDS) != w->sum[at];
        w->wrong += !walks_agree(&view, walker, i % PINS);
        w->wrong += ps_overlay_count(w->o).pins > PINS;
        w->looks++;
        ps_epoch_exit(slot);
    }
    ps_walker_free(walker);
    ps_epoch_leave(slot);
    return NULL;
}

/* ------------------------------ The writer -------------------------------- */

static uint64_t toggle(world *w, uint32_t pin, uint32_t board)
{
    bool *saved = &w->saved[pin][board];
    int err =
        *saved ? ps_overlay_unsave(w->o, pin, board) : ps_overlay_save(w->o, pin, board);
    assert_int_equal(err, PS_OK);
    *saved = !*saved;
    return *saved ? sum_of(pin, board) : 0 - sum_of(pin, board);
}

static uint64_t clear(world *w, uint32_t pin)
{
    uint64_t sum = 0;
    for (uint32_t b = 0; b < BOARDS; b++) {
        sum -= w->saved[pin][b] ? sum_of(pin, b) : 0;
        w->saved[pin][b] = false;
    }
    assert_int_equal(ps_overlay_clear_pin(w->o, pin, NULL), PS_OK);
    return sum;
}

static void write_version(world *w, uint64_t version, uint64_t *rng)
{
    uint64_t sum = w->sum[version - 1];
    if (version % 5 == 0) { /* one that is given up */
        ps_overlay_begin(w->o, version);
        ps_overlay_save(w->o, (uint32_t)version % PINS, (uint32_t)version % BOARDS);
        ps_overlay_clear_pin(w->o, (uint32_t)version % 7, NULL);
        ps_overlay_abort(w->o);
    }
    ps_overlay_begin(w->o, version);
    for (uint64_t n = 1 + ps_rng_below(rng, 8); n; n--) {
        uint32_t pin = (uint32_t)ps_rng_below(rng, PINS);
        uint32_t board = (uint32_t)ps_rng_below(rng, BOARDS);
        sum += ps_rng_below(rng, 20) ? toggle(w, pin, board) : clear(w, pin);
    }
    w->sum[version] = sum;
    ps_overlay_commit(w->o);
    ps_epoch_publish(w->epoch, version);
    if (version % 3 == 0)
        ps_epoch_reclaim(w->epoch);
}

static void each_reader_sees_the_version_it_entered(void **state)
{
    (void)state;
    static world w;
    pthread_t reader[READERS];
    uint64_t rng = 4;
    w.versions = 4000;
    w.sum = calloc(w.versions + 1, sizeof *w.sum);
    w.base = random_graph(8, BASE_PINS, BASE_BOARDS, 300, 1);
    for (uint32_t p = 0; p < BASE_PINS; p++)
        for (uint32_t i = 0; i < ps_csr_degree(&w.base.pin_boards, p); i++) {
            w.saved[p][ps_csr_row(&w.base.pin_boards, p)[i]] = true;
            w.sum[0] += sum_of(p, ps_csr_row(&w.base.pin_boards, p)[i]);
        }
    assert_int_equal(ps_epoch_new(&w.epoch, 0), PS_OK);
    assert_int_equal(ps_overlay_new(&w.o, &w.base, w.epoch), PS_OK);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&reader[i], NULL, read_on, &w), 0);
    for (uint64_t v = 1; v <= w.versions; v++)
        write_version(&w, v, &rng);
    while (w.looks < 100)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    w.over = true;
    for (int i = 0; i < READERS; i++)
        pthread_join(reader[i], NULL);
    assert_int_equal(w.wrong, 0);
    print_message("# %u looks at %u versions\n", w.looks, (unsigned)w.versions);
    ps_epoch_reclaim(w.epoch);
    assert_int_equal(ps_epoch_waiting(w.epoch), 0);
    ps_overlay_free(w.o);
    ps_epoch_free(w.epoch);
    ps_graph_free(&w.base);
    free(w.sum);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_reader_sees_the_version_it_entered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
