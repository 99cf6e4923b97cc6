/* live_graph.h - what a view of the live graph reads: a row's differences, by version.
 *
 * A row of the live graph is the base row (CSR, sorted) without some entries and with
 * others among them. Both are events, sorted by the row they name, so that the live row
 * is sorted too; an event knows its place among the base entries:
 *
 *     base     3   5   7   9              events   4 at 1 added, 7 at 2 removed
 *     live     3 4 5       9              degree   4
 *
 * The i-th entry is found by going through the events: each moves what follows by one.
 * Up to PS_INLINE events lie in the delta itself, a few lines that a walk prefetches.
 * More are parted into leaves below one sorted list, which knows for each leaf how far
 * its entries are moved: the right one is found by halving.
 *
 *     slot[row] -> delta 42 -> delta 40 -> NULL       newest first
 *                  |  |  \    / |  |
 *                 leaf leaf leaf leaf                   shared by versions
 *
 * Slots are in pages of 64 rows below one list, which has a page only where a row was
 * ever changed. Among rows that are left alone a lookup is one read of that list, an
 * eighth of a byte a row. The writer never changes what a published version shows: see
 * delta.h.
 *
 * Threads: readers, within the version of their view.
 */
#ifndef PINSAGE_CORE_GRAPH_LIVE_GRAPH_H
#define PINSAGE_CORE_GRAPH_LIVE_GRAPH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "pinsage/overlay.h"

#define PS_INLINE  28 /* events in a delta itself: four lines */
#define PS_LEAF    30 /* in a leaf: four lines too */
#define PS_PAGE    64
#define PS_REMOVED 0x80000000u

typedef struct ps_event {
    uint32_t row; /* the entry that is added or removed */
    uint32_t at;  /* base entries before it; with PS_REMOVED, it is that base entry */
} ps_event;

typedef struct ps_leaf {
    uint64_t version; /* that it was made in */
    uint32_t n;       /* > 0 unless it is the only one */
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
    const uint32_t *base; /* the base row, so that a walk need not look for it */
    uint32_t degree;      /* of the live row */
    uint16_t n, room;     /* events; n PS_PARTED: a ps_parts follows instead */
    ps_event event[];     /* (room) */
} ps_delta;

#define PS_PARTED UINT16_MAX

typedef struct ps_page {
    _Atomic(ps_delta *) slot[PS_PAGE]; /* newest, NULL: never changed */
} ps_page;

typedef struct ps_pages {
    ps_retired retired;
    uint32_t n;
    _Atomic(ps_page *) page[]; /* (n) by row / PS_PAGE; pages are owned by the newest */
} ps_pages;

/* One row of the base: without entries if the matrix does not have it. */
typedef struct ps_base {
    const uint32_t *row;
    uint32_t degree;
} ps_base;

static inline ps_base ps_base_of(const ps_csr *m, uint32_t row)
{
    if (row >= m->rows)
        return (ps_base){m->indices, 0};
    return (ps_base){ps_csr_row(m, row), ps_csr_degree(m, row)};
}

/* The overlay of one matrix. */
typedef struct ps_live {
    const ps_csr *base;
    _Atomic(ps_pages *) pages;   /* owned */
    _Atomic uint32_t n;          /* rows that were ever changed */
    _Atomic uint32_t end;        /* no row from here on has an entry in any version */
    _Atomic uint32_t max_degree; /* of a base row; 0 until it was asked for */
} ps_live;

const ps_live *ps_overlay_live(const ps_overlay *o, ps_side side);

static inline const ps_pages *ps_live_pages(const ps_graph *g, ps_side side)
{
    const ps_live *l = ps_overlay_live(g->overlay, side);
    return atomic_load_explicit(&l->pages, memory_order_acquire);
}

/* Where a row's newest delta is, whatever its version; NULL if no row of its page was
 * ever changed. */
static inline _Atomic(ps_delta *) *ps_slot_of(const ps_pages *p, uint32_t row)
{
    uint32_t i = row / PS_PAGE;
    ps_page *page =
        i < p->n ? atomic_load_explicit(&p->page[i], memory_order_acquire) : NULL;
    return page ? &page->slot[row % PS_PAGE] : NULL;
}

/* From a newest delta, the one that a version sees; NULL: the base row. */
static inline const ps_delta *ps_delta_at(const ps_delta *d, uint64_t version)
{
    while (d && d->version > version)
        d = d->older;
    return d;
}

/* The parts of a delta that has them, else NULL. */
static inline ps_parts *ps_delta_parts(const ps_delta *d)
{
    return d->n == PS_PARTED ? (ps_parts *)(uintptr_t)(d + 1) : NULL;
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

/* The i-th entry of a live row, i < degree. */
static inline const uint32_t *ps_delta_pick(const ps_delta *d, uint32_t i)
{
    if (d->n != PS_PARTED)
        return ps_events_pick(d->event, d->n, 0, i, d->base);
    const ps_part *p = ps_parts_at(ps_delta_parts(d), i);
    return ps_events_pick(p->leaf->event, p->leaf->n, p->shift, i, d->base);
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
    const ps_parts *p = ps_delta_parts(d);
    uint32_t n = d->n;
    if (p) {
        const ps_leaf *leaf = p->part[ps_parts_of(p, row)].leaf;
        event = leaf->event;
        n = leaf->n;
    }
    uint32_t k = ps_events_lower(event, n, row);
    return k < n && event[k].row == row ? &event[k] : NULL;
}

#endif
