/* tables.h - who pools over whom, for every pin, before training starts.
 *
 * (N, T) rows and weights: by random walks (importance neighbourhoods), or T pins drawn
 * uniformly from those that share a board (the k-hop baseline). A pin's walks are seeded
 * by its id, so batch inference and requests find the same lists.
 *
 * Threads: filled by a workers; the result depends on the seeds alone.
 */
#ifndef PINSAGE_CORE_NEIGHBOURS_TABLES_H
#define PINSAGE_CORE_NEIGHBOURS_TABLES_H

#include <stdint.h>

#include "pinsage/err.h"
#include "pinsage/graph.h"
#include "pinsage/progress.h"
#include "pinsage/walk.h"
#include "pinsage/workers.h"

typedef struct ps_table {
    uint32_t n, T;
    uint32_t *row; /* (n, T) padded with the pin itself */
    float *weight; /* (n, T) heaviest first, summing to 1, padding 0 */
} ps_table;

typedef struct ps_table_opts {
    ps_walk_opts walk; /* k-hop: top alone counts */
    bool khop;
    const uint64_t *seeds; /* (N) ps_pin_seed of the pins */
    const char *stage;     /* for progress */
} ps_table_opts;
int ps_table_make(ps_table *t, const ps_graph *g, const ps_table_opts *opts,
                  ps_workers *workers, const ps_progress *progress, ps_why *why);
void ps_table_done(ps_table *t);

/* Hard negatives: pins of ranks [low, high) of each listed query's visits, at most
 * PS_HARD_MAX drawn evenly from the band, padded with UINT32_MAX. A walk that reaches
 * fewer pins gives the last half of what it reached. */
#define PS_HARD_MAX 32
typedef struct ps_band {
    uint32_t low, high;
} ps_band;
/* out (n, PS_HARD_MAX) */
int ps_hard_make(uint32_t *out, const ps_graph *g, const uint32_t *queries, size_t n,
                 const uint64_t *seeds, ps_band band, ps_workers *workers,
                 const ps_progress *progress);

#endif
