/* rng.h - random numbers whose state is a parameter.
 *
 * SplitMix64: tiny, seekable, good enough to pick an edge; one stream per walk, so
 * that interleaving walks changes nothing. Every stream is derived from a seed with
 * ps_rng_at, and a pin's stream from the seed and the XXH3 of its id, so a pin has
 * the same neighbours in training, in batch and on request.
 *
 * Threads: pure functions on the caller's state.
 */
#ifndef PINSAGE_RNG_H
#define PINSAGE_RNG_H

#include <stdint.h>

static inline uint64_t ps_mix64(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline uint64_t ps_rng_next(uint64_t *state)
{
    return ps_mix64(*state += 0x9e3779b97f4a7c15u);
}

/* State of the i-th stream of a seed. */
static inline uint64_t ps_rng_at(uint64_t seed, uint64_t i)
{
    return ps_mix64(seed + 0x9e3779b97f4a7c15u * (i + 1)) ^ (i * 0xd1342543de82ef95u);
}

/* Uniform in [0, n), n > 0, without the division's latency. The bias is n / 2^64. */
static inline uint64_t ps_rng_below(uint64_t *state, uint64_t n)
{
    return (uint64_t)(((unsigned __int128)ps_rng_next(state) * n) >> 64);
}

/* Uniform in [0, 1). */
static inline float ps_rng_unit(uint64_t *state)
{
    return (float)(ps_rng_next(state) >> 40) * 0x1p-24f;
}

#endif
