/* loss.h - how wrong a minibatch is, and which way each vector should move.
 *
 * For pair b with query vector q, related i, and negatives n (shared by the minibatch,
 * plus its own hard ones):
 *     margin   mean over n of max(0, q.n - q.i + margin)               (KDD 2018, eq. 1)
 *     xent     -log( exp(q.i/t) / (exp(q.i/t) + sum over n exp(q.n/t)) )
 * and the mean over pairs. A shared negative that is a labelled positive of the query, or
 * the query or the related pin itself, is masked out.
 *
 * Threads: uses the workers it is given.
 */
#ifndef PINSAGE_CORE_MODEL_LOSS_H
#define PINSAGE_CORE_MODEL_LOSS_H

#include <stddef.h>
#include <stdint.h>

#include "pinsage/model.h"
#include "pinsage/workers.h"

typedef struct ps_loss_batch {
    uint32_t pairs, negatives, hard; /* B, shared, and hard ones of each pair */
    uint32_t n, e;                   /* target vectors and their width */
    const uint32_t *query, *related; /* (B) rows of z */
    const uint32_t *negative;        /* (negatives) rows of z */
    const uint32_t *own;             /* (B, hard) rows of z; UINT32_MAX = none */
    const uint8_t *masked;           /* (B, negatives) 1 = leave out */
} ps_loss_batch;

typedef struct ps_loss_opts {
    ps_loss kind;
    float margin, temperature;
} ps_loss_opts;

typedef struct ps_loss_value {
    double loss;     /* mean over pairs */
    double violated; /* share of negatives: within the margin; xent: above the positive */
} ps_loss_value;

/* z (n, e) -> dz (n, e), overwritten. workers may be NULL; any gives the same numbers.
 * PS_ENOMEM when scratch cannot be had. */
int ps_loss_backward(ps_workers *workers, const ps_loss_batch *b, const ps_loss_opts *o,
                     const float *z, float *dz, ps_loss_value *value);

#endif
