/* scorer.h - rankings by name: a score for every pin.
 *
 * Methods are a table, so that each new one is a line (core/rank/methods.c); a feature
 * block's name is a method too, and so is NAME for each baselines/NAME.npy that training
 * left.
 *
 * Threads: a scorer is asked by all workers at once.
 * Not here: ranks and what they are worth (measures.h, eval.h).
 */
#ifndef PINSAGE_SCORER_H
#define PINSAGE_SCORER_H

#include <stddef.h>
#include <stdint.h>

#include "pinsage/enum.h"
#include "pinsage/err.h"
#include "pinsage/generation.h"

/* Models that are trained beside the one that is served, to compare it with; in the order
 * of reports. */
typedef enum ps_baseline {
    PS_BASELINE_COMBINED,
    PS_BASELINE_COMBINED_STRUCTURE,
    PS_BASELINE_KHOP,
    PS_BASELINE_MEANPOOL,
    PS_BASELINE_MAXPOOL,
    PS_BASELINES
} ps_baseline;
extern const ps_enum ps_baseline_names;

/* Queries that are scored together, at most: a block of products reads rows once. */
#define PS_SCORER_BLOCK 8
/* Scores every pin for n query pins, higher is better; no NaN. Asked by `workers` threads
 * at once, each with its own number, for scratch space. What a query gets must not
 * depend on its company, nor on the worker. */
typedef struct ps_scorer {
    int (*score)(void *self, unsigned worker, const uint32_t *queries, uint32_t n,
                 float *scores /* (n, N) */);
    void (*free)(void *self);
    void *self;
    const ps_npy *vectors; /* (N, D) that it ranks by, NULL: none; lives as long as it */
} ps_scorer;

typedef struct ps_scorer_opts {
    const char *name; /* the method's, borrowed */
    uint32_t pixie_steps;
    unsigned workers;
    uint64_t seed;
} ps_scorer_opts;

/* Names of all that a generation could be asked for, in the order of the report: the
 * model, baselines, feature blocks, walks, popularity. Methods of the table are among
 * them even when they lack their data. Returns how many, at most max. */
size_t ps_method_list(const ps_generation *g, char (*names)[40], size_t max);
/* Open a method of the table, a baseline, or the cosine of the block of that name.
 * PS_EINVAL with the list of names for one that is none of them. */
int ps_scorer_open(ps_scorer *out, ps_generation *g, const ps_scorer_opts *opts,
                   ps_why *why);
void ps_scorer_close(ps_scorer *s);

#endif
