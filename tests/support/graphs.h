/* graphs.h - small random graphs to walk on.
 *
 * Threads: one. Everything aborts the test when it fails.
 */
#ifndef PINSAGE_TESTS_SUPPORT_GRAPHS_H
#define PINSAGE_TESTS_SUPPORT_GRAPHS_H

#include "pinsage/graph.h"

/* About `edges` edges between n_pins and n_boards; the more skew, the more they crowd
 * on the first pins and boards (hubs), leaving others isolated or alone. For
 * ps_graph_free. */
ps_graph random_graph(uint64_t seed, uint32_t n_pins, uint32_t n_boards, size_t edges,
                      int skew);
/* The same with a path through all rows, so that it is connected. */
ps_graph connected_graph(uint64_t seed, uint32_t n_pins, uint32_t n_boards, size_t edges,
                         int skew);
/* Chance that a hop pin -> board -> pin from p ends at q: (n_pins, n_pins), owned by the
 * caller. The row of an isolated pin is 0. */
double *hop_chances(const ps_graph *g);

#endif
