/* measures.h - what a ranking is worth: means over pairs and queries, with intervals.
 *
 * Threads: plain values. Not here: how they are computed (core/measures/lines.h).
 */
#ifndef PINSAGE_MEASURES_H
#define PINSAGE_MEASURES_H

#include <stdint.h>

#define PS_CUTS_MAX 8 /* K of hit rate and recall, in one report */

typedef struct ps_interval {
    double mean, low, high; /* 95 % */
} ps_interval;

typedef struct ps_measures {
    uint64_t pairs, queries;
    ps_interval hit_rate[PS_CUTS_MAX], recall[PS_CUTS_MAX];
    ps_interval mrr, mrr_scaled;
} ps_measures;

#endif
