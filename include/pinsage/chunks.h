/* chunks.h - a list that grows and never moves: each chunk is as long as all before it.
 *
 *     place  0 .. 4095 | 4096 .. 8191 | 8192 .. 16383 | ...
 *     chunk  0         | 1            | 2             | ... 20
 *
 * Twenty-one chunks have a place for every 32-bit number. The owner keeps the array of
 * chunks and allocates each when its first place is needed.
 *
 * Threads: any; there is no state.
 */
#ifndef PINSAGE_CHUNKS_H
#define PINSAGE_CHUNKS_H

#include <stdint.h>

#define PS_CHUNK_FIRST 4096u
#define PS_CHUNKS      21u

/* The chunk of place i; *at gets where in it. */
static inline uint32_t ps_chunk_of(uint32_t i, uint32_t *at)
{
    if (i < PS_CHUNK_FIRST) {
        *at = i;
        return 0;
    }
    uint32_t chunk = 20u - (uint32_t)__builtin_clz(i);
    *at = i - (PS_CHUNK_FIRST << (chunk - 1));
    return chunk;
}

/* How many places a chunk has. */
static inline uint32_t ps_chunk_size(uint32_t chunk)
{
    return chunk ? PS_CHUNK_FIRST << (chunk - 1) : PS_CHUNK_FIRST;
}

#endif
