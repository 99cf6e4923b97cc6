/* checkpoint.h - all that an interrupted training needs to go on as if nothing happened.
 *
 * A safetensors file: tensors `params`, `adam.mean`, `adam.square`, `average`, `best`,
 * and metadata `step`, `run` (the fingerprint), `best_epoch`, `best_score`, `epochs` (a
 * line each). Written beside its place and renamed, so there is always a whole one.
 *
 * Threads: one thread of control.
 */
#ifndef PINSAGE_CORE_TRAIN_CHECKPOINT_H
#define PINSAGE_CORE_TRAIN_CHECKPOINT_H

#include "pinsage/features.h"
#include "pinsage/train.h"

typedef struct ps_progress_state {
    size_t n;                                       /* parameters */
    float *params, *mean, *square, *average, *best; /* (n), the trainer's */
    uint64_t step, fingerprint;
    double best_score;
    ps_train_result *result; /* epochs so far */
} ps_progress_state;

int ps_checkpoint_save(const char *path, const ps_progress_state *s, ps_why *why);
/* Of all that decides the weights: options, pairs, and the files below features and walks
 * as the catalog lists them. */
uint64_t ps_run_fingerprint(const ps_train_opts *o, const ps_features *f,
                            const ps_pairs *pairs, const ps_pairs *valid);
/* PS_ENOENT when there is none, PS_EMISMATCH when it is another run's. */
int ps_checkpoint_load(const char *path, ps_progress_state *s, ps_why *why);

#endif
