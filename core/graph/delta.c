/* delta.c - see delta.h.
 *
 * A delta that is renewed within its own group grows by half, so that a group of many
 * changes of a row copies little; one that a new version begins has room for one more.
 * Rooms are odd: with the head of 32 bytes an odd number of events fills what the
 * allocator gives. An entry added behind all others does not split a full leaf in the
 * middle, but begins the next: rows mostly grow at their end, by live pins.
 *
 * Threads: see delta.h.
 */
#include "core/graph/delta.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------ The group --------------------------------- */

int ps_group_reserve(ps_group *g, size_t n)
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
    g->batch = b;
    return PS_OK;
}

void ps_group_note(ps_group *g, ps_item_kind kind, uint32_t row, void *ptr)
{
    g->batch->item[g->batch->n++] = (ps_item){.ptr = ptr, .row = row, .kind = kind};
}

static bool is_own(const ps_delta *d, const ps_group *g)
{
    return d && d->version == g->version;
}

/* ------------------------------ Memory ------------------------------------ */

static uint64_t parts_bytes(const ps_parts *p)
{
    return p ? sizeof *p + p->room * sizeof *p->part : 0;
}

uint64_t ps_delta_bytes(const ps_delta *d)
{
    return d ? sizeof *d + d->room * sizeof *d->event + parts_bytes(d->parts) : 0;
}

void ps_delta_free(ps_delta *d)
{
    if (d)
        free(d->parts);
    free(d);
}

void ps_delta_free_leaves(ps_delta *d, uint64_t version, ps_group *g)
{
    for (uint32_t i = 0; d && d->parts && i < d->parts->n; i++) {
        ps_leaf *leaf = d->parts->part[i].leaf;
        if (version && leaf->version != version)
            continue;
        g->bytes -= sizeof *leaf;
        free(leaf);
    }
}

static ps_delta *new_delta(const ps_delta *from, ps_base base, uint32_t room, ps_group *g)
{
    ps_delta *d = malloc(sizeof *d + room * sizeof *d->event);
    if (!d)
        return NULL;
    *d = (ps_delta){.version = g->version, .degree = base.degree, .room = (uint16_t)room};
    if (from) {
        d->older = is_own(from, g) ? from->older : (ps_delta *)(uintptr_t)from;
        d->degree = from->degree;
    }
    g->bytes += ps_delta_bytes(d);
    return d;
}

static ps_parts *new_parts(uint32_t room, ps_group *g)
{
    ps_parts *p = malloc(sizeof *p + room * sizeof *p->part);
    if (!p)
        return NULL;
    *p = (ps_parts){.room = room};
    g->bytes += parts_bytes(p);
    return p;
}

static ps_leaf *new_leaf(const ps_event *event, uint32_t n, ps_group *g)
{
    ps_leaf *leaf = malloc(sizeof *leaf);
    if (!leaf)
        return NULL;
    leaf->version = g->version;
    leaf->n = n;
    memcpy(leaf->event, event, n * sizeof *event);
    g->bytes += sizeof *leaf;
    return leaf;
}

/* ------------------------------ Renewing ---------------------------------- */

static uint32_t next_room(const ps_delta *d, const ps_group *g)
{
    uint32_t n = d ? d->n : 0;
    uint32_t room = (n + 1 + (is_own(d, g) ? n / 2 : 0)) | 1;
    return room < PS_LEAF ? room : PS_LEAF;
}

static ps_part first_part(ps_leaf *leaf)
{
    const ps_event *e = leaf->event;
    return (ps_part){.leaf = leaf, .row = e->row, .first = e->at & ~PS_REMOVED};
}

/* The same events below parts: those of a full delta in one leaf. */
static ps_parts *parted(const ps_delta *d, ps_group *g)
{
    uint32_t n = d->parts ? d->parts->n : 1;
    ps_parts *p = new_parts(n + n / 8 + 2, g);
    if (!p)
        return NULL;
    p->n = n;
    if (d->parts) {
        memcpy(p->part, d->parts->part, n * sizeof *p->part);
        return p;
    }
    ps_leaf *leaf = new_leaf(d->event, d->n, g);
    if (leaf) {
        p->part[0] = first_part(leaf);
        return p;
    }
    g->bytes -= parts_bytes(p);
    free(p);
    return NULL;
}

/* The same differences in a delta of the group's version with room for one more. */
static ps_delta *renewed(const ps_delta *old, ps_base base, ps_group *g)
{
    if (!old || (!old->parts && old->n < PS_LEAF)) {
        ps_delta *d = new_delta(old, base, next_room(old, g), g);
        if (d && old) {
            memcpy(d->event, old->event, old->n * sizeof *old->event);
            d->n = old->n;
        }
        return d;
    }
    ps_parts *p = parted(old, g);
    ps_delta *d = p ? new_delta(old, base, 0, g) : NULL;
    if (d) {
        d->parts = p;
    } else if (p) {
        if (!old->parts) {
            g->bytes -= sizeof *p->part[0].leaf;
            free(p->part[0].leaf);
        }
        g->bytes -= parts_bytes(p);
        free(p);
    }
    return d;
}

/* ------------------------------ Leaves ------------------------------------ */

static uint32_t net_of(const ps_event *event, uint32_t n)
{
    uint32_t net = 0;
    for (uint32_t k = 0; k < n; k++)
        net += event[k].at & PS_REMOVED ? UINT32_MAX : 1;
    return net;
}

/* One part more, at the cost of moving them all. */
static int make_room(ps_delta *d, ps_group *g)
{
    ps_parts *p = d->parts;
    if (p->n < p->room)
        return PS_OK;
    uint32_t room = p->room + p->room / 2 + 1;
    g->bytes -= parts_bytes(p);
    ps_parts *larger = realloc(p, sizeof *p + room * sizeof *p->part);
    if (larger) {
        larger->room = room;
        d->parts = larger;
    }
    g->bytes += parts_bytes(d->parts);
    return larger ? PS_OK : PS_ENOMEM;
}

/* Part k, whose leaf is full and the group's own, into two. */
static int split(ps_delta *d, uint32_t k, uint32_t entry, ps_group *g)
{
    if (make_room(d, g))
        return PS_ENOMEM;
    ps_part *p = &d->parts->part[k];
    bool at_end = k + 1 == d->parts->n && entry > p->leaf->event[PS_LEAF - 1].row;
    uint32_t kept = at_end ? PS_LEAF - 1 : PS_LEAF / 2;
    const ps_event *rest = p->leaf->event + kept;
    ps_leaf *leaf = new_leaf(rest, PS_LEAF - kept, g);
    if (!leaf)
        return PS_ENOMEM;
    memmove(p + 2, p + 1, (d->parts->n - k - 1) * sizeof *p);
    d->parts->n++;
    p[1] = first_part(leaf);
    p[1].shift = p->shift + net_of(p->leaf->event, kept);
    p[1].first += p[1].shift;
    p->leaf->n = kept;
    return PS_OK;
}

/* The leaf that an entry belongs to: the group's own, with room for it. */
static int prepare_leaf(ps_delta *d, uint32_t entry, ps_group *g)
{
    uint32_t k = ps_parts_of(d->parts, entry);
    ps_leaf *leaf = d->parts->part[k].leaf;
    if (leaf->version != g->version) {
        ps_leaf *own = new_leaf(leaf->event, leaf->n, g);
        if (!own)
            return PS_ENOMEM;
        ps_group_note(g, PS_ITEM_LEAF, 0, leaf);
        g->bytes -= sizeof *leaf;
        d->parts->part[k].leaf = leaf = own;
    }
    if (leaf->n < PS_LEAF || ps_delta_event(d, entry))
        return PS_OK;
    return split(d, k, entry, g);
}

int ps_delta_prepare(ps_delta **d, ps_base base, uint32_t entry, ps_group *g)
{
    const ps_delta *old = *d;
    if (!is_own(old, g) || (!old->parts && old->n == old->room)) {
        ps_delta *own = renewed(old, base, g);
        if (!own)
            return PS_ENOMEM;
        *d = own;
    }
    return (*d)->parts ? prepare_leaf(*d, entry, g) : PS_OK;
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
static void move_parts(ps_delta *d, uint32_t k, uint32_t net, ps_group *g)
{
    ps_parts *p = d->parts;
    ps_part *part = &p->part[k];
    for (uint32_t j = k + 1; j < p->n; j++) {
        p->part[j].first += net;
        p->part[j].shift += net;
    }
    if (part->leaf->n) {
        uint32_t shift = part->shift;
        *part = first_part(part->leaf);
        part->first += shift;
        part->shift = shift;
        return;
    }
    free(part->leaf);
    g->bytes -= sizeof *part->leaf;
    memmove(part, part + 1, (--p->n - k) * sizeof *part);
    if (p->n)
        return;
    g->bytes -= parts_bytes(p);
    free(p);
    d->parts = NULL;
}

ps_toggled ps_delta_toggle(ps_delta *d, ps_base base, uint32_t entry, ps_group *g)
{
    uint32_t part = d->parts ? ps_parts_of(d->parts, entry) : 0;
    ps_leaf *leaf = d->parts ? d->parts->part[part].leaf : NULL;
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

/* Remove base entries [begin, end). */
static void remove_all(ps_event *event, ps_base base, uint32_t begin, uint32_t end)
{
    for (uint32_t i = begin; i < end; i++)
        *event++ = (ps_event){base.row[i], i | PS_REMOVED};
}

static ps_parts *cleared_parts(ps_base base, ps_group *g)
{
    uint32_t n = (base.degree + PS_LEAF - 1) / PS_LEAF;
    ps_parts *p = new_parts(n, g);
    for (uint32_t i = 0; p && i < n; i++) {
        uint32_t begin = i * PS_LEAF, left = base.degree - begin;
        ps_event event[PS_LEAF];
        left = left < PS_LEAF ? left : PS_LEAF;
        remove_all(event, base, begin, begin + left);
        ps_leaf *leaf = new_leaf(event, left, g);
        if (!leaf)
            break;
        p->part[p->n++] = (ps_part){leaf, base.row[begin], 0, 0 - begin};
    }
    return p;
}

ps_delta *ps_delta_cleared(ps_delta *older, ps_base base, ps_group *g)
{
    bool large = base.degree > PS_LEAF;
    ps_delta *d = new_delta(older, base, large ? 0 : base.degree, g);
    if (!d)
        return NULL;
    d->degree = 0;
    if (!large) {
        remove_all(d->event, base, 0, base.degree);
        d->n = (uint16_t)base.degree;
        return d;
    }
    d->parts = cleared_parts(base, g);
    if (d->parts && d->parts->n == d->parts->room)
        return d;
    ps_delta_free_leaves(d, 0, g);
    g->bytes -= ps_delta_bytes(d);
    ps_delta_free(d);
    return NULL;
}
