/* blend_newton.h - logistic regression among the candidates of each query.
 *
 * Threads: one caller; the workers works inside.
 */
#ifndef PINSAGE_CORE_RANK_BLEND_NEWTON_H
#define PINSAGE_CORE_RANK_BLEND_NEWTON_H

#include <stddef.h>
#include <stdint.h>

#include "pinsage/workers.h"

#define NEWTON_WIDTH 40         /* inputs, at most */
#define NEWTON_NONE  UINT32_MAX /* leave: no fold */

typedef struct newton_query {
    uint32_t n, n_hits, fold; /* candidates; related ones among them */
    float *x;                 /* (n, width) */
    uint32_t *hit;            /* (n_hits) candidate numbers, each as often as it counts */
    /* Candidates from this number on are a sample, each of which stands for `times`; all
     * hits are before. 0: there is no sample. */
    uint32_t sampled;
    float times;
} newton_query;

typedef struct newton_opts {
    uint32_t width;
    uint32_t leave; /* fold whose queries are left out */
    double ridge;   /* of the weights' distance from the prior, of standardised inputs */
    const double *prior; /* (width); NULL: zeros */
    const double *start; /* (width) where to begin; NULL: at the prior */
} newton_opts;

/* The score of a candidate with inputs x (n). */
static inline double newton_dot(const double *w, const float *x, uint32_t n)
{
    double sum = 0;
    for (uint32_t k = 0; k < n; k++)
        sum += w[k] * (double)x[k];
    return sum;
}

/* Weights (width) that make the hits of the queries likeliest. An input that never varies
 * keeps its prior. */
int newton_fit(const newton_query *query, size_t n, const newton_opts *o,
               ps_workers *workers, double *weight);
/* Log-likelihood of the hits of one fold's queries. */
double newton_likelihood(const newton_query *query, size_t n, uint32_t width,
                         uint32_t fold, const double *weight);

#endif
