/* two_hop.h - exact counts of the pins that share boards with a pin.
 *
 * Every pin two hops away, with what the boards between say of it: how likely a walk
 * pin -> board -> pin ends there (RP3), and how rare the common boards are. A walk
 * estimates the first; where the surroundings are small, counting costs less and has no
 * noise. Above a budget of edges each large board is sampled evenly and its pins count
 * for those that were passed over.
 *
 * Threads: a ps_two_hop is scratch for one thread. The graph is only read.
 */
#ifndef PINSAGE_CORE_RANK_TWO_HOP_H
#define PINSAGE_CORE_RANK_TWO_HOP_H

#include <stdint.h>

#include "core/rank/row_sums.h"
#include "pinsage/graph.h"

/* The sums of a pin that is two hops away. */
enum {
    PS_HOP_WALK, /* over common boards: 1 / pins of the board, by boards of the query */
    PS_HOP_ROOT, /* 1 / sqrt(pins of the board) */
    PS_HOP_RARE, /* squared log(pins of the graph / pins of the board) */
};

typedef struct ps_two_hop ps_two_hop;

/* budget: edges looked at for one pin, about. Borrows g. */
int ps_two_hop_new(ps_two_hop **t, const ps_graph *g, uint32_t budget);
void ps_two_hop_on(ps_two_hop *t, const ps_graph *g);
void ps_two_hop_free(ps_two_hop *t); /* NULL is fine */

/* All pins that share a board with row, itself left out, in no order. Borrowed until the
 * next call. */
const ps_row_sums *ps_two_hop_of(ps_two_hop *t, uint32_t row);
/* Of a pin that is in no graph, on these boards of it. */
const ps_row_sums *ps_two_hop_boards(ps_two_hop *t, const uint32_t *boards, uint32_t n);

#endif
