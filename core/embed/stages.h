/* stages.h - one layer of batch inference over arrays that somebody else provides.
 *
 * The arrays may be heap (validation) or mapped files (pinsage embed): the same code.
 *
 * Threads: uses the workers it is given; a stage's result depends on its rows alone.
 */
#ifndef PINSAGE_CORE_EMBED_STAGES_H
#define PINSAGE_CORE_EMBED_STAGES_H

#include "pinsage/features.h"
#include "pinsage/model.h"
#include "pinsage/progress.h"
#include "pinsage/workers.h"

typedef struct ps_stages {
    const ps_model *model;
    const ps_features *features;
    const uint32_t *nbr; /* (N, T) */
    const float *weight; /* (N, T) */
    uint32_t n, T;
    ps_workers *workers;
    const ps_progress *progress; /* may be NULL */
} ps_stages;

/* map: h of layer k-1 (n, width; NULL for k = 1: x is made from the features) -> messages
 * of layer k (n, m) f16. */
int ps_stages_map(const ps_stages *s, uint32_t k, const float *h, uint16_t *messages);
/* join, reduce and update: -> h of layer k (n, d). */
int ps_stages_reduce(const ps_stages *s, uint32_t k, const float *h,
                     const uint16_t *messages, float *out);
/* head: h of layer K (n, d; NULL for K = 0) -> z (n, e). */
int ps_stages_head(const ps_stages *s, const float *h, float *z);

#endif
