/* view_suggest.c - ids near to a misspelt one, among the pins that are there.
 *
 * Threads: see view.h. Not here: the search (core/catalog/pins_suggest.c).
 */
#include "server/live/view.h"

typedef struct visit {
    const ps_view *v;
    const ps_snapshot *s;
    ps_pins_reader *base;
} visit;

static int pin_at(void *cls, uint32_t row, ps_pin *pin)
{
    const visit *at = cls;
    return ps_view_alive(at->v, at->s, row)
               ? ps_view_pin(at->v, at->s, at->base, row, pin)
               : PS_ENOENT;
}

size_t ps_view_suggest(const ps_view *v, const ps_snapshot *s, ps_pins_reader *base,
                       ps_text id, ps_text *out, size_t max)
{
    visit at = {v, s, base};
    const ps_pins_seen seen = {pin_at, &at, ps_view_rows(v)};
    return ps_pins_suggest(base, &seen, id, out, max);
}
