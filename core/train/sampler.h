/* sampler.h - what a minibatch is made of: pairs, negatives, and the sub-graph below.
 *
 * Minibatch i of epoch n depends on (seed, n, i) and nothing else, so any number of
 * producers and any interruption give the same training.
 *
 * Threads: a ps_sampler is read by all; each producer has its own ps_minibatch.
 */
#ifndef PINSAGE_CORE_TRAIN_SAMPLER_H
#define PINSAGE_CORE_TRAIN_SAMPLER_H

#include "core/model/loss.h"
#include "core/neighbours/tables.h"
#include "pinsage/convolve.h"
#include "pinsage/features.h"
#include "pinsage/import.h"

typedef struct ps_sampler {
    const ps_features *features; /* borrowed */
    const ps_table *nbr;         /* borrowed; NULL when K is 0 */
    const ps_table *near;        /* borrowed; walk pairs are drawn from it; NULL: none */
    uint32_t layers, batch, negatives;
    float walk_pairs, dropout;
    uint64_t seed;
    const uint32_t (*pair)[2]; /* borrowed, (n_pairs) */
    size_t n_pairs;
    uint32_t *hard;  /* owned (queries, PS_HARD_MAX); NULL: none */
    uint32_t *slot;  /* owned (N) line of hard of a query */
    uint64_t *known; /* owned, sorted (query << 32 | related), both directions */
    size_t n_known;
    uint32_t *shuffled; /* owned (n_pairs) order of this epoch */
    uint32_t *walkable; /* owned: pins with neighbours, for walk pairs */
    uint32_t n_walkable;
    float *x; /* owned (N, D) when that is small enough; else NULL */
} ps_sampler;

/* Borrowed members and numbers are set by the caller; the rest is made here. */
int ps_sampler_init(ps_sampler *s, ps_workers *workers);
void ps_sampler_done(ps_sampler *s);
/* Distinct pins of the pairs, ascending, (n) for the caller to free: each side of a pair
 * may be asked for the other. */
uint32_t *ps_sampler_queries(const ps_sampler *s, size_t *n);
/* Give the hard negatives of those queries; takes the table over. */
int ps_sampler_hard(ps_sampler *s, const uint32_t *queries, size_t n, uint32_t *hard);

/* Order of the pairs for an epoch; no minibatch may be under way. */
void ps_sampler_shuffle(ps_sampler *s, uint32_t epoch);
uint64_t ps_sampler_batches(const ps_sampler *s); /* in an epoch */

typedef struct ps_minibatch {
    ps_loss_batch loss;
    ps_subgraph graph;
    float *x; /* (n[0], D) */
    /* what the two views above point into; owned */
    uint32_t *query, *related, *negative, *own;
    uint64_t *sorted; /* (negatives) by pin */
    uint8_t *masked;
    uint32_t *row, *nbr;
    float *weight;
    uint32_t *place, *stamp, epoch; /* (N) where a pin stands in row */
    size_t room_rows, room_x, room_hard, room_nbr, room_weight;
} ps_minibatch;

int ps_minibatch_new(ps_minibatch **b, const ps_sampler *s);
void ps_minibatch_free(ps_minibatch *b);
/* Fill with minibatch i of the epoch; hard negatives of each pair: n_hard. */
int ps_minibatch_fill(ps_minibatch *b, const ps_sampler *s, uint32_t epoch, uint64_t i,
                      uint32_t n_hard);

#endif
