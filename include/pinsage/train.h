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

#include "pinsage/corpus.h"
#include "pinsage/err.h"
#include "pinsage/generation.h"
#include "pinsage/import.h"
#include "pinsage/model.h"
#include "pinsage/progress.h"
#include "pinsage/scorer.h"

/* Defaults and ranges stand in the table of options (server/cli/train.c). */
typedef struct ps_train_opts {
    ps_model_config model; /* d_in and blocks are filled in from the features */
    ps_loss loss;
    float margin;       /* of the margin loss */
    float temperature;  /* of the softmax */
    float rate;         /* peak of Adam's; rises over the first `warmup` of an epoch, */
    float rate_end;     /* then falls linearly to this share of it */
    float warmup;       /* share of an epoch; 1: the whole first one */
    uint32_t batch;     /* 0: 512; 128 under 5,000 pairs, 1024 over 100,000 */
    uint32_t negatives; /* shared by a minibatch */
    bool hard;          /* curriculum: epoch n adds n - 1 hard negatives a pair */
    uint32_t hard_low, hard_high; /* band of their ranks; 0 0: by graph size */
    float walk_pairs;             /* share of slots filled with walk pairs */
    uint32_t epochs, patience;    /* 0: 15 and 6, or 50 and 10 under 5,000 pairs */
    float dropout; /* share of the numbers of x that a minibatch does not see; below 1 */
    float average; /* decay of the averaged weights, 0: none. Validated and kept are
                      the averages */
    unsigned threads;
    uint64_t seed;
    const char *checkpoint; /* path, NULL: none */
    bool resume;            /* go on from it if it is there and fits */
    const char *log;        /* JSON lines, appended; NULL: none */
    const char *stage;      /* name for progress; NULL: "train" */
} ps_train_opts;

typedef struct ps_train_epoch {
    uint32_t epoch;       /* from 1 */
    float loss, violated; /* means; share of negatives that break the margin, or beat the
                             related pin */
    double hit_10, hit_100, mrr; /* of the valid pairs */
    double score;                /* what chooses: mean hit rate at 10, 50, 100, 500 */
    double pairs_per_s, seconds;
} ps_train_epoch;

#define PS_EPOCHS_MAX 512
typedef struct ps_train_result {
    ps_train_epoch epoch[PS_EPOCHS_MAX];
    uint32_t n_epochs, best; /* number of the epoch whose weights were kept */
    uint64_t bytes;          /* stated before the start: tensors, tape, minibatches */
} ps_train_result;

/* Train on pairs, choose by valid. model is made here and owned by the caller, also its
 * freeing after a failure. PS_EFORMAT in words when the loss is not a number. */
int ps_train(ps_model *model, ps_corpus *corpus, const ps_pairs *pairs,
             const ps_pairs *valid, const ps_train_opts *opts, ps_train_result *result,
             const ps_progress *progress, ps_why *why);
/* ---- What `pinsage train` does ---- */
typedef struct ps_train_step_opts {
    ps_train_opts train;
    const char *pairs, *valid; /* paths; NULL: label boards; a slice of the pairs */
    double label_boards;       /* share of boards held out as labels */
    double valid_share;        /* of the queries, when there is no valid file */
    bool trials;          /* choose similarity, walk pairs, structure by short runs */
    bool no_structure;    /* leave that block out unless train.model.blocks names it */
    const char *variants; /* baselines to train too: comma-separated names of
                             ps_variants; NULL: none */
    bool skip_unknown;
    const char *columns; /* other names in them, "query=viewed"; NULL for none */
    unsigned keep;
} ps_train_step_opts;

#define PS_TRIALS_MAX 12
typedef struct ps_trial {
    char what[96]; /* "inner product / 0.1, walk pairs 0.3, walks of 1, all blocks" */
    double hit_10, hit_100, mrr, score, seconds;
    bool chosen;
} ps_trial;

typedef struct ps_train_report {
    ps_train_result result;
    ps_train_opts used; /* after the trials */
    ps_trial trial[PS_TRIALS_MAX];
    uint32_t n_trials;
    uint64_t pairs, valid;
    bool sliced, grouped; /* valid is a slice of the pairs; by communities of them */
    ps_left_out pairs_left_out, valid_left_out; /* of the files */
    uint32_t label_boards;                      /* held out; 0 with a pairs file */
    bool blended; /* a blend was fitted; by how much it is ahead of the model */
    double blend_ahead_10, blend_ahead_100; /* on the valid pairs, hit rates */
    double seconds;
    char generation[32];
} ps_train_report;

/* Train on the current generation: model.safetensors, neighbours.*.npy, the weights of
 * the blend (blend.h), and baselines/NAME.npy for each variant, as a new generation. The
 * checkpoint lies in the catalog as train.checkpoint until the step is done. */
int ps_train_step(const char *catalog, const ps_train_step_opts *opts,
                  ps_train_report *report, const ps_progress *progress, ps_why *why);

/* Whether that can begin: the catalog, the pairs, the baselines' names are looked at as
 * the step would, and nothing is changed. For who has hours of other steps to do first.
 */
int ps_train_step_check(const char *catalog, const ps_train_step_opts *opts, ps_why *why);

typedef enum ps_preset { PS_PRESET_DEFAULT, PS_PRESET_PAPER } ps_preset;
extern const ps_enum ps_preset_names;
/* The paper to the letter: sizes, margin, curriculum; no skip, no walk pairs. Epochs are
 * left as they are when they are given. */
void ps_train_paper(ps_train_opts *o);

/* A baseline as a change of the trained configuration. */
typedef struct ps_variant {
    ps_baseline baseline;
    const char *text;
    void (*change)(ps_train_opts *o);
} ps_variant;
const ps_variant *ps_variant_at(size_t i); /* NULL past the end */

#endif
