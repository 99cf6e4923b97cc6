/* train.h - learning the model from pairs, by minibatches.
 *
 * A producer makes minibatches (pairs, shared negatives, hard negatives, walk pairs, the
 * sub-graph re-indexed so that each node is computed once); a consumer runs them forward
 * and backward and takes an Adam step. Validation hit rate after each epoch decides which
 * weights are kept and when to stop. A checkpoint is written each epoch; resuming gives
 * the same weights as a run that was never interrupted.
 *
 * Threads: ps_train owns its own. Same seed and threads: same weights.
 */
#ifndef PINSAGE_TRAIN_H
#define PINSAGE_TRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "pinsage/err.h"
#include "pinsage/generation.h"
#include "pinsage/import.h"
#include "pinsage/model.h"
#include "pinsage/progress.h"

typedef struct ps_train_opts {
    ps_model_config model; /* d_in and blocks are filled in from the generation */
    ps_loss loss;
    float margin;         /* default 0.1 */
    float temperature;    /* default 0.05 (cosine), 1 (inner product) */
    float rate, rate_end; /* Adam's; default 1e-3, falling linearly to 5 % of it */
    float warmup;         /* share of the first epoch; default 1 */
    uint32_t batch;       /* default 0: 512, or 128 under 5,000 pairs */
    uint32_t negatives;   /* shared by a minibatch; default 500 */
    uint32_t hard_low, hard_high; /* rank band of hard negatives; 0 0: by graph size */
    bool hard;                    /* curriculum: epoch n adds n-1 a pair */
    float walk_pairs;             /* share of slots filled with walk pairs */
    uint32_t epochs, patience;    /* 0: by number of pairs */
    uint64_t max_batches;         /* an epoch's, 0: all pairs once */
    bool average; /* average the weights of the best epochs' neighbourhood */
    unsigned threads;
    uint64_t seed;
    const char *checkpoint; /* path, NULL: none */
    bool resume;
    const char *log; /* JSON lines, NULL: none */
} ps_train_opts;

typedef struct ps_epoch {
    uint32_t epoch;
    float loss, violated; /* mean loss; share of violated margins (or wrong argmax) */
    double valid_hit[2];  /* hit rate at 10 and 100 on the valid pairs */
    double valid_mrr;
    double pairs_per_s, seconds;
} ps_epoch;

#define PS_EPOCHS_MAX 512
typedef struct ps_train_result {
    ps_epoch epoch[PS_EPOCHS_MAX];
    uint32_t n_epochs, best;
    uint64_t peak_bytes;
} ps_train_result;

/* Train on pairs, choose by valid. model is initialised here and owned by the caller. */
int ps_train(ps_model *model, ps_generation *g, const ps_pairs *pairs,
             const ps_pairs *valid, const ps_train_opts *opts, ps_train_result *result,
             const ps_progress *progress, ps_why *why);

#endif
