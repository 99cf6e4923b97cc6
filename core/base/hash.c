/* hash.c - XXH3 behind our own names; the only file that includes xxhash.h.
 *
 * Threads: pure functions, or the caller's state.
 */
#include "pinsage/hash.h"

#include <stdlib.h>
#include <xxhash.h>

#include "pinsage/rng.h"

uint64_t ps_hash(const void *data, size_t size)
{
    return XXH3_64bits(data, size);
}

ps_hash_wide ps_hash128(const void *data, size_t size)
{
    XXH128_hash_t hash = XXH3_128bits(data, size);
    return (ps_hash_wide){hash.low64, hash.high64};
}

ps_hasher *ps_hasher_new(void)
{
    XXH3_state_t *state = XXH3_createState();
    if (!state)
        abort();
    XXH3_64bits_reset(state);
    return (ps_hasher *)state;
}

void ps_hasher_add(ps_hasher *h, const void *data, size_t size)
{
    XXH3_64bits_update((XXH3_state_t *)h, data, size);
}

uint64_t ps_hasher_value(const ps_hasher *h)
{
    return XXH3_64bits_digest((const XXH3_state_t *)h);
}

void ps_hasher_free(ps_hasher *h)
{
    XXH3_freeState((XXH3_state_t *)h);
}

uint64_t ps_pin_seed(uint64_t seed, const char *id, size_t len)
{
    return ps_pin_seed_of(seed, ps_hash(id, len));
}

uint64_t ps_pin_seed_of(uint64_t seed, uint64_t id_hash)
{
    return ps_mix64(seed * 0x9e3779b97f4a7c15u) ^ id_hash;
}
