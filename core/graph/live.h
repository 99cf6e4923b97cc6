/* live.h - what a view of the live graph reads: a row's differences, by version.
 *
 * A row of the live graph is the base row (CSR, sorted) without some entries and with
 * others among them. Both are events, sorted by the row they name, so that the live row
 * is sorted too; an event knows its place among the base entries:
 *
 *     base     3   5   7   9              events   4 at 1 added, 7 at 2 removed
 *     live     3 4 5       9              degree   4
 *
 * The i-th entry is found by going through the events: each moves what follows by one.
 * Up to PS_LEAF events lie in the delta itself, a small object that a walk prefetches.
 * More are parted into leaves below one sorted list, which knows for each leaf how far
 * its entries are moved: the right one is found by halving.
 *
 *     slot[row] -> delta 42 -> delta 40 -> NULL       newest first
 *                    |            |
 *                  parts        parts                 leaves are shared by versions
 *                  |  |  \    / |  |
 *                 leaf leaf leaf leaf
 *
 * A row's newest delta is found in a table (open addressing, an entry stays once it is
 * there), and only if the row's bit says that there is one, so that untouched rows cost
 * one test. The writer never changes what a published version shows: see delta.h.
 *
 * Threads: readers, within the version of their view.
 */
#ifndef PS_GRAPH_LIVE_H
#define PS_GRAPH_LIVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "pinsage/overlay.h"

#define PS_LEAF    32
#define PS_REMOVED 0x80000000u

typedef struct ps_event {
    uint32_t row; /* the entry that is added or removed */
    uint32_t at;  /* base entries before it; with PS_REMOVED, it is that base entry */
} ps_event;

typedef struct ps_leaf {
    uint64_t version; /* that it was made in */
    uint32_t n;       /* > 0 */
    ps_event event[PS_LEAF];
} ps_leaf;

typedef struct ps_part {
    ps_leaf *leaf;
    uint32_t row;   /* of its first event */
    uint32_t first; /* place in the live row where that one is or would be */
    uint32_t shift; /* added less removed in the leaves before, modulo 2^32 */
} ps_part;

typedef struct ps_parts {
    uint32_t n, room;
    ps_part part[];
} ps_parts;

typedef struct ps_delta {
    struct ps_delta *older; /* not to be followed from a version that is seen */
    uint64_t version;
    ps_parts *parts; /* owned; NULL: the events are here */
    uint32_t degree; /* of the live row */
    uint16_t n, room;
    ps_event event[]; /* (room) */
} ps_delta;

typedef struct ps_slot {
    _Atomic uint32_t key; /* row + 1; 0 = empty */
    _Atomic(ps_delta *) newest;
} ps_slot;

typedef struct ps_table {
    ps_retired retired;
    uint32_t mask, shift;
    ps_slot slot[]; /* (mask + 1) */
} ps_table;

/* The overlay of one matrix. */
typedef struct ps_live {
    const ps_csr *base;
    _Atomic uint64_t *touched; /* owned: a bit for each base row */
    _Atomic(ps_table *) table; /* owned */
    _Atomic uint32_t n;        /* rows in the table */
    _Atomic uint32_t end;      /* no row from here on has an entry in any version */
} ps_live;

/* What a walk keeps at hand of it. */
typedef struct ps_seen {
    uint32_t rows;
    const _Atomic uint64_t *touched;
    const ps_table *table;
    uint64_t at;
} ps_seen;

const ps_live *ps_overlay_live(const ps_overlay *o, ps_side side);

static inline ps_seen ps_seen_of(const ps_graph *g, ps_side side)
{
    const ps_live *l = ps_overlay_live(g->overlay, side);
    return (ps_seen){.rows = l->base->rows,
                     .touched = l->touched,
                     .table = atomic_load_explicit(&l->table, memory_order_acquire),
                     .at = g->at};
}

static inline bool ps_seen_touched(const ps_seen *s, uint32_t row)
{
    if (row >= s->rows)
        return true;
    uint64_t bits = atomic_load_explicit(&s->touched[row / 64], memory_order_relaxed);
    return bits >> row % 64 & 1;
}

static inline const ps_slot *ps_table_home(const ps_table *t, uint32_t row)
{
    return &t->slot[(row * 0x9e3779b1u) >> t->shift];
}

/* The row's newest delta, whatever its version; NULL if there is none. */
static inline ps_delta *ps_table_find(const ps_table *t, uint32_t row)
{
    for (uint32_t i = (row * 0x9e3779b1u) >> t->shift;; i++) {
        const ps_slot *s = &t->slot[i & t->mask];
        uint32_t key = atomic_load_explicit(&s->key, memory_order_acquire);
        if (key == row + 1)
            return atomic_load_explicit(&s->newest, memory_order_acquire);
        if (key == 0)
            return NULL;
    }
}

/* From a newest delta, the one that a version sees. */
static inline const ps_delta *ps_delta_at(const ps_delta *d, uint64_t version)
{
    while (d && d->version > version)
        d = d->older;
    return d;
}

/* The delta of a row that a view sees; NULL: the base row. */
static inline const ps_delta *ps_seen_delta(const ps_seen *s, uint32_t row)
{
    return ps_seen_touched(s, row) ? ps_delta_at(ps_table_find(s->table, row), s->at)
                                   : NULL;
}

/* Where the i-th entry of a live row stands: in the base row or in one of n events,
 * before which entries are moved by shift. */
static inline const uint32_t *ps_events_pick(const ps_event *event, uint32_t n,
                                             uint32_t shift, uint32_t i,
                                             const uint32_t *base)
{
    for (uint32_t k = 0; k < n; k++) {
        uint32_t at = event[k].at, place = (at & ~PS_REMOVED) + shift;
        if (i < place)
            break;
        if (at & PS_REMOVED)
            shift--;
        else if (i == place)
            return &event[k].row;
        else
            shift++;
    }
    return base + (uint32_t)(i - shift);
}

/* The part whose stretch of the live row holds place i. */
static inline const ps_part *ps_parts_at(const ps_parts *p, uint32_t i)
{
    uint32_t low = 0, high = p->n;
    while (high - low > 1) {
        uint32_t mid = low + (high - low) / 2;
        if (p->part[mid].first <= i)
            low = mid;
        else
            high = mid;
    }
    return &p->part[low];
}

/* The i-th entry of a live row, i < degree. base may be NULL for a row beyond it. */
static inline const uint32_t *ps_delta_pick(const ps_delta *d, uint32_t i,
                                            const uint32_t *base)
{
    if (!d->parts)
        return ps_events_pick(d->event, d->n, 0, i, base);
    const ps_part *p = ps_parts_at(d->parts, i);
    return ps_events_pick(p->leaf->event, p->leaf->n, p->shift, i, base);
}

/* The first of n events that names this row or a larger one. */
static inline uint32_t ps_events_lower(const ps_event *event, uint32_t n, uint32_t row)
{
    uint32_t k = 0;
    while (k < n && event[k].row < row)
        k++;
    return k;
}

/* The part that a row belongs to. */
static inline uint32_t ps_parts_of(const ps_parts *p, uint32_t row)
{
    uint32_t low = 0, high = p->n;
    while (high - low > 1) {
        uint32_t mid = low + (high - low) / 2;
        if (p->part[mid].row <= row)
            low = mid;
        else
            high = mid;
    }
    return low;
}

/* What a delta says of one entry of its row; NULL if nothing. */
static inline const ps_event *ps_delta_event(const ps_delta *d, uint32_t row)
{
    const ps_event *event = d->event;
    uint32_t n = d->n;
    if (d->parts) {
        const ps_leaf *leaf = d->parts->part[ps_parts_of(d->parts, row)].leaf;
        event = leaf->event;
        n = leaf->n;
    }
    uint32_t k = ps_events_lower(event, n, row);
    return k < n && event[k].row == row ? &event[k] : NULL;
}

#endif
