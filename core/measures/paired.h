/* paired.h - the difference of two methods over the same queries, with an interval.
 *
 * Threads: resamples are cut among the workers.
 */
#ifndef PINSAGE_CORE_MEASURES_PAIRED_H
#define PINSAGE_CORE_MEASURES_PAIRED_H

#include "core/measures/lines.h"

/* Means of a's ranks, or with b of their differences a - b, and intervals. */
typedef struct paired_opts {
    const uint32_t *cut;
    uint32_t n_cuts, bootstraps;
    uint64_t seed;
} paired_opts;
int paired_scores(const groups *g, const float *a, const float *b, const paired_opts *o,
                  ps_workers *workers, ps_measures *out);

#endif
