/* walk.h - importance neighbourhoods: the pins that short walks keep coming back to.
 *
 * PinSage pools over the T pins that random walks pin -> board -> pin from a pin visit
 * most, weighted by visit counts (KDD 2018, section 3.2). The pin itself is not its own
 * neighbour; ties go to the smaller row; weights are counts divided by the kept total.
 *
 * Walk i from a pin has its own random stream, ps_rng_at(seed, i), where seed is
 * ps_pin_seed(run seed, pin id): the order in which walks advance changes nothing, so
 * many are interleaved, each stage prefetching what the next reads.
 *
 * Walks on a view of a live graph are those on the graph that it shows (overlay.h).
 *
 * Threads: a ps_walker is scratch space for one thread. The graph is only read.
 */
#ifndef PINSAGE_WALK_H
#define PINSAGE_WALK_H

#include <stdint.h>

#include "pinsage/graph.h"

typedef struct ps_walk_opts {
    uint32_t n_walks; /* walks per pin; 1..100000 */
    uint32_t length;  /* pin-board-pin hops per walk; 1..32 */
    uint32_t top;     /* T: neighbours kept; 1..1000 */
} ps_walk_opts;
#define PS_WALK_DEFAULTS ((ps_walk_opts){.n_walks = 200, .length = 2, .top = 20})

typedef struct ps_visit {
    uint32_t row;
    uint32_t count;
} ps_visit;

typedef struct ps_walker ps_walker;

/* Borrows g. PS_EINVAL for options out of range. */
int ps_walker_new(ps_walker **w, const ps_graph *g, ps_walk_opts opts);
/* Walk on this graph from now on, the next view of a live one: borrows g. Cheap: only if
 * pins have become many more is there something to allocate; after PS_ENOMEM the walker
 * is where it was. */
int ps_walker_on(ps_walker *w, const ps_graph *g);
void ps_walker_free(ps_walker *w);

/* Neighbourhoods of n pins: rows out (n, T) and weights (n, T), heaviest first, padded
 * with the pin itself at weight 0. seeds[i] is ps_pin_seed of pins[i]. weights of an
 * isolated pin are all 0. */
void ps_walk_neighbours(ps_walker *w, const uint32_t *pins, const uint64_t *seeds,
                        uint32_t n, uint32_t *rows, float *weights);

/* The neighbourhood of a pin that is not in the graph, were it on these boards (n), from
 * n_walks walks, at most the walker's: rows (T) and weights (T), padded with PS_NO_PIN.
 * As for a pin of the graph, walk i takes ps_rng_at(seed, i). */
#define PS_NO_PIN UINT32_MAX
void ps_walk_unstored(ps_walker *w, const uint32_t *boards, uint32_t n, uint32_t n_walks,
                      uint64_t seed, uint32_t *rows, float *weights);

/* All visited pins of one start, most visited first, ties by row; at most max into out
 * (the ranking that hard negatives and walk pairs are drawn from). Returns how many. */
uint32_t ps_walk_visits(ps_walker *w, uint32_t pin, uint64_t seed, ps_visit *out,
                        uint32_t max);

/* The same two results by the plainest code, one walk at a time: the oracle of the tests.
 */
uint32_t ps_walk_visits_plain(const ps_graph *g, ps_walk_opts opts, uint32_t pin,
                              uint64_t seed, ps_visit *out, uint32_t max);

#endif
