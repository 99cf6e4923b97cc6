/* delta.c - see delta.h.
 *
 * A delta has as many events as fill its block, so most changes of a row in a group find
 * room; parts have room for some more, and for half as many more when one group fills
 * them. An entry added behind all others does not split a full leaf in the middle, but
 * begins the next: rows mostly grow at their end, by live pins.
 *
 * Threads: see delta.h.
 */
#include "core/graph/delta.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------ The group --------------------------------- */

int ps_changes_reserve(ps_changes *g, size_t n)
{
    ps_batch *b = g->batch;
    size_t need = (b ? b->n : 0) + n;
    if (b && need <= b->room)
        return PS_OK;
    size_t room = need + need / 2 + 4;
    b = realloc(b, sizeof *b + room * sizeof *b->item);
    if (!b)
        return PS_ENOMEM;
    if (!g->batch)
        b->n = 0;
    b->room = room;
    b->slab = g->slab;
    g->batch = b;
    return PS_OK;
}

void ps_changes_note(ps_changes *g, ps_item_kind kind, uint32_t row, void *ptr)
{
    g->batch->item[g->batch->n++] = (ps_item){.ptr = ptr, .row = row, .kind = kind};
}

static bool is_own(const ps_delta *d, const ps_changes *g)
{
    return d && d->version == g->version;
}

/* ------------------------------ Memory ------------------------------------ */

static size_t delta_size(bool in_parts, uint32_t room)
{
    return sizeof(ps_delta) + (in_parts ? sizeof(ps_parts) + room * sizeof(ps_part)
                                        : room * sizeof(ps_event));
}

void ps_delta_give(ps_delta *d, ps_slab *s)
{
    const ps_parts *p = d ? ps_delta_parts(d) : NULL;
    if (d)
        ps_slab_give(s, d, delta_size(p, p ? p->room : d->room));
}

void ps_leaf_give(ps_leaf *leaf, ps_slab *s)
{
    ps_slab_give(s, leaf, sizeof *leaf);
}

void ps_delta_give_leaves(ps_delta *d, ps_changes *g)
{
    ps_parts *p = ps_delta_parts(d);
    for (uint32_t i = 0; p && i < p->n; i++)
        if (p->part[i].leaf->version == g->version)
            ps_leaf_give(p->part[i].leaf, g->slab);
}

/* Without differences, on top of older, with room for this many events or parts. */
static ps_delta *new_delta(const ps_delta *older, ps_base base, bool in_parts,
                           uint32_t room, ps_changes *g)
{
    size_t size = ps_slab_size(delta_size(in_parts, room));
    ps_delta *d = ps_slab_take(g->slab, size);
    if (!d)
        return NULL;
    *d = (ps_delta){.version = g->version, .base = base.row, .degree = base.degree};
    d->older = is_own(older, g) ? older->older : (ps_delta *)(uintptr_t)older;
    size -= delta_size(in_parts, 0);
    if (in_parts) {
        d->n = PS_PARTED;
        *ps_delta_parts(d) = (ps_parts){.room = (uint32_t)(size / sizeof(ps_part))};
    } else {
        d->room = (uint16_t)(size / sizeof(ps_event));
    }
    return d;
}

static ps_leaf *new_leaf(const ps_event *event, uint32_t n, ps_changes *g)
{
    ps_leaf *leaf = ps_slab_take(g->slab, sizeof *leaf);
    if (!leaf)
        return NULL;
    leaf->version = g->version;
    leaf->n = n;
    memcpy(leaf->event, event, n * sizeof *event);
    return leaf;
}

/* ------------------------------ Renewing ---------------------------------- */

static ps_part first_part(ps_leaf *leaf)
{
    const ps_event *e = leaf->event;
    return (ps_part){.leaf = leaf, .row = e->row, .first = e->at & ~PS_REMOVED};
}

static ps_delta *with_events(const ps_delta *old, ps_base base, const ps_event *event,
                             uint32_t n, ps_changes *g)
{
    ps_delta *d = new_delta(old, base, false, n + 1, g);
    if (d) {
        memcpy(d->event, event, n * sizeof *event);
        d->n = (uint16_t)n;
    }
    return d;
}

/* Few events again, of what was parts once. */
static ps_delta *with_few(const ps_delta *old, ps_base base, ps_leaf *leaf, ps_changes *g)
{
    ps_delta *d = with_events(old, base, leaf->event, leaf->n, g);
    if (d)
        ps_changes_note(g, PS_ITEM_LEAF, 0, leaf);
    return d;
}

static ps_delta *with_parts(const ps_delta *old, ps_base base, ps_changes *g)
{
    const ps_parts *from = ps_delta_parts(old);
    uint32_t n = from->n, slack = is_own(old, g) ? n / 2 : n / 16;
    ps_delta *d = new_delta(old, base, true, n + slack + 1, g);
    if (d) {
        ps_delta_parts(d)->n = n;
        memcpy(ps_delta_parts(d)->part, from->part, n * sizeof *from->part);
    }
    return d;
}

/* The events of a full delta, in a leaf. */
static ps_delta *with_leaf(const ps_delta *old, ps_base base, ps_changes *g)
{
    ps_leaf *leaf = new_leaf(old->event, old->n, g);
    ps_delta *d = leaf ? new_delta(old, base, true, 2, g) : NULL;
    if (d) {
        ps_delta_parts(d)->n = 1;
        ps_delta_parts(d)->part[0] = first_part(leaf);
    } else {
        ps_leaf_give(leaf, g->slab);
    }
    return d;
}

/* The same differences in a delta of the group's version with room for one more. */
static ps_delta *renewed(const ps_delta *old, ps_base base, ps_changes *g)
{
    if (!old)
        return new_delta(NULL, base, false, 1, g);
    const ps_parts *p = ps_delta_parts(old);
    ps_leaf *only = p && p->n == 1 ? p->part[0].leaf : NULL;
    ps_delta *d = only && only->n < PS_INLINE / 2 && !is_own(old, g)
                      ? with_few(old, base, only, g)
                  : p                  ? with_parts(old, base, g)
                  : old->n < PS_INLINE ? with_events(old, base, old->event, old->n, g)
                                       : with_leaf(old, base, g);
    if (d)
        d->degree = old->degree;
    return d;
}

static bool is_full(const ps_delta *d)
{
    const ps_parts *p = ps_delta_parts(d);
    return p ? p->n == p->room : d->n == d->room;
}

/* ------------------------------ Leaves ------------------------------------ */

static uint32_t net_of(const ps_event *event, uint32_t n)
{
    uint32_t net = 0;
    for (uint32_t k = 0; k < n; k++)
        net += event[k].at & PS_REMOVED ? UINT32_MAX : 1;
    return net;
}

/* Part k, whose leaf is full and the group's own, into two. */
static int split(ps_parts *parts, uint32_t k, uint32_t entry, ps_changes *g)
{
    ps_part *p = &parts->part[k];
    bool at_end = k + 1 == parts->n && entry > p->leaf->event[PS_LEAF - 1].row;
    uint32_t kept = at_end ? PS_LEAF - 1 : PS_LEAF / 2;
    const ps_event *rest = p->leaf->event + kept;
    ps_leaf *leaf = new_leaf(rest, PS_LEAF - kept, g);
    if (!leaf)
        return PS_ENOMEM;
    memmove(p + 2, p + 1, (parts->n - k - 1) * sizeof *p);
    parts->n++;
    p[1] = first_part(leaf);
    p[1].shift = p->shift + net_of(p->leaf->event, kept);
    p[1].first += p[1].shift;
    p->leaf->n = kept;
    return PS_OK;
}

/* The leaf that an entry belongs to: the group's own, with room for it. */
static int prepare_leaf(ps_delta *d, uint32_t entry, ps_changes *g)
{
    ps_parts *parts = ps_delta_parts(d);
    uint32_t k = ps_parts_of(parts, entry);
    ps_leaf *leaf = parts->part[k].leaf;
    if (leaf->version != g->version) {
        ps_leaf *own = new_leaf(leaf->event, leaf->n, g);
        if (!own)
            return PS_ENOMEM;
        ps_changes_note(g, PS_ITEM_LEAF, 0, leaf);
        parts->part[k].leaf = leaf = own;
    }
    if (leaf->n < PS_LEAF || ps_delta_event(d, entry))
        return PS_OK;
    return split(parts, k, entry, g);
}

int ps_delta_prepare(ps_delta **d, ps_base base, uint32_t entry, ps_changes *g)
{
    if (!is_own(*d, g) || is_full(*d)) {
        ps_delta *own = renewed(*d, base, g);
        if (!own)
            return PS_ENOMEM;
        *d = own;
    }
    return ps_delta_parts(*d) ? prepare_leaf(*d, entry, g) : PS_OK;
}

/* ------------------------------ Toggling ---------------------------------- */

/* Base entries below an entry, with PS_REMOVED if it is one itself. */
static uint32_t place_of(ps_base base, uint32_t entry)
{
    uint32_t low = 0, high = base.degree;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (base.row[mid] < entry)
            low = mid + 1;
        else
            high = mid;
    }
    return low < base.degree && base.row[low] == entry ? low | PS_REMOVED : low;
}

/* Toggle among n events, at k; returns how many there are then. */
static uint32_t toggle_event(ps_event *event, uint32_t n, uint32_t k, bool there,
                             ps_event e)
{
    if (there) {
        memmove(event + k, event + k + 1, (n - k - 1) * sizeof *event);
        return n - 1;
    }
    memmove(event + k + 1, event + k, (n - k) * sizeof *event);
    event[k] = e;
    return n + 1;
}

/* After a change of part k by net: what the part begins with, and what lies behind. */
static void move_parts(ps_delta *d, uint32_t k, uint32_t net, ps_changes *g)
{
    ps_parts *p = ps_delta_parts(d);
    ps_part *part = &p->part[k];
    for (uint32_t j = k + 1; j < p->n; j++) {
        p->part[j].first += net;
        p->part[j].shift += net;
    }
    if (part->leaf->n || p->n == 1) { /* there is always a leaf */
        uint32_t shift = part->shift;
        *part = first_part(part->leaf);
        part->first += shift;
        part->shift = shift;
        return;
    }
    ps_leaf_give(part->leaf, g->slab);
    memmove(part, part + 1, (--p->n - k) * sizeof *part);
}

ps_toggled ps_delta_toggle(ps_delta *d, ps_base base, uint32_t entry, ps_changes *g)
{
    ps_parts *parts = ps_delta_parts(d);
    uint32_t part = parts ? ps_parts_of(parts, entry) : 0;
    ps_leaf *leaf = parts ? parts->part[part].leaf : NULL;
    ps_event *event = leaf ? leaf->event : d->event;
    uint32_t n = leaf ? leaf->n : d->n, k = ps_events_lower(event, n, entry);
    bool there = k < n && event[k].row == entry;
    ps_event e = there ? event[k] : (ps_event){entry, place_of(base, entry)};
    bool removes = e.at & PS_REMOVED;
    uint32_t net = removes == there ? 1 : UINT32_MAX;
    n = toggle_event(event, n, k, there, e);
    d->degree += net;
    if (leaf) {
        leaf->n = n;
        move_parts(d, part, net, g);
    } else {
        d->n = (uint16_t)n;
    }
    return there ? removes ? PS_UNDO_REMOVE : PS_UNDO_ADD : removes ? PS_REMOVE : PS_ADD;
}

/* ------------------------------ Clearing ---------------------------------- */

/* Remove n base entries from the first-th on. */
static void remove_all(ps_event *event, ps_base base, uint32_t first, uint32_t n)
{
    for (uint32_t i = first; i < first + n; i++)
        *event++ = (ps_event){base.row[i], i | PS_REMOVED};
}

/* All base entries below parts; false without the last if there is no memory. */
static bool remove_in_leaves(ps_parts *p, ps_base base, ps_changes *g)
{
    ps_event event[PS_LEAF];
    for (uint32_t first = 0; first < base.degree; first += PS_LEAF) {
        uint32_t n = base.degree - first < PS_LEAF ? base.degree - first : PS_LEAF;
        remove_all(event, base, first, n);
        ps_leaf *leaf = new_leaf(event, n, g);
        if (!leaf)
            return false;
        p->part[p->n++] = (ps_part){.leaf = leaf, .row = event->row, .shift = 0 - first};
    }
    return true;
}

ps_delta *ps_delta_cleared(ps_delta *older, ps_base base, ps_changes *g)
{
    bool large = base.degree > PS_INLINE;
    uint32_t room = large ? (base.degree - 1) / PS_LEAF + 1 : base.degree;
    ps_delta *d = new_delta(older, base, large, room, g);
    if (!d)
        return NULL;
    d->degree = 0;
    if (!large) {
        remove_all(d->event, base, 0, base.degree);
        d->n = (uint16_t)base.degree;
    } else if (!remove_in_leaves(ps_delta_parts(d), base, g)) {
        ps_delta_give_leaves(d, g);
        ps_delta_give(d, g->slab);
        return NULL;
    }
    return d;
}
