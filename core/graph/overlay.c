/* overlay.c - the live graph's writer: groups of changes, row by row.
 *
 * A change touches two rows, the pin's and the board's. Both are prepared before either
 * is changed, so running out of memory changes nothing; a pin is cleared in the same two
 * steps over all its boards.
 *
 * What a group replaces is in its batch, with the delta that each changed row had before:
 * a commit retires the batch, an abort puts those deltas back and retires the group's
 * own instead, which readers may be passing on their way to older ones.
 *
 * Threads: see overlay.h. Not here: one row's differences (delta.c), reading (live.c).
 */
#include "pinsage/overlay.h"

#include <assert.h>
#include <stdlib.h>

#include "core/graph/delta.h"

typedef struct edges {
    uint64_t added, removed;
} edges;

struct ps_overlay {
    ps_retired retired;
    ps_live live[2]; /* by ps_side */
    ps_epoch *epoch; /* borrowed */
    ps_slab *slab;   /* owned: pages, deltas, leaves */
    ps_changes group;
    uint64_t last;                   /* version of the newest group */
    edges now;                       /* the group's changes included */
    _Atomic uint64_t added, removed; /* without them */
    _Atomic uint64_t listed;         /* bytes of lists of pages */
};

/* ------------------------------ Rows -------------------------------------- */

static ps_pages *pages_of(const ps_live *l)
{
    return atomic_load_explicit(&l->pages, memory_order_relaxed);
}

static void on_pages_unseen(ps_retired *r)
{
    free(r); /* its first member; the pages are in the next list */
}

static uint64_t pages_bytes(uint32_t n)
{
    return sizeof(ps_pages) + n * sizeof(ps_page *);
}

/* A list of n pages, none there but those of an older list. */
static int set_pages(ps_overlay *o, ps_live *l, uint32_t n)
{
    ps_pages *old = pages_of(l), *p = calloc(1, pages_bytes(n));
    if (!p)
        return PS_ENOMEM;
    p->n = n;
    for (uint32_t i = 0; old && i < old->n; i++)
        atomic_init(&p->page[i], atomic_load(&old->page[i]));
    atomic_store_explicit(&l->pages, p, memory_order_release);
    o->listed += pages_bytes(n) - (old ? pages_bytes(old->n) : 0);
    if (old)
        ps_epoch_retire(o->epoch, o->group.version, &old->retired, on_pages_unseen);
    return PS_OK;
}

static _Atomic(ps_delta *) *slot_of(const ps_live *l, uint32_t row)
{
    return ps_slot_of(pages_of(l), row);
}

/* A page with a slot for the row, if there is none yet; PS_ENOMEM. */
static int take_slot(ps_overlay *o, ps_live *l, uint32_t row)
{
    uint32_t i = row / PS_PAGE, n = pages_of(l)->n;
    if (slot_of(l, row))
        return PS_OK;
    if (i >= n && set_pages(o, l, i + i / 8 + 64))
        return PS_ENOMEM;
    ps_page *p = ps_slab_take(o->slab, sizeof *p);
    if (!p)
        return PS_ENOMEM;
    for (unsigned k = 0; k < PS_PAGE; k++)
        atomic_init(&p->slot[k], NULL);
    atomic_store_explicit(&pages_of(l)->page[i], p, memory_order_release);
    return PS_OK;
}

static ps_delta *newest(const ps_live *l, uint32_t row)
{
    _Atomic(ps_delta *) *s = slot_of(l, row);
    return s ? atomic_load_explicit(s, memory_order_relaxed) : NULL;
}

static ps_base base_of(const ps_overlay *o, ps_side side, uint32_t row)
{
    return ps_base_of(o->live[side].base, row);
}

/* ------------------------------ Lifetime ---------------------------------- */

static int live_init(ps_overlay *o, ps_side side, const ps_csr *base)
{
    ps_live *l = &o->live[side];
    l->base = base;
    l->end = base->rows;
    return set_pages(o, l, base->rows / PS_PAGE + 1);
}

static void on_overlay_unseen(ps_retired *r)
{
    ps_overlay *o = (ps_overlay *)r; /* its first member */
    free(pages_of(&o->live[PS_PINS]));
    free(pages_of(&o->live[PS_BOARDS]));
    ps_slab_free(o->slab);
    free(o);
}

int ps_overlay_new(ps_overlay **out, const ps_graph *g, ps_epoch *e)
{
    ps_overlay *o = calloc(1, sizeof *o);
    if (!o)
        return PS_ENOMEM;
    o->epoch = e;
    o->slab = o->group.slab = ps_slab_new();
    int err = o->slab ? live_init(o, PS_PINS, &g->pin_boards) : PS_ENOMEM;
    if (!err)
        err = live_init(o, PS_BOARDS, &g->board_pins);
    if (err)
        on_overlay_unseen(&o->retired);
    else
        *out = o;
    return err;
}

void ps_overlay_free(ps_overlay *o)
{
    if (!o)
        return;
    if (o->group.version)
        ps_overlay_abort(o);
    ps_epoch_retire(o->epoch, ps_epoch_version(o->epoch), &o->retired, on_overlay_unseen);
}

/* ------------------------------ Groups ------------------------------------ */

static void on_batch_unseen(ps_retired *r)
{
    ps_batch *b = (ps_batch *)r; /* its first member */
    for (size_t i = 0; i < b->n; i++) {
        if (b->item[i].kind == PS_ITEM_LEAF)
            ps_leaf_give(b->item[i].ptr, b->slab);
        else if (b->item[i].kind != PS_ITEM_NONE)
            ps_delta_give(b->item[i].ptr, b->slab);
    }
    free(b);
}

void ps_overlay_begin(ps_overlay *o, uint64_t version)
{
    assert(!o->group.version && version > ps_epoch_version(o->epoch) &&
           version >= o->last && version);
    o->group.version = o->last = version;
}

static void end_group(ps_overlay *o)
{
    ps_changes *g = &o->group;
    if (g->batch)
        ps_epoch_retire(o->epoch, g->version, &g->batch->retired, on_batch_unseen);
    g->batch = NULL;
    g->version = 0;
}

void ps_overlay_commit(ps_overlay *o)
{
    assert(o->group.version);
    end_group(o);
    atomic_store_explicit(&o->added, o->now.added, memory_order_relaxed);
    atomic_store_explicit(&o->removed, o->now.removed, memory_order_relaxed);
}

/* The row has the delta from before the group; the item is the group's own. */
static void put_back(ps_overlay *o, ps_side side, ps_item *item)
{
    ps_live *l = &o->live[side];
    ps_delta *own = newest(l, item->row);
    atomic_store_explicit(slot_of(l, item->row), item->ptr, memory_order_release);
    if (!item->ptr)
        atomic_fetch_sub(&l->n, 1);
    ps_delta_give_leaves(own, &o->group);
    item->ptr = own;
}

void ps_overlay_abort(ps_overlay *o)
{
    ps_changes *g = &o->group;
    assert(g->version);
    for (size_t i = 0; g->batch && i < g->batch->n; i++) {
        ps_item *item = &g->batch->item[i];
        if (item->kind == PS_ITEM_LEAF)
            item->kind = PS_ITEM_NONE;
        else if (item->kind != PS_ITEM_DELTA)
            put_back(o, item->kind == PS_ITEM_PIN ? PS_PINS : PS_BOARDS, item);
    }
    end_group(o);
    o->now = (edges){o->added, o->removed};
}

/* ------------------------------ Changes ----------------------------------- */

/* A row that has a slot gets a delta of the group's; what it had is written down. */
static void set_newest(ps_overlay *o, ps_side side, uint32_t row, ps_delta *own)
{
    ps_live *l = &o->live[side];
    ps_delta *old = newest(l, row);
    atomic_store_explicit(slot_of(l, row), own, memory_order_release);
    if (!old)
        atomic_fetch_add(&l->n, 1);
    if (row >= l->end)
        atomic_store(&l->end, row + 1);
    if (old && old->version == o->group.version) {
        ps_changes_note(&o->group, PS_ITEM_DELTA, row, old);
    } else {
        ps_changes_note(&o->group, side == PS_PINS ? PS_ITEM_PIN : PS_ITEM_BOARD, row,
                        old);
    }
}

static int prepare(ps_overlay *o, ps_side side, uint32_t row, uint32_t entry)
{
    ps_live *l = &o->live[side];
    ps_base base = base_of(o, side, row);
    if (base.degree >= PS_REMOVED)
        return PS_ERANGE;
    if (ps_changes_reserve(&o->group, 3) || take_slot(o, l, row))
        return PS_ENOMEM;
    ps_delta *old = newest(l, row), *d = old;
    int err = ps_delta_prepare(&d, base, entry, &o->group);
    if (d != old)
        set_newest(o, side, row, d);
    return err;
}

static void toggle(ps_overlay *o, ps_side side, uint32_t row, uint32_t entry)
{
    ps_delta *d = newest(&o->live[side], row);
    ps_toggled what = ps_delta_toggle(d, base_of(o, side, row), entry, &o->group);
    if (side == PS_PINS)
        return; /* an edge is counted once */
    o->now.added += (what == PS_ADD) - (uint64_t)(what == PS_UNDO_ADD);
    o->now.removed += (what == PS_REMOVE) - (uint64_t)(what == PS_UNDO_REMOVE);
}

/* The newest state, as the writer sees it. */
static ps_graph newest_view(const ps_overlay *o)
{
    return (ps_graph){.pin_boards = *o->live[PS_PINS].base,
                      .board_pins = *o->live[PS_BOARDS].base,
                      .overlay = o,
                      .at = o->last};
}

static int change(ps_overlay *o, uint32_t pin, uint32_t board, int there)
{
    assert(o->group.version);
    if (pin == UINT32_MAX || board == UINT32_MAX)
        return PS_ERANGE;
    ps_graph g = newest_view(o);
    if (ps_live_has(&g, pin, board) != there)
        return there ? PS_ENOENT : PS_EEXIST;
    int err = prepare(o, PS_PINS, pin, board);
    if (!err)
        err = prepare(o, PS_BOARDS, board, pin);
    if (err)
        return err;
    toggle(o, PS_PINS, pin, board);
    toggle(o, PS_BOARDS, board, pin);
    return PS_OK;
}

int ps_overlay_save(ps_overlay *o, uint32_t pin, uint32_t board)
{
    return change(o, pin, board, 0);
}

int ps_overlay_unsave(ps_overlay *o, uint32_t pin, uint32_t board)
{
    return change(o, pin, board, 1);
}

/* ------------------------------ Clearing a pin ---------------------------- */

/* Do something to the row of each board of a pin, until it fails. */
static int each_board(ps_overlay *o, uint32_t pin,
                      int (*visit)(ps_overlay *o, uint32_t board, uint32_t pin))
{
    ps_graph g = newest_view(o);
    uint32_t board[256], n, first = 0;
    while ((n = ps_graph_slice(&g, PS_PINS, pin, first, 256, board)) > 0) {
        for (uint32_t i = 0; i < n; i++) {
            int err = visit(o, board[i], pin);
            if (err)
                return err;
        }
        first += n;
    }
    return PS_OK;
}

static int prepare_board(ps_overlay *o, uint32_t board, uint32_t pin)
{
    return prepare(o, PS_BOARDS, board, pin);
}

static int toggle_board(ps_overlay *o, uint32_t board, uint32_t pin)
{
    toggle(o, PS_BOARDS, board, pin);
    return PS_OK;
}

/* Leaves that the pin's new delta does not share. */
static void drop_leaves(ps_overlay *o, ps_delta *old)
{
    ps_changes *g = &o->group;
    const ps_parts *p = ps_delta_parts(old);
    for (uint32_t i = 0; p && i < p->n; i++)
        if (p->part[i].leaf->version != g->version)
            ps_changes_note(g, PS_ITEM_LEAF, 0, p->part[i].leaf);
    ps_delta_give_leaves(old, g);
}

int ps_overlay_clear_pin(ps_overlay *o, uint32_t pin, uint32_t *removed)
{
    assert(o->group.version);
    if (removed)
        *removed = 0;
    ps_graph g = newest_view(o);
    uint32_t degree = pin == UINT32_MAX ? 0 : ps_live_degree(&g, PS_PINS, pin);
    if (!degree)
        return PS_OK;
    ps_base base = base_of(o, PS_PINS, pin);
    if (base.degree >= PS_REMOVED)
        return PS_ERANGE;
    ps_delta *old = newest(&o->live[PS_PINS], pin), *own = NULL;
    const ps_parts *parts = old ? ps_delta_parts(old) : NULL;
    int err = take_slot(o, &o->live[PS_PINS], pin);
    if (!err)
        err = each_board(o, pin, prepare_board);
    if (!err)
        err = ps_changes_reserve(&o->group, 1 + (parts ? parts->n : 0));
    if (!err && !(own = ps_delta_cleared(old, base, &o->group)))
        err = PS_ENOMEM;
    if (err)
        return err;
    each_board(o, pin, toggle_board);
    if (old)
        drop_leaves(o, old);
    set_newest(o, PS_PINS, pin, own);
    if (removed)
        *removed = degree;
    return PS_OK;
}

/* ------------------------------ Reading ----------------------------------- */

const ps_live *ps_overlay_live(const ps_overlay *o, ps_side side)
{
    return &o->live[side];
}

ps_overlay_counts ps_overlay_count(const ps_overlay *o)
{
    return (ps_overlay_counts){.pins = o->live[PS_PINS].n,
                               .boards = o->live[PS_BOARDS].n,
                               .added = o->added,
                               .removed = o->removed,
                               .bytes = o->listed + ps_slab_bytes(o->slab)};
}
