/* runs.h - short trainings on a planted catalog, for tests.
 *
 * Threads: one, beside those that a training starts.
 */
#ifndef PINSAGE_TESTS_SUPPORT_RUNS_H
#define PINSAGE_TESTS_SUPPORT_RUNS_H

#include "pinsage/train.h"
#include "tests/support/planted.h"

enum { RUN_PINS = 240, RUN_GROUPS = 8 };

extern planted run_world;
extern ps_generation *run_catalog; /* it, imported and opened */
extern ps_pairs run_pairs, run_valid;

/* For cmocka's groups. */
int runs_open(void **state);
int runs_close(void **state);

/* Four epochs of a small model on one thread; and with hard negatives, walk pairs and
 * averaged weights. */
ps_train_opts run_small(void);
ps_train_opts run_everything(void);

typedef struct run {
    ps_model model;
    ps_train_result result;
    ps_why why;
    int err;
} run;

/* A whole training; learn NULL: run_pairs. For run_done. */
run *run_train(const ps_train_opts *o, const ps_pairs *learn,
               const ps_progress *progress);
/* The same, which must succeed. */
run *run_trained(const ps_train_opts *o);
void run_done(run *r);
/* Weights and figures are the same to the last bit. */
void run_same(const run *a, const run *b);

#endif
