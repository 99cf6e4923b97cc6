/* labels.h - pairs to learn from when there is no file of them, and pairs to choose by.
 *
 * Label boards: a share of the boards, picked by the hash of their number, is taken out
 * of the graph; pins that lay together on one of them are pairs. Without a valid file,
 * a share of the pairs is set aside.
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

/* How a slice was cut, and so how far figures on it can be trusted. */
typedef enum ps_cut {
    PS_CUT_QUERIES,     /* pairs come singly: by queries */
    PS_CUT_COMMUNITIES, /* pairs come in groups: by communities of the graph of pairs */
} ps_cut;

/* Move about `share` of the pairs from pairs to valid, such that choosing by valid is
 * choosing for new pairs. A pin is set aside or not: pairs that are on valid's side go
 * there, pairs of one pin of each side are dropped, so that no query of valid is in pairs
 * on either side.
 *
 * Pairs that come singly are cut by their query: pins are set aside by the hash of their
 * row. Pairs that come in groups (ps_pairs_overlap) would give each other away: a query's
 * related pin is related to the query's others. There whole communities of the graph of
 * pairs are set aside, neither pin of a valid pair stands in a pair that is trained on,
 * and pairs between two communities are dropped; unless they are too few or too large to
 * give about that share. After a failure both must still be freed. */
int ps_labels_slice(ps_pairs *pairs, ps_pairs *valid, uint32_t n_pins, double share,
                    uint64_t seed, ps_cut *cut);

#endif
