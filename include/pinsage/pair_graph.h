/* pair_graph.h - engagement pairs as a graph of their own.
 *
 * Whoever engaged with a pin and then with another left an edge between the two,
 * whichever was first. Where pairs repeat or chain, that says more than any board: the
 * pairs of a query's own pairs, the pairs of the pins it shares boards with, and the
 * board neighbours of its pairs are candidates that the pin-board graph alone does not
 * name.
 *
 *     pairs.indptr.npy u64 (N + 1)   pairs.indices.npy u32   pairs.weights.npy f32
 *
 * Symmetric; a weight is how often the two were paired, either way round.
 *
 * Nothing may learn its own answer: while a pair is being learned it is not in the graph
 * that describes it, nor is its reverse. So what is fitted on valid pairs reads the graph
 * of the training pairs, and cross-fitting builds one graph a fold.
 *
 * Threads: read by all once made.
 */
#ifndef PINSAGE_PAIR_GRAPH_H
#define PINSAGE_PAIR_GRAPH_H

#include <stdint.h>

#include "pinsage/catalog.h"
#include "pinsage/generation.h"
#include "pinsage/import.h"

typedef struct ps_pair_graph {
    ps_csr csr;          /* rows = N pins */
    const float *weight; /* (edges) */
    ps_npy array[3];     /* what is mapped; empty for one made in memory */
} ps_pair_graph;         /* zero-initialised: no pairs */

/* In memory, from pairs; owned. PS_ENOMEM. */
int ps_pair_graph_make(ps_pair_graph *g, uint32_t n_pins, const ps_pairs *pairs);
/* Map a generation's; one that has none gives an empty graph. */
int ps_pair_graph_open(ps_pair_graph *g, const ps_generation *of, ps_why *why);
int ps_pair_graph_write(const ps_pair_graph *g, ps_draft *d, ps_why *why);
void ps_pair_graph_done(ps_pair_graph *g);

static inline uint32_t ps_pair_degree(const ps_pair_graph *g, uint32_t row)
{
    return row < g->csr.rows ? ps_csr_degree(&g->csr, row) : 0;
}

/* How pairs come: the mean over pairs of the share of a pin's other pairs that are pairs
 * of the other pin too. From PS_PAIRS_GROUPED on they come in groups (rooms, baskets,
 * libraries): a new pair comes with a new group, and what stands in the graph says
 * nothing of it. Below, they come singly, and the graph helps. In six data sets the two
 * kinds lay a factor of three apart. */
#define PS_PAIRS_GROUPED 0.2
double ps_pairs_overlap(const ps_pair_graph *g);

/* Times that row was paired with anything. */
double ps_pair_total(const ps_pair_graph *g, uint32_t row);

#endif
