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
 * pick_edge and follow_edge are the only places that read the graph.
 *
 * Threads: lanes belong to one thread. The graph is only read.
 */
#ifndef PS_SAMPLE_LANES_H
#define PS_SAMPLE_LANES_H

#include <stdbool.h>
#include <stdint.h>

#include "pinsage/graph.h"
#include "pinsage/rng.h"

/* As many as keep all the misses busy that a core can have in flight; more gain nothing.
 */
#define PS_LANES 48

typedef struct ps_lane {
    uint64_t rng;             /* the walk's own stream */
    uint64_t edge;            /* picked, not yet followed */
    uint32_t row;             /* where it stands: a pin or a board */
    uint32_t owner, at, left; /* the caller's: whose walk it is, and how far */
} ps_lane;

#define PS_NOWHERE UINT32_MAX /* row of a walk that could not go on */

static inline void ps_lane_prefetch(const ps_csr *m, uint32_t row)
{
    __builtin_prefetch(&m->indptr[row]);
}

/* One random edge of the row the lane stands on; nowhere if it has none. */
static inline void pick_edge(const ps_csr *m, ps_lane *l)
{
    if (l->row == PS_NOWHERE)
        return;
    const uint64_t *ends = &m->indptr[l->row];
    uint64_t first = ends[0], degree = ends[1] - first;
    if (degree == 0) {
        l->row = PS_NOWHERE;
        return;
    }
    l->edge = first + ps_rng_below(&l->rng, degree);
    __builtin_prefetch(&m->indices[l->edge]);
}

/* To the row at the other end; next is the matrix that has it as a row. */
static inline void follow_edge(const ps_csr *m, const ps_csr *next, ps_lane *l)
{
    if (l->row == PS_NOWHERE)
        return;
    l->row = m->indices[l->edge];
    ps_lane_prefetch(next, l->row);
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

/* One hop of n lanes from pins to pins; there are PS_LANES places. Returns how many are
 * still walking: they come first. */
static inline unsigned ps_lanes_hop(const ps_graph *g, ps_lane *lane, unsigned n)
{
    const ps_csr *forth = &g->pin_boards, *back = &g->board_pins;
    const unsigned half = (n + 1) / 2;
    ps_lane *a = lane, *b = lane + half;
    if (n % 2)
        lane[n].row = PS_NOWHERE; /* PS_LANES is even: the place is there */
    for (unsigned i = 0; i < half; i++)
        pick_edge(forth, &a[i]);
    for (unsigned i = 0; i < half; i++) {
        follow_edge(forth, back, &a[i]);
        pick_edge(forth, &b[i]);
    }
    for (unsigned i = 0; i < half; i++) {
        pick_edge(back, &a[i]);
        follow_edge(forth, back, &b[i]);
    }
    for (unsigned i = 0; i < half; i++) {
        follow_edge(back, forth, &a[i]);
        pick_edge(back, &b[i]);
    }
    for (unsigned i = 0; i < half; i++)
        follow_edge(back, forth, &b[i]);
    return ps_lanes_alive(lane, n);
}

#endif
