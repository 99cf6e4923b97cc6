/* tally.c - see tally.h.
 *
 * Threads: see tally.h.
 */
#include "core/sample/tally.h"

#include <stdlib.h>

int ps_tally_init(ps_tally *t, size_t distinct)
{
    *t = (ps_tally){.shift = 28};
    if (distinct > (size_t)1 << 30)
        return PS_ERANGE;
    while (((size_t)1 << (32 - t->shift)) < 2 * distinct)
        t->shift--;
    size_t size = (size_t)1 << (32 - t->shift);
    t->mask = (uint32_t)(size - 1);
    t->slot = calloc(size, sizeof *t->slot);
    t->used = malloc((distinct + 1) * sizeof *t->used);
    if (t->slot && t->used)
        return PS_OK;
    ps_tally_done(t);
    return PS_ENOMEM;
}

void ps_tally_done(ps_tally *t)
{
    free(t->slot);
    free(t->used);
    *t = (ps_tally){0};
}

size_t ps_tally_room(const ps_graph *g, size_t visits, size_t before)
{
    size_t rows = ps_graph_rows(g, PS_PINS);
    if (before >= visits || before >= rows + 1)
        return before;
    rows = rows + 1 > 2 * before ? rows + 1 : 2 * before;
    return visits < rows ? visits : rows;
}
