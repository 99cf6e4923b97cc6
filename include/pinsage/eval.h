/* eval.h - how good is a ranking: hit rate, recall, MRR, with intervals.
 *
 * For every pair (query, related) of a file, the rank of related among all pins but the
 * query, ties at their average rank; hit-rate@K is the share of pairs with rank <= K,
 * recall@K the mean over queries of the share of their related pins found, MRR the mean
 * of 1 / rank, scaled MRR the paper's 1 / ceil(rank / 100). 95 % intervals by bootstrap
 * over queries. The same by degree of the query: cold, warm, hub.
 *
 * Ranks are exact: a method gives a score for every pin. Methods are a table, so that
 * each new one is a line (core/rank/methods.c); a feature block's name is a method too,
 * and so is NAME for each baselines/NAME.npy that training left.
 * Pairs of a pin with itself say nothing and are left out.
 *
 * Threads: ps_eval uses its own workers; a scorer is asked by all of them at once. The
 * figures are the same for any number of threads.
 */
#ifndef PINSAGE_EVAL_H
#define PINSAGE_EVAL_H

#include <stddef.h>
#include <stdint.h>

#include "pinsage/buf.h"
#include "pinsage/err.h"
#include "pinsage/generation.h"
#include "pinsage/import.h"
#include "pinsage/measures.h"
#include "pinsage/progress.h"

#define PS_EVAL_METHODS_MAX 32

/* In the catalog: the newest report, as JSON. */
#define PS_EVAL_FILE "eval.json"

/* How alike the vectors of two pins taken at random are. Vectors that spread, and so
 * can tell pins apart, have a low kurtosis (section 4.1 of the paper: PinSage 0.43,
 * visual 1.20, annotation 2.49; it is the excess, 0 for a normal distribution). */
#define PS_EVAL_COSINES 100000 /* pairs drawn */
#define PS_EVAL_BINS    64
typedef struct ps_eval_cosines {
    uint32_t pairs; /* of two vectors that are not zero; 0: the method has no vectors */
    double mean, deviation, kurtosis;
    double quantile[5];         /* at 1, 25, 50, 75 and 99 percent */
    uint32_t bin[PS_EVAL_BINS]; /* equal parts of [-1, 1] */
} ps_eval_cosines;

typedef struct ps_eval_result {
    char method[40];
    ps_measures all, bucket[3]; /* cold, warm, hub */
    ps_measures paired;         /* the report's first method minus this one, over the same
                              resamples of queries: an interval without 0 is a difference
                              that the data supports */
    ps_eval_cosines cosines;
    double seconds;
    float *rank; /* (n_ranks), owned by the report; 0 for a pin paired with itself */
} ps_eval_result;

/* Signs that the labels favour a method, whatever it is worth. */
#define PS_EVAL_WARNINGS 8
typedef struct ps_eval_bias {
    uint32_t pairs;        /* looked at */
    double shared, chance; /* of them, lying on a common board; and when the same queries
                              and related pins are matched anew at random */
    size_t n;
    char warning[PS_EVAL_WARNINGS][256]; /* sentences */
} ps_eval_bias;

/* Defaults and ranges: server/cli/eval.c. */
typedef struct ps_eval_opts {
    const char *methods; /* comma-separated; NULL = all that the generation allows */
    uint32_t cut[PS_CUTS_MAX], n_cuts;
    uint32_t bootstraps;
    uint32_t pixie_steps;
    unsigned threads;
    uint64_t seed;
} ps_eval_opts;

typedef struct ps_eval_report {
    uint64_t pairs, queries; /* evaluated: without those of a pin with itself */
    ps_left_out left_out;    /* of the pairs that were given */
    uint32_t cut[PS_CUTS_MAX], n_cuts;
    /* Query degree: cold < [0] <= warm < [1] <= hub. Cold ends at the lowest quarter of
     * the graph's connected pins, hubs begin at their highest tenth. */
    uint32_t bucket_edge[2];
    ps_eval_bias bias;
    size_t n_ranks; /* of each result: the pairs given */
    size_t n;
    ps_eval_result result[PS_EVAL_METHODS_MAX];
} ps_eval_report;

/* Evaluate. report is the caller's, zeroed; ps_eval_report_done in any case. A method
 * that lacks its data is left out when opts->methods is NULL, refused when asked for. */
int ps_eval(ps_generation *g, const ps_pairs *pairs, const ps_eval_opts *opts,
            ps_eval_report *report, const ps_progress *progress, ps_why *why);
void ps_eval_report_done(ps_eval_report *r);

/* The report as JSON, {"pairs":N,"methods":[..]}, shares of 1, with g's size, how its
 * model was trained and hit rates for many K, as server/web/eval.js shows it (g NULL:
 * without those two); and as a table for people, in percent. */
void ps_eval_json(const ps_eval_report *r, const ps_generation *g, ps_buf *out);
void ps_eval_table(const ps_eval_report *r, ps_buf *out);

#endif
