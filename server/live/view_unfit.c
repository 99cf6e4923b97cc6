/* view_unfit.c - what a view cannot show of what was written, by number and name.
 *
 * Threads: see view.h.
 */
#include <stdio.h>
#include <string.h>

#include "server/live/view.h"

/* As long as there is room for one more and the dots. */
static void add_name(ps_unfit *u, ps_text id)
{
    size_t n = strlen(u->first), left = sizeof u->first - n;
    if (n && u->first[n - 1] == '.')
        return;
    const char *comma = n ? ", " : "";
    if (id.len + sizeof ", , ..." > left)
        snprintf(u->first + n, left, "%s...", comma);
    else
        snprintf(u->first + n, left, "%s%.*s", comma, (int)id.len, id.data);
}

void ps_view_unfit(const ps_view *v, const ps_snapshot *s, ps_pins_reader *base,
                   ps_unfit *out)
{
    *out = (ps_unfit){0};
    uint32_t rows = ps_view_count(v).unfit ? ps_view_rows(v) : 0;
    for (uint32_t row = 0; row < rows; row++) {
        const ps_row_state *state = ps_view_state(v, s, row);
        ps_pin pin;
        if (!state || state->dead || !state->unfit)
            continue;
        out->vectors += state->unfit;
        out->pins++;
        if (!ps_view_pin(v, s, base, row, &pin))
            add_name(out, pin.id);
    }
}
