/* lines.h - from ranks to hit rate, recall and MRR with bootstrap intervals.
 *
 * Pairs are grouped by query once; a method's ranks then become one line of sums a
 * query. Everything after that (means, buckets, resamples, differences of two methods)
 * is sums of lines.
 *
 * Threads: groups and lines are read by all. Not here: how ranks come about (eval.c).
 */
#ifndef PINSAGE_CORE_MEASURES_LINES_H
#define PINSAGE_CORE_MEASURES_LINES_H

#include <stddef.h>
#include <stdint.h>

#include "pinsage/import.h"
#include "pinsage/measures.h"
#include "pinsage/workers.h"

/* Pairs by query, ascending row; a pin paired with itself is in no group. */
typedef struct groups {
    size_t n;        /* queries */
    uint32_t *query; /* (n) rows */
    size_t *start;   /* (n + 1) into order */
    size_t *order;   /* (start[n]) pair numbers, ascending within a query */
} groups;

int groups_make(groups *g, const ps_pairs *pairs);
void groups_done(groups *g);

/* Columns of a line, in sums over the query's pairs: pairs, 1 / rank,
 * 1 / ceil(rank / 100), then hits for each cut, then their share for each cut. */
enum { LINE_PAIRS, LINE_MRR, LINE_SCALED, LINE_CUTS, LINE_MAX = 3 + 2 * PS_CUTS_MAX };
static inline size_t line_width(uint32_t n_cuts)
{
    return LINE_CUTS + 2 * (size_t)n_cuts;
}

/* rank (pairs->n) -> lines (g->n, line_width). */
void lines_of_ranks(const groups *g, const float *rank, const uint32_t *cut,
                    uint32_t n_cuts, double *lines);

typedef struct line_set {
    const double *lines; /* (.., line_width(n_cuts)) */
    uint32_t n_cuts;
    const uint32_t *pick; /* (n) line numbers; NULL: the first n */
    size_t n;
} line_set;

/* Means of the set, and their 95 % intervals from `bootstraps` resamples of queries.
 * Stream b of seed draws resample b, so equal seeds pair the resamples of two calls. */
int lines_scores(line_set set, uint32_t bootstraps, uint64_t seed, ps_workers *workers,
                 ps_measures *out);

#endif
