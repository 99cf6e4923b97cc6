/* hash.h - XXH3: checksums of files, fingerprints, and the hash of a pin's id.
 *
 * Threads: pure functions, or state that the caller owns.
 */
#ifndef PINSAGE_HASH_H
#define PINSAGE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t ps_hash(const void *data, size_t size);

/* 128 bits, for keys that stand for something longer. */
typedef struct ps_hash_wide {
    uint64_t low, high;
} ps_hash_wide;
ps_hash_wide ps_hash128(const void *data, size_t size);

/* Checksum of a stream, fed in pieces; equal to ps_hash of the whole. */
typedef struct ps_hasher ps_hasher;
ps_hasher *ps_hasher_new(void); /* aborts when memory is exhausted */
void ps_hasher_add(ps_hasher *h, const void *data, size_t size);
uint64_t ps_hasher_value(const ps_hasher *h);
void ps_hasher_free(ps_hasher *h);

/* Seed of a pin's walks: from the run's seed and its id. */
uint64_t ps_pin_seed(uint64_t seed, const char *id, size_t len);
/* The same from the XXH3 of the id (ps_pins_hashes). */
uint64_t ps_pin_seed_of(uint64_t seed, uint64_t id_hash);

#endif
