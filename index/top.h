/* top.h - the k best of many scored rows.
 *
 * A binary heap with the worst of the kept at its root, so that most rows lose at the
 * first comparison. Best is the higher score, then the smaller row: the answer does not
 * depend on the order of the rows.
 *
 * Threads: one list, one thread.
 */
#ifndef PINSAGE_INDEX_TOP_H
#define PINSAGE_INDEX_TOP_H

#include "pinsage/pixie.h"

typedef struct top {
    ps_scored *at; /* (k) borrowed from the caller */
    uint32_t n, k;
} top;

/* True when row would be kept. */
static inline int top_wants(const top *t, uint32_t row, float score)
{
    if (t->n < t->k)
        return 1;
    return t->k &&
           (score > t->at[0].score || (score == t->at[0].score && row < t->at[0].row));
}

/* Keep row, which top_wants; the worst leaves when k are there. */
void top_keep(top *t, uint32_t row, float score);
/* Turn the heap into a list, best first, with scores times scale; returns how many. No
 * more rows after this. */
uint32_t top_finish(top *t, float scale);

#endif
