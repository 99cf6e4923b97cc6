/* validate.h - how good is a model now: exact ranks of the valid pairs.
 *
 * Threads: uses the workers it is given.
 */
#ifndef PINSAGE_CORE_TRAIN_VALIDATE_H
#define PINSAGE_CORE_TRAIN_VALIDATE_H

#include "pinsage/import.h"
#include "pinsage/workers.h"

typedef struct ps_validation {
    double hit_10, hit_100, mrr;
    double score; /* one number to choose by: mean of hit rates at 10, 50, 100 and 500 */
} ps_validation;

/* Ranks by inner product of vectors (n, e) among all pins but the query, ties at their
 * average. */
int ps_validate(const float *vectors, uint32_t n, uint32_t e, const ps_pairs *pairs,
                ps_workers *workers, ps_validation *out);

#endif
