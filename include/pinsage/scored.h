/* scored.h - a row and what it scored: one place of a ranking.
 *
 * Threads: none.
 * Not here: choosing the best of many (topk.h).
 */
#ifndef PINSAGE_SCORED_H
#define PINSAGE_SCORED_H

#include <stdint.h>

typedef struct ps_scored {
    uint32_t row;
    float score;
} ps_scored;

#endif
