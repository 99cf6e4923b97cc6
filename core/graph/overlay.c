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

#define FIRST_SLOTS_LOG 6

typedef struct edges {
    uint64_t added, removed;
} edges;

struct ps_overlay {
    ps_live live[2]; /* by ps_side */
    ps_epoch *epoch; /* borrowed */
    ps_group group;
    uint64_t last;                          /* version of the newest group */
    edges now;                              /* the group's changes included */
    _Atomic uint64_t added, removed, bytes; /* without them */
    _Atomic uint64_t fixed;                 /* bytes of tables and bits */
};

/* ------------------------------ Rows -------------------------------------- */

static ps_table *new_table(uint32_t log)
{
    size_t size = (size_t)1 << log;
    ps_table *t = calloc(1, sizeof *t + size * sizeof *t->slot);
    if (t) {
        t->mask = (uint32_t)(size - 1);
        t->shift = 32 - log;
    }
    return t;
}

static ps_table *table_of(const ps_live *l)
{
    return atomic_load_explicit(&l->table, memory_order_relaxed);
}

static void on_table_unseen(ps_retired *r)
{
    free(r); /* its first member */
}

/* The slot of a row, or the empty one where it belongs. */
static ps_slot *slot_of(ps_table *t, uint32_t row)
{
    uint32_t i = (row * 0x9e3779b1u) >> t->shift, key;
    for (;; i++) {
        ps_slot *s = &t->slot[i & t->mask];
        key = atomic_load_explicit(&s->key, memory_order_relaxed);
        if (key == 0 || key == row + 1)
            return s;
    }
}

static uint64_t table_bytes(const ps_table *t)
{
    return sizeof *t + (t->mask + (uint64_t)1) * sizeof *t->slot;
}

static int grow_table(ps_overlay *o, ps_live *l)
{
    ps_table *t = table_of(l);
    if (t->shift == 1)
        return PS_ENOMEM; /* 2^31 slots, half of them taken */
    ps_table *larger = new_table(33 - t->shift);
    if (!larger)
        return PS_ENOMEM;
    for (size_t i = 0; i <= t->mask; i++) {
        uint32_t key = atomic_load_explicit(&t->slot[i].key, memory_order_relaxed);
        if (!key)
            continue;
        ps_slot *s = slot_of(larger, key - 1);
        atomic_init(&s->newest, atomic_load(&t->slot[i].newest));
        atomic_init(&s->key, key);
    }
    atomic_store_explicit(&l->table, larger, memory_order_release);
    o->fixed += table_bytes(larger) - table_bytes(t);
    ps_epoch_retire(o->epoch, o->group.version, &t->retired, on_table_unseen);
    return PS_OK;
}

/* The slot of a row, made if there is none; NULL if there is no memory. */
static ps_slot *take_slot(ps_overlay *o, ps_side side, uint32_t row)
{
    ps_live *l = &o->live[side];
    ps_slot *s = slot_of(table_of(l), row);
    if (atomic_load_explicit(&s->key, memory_order_relaxed))
        return s;
    if (2 * (uint64_t)l->n > table_of(l)->mask) {
        if (grow_table(o, l))
            return NULL;
        s = slot_of(table_of(l), row);
    }
    atomic_store_explicit(&s->key, row + 1, memory_order_release);
    if (row < l->base->rows)
        atomic_fetch_or(&l->touched[row / 64], (uint64_t)1 << row % 64);
    if (row >= l->end)
        atomic_store(&l->end, row + 1);
    atomic_fetch_add(&l->n, 1);
    return s;
}

static ps_delta *newest(const ps_slot *s)
{
    return atomic_load_explicit(&s->newest, memory_order_relaxed);
}

static ps_base base_of(const ps_overlay *o, ps_side side, uint32_t row)
{
    const ps_csr *m = o->live[side].base;
    if (row >= m->rows)
        return (ps_base){0};
    return (ps_base){ps_csr_row(m, row), ps_csr_degree(m, row)};
}

/* ------------------------------ Lifetime ---------------------------------- */

static int live_init(ps_overlay *o, ps_side side, const ps_csr *base)
{
    ps_live *l = &o->live[side];
    size_t words = (size_t)base->rows / 64 + 1;
    l->base = base;
    l->end = base->rows;
    l->touched = calloc(words, sizeof *l->touched);
    atomic_init(&l->table, new_table(FIRST_SLOTS_LOG));
    if (!l->touched || !l->table)
        return PS_ENOMEM;
    o->fixed += words * sizeof *l->touched + table_bytes(table_of(l));
    return PS_OK;
}

static void live_done(ps_live *l, ps_group *g)
{
    ps_table *t = table_of(l);
    for (size_t i = 0; t && i <= t->mask; i++) {
        ps_delta *d = newest(&t->slot[i]);
        ps_delta_free_leaves(d, 0, g);
        ps_delta_free(d);
    }
    free(t);
    free(l->touched);
}

int ps_overlay_new(ps_overlay **out, const ps_graph *g, ps_epoch *e)
{
    ps_overlay *o = calloc(1, sizeof *o);
    if (!o)
        return PS_ENOMEM;
    o->epoch = e;
    int err = live_init(o, PS_PINS, &g->pin_boards);
    if (!err)
        err = live_init(o, PS_BOARDS, &g->board_pins);
    if (err)
        ps_overlay_free(o);
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
    live_done(&o->live[PS_PINS], &o->group);
    live_done(&o->live[PS_BOARDS], &o->group);
    free(o);
}

/* ------------------------------ Groups ------------------------------------ */

static void on_batch_unseen(ps_retired *r)
{
    ps_batch *b = (ps_batch *)r; /* its first member */
    for (size_t i = 0; i < b->n; i++) {
        if (b->item[i].kind == PS_ITEM_LEAF)
            free(b->item[i].ptr);
        else if (b->item[i].kind != PS_ITEM_NONE)
            ps_delta_free(b->item[i].ptr);
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
    ps_group *g = &o->group;
    if (g->batch)
        ps_epoch_retire(o->epoch, g->version, &g->batch->retired, on_batch_unseen);
    g->batch = NULL;
    g->version = 0;
}

void ps_overlay_commit(ps_overlay *o)
{
    ps_group *g = &o->group;
    assert(g->version);
    for (size_t i = 0; g->batch && i < g->batch->n; i++) {
        const ps_item *item = &g->batch->item[i];
        if (item->kind == PS_ITEM_PIN || item->kind == PS_ITEM_BOARD)
            g->bytes -= ps_delta_bytes(item->ptr);
    }
    end_group(o);
    atomic_store_explicit(&o->added, o->now.added, memory_order_relaxed);
    atomic_store_explicit(&o->removed, o->now.removed, memory_order_relaxed);
    atomic_store_explicit(&o->bytes, g->bytes, memory_order_relaxed);
}

/* The row has the delta from before the group; the item is the group's own. */
static void put_back(ps_overlay *o, ps_side side, ps_item *item)
{
    ps_slot *s = slot_of(table_of(&o->live[side]), item->row);
    ps_delta *own = newest(s);
    atomic_store_explicit(&s->newest, item->ptr, memory_order_release);
    ps_delta_free_leaves(own, o->group.version, &o->group);
    item->ptr = own;
}

void ps_overlay_abort(ps_overlay *o)
{
    ps_group *g = &o->group;
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
    g->bytes = o->bytes;
}

/* ------------------------------ Changes ----------------------------------- */

/* own is the row's newest delta; what was so is written down. */
static void set_newest(ps_overlay *o, ps_side side, uint32_t row, ps_slot *s,
                       ps_delta *own)
{
    ps_delta *old = newest(s);
    atomic_store_explicit(&s->newest, own, memory_order_release);
    if (old && old->version == o->group.version) {
        o->group.bytes -= ps_delta_bytes(old);
        ps_group_note(&o->group, PS_ITEM_DELTA, row, old);
    } else {
        ps_group_note(&o->group, side == PS_PINS ? PS_ITEM_PIN : PS_ITEM_BOARD, row, old);
    }
}

static int prepare(ps_overlay *o, ps_side side, uint32_t row, uint32_t entry)
{
    ps_base base = base_of(o, side, row);
    if (base.degree >= PS_REMOVED)
        return PS_ERANGE;
    if (ps_group_reserve(&o->group, 3))
        return PS_ENOMEM;
    ps_slot *s = take_slot(o, side, row);
    if (!s)
        return PS_ENOMEM;
    ps_delta *d = newest(s);
    int err = ps_delta_prepare(&d, base, entry, &o->group);
    if (d != newest(s))
        set_newest(o, side, row, s, d);
    return err;
}

static void toggle(ps_overlay *o, ps_side side, uint32_t row, uint32_t entry)
{
    ps_delta *d = newest(slot_of(table_of(&o->live[side]), row));
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
    ps_group *g = &o->group;
    for (uint32_t i = 0; old && old->parts && i < old->parts->n; i++) {
        ps_leaf *leaf = old->parts->part[i].leaf;
        if (leaf->version != g->version) {
            ps_group_note(g, PS_ITEM_LEAF, 0, leaf);
            g->bytes -= sizeof *leaf;
        }
    }
    if (old && old->version == g->version)
        ps_delta_free_leaves(old, g->version, g);
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
    ps_slot *s = take_slot(o, PS_PINS, pin);
    ps_delta *old = s ? newest(s) : NULL;
    int err = s ? each_board(o, pin, prepare_board) : PS_ENOMEM;
    if (!err)
        err = ps_group_reserve(&o->group, 1 + (old && old->parts ? old->parts->n : 0));
    ps_delta *own = err ? NULL : ps_delta_cleared(old, base, &o->group);
    if (!own)
        return err ? err : PS_ENOMEM;
    each_board(o, pin, toggle_board);
    drop_leaves(o, old);
    set_newest(o, PS_PINS, pin, s, own);
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
                               .bytes = o->bytes + o->fixed};
}
