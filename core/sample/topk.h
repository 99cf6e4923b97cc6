/* topk.h - the largest of many, in order, without sorting the rest.
 *
 * A candidate is one 64-bit key: its weight above, the complement of its row below, so
 * that the heaviest comes first and ties go to the smaller row by comparing numbers.
 *
 * Threads: pure functions on the caller's array.
 */
#ifndef PINSAGE_CORE_SAMPLE_TOPK_H
#define PINSAGE_CORE_SAMPLE_TOPK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

/* Bits of a float that is not negative sort as the float does. */
static inline uint64_t ps_key_score(float score, uint32_t row)
{
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    return ps_key(bits, row);
}

static inline float ps_key_as_score(uint64_t key)
{
    uint32_t bits = ps_key_weight(key);
    float score;
    memcpy(&score, &bits, sizeof score);
    return score;
}

/* Reorder key (n) so that its min(k, n) largest come first, descending; returns that
 * number. O(n + k log k) on average, whatever the order they came in. */
size_t ps_top(uint64_t *key, size_t n, size_t k);

#endif
