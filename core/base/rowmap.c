/* rowmap.c - the table behind the bitmap.
 *
 * A slot's row is written before its pointer is published, and never changes after, so a
 * reader that finds the row may trust the pointer it then loads.
 *
 * Threads: see rowmap.h.
 */
#include "pinsage/rowmap.h"

#include <stdlib.h>

#include "pinsage/err.h"

#define FIRST_SLOTS 64u
#define FREE        UINT32_MAX /* no row has this number */

typedef struct slot {
    _Atomic uint32_t row;
    _Atomic(void *) value;
} slot;

struct ps_rowmap_table {
    ps_retired retired;
    uint32_t mask;
    slot slot[];
};

static ps_rowmap_table *table_new(uint32_t slots)
{
    ps_rowmap_table *t = malloc(sizeof *t + (size_t)slots * sizeof *t->slot);
    if (!t)
        return NULL;
    t->mask = slots - 1;
    for (uint32_t i = 0; i < slots; i++) {
        atomic_init(&t->slot[i].row, FREE);
        atomic_init(&t->slot[i].value, NULL);
    }
    return t;
}

/* The row's slot, or the free one where it would go. */
static slot *find(ps_rowmap_table *t, uint32_t row)
{
    uint32_t i = (uint32_t)((row * 0x9e3779b97f4a7c15u) >> 32) & t->mask;
    for (;; i = (i + 1) & t->mask) {
        uint32_t there = atomic_load_explicit(&t->slot[i].row, memory_order_acquire);
        if (there == row || there == FREE)
            return &t->slot[i];
    }
}

int ps_rowmap_init(ps_rowmap *m, uint32_t base_rows, ps_epoch *epoch)
{
    *m = (ps_rowmap){.base_rows = base_rows, .epoch = epoch};
    m->bits = calloc((size_t)base_rows / 64 + 1, sizeof *m->bits);
    ps_rowmap_table *t = table_new(FIRST_SLOTS);
    atomic_init(&m->table, t);
    if (m->bits && t)
        return PS_OK;
    ps_rowmap_done(m);
    return PS_ENOMEM;
}

void ps_rowmap_done(ps_rowmap *m)
{
    free((void *)(uintptr_t)m->bits);
    free(atomic_load_explicit(&m->table, memory_order_relaxed));
    *m = (ps_rowmap){0};
}

void *ps_rowmap_look(const ps_rowmap *m, uint32_t row)
{
    ps_rowmap_table *t = atomic_load_explicit(&m->table, memory_order_acquire);
    slot *s = find(t, row);
    return atomic_load_explicit(&s->value, memory_order_acquire);
}

static void put(ps_rowmap_table *t, uint32_t row, void *value)
{
    slot *s = find(t, row);
    atomic_store_explicit(&s->value, value, memory_order_release);
    atomic_store_explicit(&s->row, row, memory_order_release);
}

static void free_table(ps_retired *r)
{
    free(r);
}

static void *value_at(const ps_rowmap_table *t, uint32_t i)
{
    return atomic_load_explicit(&t->slot[i].value, memory_order_relaxed);
}

/* Room for as many rows again as have something now; 0 when there cannot be so many. */
static uint32_t next_size(const ps_rowmap_table *old)
{
    uint64_t rows = 1, slots = FIRST_SLOTS;
    for (uint32_t i = 0; i <= old->mask; i++)
        rows += value_at(old, i) != NULL;
    while (slots < 4 * rows)
        slots *= 2;
    return slots > UINT32_MAX ? 0 : (uint32_t)slots;
}

/* A new table without the rows that have nothing any more: it is as large as what is
 * there wants, not as what ever was. */
static int renew(ps_rowmap *m, uint64_t version)
{
    ps_rowmap_table *old = atomic_load_explicit(&m->table, memory_order_relaxed);
    uint32_t slots = next_size(old);
    ps_rowmap_table *t = slots ? table_new(slots) : NULL;
    if (!t)
        return PS_ENOMEM;
    m->used = 0;
    for (uint32_t i = 0; i <= old->mask; i++) {
        uint32_t row = atomic_load_explicit(&old->slot[i].row, memory_order_relaxed);
        void *value = value_at(old, i);
        if (row == FREE || !value)
            continue;
        put(t, row, value);
        m->used++;
    }
    atomic_store_explicit(&m->table, t, memory_order_release);
    ps_epoch_retire(m->epoch, version, &old->retired, free_table);
    return PS_OK;
}

int ps_rowmap_put(ps_rowmap *m, uint64_t version, uint32_t row, void *value)
{
    ps_rowmap_table *t = atomic_load_explicit(&m->table, memory_order_relaxed);
    bool known = atomic_load_explicit(&find(t, row)->row, memory_order_relaxed) == row;
    if (!known) {
        if (!value)
            return PS_OK;
        if (2 * (m->used + 1) > t->mask && renew(m, version))
            return PS_ENOMEM;
        t = atomic_load_explicit(&m->table, memory_order_relaxed);
        m->used++;
    }
    put(t, row, value);
    if (row < m->base_rows)
        atomic_fetch_or_explicit(&m->bits[row / 64], (uint64_t)1 << row % 64,
                                 memory_order_release);
    return PS_OK;
}

void ps_rowmap_each(const ps_rowmap *m,
                    void (*each)(void *cls, uint32_t row, void *value), void *cls)
{
    ps_rowmap_table *t = atomic_load_explicit(&m->table, memory_order_acquire);
    for (uint32_t i = 0; i <= t->mask; i++) {
        uint32_t row = atomic_load_explicit(&t->slot[i].row, memory_order_acquire);
        void *value = atomic_load_explicit(&t->slot[i].value, memory_order_acquire);
        if (row != FREE && value)
            each(cls, row, value);
    }
}
