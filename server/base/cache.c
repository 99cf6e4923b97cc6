/* cache.c - a chained hash table whose entries also stand in the ring of the clock.
 *
 *      buckets                 ring
 *      [0] -> e3 -> e1         e1 <-> e2 <-> e3 <-> (e1)
 *      [1]                            ^ hand
 *      [2] -> e2
 *
 * A new entry is put just behind the hand, the last place the hand will come to.
 *
 * Threads: see cache.h.
 */
#include "server/base/cache.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/err.h"

typedef struct entry {
    struct entry *chain, *next, *prev;
    uint64_t hash;
    void *value; /* owned */
    size_t bytes;
    bool used;
    size_t key_len;
    char key[];
} entry;

struct ps_cache {
    size_t limit, bytes, entries, mask; /* mask + 1 buckets, a power of two */
    uint64_t evicted;
    entry **bucket, *hand;
    void (*free_value)(void *);
};

int ps_cache_new(ps_cache **out, size_t limit, void (*free_value)(void *value))
{
    ps_cache *c = calloc(1, sizeof *c);
    entry **bucket = calloc(1024, sizeof *bucket);
    if (!c || !bucket) {
        free(c);
        free(bucket);
        return PS_ENOMEM;
    }
    *c = (ps_cache){
        .limit = limit, .mask = 1023, .bucket = bucket, .free_value = free_value};
    *out = c;
    return PS_OK;
}

void ps_cache_free(ps_cache *c)
{
    if (!c)
        return;
    ps_cache_clear(c);
    free(c->bucket);
    free(c);
}

static bool is_key(const entry *e, ps_text key, uint64_t hash)
{
    return e->hash == hash && e->key_len == key.len &&
           memcmp(e->key, key.data, key.len) == 0;
}

static entry *find_entry(ps_cache *c, ps_text key, uint64_t hash)
{
    entry *e = c->bucket[hash & c->mask];
    while (e && !is_key(e, key, hash))
        e = e->chain;
    return e;
}

void *ps_cache_find(ps_cache *c, ps_text key, uint64_t hash)
{
    entry *e = find_entry(c, key, hash);
    if (!e)
        return NULL;
    e->used = true;
    return e->value;
}

/* ------------------------------ The ring ----------------------------------- */

static void ring_insert(ps_cache *c, entry *e)
{
    if (!c->hand) {
        c->hand = e->next = e->prev = e;
        return;
    }
    e->next = c->hand;
    e->prev = c->hand->prev;
    e->prev->next = e;
    c->hand->prev = e;
}

static void ring_remove(ps_cache *c, entry *e)
{
    if (e->next == e) {
        c->hand = NULL;
        return;
    }
    if (c->hand == e)
        c->hand = e->next;
    e->prev->next = e->next;
    e->next->prev = e->prev;
}

static void drop(ps_cache *c, entry *e)
{
    entry **at = &c->bucket[e->hash & c->mask];
    while (*at != e)
        at = &(*at)->chain;
    *at = e->chain;
    ring_remove(c, e);
    c->bytes -= e->bytes;
    c->entries--;
    c->free_value(e->value);
    free(e);
}

static void evict_one(ps_cache *c)
{
    while (c->hand->used) {
        c->hand->used = false;
        c->hand = c->hand->next;
    }
    drop(c, c->hand);
    c->evicted++;
}

/* ------------------------------ Putting ------------------------------------ */

/* Failure to grow only makes chains longer. */
static void grow(ps_cache *c)
{
    size_t n = 2 * (c->mask + 1);
    entry **bucket = calloc(n, sizeof *bucket);
    if (!bucket)
        return;
    for (size_t i = 0; i <= c->mask; i++)
        for (entry *e = c->bucket[i], *chain; e; e = chain) {
            chain = e->chain;
            e->chain = bucket[e->hash & (n - 1)];
            bucket[e->hash & (n - 1)] = e;
        }
    free(c->bucket);
    c->bucket = bucket;
    c->mask = n - 1;
}

int ps_cache_put(ps_cache *c, ps_text key, uint64_t hash, void *value, size_t bytes)
{
    bytes += sizeof(entry) + key.len;
    if (bytes > c->limit / 8)
        return PS_EFULL;
    entry *e = malloc(sizeof *e + key.len);
    if (!e)
        return PS_ENOMEM;
    entry *old = find_entry(c, key, hash);
    if (old)
        drop(c, old);
    while (c->bytes + bytes > c->limit)
        evict_one(c);
    if (c->entries > c->mask)
        grow(c);
    *e = (entry){.hash = hash, .value = value, .bytes = bytes, .key_len = key.len};
    memcpy(e->key, key.data, key.len);
    e->chain = c->bucket[hash & c->mask];
    c->bucket[hash & c->mask] = e;
    ring_insert(c, e);
    c->bytes += bytes;
    c->entries++;
    return PS_OK;
}

void ps_cache_clear(ps_cache *c)
{
    while (c->hand)
        drop(c, c->hand);
}

ps_cache_counts ps_cache_count(const ps_cache *c)
{
    return (ps_cache_counts){c->entries, c->bytes, c->evicted};
}

int ps_cache_check(const ps_cache *c)
{
    size_t bytes = 0, entries = 0, ring = 0;
    for (size_t i = 0; i <= c->mask; i++)
        for (const entry *e = c->bucket[i]; e; e = e->chain) {
            if ((e->hash & c->mask) != i || e->next->prev != e || e->prev->next != e)
                return PS_EFORMAT;
            bytes += e->bytes;
            entries++;
        }
    const entry *e = c->hand;
    do
        ring += e != NULL;
    while (e && (e = e->next) != c->hand && ring <= entries);
    bool right = bytes == c->bytes && entries == c->entries && ring == entries;
    return right && bytes <= c->limit ? PS_OK : PS_EFORMAT;
}
