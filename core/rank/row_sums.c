/* row_sums.c - linear probing, at most half full.
 *
 * Threads: see row_sums.h.
 */
#include "core/rank/row_sums.h"

#include <stdlib.h>
#include <string.h>

#include "pinsage/err.h"

int ps_row_sums_init(ps_row_sums *s, uint32_t room)
{
    *s = (ps_row_sums){.room = room, .mask = 256};
    while (s->mask < 2 * (uint64_t)room)
        s->mask *= 2;
    s->at = malloc(((size_t)room + 1) * sizeof *s->at);
    s->slot = calloc(s->mask, sizeof *s->slot);
    s->mask--;
    return s->at && s->slot ? PS_OK : PS_ENOMEM;
}

void ps_row_sums_done(ps_row_sums *s)
{
    free(s->at);
    free(s->slot);
    *s = (ps_row_sums){0};
}

void ps_row_sums_clear(ps_row_sums *s)
{
    if (s->n > s->mask / 8)
        memset(s->slot, 0, (s->mask + (size_t)1) * sizeof *s->slot);
    else /* the last one first: none that is left was placed because of it */
        for (uint32_t i = s->n; i-- > 0;)
            *ps_row_sums_slot(s, s->at[i].row) = 0;
    s->n = 0;
}
