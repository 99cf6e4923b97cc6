/* epoch.c - a published version, a slot for each reader, a queue of what waits.
 *
 *     published 42     slots | 41 | - | 42 | 42 |     retired |40 f|42 g|43 h|
 *                                                     reclaim frees f alone
 *
 * Why enter needs no loop: it stores the version it read (v) into its slot and reads the
 * published version again (w >= v). A reclaim that looked at the slot before the store
 * had been preceded by the publication of all that it freed for, so w is not less than
 * that: at w nothing freed can be found. A reclaim that looks after the store sees v, and
 * keeps more than w needs. Both orders hold because the four accesses are sequentially
 * consistent: either the reader sees the publication or the writer sees the slot.
 *
 * Slots are never freed or moved while the epoch lives, so the writer may look at any of
 * them; each has a cache line of its own.
 *
 * Threads: see epoch.h.
 */
#include "pinsage/epoch.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#define LINE 64
#define AWAY UINT64_MAX /* pinned by nobody */

struct ps_epoch_slot {
    _Alignas(LINE) _Atomic uint64_t pinned;
    atomic_bool taken;
    ps_epoch *epoch;     /* borrowed */
    ps_epoch_slot *next; /* older slots */
};

struct ps_epoch {
    _Alignas(LINE) _Atomic uint64_t published;
    _Alignas(LINE) _Atomic(ps_epoch_slot *) slots; /* owned, newest first */
    _Alignas(LINE) ps_retired *first, *last;       /* owned, versions ascend */
    atomic_size_t waiting;
};

/* ------------------------------ Lifetime ---------------------------------- */

int ps_epoch_new(ps_epoch **out, uint64_t version)
{
    ps_epoch *e = aligned_alloc(LINE, sizeof *e);
    if (!e)
        return PS_ENOMEM;
    *e = (ps_epoch){.first = NULL};
    atomic_init(&e->published, version);
    *out = e;
    return PS_OK;
}

/* Free the head of the queue up to this version. */
static size_t free_until(ps_epoch *e, uint64_t version)
{
    size_t n = 0;
    while (e->first && e->first->version <= version) {
        ps_retired *r = e->first;
        e->first = r->next;
        r->free(r);
        n++;
    }
    if (!e->first)
        e->last = NULL;
    atomic_fetch_sub_explicit(&e->waiting, n, memory_order_relaxed);
    return n;
}

void ps_epoch_free(ps_epoch *e)
{
    if (!e)
        return;
    free_until(e, UINT64_MAX);
    for (ps_epoch_slot *s = atomic_load(&e->slots), *next; s; s = next) {
        assert(atomic_load(&s->pinned) == AWAY);
        next = s->next;
        free(s);
    }
    free(e);
}

/* ------------------------------ Readers ----------------------------------- */

static ps_epoch_slot *take_left_slot(ps_epoch *e)
{
    for (ps_epoch_slot *s = atomic_load(&e->slots); s; s = s->next) {
        bool taken = false;
        if (atomic_compare_exchange_strong(&s->taken, &taken, true))
            return s;
    }
    return NULL;
}

int ps_epoch_join(ps_epoch *e, ps_epoch_slot **slot)
{
    ps_epoch_slot *s = take_left_slot(e);
    if (!s) {
        s = aligned_alloc(LINE, sizeof *s);
        if (!s)
            return PS_ENOMEM;
        atomic_init(&s->pinned, AWAY);
        atomic_init(&s->taken, true);
        s->epoch = e;
        s->next = atomic_load(&e->slots);
        while (!atomic_compare_exchange_weak(&e->slots, &s->next, s))
            ;
    }
    *slot = s;
    return PS_OK;
}

void ps_epoch_leave(ps_epoch_slot *slot)
{
    if (!slot)
        return;
    assert(atomic_load(&slot->pinned) == AWAY);
    atomic_store(&slot->taken, false);
}

uint64_t ps_epoch_enter(ps_epoch_slot *slot)
{
    ps_epoch *e = slot->epoch;
    assert(atomic_load_explicit(&slot->pinned, memory_order_relaxed) == AWAY);
    atomic_store(&slot->pinned, atomic_load(&e->published));
    return atomic_load(&e->published);
}

void ps_epoch_exit(ps_epoch_slot *slot)
{
    atomic_store_explicit(&slot->pinned, AWAY, memory_order_release);
}

/* ------------------------------ The writer -------------------------------- */

void ps_epoch_publish(ps_epoch *e, uint64_t version)
{
    assert(version >= ps_epoch_version(e) && version < AWAY);
    atomic_store(&e->published, version);
}

uint64_t ps_epoch_version(const ps_epoch *e)
{
    return atomic_load_explicit(&e->published, memory_order_acquire);
}

void ps_epoch_retire(ps_epoch *e, uint64_t version, ps_retired *r,
                     void (*free_it)(ps_retired *r))
{
    *r = (ps_retired){.version = version, .free = free_it};
    if (e->last && e->last->version > version)
        r->version = e->last->version; /* later is always safe */
    if (e->last)
        e->last->next = r;
    else
        e->first = r;
    e->last = r;
    atomic_fetch_add_explicit(&e->waiting, 1, memory_order_relaxed);
}

size_t ps_epoch_reclaim(ps_epoch *e)
{
    uint64_t oldest = ps_epoch_version(e);
    for (ps_epoch_slot *s = atomic_load(&e->slots); s; s = s->next) {
        uint64_t pinned = atomic_load(&s->pinned);
        oldest = pinned < oldest ? pinned : oldest;
    }
    return free_until(e, oldest);
}

size_t ps_epoch_waiting(const ps_epoch *e)
{
    return atomic_load_explicit(&e->waiting, memory_order_relaxed);
}
