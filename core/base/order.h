/* order.h - what qsort asks: numbers, smallest first.
 *
 * Threads: pure functions.
 */
#ifndef PINSAGE_CORE_BASE_ORDER_H
#define PINSAGE_CORE_BASE_ORDER_H

#include <stdint.h>

static inline int ps_by_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static inline int ps_by_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

#endif
