/* names.c - open addressing over names that stay where they are.
 *
 * Threads: see names.h.
 */
#include "server/live/names.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/chunks.h"
#include "pinsage/hash.h"

#define FIRST_SLOTS 64u

typedef struct name {
    uint64_t hash;
    uint32_t number, len;
    char text[];
} name;

typedef struct table {
    ps_retired retired;
    uint32_t mask;
    _Atomic(name *) slot[];
} table;

struct ps_names {
    uint32_t first;
    ps_epoch *epoch;
    _Atomic(table *) table; /* at most half full */
    _Atomic uint32_t n;
    name **chunk[PS_CHUNKS]; /* number - first -> name */
};

static table *table_new(uint32_t slots)
{
    table *t = malloc(sizeof *t + (size_t)slots * sizeof *t->slot);
    if (!t)
        return NULL;
    t->mask = slots - 1;
    for (uint32_t i = 0; i < slots; i++)
        atomic_init(&t->slot[i], NULL);
    return t;
}

int ps_names_new(ps_names **out, uint32_t first, ps_epoch *epoch)
{
    ps_names *n = calloc(1, sizeof *n);
    table *t = table_new(FIRST_SLOTS);
    if (!n || !t) {
        free(n);
        free(t);
        return PS_ENOMEM;
    }
    n->first = first;
    n->epoch = epoch;
    atomic_init(&n->table, t);
    *out = n;
    return PS_OK;
}

/* Where the name of number first + i stands. */
static name **place_of(const ps_names *n, uint32_t i)
{
    uint32_t at, chunk = ps_chunk_of(i, &at);
    return &n->chunk[chunk][at];
}

void ps_names_free(ps_names *n)
{
    if (!n)
        return;
    for (uint32_t i = 0; i < n->n; i++)
        free(*place_of(n, i));
    for (uint32_t i = 0; i < PS_CHUNKS; i++)
        free(n->chunk[i]);
    free(atomic_load_explicit(&n->table, memory_order_relaxed));
    free(n);
}

/* The slot that holds the name, or the free one where it would go. */
static _Atomic(name *) *find(table *t, uint64_t hash, ps_text text)
{
    for (uint32_t i = (uint32_t)hash & t->mask;; i = (i + 1) & t->mask) {
        const name *there = atomic_load_explicit(&t->slot[i], memory_order_acquire);
        if (!there || (there->hash == hash && there->len == text.len &&
                       memcmp(there->text, text.data, text.len) == 0))
            return &t->slot[i];
    }
}

uint32_t ps_names_find(const ps_names *n, ps_text text)
{
    table *t = atomic_load_explicit(&n->table, memory_order_acquire);
    const name *there = atomic_load_explicit(find(t, ps_hash(text.data, text.len), text),
                                             memory_order_acquire);
    return there ? there->number : PS_NO_ROW;
}

uint32_t ps_names_end(const ps_names *n)
{
    return n->first + atomic_load_explicit(&n->n, memory_order_acquire);
}

ps_text ps_names_get(const ps_names *n, uint32_t number)
{
    if (number < n->first || number >= ps_names_end(n))
        return (ps_text){NULL, 0};
    const name *there = *place_of(n, number - n->first);
    return (ps_text){there->text, there->len};
}

/* ------------------------------ Writing ------------------------------------ */

static void free_table(ps_retired *r)
{
    free(r);
}

static int grow(ps_names *n, uint64_t version)
{
    table *old = atomic_load_explicit(&n->table, memory_order_relaxed);
    table *t = table_new(2 * (old->mask + 1));
    if (!t)
        return PS_ENOMEM;
    for (uint32_t i = 0; i <= old->mask; i++) {
        name *there = atomic_load_explicit(&old->slot[i], memory_order_relaxed);
        if (there)
            atomic_store_explicit(
                find(t, there->hash, (ps_text){there->text, there->len}), there,
                memory_order_relaxed);
    }
    atomic_store_explicit(&n->table, t, memory_order_release);
    ps_epoch_retire(n->epoch, version, &old->retired, free_table);
    return PS_OK;
}

static name *name_new(uint64_t hash, uint32_t number, ps_text text)
{
    name *made = malloc(sizeof *made + text.len);
    if (!made)
        return NULL;
    *made = (name){.hash = hash, .number = number, .len = (uint32_t)text.len};
    memcpy(made->text, text.data, text.len);
    return made;
}

int ps_names_add(ps_names *n, uint64_t version, ps_text text, uint32_t *number)
{
    uint64_t hash = ps_hash(text.data, text.len);
    table *t = atomic_load_explicit(&n->table, memory_order_relaxed);
    uint32_t i = n->n, at, chunk = ps_chunk_of(i, &at);
    *number = ps_names_find(n, text);
    if (*number != PS_NO_ROW)
        return PS_OK;
    if (i >= PS_NO_ROW - 1 - n->first)
        return PS_EFULL;
    if (2 * (i + 1) > t->mask && grow(n, version))
        return PS_ENOMEM;
    if (!n->chunk[chunk])
        n->chunk[chunk] = calloc(ps_chunk_size(chunk), sizeof **n->chunk);
    name *made = n->chunk[chunk] ? name_new(hash, n->first + i, text) : NULL;
    if (!made)
        return PS_ENOMEM;
    n->chunk[chunk][at] = made;
    atomic_store_explicit(&n->n, i + 1, memory_order_release);
    t = atomic_load_explicit(&n->table, memory_order_relaxed);
    atomic_store_explicit(find(t, hash, text), made, memory_order_release);
    *number = made->number;
    return PS_OK;
}
