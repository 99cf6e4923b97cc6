/* blend_newton.h - logistic regression among the candidates of each query.
 *
 * Threads: one caller; the workers works inside.
 */
#ifndef PINSAGE_CORE_RANK_BLEND_NEWTON_H
#define PINSAGE_CORE_RANK_BLEND_NEWTON_H

#include <stddef.h>
#include <stdint.h>

#include "pinsage/workers.h"

#define NEWTON_WIDTH 20 /* inputs, at most */
#define NEWTON_ALL   2  /* fold: both */

typedef struct newton_query {
    uint32_t n, n_hits, fold; /* candidates; related ones among them; 0 or 1 */
    float *x;                 /* (n, width) */
    uint32_t *hit;            /* (n_hits) candidate numbers, each as often as it counts */
} newton_query;

/* The score of a candidate with inputs x (n). */
static inline double newton_dot(const double *w, const float *x, uint32_t n)
{
    double sum = 0;
    for (uint32_t k = 0; k < n; k++)
        sum += w[k] * (double)x[k];
    return sum;
}

/* Weights (width) that make the hits of the queries of a fold likeliest. An input that
 * never varies gets 0. */
int newton_fit(const newton_query *query, size_t n, uint32_t width, uint32_t fold,
               ps_workers *workers, double *weight);

#endif
