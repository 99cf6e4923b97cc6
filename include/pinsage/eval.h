/* eval.h - how good is a ranking: hit rate, recall, MRR, with intervals.
 *
 * For every pair (query, related) of a file, the rank of related among all pins but the
 * query, ties at their average rank; hit-rate@K is the share of pairs with rank <= K,
 * recall@K the mean over queries of the share of their related pins found, MRR the mean
 * of 1 / rank, scaled MRR the paper's 1 / ceil(rank / 100). 95 % intervals by bootstrap
 * over queries. The same by degree of the query: cold, warm, hub.
 *
 * Ranks are exact: a method gives a score for every pin. Methods are a table, so that
 * each new one is a line (eval/methods.c).
 *
 * Threads: ps_eval uses its own workers; a method's scorer is asked from many, each with
 * its own state.
 */
#ifndef PINSAGE_EVAL_H
#define PINSAGE_EVAL_H

#include <stddef.h>
#include <stdint.h>

#include "pinsage/err.h"
#include "pinsage/generation.h"
#include "pinsage/import.h"
#include "pinsage/progress.h"

#define PS_EVAL_CUTS_MAX    8
#define PS_EVAL_METHODS_MAX 32

typedef struct ps_interval {
    double mean, low, high; /* 95 % */
} ps_interval;

typedef struct ps_eval_scores {
    uint64_t pairs, queries;
    ps_interval hit_rate[PS_EVAL_CUTS_MAX], recall[PS_EVAL_CUTS_MAX];
    ps_interval mrr, mrr_scaled;
} ps_eval_scores;

typedef struct ps_eval_result {
    const char *method;
    ps_eval_scores all, bucket[3]; /* cold, warm, hub */
    double seconds;
    float *rank; /* (pairs), owned by the report: for paired comparisons */
} ps_eval_result;

typedef struct ps_eval_opts {
    const char *methods; /* comma-separated; NULL = all that the generation allows */
    uint32_t cut[PS_EVAL_CUTS_MAX], n_cuts; /* default 10,50,100,500 */
    uint32_t bootstraps;                    /* default 1000 */
    uint32_t pixie_steps;                   /* default 20000 */
    unsigned threads;
    uint64_t seed;
} ps_eval_opts;
#define PS_EVAL_DEFAULTS                                                                 \
    ((ps_eval_opts){.cut = {10, 50, 100, 500},                                           \
                    .n_cuts = 4,                                                         \
                    .bootstraps = 1000,                                                  \
                    .pixie_steps = 20000,                                                \
                    .seed = 1})

typedef struct ps_eval_report {
    uint64_t pairs, queries;
    uint32_t cut[PS_EVAL_CUTS_MAX], n_cuts;
    uint32_t bucket_edge[2]; /* query degree: cold < [0] <= warm < [1] <= hub */
    size_t n;
    ps_eval_result result[PS_EVAL_METHODS_MAX];
} ps_eval_report;

int ps_eval(ps_generation *g, const ps_pairs *pairs, const ps_eval_opts *opts,
            ps_eval_report *report, const ps_progress *progress, ps_why *why);
void ps_eval_report_done(ps_eval_report *r);

/* ---- The list of methods ---- */
/* A scorer for one thread: scores every pin for a query pin, higher is better. */
typedef struct ps_scorer {
    int (*score)(void *self, uint32_t query, float *scores /* (N) */);
    void (*free)(void *self);
    void *self;
} ps_scorer;

typedef struct ps_method {
    const char *name; /* "pixie" */
    const char *text; /* one line for help */
    /* PS_EUNSUPPORTED in words when the generation has not what it needs. */
    int (*open)(ps_scorer *out, ps_generation *g, const ps_eval_opts *opts, ps_why *why);
} ps_method;
const ps_method *ps_method_at(size_t i); /* NULL past the end */
const ps_method *ps_method_find(const char *name);

#endif
