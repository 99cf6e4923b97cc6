/* topk.h - the best of many, in order, without sorting the rest.
 *
 * Best is the higher score, then the smaller row: the answer does not depend on the order
 * in which rows come. Two ways to it. Who has all candidates at once makes a key of each
 * and calls ps_top; who sees them one by one keeps a ps_topk.
 *
 * A key is one 64-bit number: the weight above, the complement of the row below, so that
 * the heaviest comes first and ties go to the smaller row by comparing numbers.
 *
 * Threads: pure functions on the caller's array; one list, one thread.
 */
#ifndef PINSAGE_TOPK_H
#define PINSAGE_TOPK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "pinsage/scored.h"

/* ---- All at once ---- */
static inline uint64_t ps_key(uint32_t weight, uint32_t row)
{
    return (uint64_t)weight << 32 | (uint32_t)~row;
}

static inline uint32_t ps_key_weight(uint64_t key)
{
    return (uint32_t)(key >> 32);
}

static inline uint32_t ps_key_row(uint64_t key)
{
    return ~(uint32_t)key;
}

/* The bits of a float that is a number, turned so that they compare as it does. */
static inline uint64_t ps_key_score(float score, uint32_t row)
{
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    return ps_key(bits & 0x80000000u ? ~bits : bits | 0x80000000u, row);
}

static inline float ps_key_as_score(uint64_t key)
{
    uint32_t bits = ps_key_weight(key);
    float score;
    bits = bits & 0x80000000u ? bits & 0x7fffffffu : ~bits;
    memcpy(&score, &bits, sizeof score);
    return score;
}

/* Reorder key (n) so that its min(k, n) largest come first, descending; returns that
 * number. O(n + k log k) on average, whatever the order they came in. */
size_t ps_top(uint64_t *key, size_t n, size_t k);

/* ---- One by one ---- */
typedef struct ps_topk {
    ps_scored *at; /* (k) borrowed from the caller: a heap, the worst at its root */
    uint32_t n, k;
} ps_topk;

/* True when row would be kept: for most rows the only comparison there is. */
static inline int ps_topk_wants(const ps_topk *t, uint32_t row, float score)
{
    if (t->n < t->k)
        return 1;
    return t->k &&
           (score > t->at[0].score || (score == t->at[0].score && row < t->at[0].row));
}

/* Keep row, which ps_topk_wants; the worst leaves when k are there. */
void ps_topk_keep(ps_topk *t, uint32_t row, float score);
/* Turn the heap into a list, best first, with scores times scale; returns how many. No
 * more rows after this. */
uint32_t ps_topk_finish(ps_topk *t, float scale);

#endif
