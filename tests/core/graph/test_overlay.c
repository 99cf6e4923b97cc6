/* test_overlay.c - views of a live graph against graphs built from the same edges.
 *
 * The oracle keeps a matrix of booleans; for each version that is kept alive it builds
 * the graph anew with ps_graph_from_pairs, and everything a view says must be what that
 * graph says: degrees, rows, membership, and walks visit by visit. */
#include "pinsage/overlay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/pixie.h"
#include "pinsage/rng.h"
#include "pinsage/walk.h"
#include "tests/support/graphs.h"

/* ------------------------------ The model --------------------------------- */

typedef struct model {
    uint32_t pins, boards; /* live ones included */
    unsigned char *saved;  /* (pins, boards) */
} model;

static model model_of(const ps_graph *g, uint32_t pins, uint32_t boards)
{
    model m = {pins, boards, calloc((size_t)pins * boards, 1)};
    for (uint32_t p = 0; p < g->pin_boards.rows; p++)
        for (uint32_t i = 0; i < ps_csr_degree(&g->pin_boards, p); i++)
            m.saved[(size_t)p * boards + ps_csr_row(&g->pin_boards, p)[i]] = 1;
    return m;
}

static ps_graph rebuilt(const model *m)
{
    ps_graph g;
    size_t n = 0;
    uint32_t(*pair)[2] = malloc(((size_t)m->pins * m->boards + 1) * sizeof *pair);
    for (uint32_t p = 0; p < m->pins; p++)
        for (uint32_t b = 0; b < m->boards; b++)
            if (m->saved[(size_t)p * m->boards + b]) {
                pair[n][0] = p;
                pair[n++][1] = b;
            }
    assert_int_equal(
        ps_graph_from_pairs(&g, m->pins, m->boards, (const uint32_t(*)[2])pair, n),
        PS_OK);
    free(pair);
    return g;
}

/* ------------------------------ Views against it -------------------------- */

static void same_row(const ps_graph *view, const ps_graph *want, ps_side side,
                     uint32_t row)
{
    const ps_csr *m = ps_graph_csr(want, side);
    uint32_t degree = ps_csr_degree(m, row), part = degree / 3;
    uint32_t *got = malloc((degree + 1) * sizeof *got);
    assert_int_equal(ps_graph_degree(view, side, row), degree);
    assert_int_equal(ps_graph_slice(view, side, row, 0, degree + 1, got), degree);
    assert_memory_equal(got, ps_csr_row(m, row), degree * sizeof *got);
    assert_int_equal(ps_graph_slice(view, side, row, part, part, got), part);
    assert_memory_equal(got, ps_csr_row(m, row) + part, part * sizeof *got);
    for (uint32_t i = 0; i < degree; i++)
        assert_int_equal(ps_graph_edge(view, side, row, i), ps_csr_row(m, row)[i]);
    free(got);
}

static unsigned joined; /* walks from two pins that were compared */

/* A view's appetites go by the largest degree of the base and of the queries. */
static bool same_budgets(const ps_graph *view, const ps_graph *want,
                         const ps_pixie_query *q)
{
    uint32_t most = ps_graph_max_degree(view);
    for (int i = 0; i < 2; i++)
        if (ps_graph_degree(view, PS_PINS, q[i].row) > most)
            most = ps_graph_degree(view, PS_PINS, q[i].row);
    return most == ps_graph_max_degree(want);
}

static void same_walks(const ps_graph *view, const ps_graph *want, ps_walker *w,
                       ps_pixie *pixie, uint32_t pin)
{
    static const ps_walk_opts o = {.n_walks = 40, .length = 4, .top = 10};
    ps_visit got[160], expected[160];
    ps_scored best[20], same[20];
    uint32_t found, there;
    assert_int_equal(ps_walker_on(w, view), PS_OK);
    uint32_t n = ps_walk_visits(w, pin, 7 + pin, got, 160);
    assert_int_equal(n, ps_walk_visits_plain(want, o, pin, 7 + pin, expected, 160));
    assert_memory_equal(got, expected, n * sizeof *got);
    assert_int_equal(n, ps_walk_visits_plain(view, o, pin, 7 + pin, expected, 160));
    assert_memory_equal(got, expected, n * sizeof *got);

    ps_pixie_query q[2] = {{pin, 1, 5}, {(pin + 1) % want->pin_boards.rows, 2, 6}};
    for (uint32_t queries = 1; queries <= (same_budgets(view, want, q) ? 2 : 1);
         queries++) {
        assert_int_equal(ps_pixie_on(pixie, view), PS_OK);
        assert_int_equal(ps_pixie_related(pixie, q, queries, best, 20, &found, NULL),
                         PS_OK);
        assert_int_equal(ps_pixie_on(pixie, want), PS_OK);
        assert_int_equal(ps_pixie_related(pixie, q, queries, same, 20, &there, NULL),
                         PS_OK);
        assert_int_equal(found, there);
        assert_memory_equal(best, same, found * sizeof *best);
        joined += queries == 2;
    }
}

typedef struct scratch_pad {
    ps_walker *walker;
    ps_pixie *pixie;
} scratch_pad;

static scratch_pad pad_on(const ps_graph *g)
{
    scratch_pad s;
    ps_pixie_opts o = {.steps = 300, .restart = 0.3f, .correction = 0.5f};
    assert_int_equal(ps_walker_new(&s.walker, g,
                                   (ps_walk_opts){.n_walks = 40, .length = 4, .top = 10}),
                     PS_OK);
    assert_int_equal(ps_pixie_new(&s.pixie, g, o), PS_OK);
    return s;
}

static void pad_done(scratch_pad s)
{
    ps_walker_free(s.walker);
    ps_pixie_free(s.pixie);
}

static void same_graph(const ps_graph *view, const model *m, scratch_pad s)
{
    ps_graph want = rebuilt(m);
    for (uint32_t p = 0; p < m->pins; p++)
        same_row(view, &want, PS_PINS, p);
    for (uint32_t b = 0; b < m->boards; b++)
        same_row(view, &want, PS_BOARDS, b);
    for (uint32_t p = 0; p < m->pins; p++)
        for (uint32_t b = 0; b < m->boards; b++)
            assert_int_equal(ps_graph_has(view, p, b),
                             m->saved[(size_t)p * m->boards + b]);
    for (uint32_t p = 0; p < m->pins; p += 3)
        same_walks(view, &want, s.walker, s.pixie, p);
    ps_graph_free(&want);
}

/* ------------------------------ Random operations ------------------------- */

enum { ALIVE = 4 };

/* A version that is kept alive by a reader, and what it must show. */
typedef struct kept {
    ps_epoch_slot *slot;
    uint64_t at;
    model m;
} kept;

typedef struct world {
    ps_graph base;
    ps_epoch *epoch;
    ps_overlay *o;
    model now;
    kept kept[ALIVE];
    scratch_pad pad;
    uint64_t rng, version;
} world;

static model copy_of(const model *m)
{
    model c = {m->pins, m->boards, malloc((size_t)m->pins * m->boards)};
    memcpy(c.saved, m->saved, (size_t)m->pins * m->boards);
    return c;
}

/* The base has some of the pins and boards; the rest come live. */
static void world_init(world *w, uint64_t seed, uint32_t pins, uint32_t boards,
                       size_t edges)
{
    *w = (world){.rng = seed};
    w->base = random_graph(seed, pins * 2 / 3 + 1, boards * 2 / 3 + 1, edges, 1);
    assert_int_equal(ps_epoch_new(&w->epoch, 0), PS_OK);
    assert_int_equal(ps_overlay_new(&w->o, &w->base, w->epoch), PS_OK);
    w->now = model_of(&w->base, pins, boards);
    w->pad = pad_on(&w->base);
    for (int i = 0; i < ALIVE; i++) {
        assert_int_equal(ps_epoch_join(w->epoch, &w->kept[i].slot), PS_OK);
        w->kept[i].at = ps_epoch_enter(w->kept[i].slot);
        w->kept[i].m = copy_of(&w->now);
    }
}

static void world_done(world *w)
{
    for (int i = 0; i < ALIVE; i++) {
        ps_epoch_exit(w->kept[i].slot);
        ps_epoch_leave(w->kept[i].slot);
        free(w->kept[i].m.saved);
    }
    pad_done(w->pad);
    ps_overlay_free(w->o);
    ps_epoch_free(w->epoch);
    ps_graph_free(&w->base);
    free(w->now.saved);
}

static void look_at(world *w, int i)
{
    ps_graph view = ps_graph_view(&w->base, w->o, w->kept[i].at);
    same_graph(&view, &w->kept[i].m, w->pad);
}

/* The reader lets its version go and takes the newest. */
static void renew(world *w, int i)
{
    kept *k = &w->kept[i];
    ps_epoch_exit(k->slot);
    free(k->m.saved);
    k->at = ps_epoch_enter(k->slot);
    k->m = copy_of(&w->now);
    assert_int_equal(k->at, w->version);
}

static void one_change(world *w, model *m)
{
    uint32_t pin = (uint32_t)ps_rng_below(&w->rng, m->pins);
    uint32_t board = (uint32_t)ps_rng_below(&w->rng, m->boards);
    unsigned char *saved = &m->saved[(size_t)pin * m->boards + board];
    uint64_t dice = ps_rng_below(&w->rng, 100);
    if (dice < 3) {
        uint32_t removed, n = 0;
        for (uint32_t b = 0; b < m->boards; b++) {
            n += m->saved[(size_t)pin * m->boards + b];
            m->saved[(size_t)pin * m->boards + b] = 0;
        }
        assert_int_equal(ps_overlay_clear_pin(w->o, pin, &removed), PS_OK);
        assert_int_equal(removed, n);
    } else if (dice < 60) {
        assert_int_equal(ps_overlay_save(w->o, pin, board), *saved ? PS_EEXIST : PS_OK);
        *saved = 1;
    } else {
        assert_int_equal(ps_overlay_unsave(w->o, pin, board), *saved ? PS_OK : PS_ENOENT);
        *saved = 0;
    }
}

/* A group of some changes, published unless it is aborted. */
static void one_group(world *w, uint64_t most)
{
    model next = copy_of(&w->now);
    uint64_t n = 1 + ps_rng_below(&w->rng, most);
    bool abort_it = ps_rng_below(&w->rng, 8) == 0;
    ps_overlay_begin(w->o, w->version + 1);
    for (uint64_t i = 0; i < n; i++)
        one_change(w, &next);
    if (abort_it) {
        ps_overlay_abort(w->o);
        free(next.saved);
        return;
    }
    ps_overlay_commit(w->o);
    free(w->now.saved);
    w->now = next;
    ps_epoch_publish(w->epoch, ++w->version);
}

static void run(uint64_t seed, uint32_t pins, uint32_t boards, size_t edges,
                uint32_t groups, uint64_t most)
{
    world w;
    world_init(&w, seed, pins, boards, edges);
    for (uint32_t i = 0; i < groups; i++) {
        one_group(&w, most);
        int reader = (int)ps_rng_below(&w.rng, ALIVE);
        if (ps_rng_below(&w.rng, 2))
            renew(&w, reader);
        look_at(&w, reader);
        ps_epoch_reclaim(w.epoch);
    }
    for (int i = 0; i < ALIVE; i++)
        look_at(&w, i);
    world_done(&w);
}

static void every_version_alive_is_the_graph_of_its_edges(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++)
        run(seed, 24, 15, 120, 60, 12);
    assert_true(joined > 100);
}

static void rows_of_many_changes_too(void **state)
{
    (void)state;
    run(11, 12, 400, 1500, 60, 300);
    run(12, 400, 12, 1500, 60, 300);
    run(13, 5, 1000, 3000, 40, 900);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_version_alive_is_the_graph_of_its_edges),
        cmocka_unit_test(rows_of_many_changes_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
