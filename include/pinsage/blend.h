/* blend.h - the learnt similarity, the walk and the content in one ranking.
 *
 * Candidates of a query are the pins nearest by embedding and those that a random walk
 * visits most; each is described by a handful of numbers, and a weight for each, fitted
 * on pairs held back from training, makes a score. On request: one index search and one
 * short walk. Weights and what they gained on the valid pairs stand in the manifest:
 *
 *     "blend": {"candidates":500, "steps":20000, "model":"0123456789abcdef",
 *               "weights": {"similarity":.., "log_visits":.., "unvisited":..,
 *                           "log_degree":.., "cosine": {"visual":..}},
 *               "valid": {"pairs":.., "queries":.., "covered":..,
 *                         "blend": {"hit_10":..,"hit_100":..,"mrr":..},
 *                         "similarity": {..}, "ahead": {"hit_10":[mean,low,high],..}}}
 *
 * Threads: a ps_blend is scratch for one thread. Not here: the index (index/); who finds
 * the near pins is up to the caller.
 */
#ifndef PINSAGE_BLEND_H
#define PINSAGE_BLEND_H

#include <stdint.h>

#include "pinsage/dot.h"
#include "pinsage/err.h"
#include "pinsage/features.h"
#include "pinsage/generation.h"
#include "pinsage/import.h"
#include "pinsage/measures.h"
#include "pinsage/pixie.h"
#include "pinsage/progress.h"

/* Inputs, in order: the inner product of the embeddings, log(1 + visits of the walk), 1
 * when there were none, log(1 + degree), then the cosine of each feature block, 0 where
 * one of the two pins lacks it. */
enum {
    PS_BLEND_SIMILARITY,
    PS_BLEND_VISITS,
    PS_BLEND_UNVISITED,
    PS_BLEND_DEGREE,
    PS_BLEND_COSINES,
    PS_BLEND_MAX = PS_BLEND_COSINES + PS_BLOCKS_MAX
};

typedef struct ps_blend_model {
    uint32_t candidates; /* C: at most so many of the near ones, and of the walk's */
    uint32_t steps;      /* hops of the walk */
    uint32_t n;          /* inputs: PS_BLEND_COSINES + blocks */
    char block[PS_BLOCKS_MAX][40];
    double weight[PS_BLEND_MAX];
} ps_blend_model;

/* What inputs are made of, borrowed. */
typedef struct ps_blend_source {
    const ps_generation *g; /* feature blocks */
    const ps_graph *graph;  /* NULL: the generation's */
    ps_rows z;              /* (N, E) embeddings */
} ps_blend_source;

typedef struct ps_blend ps_blend;
/* Copies m; PS_EMISMATCH in words when one of its blocks is not there. */
int ps_blend_new(ps_blend **b, const ps_blend_source *s, const ps_blend_model *m,
                 ps_why *why);
void ps_blend_free(ps_blend *b);
/* Rank the union of near (the first C count; only rows are read; the query itself is
 * skipped) and of the walk. seed: ps_pin_seed of the pin. Best first, ties by row, at
 * most max (2 C is enough for all); sets *found. out may be near. */
int ps_blend_related(ps_blend *b, uint32_t row, uint64_t seed, const ps_scored *near,
                     uint32_t n_near, ps_scored *out, uint32_t max, uint32_t *found);

/* ---- Fitting ---- */
typedef struct ps_blend_fit_opts {
    uint32_t candidates;
    uint32_t steps;
    uint32_t queries; /* of the valid pairs, about */
    uint32_t bootstraps;
    unsigned threads;
    uint64_t seed;      /* of the walks */
    const char *blocks; /* comma-separated feature blocks to use; NULL: all */
} ps_blend_fit_opts;
#define PS_BLEND_FIT_DEFAULTS                                                            \
    ((ps_blend_fit_opts){.candidates = 500,                                              \
                         .steps = 20000,                                                 \
                         .queries = 2000,                                                \
                         .bootstraps = 1000,                                             \
                         .seed = 1})

/* What it comes to on the valid pairs, each half judged by weights that the other half
 * gave. hit_rate[0] is @10, [1] @100. */
typedef struct ps_blend_report {
    ps_blend_model model;
    double covered; /* share of the related pins that are candidates */
    ps_measures blend, similarity, ahead; /* ahead: the first minus the second */
} ps_blend_report;

/* Fit on pairs that the embeddings were not trained on. PS_EUNSUPPORTED in words when
 * there are too few of them. */
int ps_blend_fit(const ps_blend_source *s, const ps_pairs *valid,
                 const ps_blend_fit_opts *opts, ps_blend_report *report,
                 const ps_progress *progress, ps_why *why);

/* ---- The manifest ---- */
/* model: fingerprint of the model whose embeddings these were. */
void ps_blend_note(ps_manifest *m, const ps_blend_report *r, const char *model);
/* PS_EUNSUPPORTED in words: none was fitted, or for another model. */
int ps_blend_load(ps_blend_model *out, const ps_generation *g, ps_why *why);

#endif
