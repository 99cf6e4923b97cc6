/* blend.h - one learned ranking over everything that is known of a pin.
 *
 * Candidates of a query come from several sources: the pins nearest by embedding, those
 * that a random walk visits most, exact counts over its boards, engagement pairs, words,
 * and what is popular. Each candidate is described by the same few dozen numbers whoever
 * named it, and a weight for each, fitted on pairs held back from training, makes a
 * score. Weights and what they gained on the valid pairs stand in the manifest:
 *
 *     "blend": {"candidates":500, "steps":20000, "model":"0123456789abcdef",
 *               "weights": {"similarity":.., .., "cosine": {"visual":..}},
 *               "valid": {"pairs":.., "queries":.., "covered":..,
 *                         "blend": {"hit_10":..,"hit_100":..,"mrr":..},
 *                         "similarity": {..},
 *                         "ahead": {"hit_10":[mean,low,high],..}}}
 *
 * Threads: a ps_blend is scratch for one thread. Not here: the index (index/); who finds
 * the near pins is up to the caller.
 */
#ifndef PINSAGE_BLEND_H
#define PINSAGE_BLEND_H

#include <stdbool.h>
#include <stdint.h>

#include "pinsage/dot.h"
#include "pinsage/err.h"
#include "pinsage/features.h"
#include "pinsage/generation.h"
#include "pinsage/import.h"
#include "pinsage/measures.h"
#include "pinsage/pixie.h"
#include "pinsage/progress.h"

/* Inputs that do not depend on the feature blocks, in order; then the cosine of each
 * block, 0 where one of the two pins lacks it. A logarithm is of a chance above a floor,
 * and 0 where nothing is known. */
enum {
    PS_BLEND_SIMILARITY, /* inner product of the embeddings */
    PS_BLEND_VISITS,     /* log(1 + visits of the walk) */
    PS_BLEND_UNVISITED,  /* 1 when there were none */
    PS_BLEND_DEGREE,     /* log(1 + boards of the candidate) */
    PS_BLEND_WALK,       /* log chance of pin -> board -> pin, counted (two_hop.h) */
    PS_BLEND_ROOT,       /* log sum over common boards of 1 / sqrt(pins) */
    PS_BLEND_RARE,       /* log sum over common boards of squared idf */
    PS_BLEND_APART,      /* 1 when there is no common board */
    PS_BLEND_PAIR_PAIR,  /* log chance of two pairs (pair_hops.h) */
    PS_BLEND_BOARD_PAIR, /* of a board and a pair */
    PS_BLEND_PAIR_BOARD, /* of a pair and a board */
    PS_BLEND_UNPAIRED,   /* 1 when two pairs do not lead there */
    PS_BLEND_ENGAGED,    /* log(1 + pairs of the candidate) */
    PS_BLEND_TEXT,       /* BM25 as a share of the query's own (inverted.h) */
    PS_BLEND_TEXT_RARE,  /* the same by 1 + log(1 + boards of the candidate) */
    PS_BLEND_COSINES,
    PS_BLEND_MAX = PS_BLEND_COSINES + PS_BLOCKS_MAX
};

typedef struct ps_blend_model {
    uint32_t candidates; /* C: at most so many of the near ones, and of the walk's; of the
                            other sources a share of it */
    uint32_t steps;      /* hops of the walk */
    uint32_t n;          /* inputs: PS_BLEND_COSINES + blocks */
    bool grouped;        /* no pair graph among the sources */
    char block[PS_BLOCKS_MAX][40];
    double weight[PS_BLEND_MAX];
} ps_blend_model;

/* What inputs are made of, borrowed. */
typedef struct ps_blend_source {
    const ps_generation *g; /* feature blocks */
    const ps_graph *graph;  /* NULL: the generation's */
    ps_rows z;              /* (N, E) embeddings */
    const struct ps_pair_graph
        *pairs;                     /* NULL: none. Holds no pair that is being learned */
    const struct ps_inverted *text; /* NULL: none */
} ps_blend_source;

/* What the inputs need of a generation beside its graph and blocks, mapped: pairs, words.
 */
typedef struct ps_blend_files ps_blend_files;
int ps_blend_files_open(ps_blend_files **f, const ps_generation *g, ps_why *why);
void ps_blend_files_close(ps_blend_files *f); /* NULL is fine */
/* The generation as a source; f may be NULL. All borrowed. */
ps_blend_source ps_blend_source_of(const ps_generation *g, const ps_blend_files *f);

typedef struct ps_blend ps_blend;
/* Candidates of a query, at most. */
uint32_t ps_blend_most(const ps_blend_model *m);
/* Copies m; PS_EMISMATCH in words when one of its blocks is not there. */
int ps_blend_new(ps_blend **b, const ps_blend_source *s, const ps_blend_model *m,
                 ps_why *why);
void ps_blend_free(ps_blend *b);
/* Rank the union of near (the first C count; only rows are read; the query itself is
 * skipped) and of the walk. seed: ps_pin_seed of the pin. Best first, ties by row, at
 * most max (ps_blend_most is enough for all); sets *found. out may be near. */
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
    double ridge;   /* that was chosen */
    double overlap; /* of the pairs (ps_pairs_overlap) */
    double covered; /* share of the related pins that are candidates */
    ps_measures blend, similarity, ahead; /* ahead: the first minus the second */
} ps_blend_report;

/* Fit in two steps. First all weights but the similarity's, on a tenth of the pairs that
 * the embeddings were trained on (train; NULL or empty: not), described by the pairs that
 * are left; then all of them on pairs that nothing was trained on (valid), held to the
 * first by a ridge that cross-validation chooses. So fifty valid pairs do no harm, and
 * thousands have their say. s->pairs is not read: the graph is made here, of train.
 * PS_EUNSUPPORTED in words when both are too few. */
int ps_blend_fit(const ps_blend_source *s, const ps_pairs *train, const ps_pairs *valid,
                 const ps_blend_fit_opts *opts, ps_blend_report *report,
                 const ps_progress *progress, ps_why *why);

/* ---- The manifest ---- */
/* model: fingerprint of the model whose embeddings these were. */
void ps_blend_note(ps_manifest *m, const ps_blend_report *r, const char *model);
/* PS_EUNSUPPORTED in words: none was fitted, or for another model. */
int ps_blend_load(ps_blend_model *out, const ps_generation *g, ps_why *why);

#endif
