/* validate.h - how good is a model now: exact ranks of the valid pairs.
 *
 * Threads: uses the team it is given.
 */
#ifndef PINSAGE_CORE_TRAIN_VALIDATE_H
#define PINSAGE_CORE_TRAIN_VALIDATE_H

#include "pinsage/import.h"
#include "pinsage/workers.h"

typedef struct ps_validation {
    double hit_10, hit_100, mrr;
} ps_validation;

/* Ranks by inner product of vectors (n, e) among all pins but the query, ties at their
 * average. */
int ps_validate(const float *vectors, uint32_t n, uint32_t e, const ps_pairs *pairs,
                ps_workers *team, ps_validation *out);
/* One number to choose by. */
double ps_validation_score(const ps_validation *v);

#endif
