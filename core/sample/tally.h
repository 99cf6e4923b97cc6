/* tally.h - how often each row was visited: a small open-addressing table.
 *
 * Sized once for the most distinct rows there can be, at most half full, linear probing.
 * The list of slots in use is what makes it cheap to read and to clear: neither looks at
 * the empty ones.
 *
 * Threads: a tally belongs to one thread.
 */
#ifndef PINSAGE_CORE_SAMPLE_TALLY_H
#define PINSAGE_CORE_SAMPLE_TALLY_H

#include <stddef.h>
#include <stdint.h>

#include "pinsage/topk.h"
#include "pinsage/walk.h"

typedef struct ps_tally {
    ps_visit *slot; /* owned, a power of two; count 0 = empty */
    uint32_t *used; /* owned, (n): slots in order of first visit */
    size_t n;
    uint32_t mask, shift;
} ps_tally;

/* Room for this many distinct rows. PS_ENOMEM, PS_ERANGE beyond 2^30. */
int ps_tally_init(ps_tally *t, size_t distinct);
void ps_tally_done(ps_tally *t);

/* The distinct rows to make room for, for this many visits to pins of g by a scratch that
 * has room for some already: no more than are needed, and twice those before, because a
 * live graph grows. */
size_t ps_tally_room(const ps_graph *g, size_t visits, size_t before);

static inline uint32_t ps_tally_home(const ps_tally *t, uint32_t row)
{
    return (row * 0x9e3779b1u) >> t->shift;
}

/* The slot of a row, taken if it had none. */
static inline uint32_t ps_tally_slot(ps_tally *t, uint32_t row)
{
    uint32_t i = ps_tally_home(t, row);
    while (t->slot[i].count && t->slot[i].row != row)
        i = (i + 1) & t->mask;
    return i;
}

/* One visit more; returns how many that makes. */
static inline uint32_t ps_tally_add(ps_tally *t, uint32_t row)
{
    uint32_t i = ps_tally_slot(t, row);
    if (t->slot[i].count == 0) {
        t->slot[i].row = row;
        t->used[t->n++] = i;
    }
    return ++t->slot[i].count;
}

/* Every row with its visits as a key (topk.h) into key; returns how many. Empties the
 * tally on the way. */
static inline size_t ps_tally_take(ps_tally *t, uint64_t *key)
{
    size_t n = t->n;
    for (size_t i = 0; i < n; i++) {
        ps_visit *v = &t->slot[t->used[i]];
        key[i] = ps_key(v->count, v->row);
        v->count = 0;
    }
    t->n = 0;
    return n;
}

/* Forget everything. */
static inline void ps_tally_clear(ps_tally *t)
{
    for (size_t i = 0; i < t->n; i++)
        t->slot[t->used[i]].count = 0;
    t->n = 0;
}

#endif
