/* pair_hops.h - pins that pairs lead to: by two pairs, by a board and a pair, by a pair
 * and a board.
 *
 * Threads: a ps_pair_hops is scratch for one thread. Both graphs are only read.
 */
#ifndef PINSAGE_CORE_RANK_PAIR_HOPS_H
#define PINSAGE_CORE_RANK_PAIR_HOPS_H

#include "core/rank/row_sums.h"
#include "core/rank/two_hop.h"
#include "pinsage/pair_graph.h"

/* The sums of a pin: chances that a walk from the query ends there. */
enum { PS_HOP_PAIR_PAIR, PS_HOP_BOARD_PAIR, PS_HOP_PAIR_BOARD };

typedef struct ps_pair_hops ps_pair_hops;

/* Borrows both graphs. PS_ENOMEM. */
int ps_pair_hops_new(ps_pair_hops **h, const ps_pair_graph *pairs, const ps_graph *g);
void ps_pair_hops_free(ps_pair_hops *h); /* NULL is fine */
/* Of row, whose pins two hops away are near (two_hop.h). Borrowed until the next call. */
const ps_row_sums *ps_pair_hops_of(ps_pair_hops *h, uint32_t row,
                                   const ps_row_sums *near);

#endif
