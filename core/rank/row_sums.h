/* row_sums.h - a few sums a row, for the rows that turn up: a hash that is cleared by
 * walking over what was filled.
 *
 * A dense array would cost its bytes for every pin and thread, and a miss of the cache
 * for most of its entries anyway.
 *
 * Threads: one ps_row_sums, one thread.
 */
#ifndef PINSAGE_CORE_RANK_ROW_SUMS_H
#define PINSAGE_CORE_RANK_ROW_SUMS_H

#include <stddef.h>
#include <stdint.h>

enum { PS_SUMS = 3 };

typedef struct ps_row_sum {
    uint32_t row;
    float sum[PS_SUMS];
} ps_row_sum;

typedef struct ps_row_sums {
    uint32_t n, room;
    ps_row_sum *at; /* owned, (room), the first n filled, in order of arrival */
    uint32_t *slot; /* owned, (mask + 1): number + 1, 0 empty */
    uint32_t mask;
} ps_row_sums;

/* PS_ENOMEM. room: rows at most; what comes beyond is left out. */
int ps_row_sums_init(ps_row_sums *s, uint32_t room);
void ps_row_sums_done(ps_row_sums *s);
void ps_row_sums_clear(ps_row_sums *s);

static inline uint32_t *ps_row_sums_slot(const ps_row_sums *s, uint32_t row)
{
    uint32_t i = (row * 0x9e3779b1u) & s->mask;
    while (s->slot[i] && s->at[s->slot[i] - 1].row != row)
        i = (i + 1) & s->mask;
    return &s->slot[i];
}

/* What there is of a row, NULL when nothing. */
static inline const ps_row_sum *ps_row_sums_find(const ps_row_sums *s, uint32_t row)
{
    uint32_t at = *ps_row_sums_slot(s, row);
    return at ? &s->at[at - 1] : NULL;
}

/* The row's sums, zeros when it is new; NULL when there is no room. */
static inline float *ps_row_sums_of(ps_row_sums *s, uint32_t row)
{
    uint32_t *slot = ps_row_sums_slot(s, row);
    if (!*slot) {
        if (s->n == s->room)
            return NULL;
        s->at[s->n] = (ps_row_sum){.row = row};
        *slot = ++s->n;
    }
    return s->at[*slot - 1].sum;
}

#endif
