/* labels.h - pairs to learn from when there is no file of them, and pairs to choose by.
 *
 * Label boards: a share of the boards, picked by the hash of their number, is taken out
 * of the graph; pins that lay together on one of them are pairs. Without a valid file,
 * the pairs of a share of the queries are set aside.
 *
 * Threads: one thread of control.
 */
#ifndef PINSAGE_CORE_TRAIN_LABELS_H
#define PINSAGE_CORE_TRAIN_LABELS_H

#include "pinsage/graph.h"
#include "pinsage/import.h"

/* A board gives at most this many pairs, so that a few large ones do not drown the rest;
 * boards of more pins than PS_LABEL_CAP say little and are left in the graph. */
#define PS_LABEL_PAIRS 64
#define PS_LABEL_CAP   1000

/* Pairs of the held-out boards, and the graph without them: owned, free with
 * ps_graph_free. *boards is how many were held out. */
int ps_labels_hold_out(const ps_graph *g, double share, uint64_t seed, ps_pairs *pairs,
                       ps_graph *rest, uint32_t *boards);

/* Move the pairs of about `share` of the queries from pairs to valid. A pin is set aside
 * or not by the hash of its row: pairs whose query is go to valid, pairs where only the
 * other pin is are dropped, so that no query of valid is in pairs on either side. After a
 * failure both must still be freed. */
int ps_labels_slice(ps_pairs *pairs, ps_pairs *valid, double share, uint64_t seed);

#endif
