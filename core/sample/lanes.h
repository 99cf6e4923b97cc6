/* lanes.h - many walks in step, so that their cache misses overlap.
 *
 * A hop pin -> board -> pin is four dependent reads of random places. One walk alone
 * waits for each; a few dozen walks take the four steps together, and each step asks for
 * what the next one reads:
 *
 *     pick    offsets[pin]   -> choose an edge,    prefetch indices[edge]
 *     follow  indices[edge]  -> stand on a board,  prefetch offsets[board]
 *     pick    offsets[board] -> choose an edge,    prefetch indices[edge]
 *     follow  indices[edge]  -> stand on a pin,    prefetch offsets[pin]
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

static inline void ps_lane_prefetch(const ps_csr *m, uint32_t row)
{
    __builtin_prefetch(&m->indptr[row]);
}

/* One random edge of the row the lane stands on; false if it has none. */
static inline bool pick_edge(const ps_csr *m, ps_lane *l)
{
    const uint64_t *ends = &m->indptr[l->row];
    uint64_t first = ends[0], degree = ends[1] - first;
    if (degree == 0)
        return false;
    l->edge = first + ps_rng_below(&l->rng, degree);
    __builtin_prefetch(&m->indices[l->edge]);
    return true;
}

/* To the row at the other end; next is the matrix that has it as a row. */
static inline void follow_edge(const ps_csr *m, const ps_csr *next, ps_lane *l)
{
    l->row = m->indices[l->edge];
    ps_lane_prefetch(next, l->row);
}

/* A walk that cannot go on leaves: the last lane takes its place. */
static inline unsigned ps_lanes_pick(const ps_csr *m, ps_lane *lane, unsigned n)
{
    for (unsigned i = 0; i < n;) {
        if (pick_edge(m, &lane[i]))
            i++;
        else
            lane[i] = lane[--n];
    }
    return n;
}

/* One hop of n lanes from pins to pins. Returns how many are still walking: they come
 * first, in any order. */
static inline unsigned ps_lanes_hop(const ps_graph *g, ps_lane *lane, unsigned n)
{
    const ps_csr *forth = &g->pin_boards, *back = &g->board_pins;
    n = ps_lanes_pick(forth, lane, n);
    for (unsigned i = 0; i < n; i++)
        follow_edge(forth, back, &lane[i]);
    n = ps_lanes_pick(back, lane, n);
    for (unsigned i = 0; i < n; i++)
        follow_edge(back, forth, &lane[i]);
    return n;
}

#endif
