/* live_graph.c - lookups in a view of the live graph, one row at a time.
 *
 * Threads: see graph.h. Not here: walks, which do the same with many rows in step
 * (core/sample/lanes.h), writing (delta.c, overlay.c).
 */
#include "core/graph/live_graph.h"

#include <string.h>

/* ------------------------------ One entry --------------------------------- */

static const ps_delta *delta_of(const ps_graph *g, ps_side side, uint32_t row)
{
    _Atomic(ps_delta *) *slot = ps_slot_of(ps_live_pages(g, side), row);
    return slot ? ps_delta_at(atomic_load_explicit(slot, memory_order_acquire), g->at)
                : NULL;
}

uint32_t ps_live_rows(const ps_graph *g, ps_side side)
{
    return atomic_load(&ps_overlay_live(g->overlay, side)->end);
}

uint32_t ps_live_degree(const ps_graph *g, ps_side side, uint32_t row)
{
    const ps_delta *d = delta_of(g, side, row);
    return d ? d->degree : ps_base_of(ps_graph_csr(g, side), row).degree;
}

uint32_t ps_live_edge(const ps_graph *g, ps_side side, uint32_t row, uint32_t i)
{
    const ps_delta *d = delta_of(g, side, row);
    return d ? *ps_delta_pick(d, i) : ps_base_of(ps_graph_csr(g, side), row).row[i];
}

bool ps_live_has(const ps_graph *g, uint32_t pin, uint32_t board)
{
    const ps_delta *d = delta_of(g, PS_PINS, pin);
    const ps_event *e = d ? ps_delta_event(d, board) : NULL;
    if (e)
        return !(e->at & PS_REMOVED);
    return pin < g->pin_boards.rows && ps_csr_has(&g->pin_boards, pin, board);
}

/* ------------------------------ A stretch --------------------------------- */

/* The live row being copied: the next event, and the next base entry. */
typedef struct copying {
    const uint32_t *base;
    uint32_t *out;
    uint32_t place, first, end; /* of the live row: here, and what is wanted */
    uint32_t next;              /* base entry */
} copying;

static void copy_one(copying *c, uint32_t row)
{
    if (c->place == c->end)
        return;
    if (c->place++ >= c->first)
        *c->out++ = row;
}

/* Base entries up to one. */
static void copy_base(copying *c, uint32_t until)
{
    uint32_t n = until - c->next, skip = c->place < c->first ? c->first - c->place : 0;
    skip = skip < n ? skip : n;
    c->place += skip;
    c->next += skip;
    n = n - skip < c->end - c->place ? n - skip : c->end - c->place;
    memcpy(c->out, c->base + c->next, n * sizeof *c->out);
    c->out += n;
    c->place += n;
    c->next += n;
}

static void copy_events(copying *c, const ps_event *event, uint32_t n)
{
    for (uint32_t k = 0; k < n && c->place < c->end; k++) {
        copy_base(c, event[k].at & ~PS_REMOVED);
        if (event[k].at & PS_REMOVED)
            c->next++;
        else
            copy_one(c, event[k].row);
    }
}

static void copy_delta(copying *c, const ps_delta *d)
{
    const ps_parts *parts = ps_delta_parts(d);
    if (!parts) {
        copy_events(c, d->event, d->n);
        return;
    }
    const ps_part *end = parts->part + parts->n;
    const ps_part *p = ps_parts_at(parts, c->first);
    if (p > parts->part) {
        c->place = p->first;
        c->next = p->first - p->shift;
    }
    for (; p < end && c->place < c->end; p++)
        copy_events(c, p->leaf->event, p->leaf->n);
}

uint32_t ps_graph_slice(const ps_graph *g, ps_side side, uint32_t row, uint32_t first,
                        uint32_t max, uint32_t *out)
{
    const ps_base base = ps_base_of(ps_graph_csr(g, side), row);
    const ps_delta *d = g->overlay ? delta_of(g, side, row) : NULL;
    uint32_t degree = d ? d->degree : base.degree;
    if (first >= degree)
        return 0;
    max = max < degree - first ? max : degree - first;
    copying c = {base.row, out, 0, first, first + max, 0};
    if (d)
        copy_delta(&c, d);
    copy_base(&c, base.degree);
    for (uint32_t i = 0; i < max; i++)
        out[i] = ps_graph_bound(g, side, out[i]);
    return max;
}

/* ------------------------------ The whole --------------------------------- */

static uint32_t look_at_all(const ps_csr *m)
{
    uint32_t most = 1;
    for (uint32_t row = 0; row < m->rows; row++) {
        uint32_t degree = ps_csr_degree(m, row);
        most = degree > most ? degree : most;
    }
    return most;
}

uint32_t ps_graph_max_degree(const ps_graph *g)
{
    if (!g->overlay)
        return look_at_all(&g->pin_boards);
    const ps_live *pins = ps_overlay_live(g->overlay, PS_PINS);
    _Atomic uint32_t *known = (_Atomic uint32_t *)(uintptr_t)&pins->max_degree;
    if (atomic_load(known) == 0) /* two who ask at once find the same */
        atomic_store(known, look_at_all(&g->pin_boards));
    return atomic_load(known);
}
