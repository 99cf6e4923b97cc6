/* cache.h - what was used lately, up to a number of bytes.
 *
 * Keys are bytes, values are pointers that the cache owns once put. Eviction is CLOCK:
 * a hit costs setting one bit; the hand passes over what was used since it came by last.
 *
 * Threads: one cache, one thread (each loop has its own, so that a hit takes no lock).
 */
#ifndef PINSAGE_SERVER_BASE_CACHE_H
#define PINSAGE_SERVER_BASE_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "pinsage/text.h"

typedef struct ps_cache ps_cache;

typedef struct ps_cache_counts {
    uint64_t entries, bytes, evicted;
} ps_cache_counts;

/* limit: bytes of keys, values as they were told, and bookkeeping. */
int ps_cache_new(ps_cache **c, size_t limit, void (*free_value)(void *value));
void ps_cache_free(ps_cache *c); /* NULL is fine */

/* The value of a key, NULL when it is not there. hash is ps_hash of the key. */
void *ps_cache_find(ps_cache *c, ps_text key, uint64_t hash);
/* Take value, which weighs so many bytes, evicting others until it fits; a key that is
 * there is replaced. PS_EFULL (value stays the caller's) when it is heavier than an
 * eighth of the limit, PS_ENOMEM when memory is exhausted. */
int ps_cache_put(ps_cache *c, ps_text key, uint64_t hash, void *value, size_t bytes);
void ps_cache_clear(ps_cache *c);
ps_cache_counts ps_cache_count(const ps_cache *c);
/* Every entry findable, counts right; 0 or PS_EFORMAT. For tests. */
int ps_cache_check(const ps_cache *c);

#endif
