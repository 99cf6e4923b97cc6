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
    ps_model_config model; /* d_in and blocks are filled in from the features */
    ps_loss loss;
    float margin;       /* of the margin loss; default 0.1 */
    float temperature;  /* of the softmax; default 0.05 with cosine, 1 without */
    float rate;         /* peak of Adam's; rises over the first `warmup` of an epoch, */
    float rate_end;     /* then falls linearly to this share of it; default 0.05 */
    float warmup;       /* default 1: the whole first epoch */
    uint32_t batch;     /* 0: 512, or 128 under 5,000 pairs */
    uint32_t negatives; /* shared by a minibatch; default 500 */
    bool hard;          /* curriculum: epoch n adds n - 1 hard negatives a pair */
    uint32_t hard_low, hard_high; /* band of their ranks; 0 0: by graph size */
    float walk_pairs;             /* share of slots filled with walk pairs */
    uint32_t epochs, patience;    /* 0: 15 and 4, or 50 and 10 under 5,000 pairs */
    float average; /* decay of the averaged weights, 0: none. Validated and kept are
                      the averages */
    unsigned threads;
    uint64_t seed;
    const char *checkpoint; /* path, NULL: none */
    bool resume;            /* go on from it if it is there and fits */
    const char *log;        /* JSON lines, appended; NULL: none */
    const char *stage;      /* name for progress; default "train" */
} ps_train_opts;
#define PS_TRAIN_DEFAULTS                                                                \
    ((ps_train_opts){.model = {.layers = 2,                                              \
                               .m = 128,                                                 \
                               .d = 128,                                                 \
                               .e = 128,                                                 \
                               .neighbours = 20,                                         \
                               .n_walks = 500,                                           \
                               .length = 2,                                              \
                               .skip = true,                                             \
                               .cosine = true},                                          \
                     .loss = PS_LOSS_XENT,                                               \
                     .margin = 0.1f,                                                     \
                     .temperature = 0.05f,                                               \
                     .rate = 1e-3f,                                                      \
                     .rate_end = 0.05f,                                                  \
                     .warmup = 1.0f,                                                     \
                     .negatives = 500,                                                   \
                     .seed = 1})

typedef struct ps_epoch {
    uint32_t epoch;       /* from 1 */
    float loss, violated; /* means; share of negatives that break the margin, or beat the
                             related pin */
    double hit_10, hit_100, mrr; /* of the valid pairs */
    double pairs_per_s, seconds;
} ps_epoch;

#define PS_EPOCHS_MAX 512
typedef struct ps_train_result {
    ps_epoch epoch[PS_EPOCHS_MAX];
    uint32_t n_epochs, best; /* number of the epoch whose weights were kept */
    uint64_t bytes;          /* stated before the start: tensors, tape, minibatches */
} ps_train_result;

/* The graph's side of training, made once for several runs over one catalog. */
typedef struct ps_corpus ps_corpus;
/* graph may differ from the generation's (label boards held out); borrowed like g. */
int ps_corpus_new(ps_corpus **c, ps_generation *g, const ps_graph *graph, uint64_t seed,
                  unsigned threads, const ps_progress *progress, ps_why *why);
void ps_corpus_free(ps_corpus *c);

/* Train on pairs, choose by valid. model is made here and owned by the caller, also its
 * freeing after a failure. PS_EFORMAT in words when the loss is not a number. */
int ps_train(ps_model *model, ps_corpus *corpus, const ps_pairs *pairs,
             const ps_pairs *valid, const ps_train_opts *opts, ps_train_result *result,
             const ps_progress *progress, ps_why *why);
/* Embeddings of a model over the corpus's graph, (N, e) into out. */
int ps_corpus_embed(ps_corpus *corpus, const ps_model *model, float *out,
                    const ps_progress *progress, ps_why *why);

#endif
