/* recall.h - how much of the exact answer the index finds, watched on live questions.
 *
 * Now and then the pin that was asked about last is taken, and its ten nearest pins are
 * looked for twice: by the index, and among all vectors. That reads every vector, so it
 * is done by a thread of the lowest priority and at most once an interval.
 *
 * Threads: offers from any; the monitor has one of its own.
 */
#ifndef PINSAGE_SERVER_STATE_RECALL_H
#define PINSAGE_SERVER_STATE_RECALL_H

#include <stdint.h>

#include "pinsage/err.h"

struct ps_state;
typedef struct ps_recall ps_recall;

typedef struct ps_recall_counts {
    uint64_t sampled, hits, wanted;
    double recall; /* of the last samples; NaN before the first */
} ps_recall_counts;

/* Every so many milliseconds; 0 does not watch: *r is NULL. */
int ps_recall_start(ps_recall **r, struct ps_state *state, uint32_t every, ps_why *why);
void ps_recall_stop(ps_recall *r); /* NULL is fine */

/* A pin that somebody asked about. r may be NULL. */
void ps_recall_offer(ps_recall *r, uint32_t row);
ps_recall_counts ps_recall_count(ps_recall *r);

#endif
