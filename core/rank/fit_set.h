/* fit_set.h - queries with candidates and inputs, ready to be fitted and judged.
 *
 * Threads: one caller; the workers work inside.
 */
#ifndef PINSAGE_CORE_RANK_FIT_SET_H
#define PINSAGE_CORE_RANK_FIT_SET_H

#include "core/measures/lines.h"
#include "core/rank/blend_inside.h"
#include "core/rank/blend_newton.h"

enum { FIT_FOLDS = 5 };

typedef struct fit_set {
    /* Given: */
    ps_blend_source source; /* z.dim 0: without the embeddings */
    ps_blend_model model;   /* weights are not read */
    const ps_pair_graph
        *known;       /* pairs of a query that are not learned now: no candidates */
    uint32_t queries; /* about so many are taken */
    uint32_t sample;  /* candidates kept of a query beside its hits; 0: all */
    uint64_t seed;    /* of the walks */
    ps_workers *workers;
    const ps_progress *progress;
    /* Made: */
    ps_pairs pairs; /* of the queries taken */
    groups groups;
    newton_query *query; /* (groups.n) */
    int32_t *place;      /* (pairs.n) number among the candidates, -1: none */
    float *outside;      /* (pairs.n) rank when it is none; only without a sample */
    float *similarity;   /* (pairs.n) rank by the embedding alone; the same */
    uint64_t done;       /* atomic */
} fit_set;

/* Gather candidates and inputs of the queries of these pairs. */
int fit_set_make(fit_set *s, const ps_pairs *pairs, ps_why *why);
void fit_set_done(fit_set *s);
/* Queries whose hits are among their candidates. */
size_t fit_set_useful(const fit_set *s);
/* Ranks of the pairs of one fold's queries (NEWTON_NONE: of all) into rank (pairs.n). */
void fit_set_rank(const fit_set *s, uint32_t fold, const double *weight, float *rank);
/* The ridge under which the others' weights make each fold's hits likeliest, and those
 * weights: weight[f] is fitted without fold f. */
int fit_set_ridge(const fit_set *s, const double *prior, double *ridge,
                  double weight[FIT_FOLDS][PS_BLEND_MAX]);

#endif
