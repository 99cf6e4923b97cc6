/* rowmap.h - from a row number to what is live about it; one writer, readers never wait.
 *
 * Most rows have nothing, so a row is first looked up in a bitmap: one bit a row of the
 * generation, set for good when the row first gets something. Rows beyond the generation
 * (live pins) go straight to the table: open addressing, linear probing, at most half
 * full, whose pointers are atomic. A table that was outgrown is retired through the
 * epoch, as are, by their owner, the things that the pointers lead to.
 *
 * Threads: one writer; readers are inside the epoch (epoch.h) while they use a pointer.
 */
#ifndef PINSAGE_ROWMAP_H
#define PINSAGE_ROWMAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "pinsage/epoch.h"

typedef struct ps_rowmap_table ps_rowmap_table;

typedef struct ps_rowmap {
    uint32_t base_rows;
    _Atomic uint64_t *bits;           /* owned, (base_rows / 64 + 1) */
    _Atomic(ps_rowmap_table *) table; /* owned */
    uint32_t used;                    /* the writer's: rows in the table */
    ps_epoch *epoch;                  /* borrowed */
} ps_rowmap;

int ps_rowmap_init(ps_rowmap *m, uint32_t base_rows, ps_epoch *epoch);
/* Frees the map, not what its pointers lead to. No reader may be left. */
void ps_rowmap_done(ps_rowmap *m);

/* Slow half of ps_rowmap_get. */
void *ps_rowmap_look(const ps_rowmap *m, uint32_t row);

/* What the row has now, NULL for nothing. */
static inline void *ps_rowmap_get(const ps_rowmap *m, uint32_t row)
{
    if (row < m->base_rows &&
        !(atomic_load_explicit(&m->bits[row / 64], memory_order_relaxed) >> row % 64 & 1))
        return NULL;
    return ps_rowmap_look(m, row);
}

/* Writer: give the row another pointer (NULL: nothing), seen by readers at once; the old
 * one is the caller's to retire. version is the one being prepared. PS_ENOMEM changes
 * nothing; it cannot happen for a row that has something. */
int ps_rowmap_put(ps_rowmap *m, uint64_t version, uint32_t row, void *value);
/* Writer: call each for every row that has something. */
void ps_rowmap_each(const ps_rowmap *m,
                    void (*each)(void *cls, uint32_t row, void *value), void *cls);

#endif
