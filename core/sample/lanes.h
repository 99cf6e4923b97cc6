/* lanes.h - many walks in step, so that their cache misses overlap.
 *
 * A hop pin -> board -> pin is four dependent reads of random places. One walk alone
 * waits for each; a few dozen walks take the four stages together, and each stage asks
 * for what the next one reads:
 *
 *     pick    offsets[pin]   -> choose an edge,    prefetch indices[edge]
 *     follow  indices[edge]  -> stand on a board,  prefetch offsets[board]
 *     pick    offsets[board] -> choose an edge,    prefetch indices[edge]
 *     follow  indices[edge]  -> stand on a pin,    prefetch offsets[pin]
 *
 * Offsets are a tenth of a graph and often cached, indices never are. So that misses come
 * evenly and not all in the picks, one half of the lanes is a stage behind the other.
 *
 * On a live graph a stage stands between: where something near the row was ever changed
 * there is a slot to look into, and maybe a delta to pick from (core/graph/live_graph.h).
 *
 * Only the functions before ps_lanes_alive read the graph.
 *
 * Threads: lanes belong to one thread. The graph is only read.
 */
#ifndef PINSAGE_CORE_SAMPLE_LANES_H
#define PINSAGE_CORE_SAMPLE_LANES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/graph/live_graph.h"
#include "pinsage/rng.h"

/* As many as keep all the misses busy that a core can have in flight; more gain nothing.
 */
#define PS_LANES 48

typedef struct ps_lane {
    uint64_t rng; /* the walk's own stream */
    union {
        const uint32_t *edge;      /* picked, not yet followed */
        _Atomic(ps_delta *) *slot; /* live, just come: of the row, if it has one */
        const ps_delta *delta;     /* live, about to pick: the newest of the row */
    };
    uint32_t row;             /* where it stands: a pin or a board */
    uint32_t owner, at, left; /* the caller's: whose walk it is, and how far */
} ps_lane;

#define PS_NOWHERE UINT32_MAX /* row of a walk that could not go on */

/* The stages are told at compile time whether the graph is live: one that is not pays
 * nothing. */
#define PS_STAGE static inline __attribute__((always_inline))

/* One matrix, and what a live view changes in it. */
typedef struct ps_ground {
    const ps_csr *m;
    uint32_t rows;         /* an edge to one beyond them leads nowhere */
    const ps_pages *pages; /* of a live view only, seen at: */
    uint64_t at;
} ps_ground;

/* Rows of a live graph may lie beyond the matrix. */
static inline void ps_lane_prefetch(const ps_csr *m, uint32_t row)
{
    __builtin_prefetch(m->indptr + row);
}

/* Ask for what is read first of the row a lane comes to: its offsets or, in a live graph
 * where something near it was ever changed, its newest delta. */
PS_STAGE void come_to(const ps_ground *g, ps_lane *l, uint32_t row, const bool live)
{
    const void *offsets = g->m->indptr + row, *first = offsets;
    l->row = row;
    if (live) {
        l->slot = ps_slot_of(g->pages, row);
        first = l->slot ? (const void *)l->slot : offsets;
    }
    __builtin_prefetch(first);
}

/* Live only: find the newest delta of the row and ask for it. */
PS_STAGE void stand_on(const ps_ground *g, ps_lane *l)
{
    if (!l->slot)
        return; /* nor is there a delta */
    l->delta = atomic_load_explicit(l->slot, memory_order_acquire);
    if (l->delta) {
        __builtin_prefetch(l->delta);
        __builtin_prefetch((const char *)l->delta + 64);
    } else {
        ps_lane_prefetch(g->m, l->row);
    }
}

static inline void go_nowhere(ps_lane *l)
{
    l->row = PS_NOWHERE;
    l->edge = NULL; /* nor a slot */
}

/* One random edge of the row the lane stands on; nowhere if it has none. */
PS_STAGE void pick_edge(const ps_ground *g, ps_lane *l, const bool live)
{
    if (l->row == PS_NOWHERE)
        return;
    const ps_delta *d = live ? ps_delta_at(l->delta, g->at) : NULL;
    uint64_t first = 0, degree = 0;
    if (live && d) {
        degree = d->degree;
    } else if (!live || l->row < g->m->rows) {
        const uint64_t *ends = &g->m->indptr[l->row];
        first = ends[0];
        degree = ends[1] - first;
    }
    if (degree == 0) {
        go_nowhere(l);
        return;
    }
    uint64_t i = ps_rng_below(&l->rng, degree);
    l->edge = live && d ? ps_delta_pick(d, (uint32_t)i) : &g->m->indices[first + i];
    __builtin_prefetch(l->edge);
}

/* To the row at the other end; next is the matrix that has it as a row. A file that was
 * damaged since it was written may hold any number. */
PS_STAGE void follow_edge(const ps_ground *next, ps_lane *l, const bool live)
{
    if (l->row == PS_NOWHERE)
        return;
    uint32_t row = *l->edge;
    if (row < next->rows)
        come_to(next, l, row, live);
    else
        go_nowhere(l);
}

/* Put a lane at the begin of a walk from a pin. */
static inline void ps_lane_begin(ps_lane *l, const ps_graph *g, uint32_t pin,
                                 uint64_t rng)
{
    *l = (ps_lane){.rng = rng, .row = pin};
    if (g->overlay)
        l->slot = ps_slot_of(ps_live_pages(g, PS_PINS), pin);
}

/* The lanes that are somewhere, moved to the front. */
static inline unsigned ps_lanes_alive(ps_lane *lane, unsigned n)
{
    unsigned alive = 0;
    for (unsigned i = 0; i < n; i++)
        alive += lane[i].row != PS_NOWHERE;
    if (alive == n)
        return n;
    alive = 0;
    for (unsigned i = 0; i < n; i++)
        if (lane[i].row != PS_NOWHERE)
            lane[alive++] = lane[i];
    return alive;
}

#define EACH(i, half) for (unsigned i = 0; i < (half); i++)

static inline void ps_lanes_stages(const ps_ground *forth, const ps_ground *back,
                                   ps_lane *a, ps_lane *b, unsigned half)
{
    EACH(i, half)
    pick_edge(forth, &a[i], false);
    EACH(i, half)
    {
        follow_edge(back, &a[i], false);
        pick_edge(forth, &b[i], false);
    }
    EACH(i, half)
    {
        pick_edge(back, &a[i], false);
        follow_edge(back, &b[i], false);
    }
    EACH(i, half)
    {
        follow_edge(forth, &a[i], false);
        pick_edge(back, &b[i], false);
    }
    EACH(i, half)
    follow_edge(forth, &b[i], false);
}

/* Apart, so that walks on a graph that is not live have the registers to themselves. */
static __attribute__((noinline, unused)) void ps_lanes_live_stages(const ps_ground *forth,
                                                                   const ps_ground *back,
                                                                   ps_lane *a, ps_lane *b,
                                                                   unsigned half)
{
    EACH(i, half)
    stand_on(forth, &a[i]);
    EACH(i, half)
    {
        pick_edge(forth, &a[i], true);
        stand_on(forth, &b[i]);
    }
    EACH(i, half)
    {
        follow_edge(back, &a[i], true);
        pick_edge(forth, &b[i], true);
    }
    EACH(i, half)
    {
        stand_on(back, &a[i]);
        follow_edge(back, &b[i], true);
    }
    EACH(i, half)
    {
        pick_edge(back, &a[i], true);
        stand_on(back, &b[i]);
    }
    EACH(i, half)
    {
        follow_edge(forth, &a[i], true);
        pick_edge(back, &b[i], true);
    }
    EACH(i, half)
    follow_edge(forth, &b[i], true);
}

#undef EACH

/* One hop of n lanes from pins to pins; there are PS_LANES places. Returns how many are
 * still walking: they come first. */
static inline unsigned ps_lanes_hop(const ps_graph *g, ps_lane *lane, unsigned n)
{
    const unsigned half = (n + 1) / 2;
    if (n % 2)
        go_nowhere(&lane[n]); /* PS_LANES is even: the place is there */
    ps_ground forth = {.m = &g->pin_boards, .rows = ps_graph_rows(g, PS_PINS)};
    ps_ground back = {.m = &g->board_pins, .rows = ps_graph_rows(g, PS_BOARDS)};
    if (g->overlay) {
        forth.pages = ps_live_pages(g, PS_PINS);
        back.pages = ps_live_pages(g, PS_BOARDS);
        forth.at = back.at = g->at;
        ps_lanes_live_stages(&forth, &back, lane, lane + half, half);
    } else {
        ps_lanes_stages(&forth, &back, lane, lane + half, half);
    }
    return ps_lanes_alive(lane, n);
}

#endif
