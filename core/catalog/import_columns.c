/* import_columns.c - which column of a file is what.
 *
 * Threads: see import_parts.h.
 */
#include <inttypes.h>
#include <stdio.h>

#include "core/catalog/import_parts.h"
#include "pinsage/near.h"

static const char *const known[] = {"pin",   "title", "text",   "image",
                                    "board", "query", "related"};
enum { KNOWN = sizeof known / sizeof *known };

static int check_entry(ps_text entry, ps_why *why)
{
    char shown[PS_SHOWN];
    ps_text other = entry, name;
    ps_text_cut(&other, '=', &name);
    if (!name.len || !other.len)
        return ps_fail(why, PS_EINVAL, "--columns", 0,
                       "\"%s\" is not NAME=OTHER, as in pin=item_id,board=user_id",
                       ps_import_shown(shown, entry));
    ps_guess g;
    ps_guess_init(&g, name);
    for (size_t i = 0; i < KNOWN; i++) {
        if (ps_text_is(name, known[i]))
            return PS_OK;
        ps_guess_offer(&g, known[i]);
    }
    return ps_fail(why, PS_EINVAL, "--columns", 0,
                   "\"%s\" is no column; %s%s%sthere are pin, title, text, image, board, "
                   "query and related",
                   ps_import_shown(shown, name), g.best ? "did you mean \"" : "",
                   g.best ? g.best : "", g.best ? "\"? " : "");
}

int ps_import_columns_check(const char *columns, ps_why *why)
{
    ps_text rest = ps_text_of(columns), entry;
    int err = PS_OK;
    while (!err && ps_text_cut(&rest, ',', &entry))
        err = check_entry(entry, why);
    return err;
}

int ps_import_two_columns(ps_tsv *t, const char *first, const char *second,
                          size_t column[2], ps_why *why)
{
    int err = ps_tsv_need(t, first, &column[0], why);
    if (!err)
        err = ps_tsv_need(t, second, &column[1], why);
    if (!err && column[0] == column[1])
        err = ps_fail(why, PS_EINVAL, "--columns", 0,
                      "\"%s\" and \"%s\" are the same column", first, second);
    return err;
}

size_t ps_import_unused(const ps_tsv *t, const size_t column[2], char *out, size_t room)
{
    size_t n = 0, used = 0;
    char shown[PS_SHOWN];
    *out = '\0';
    for (size_t i = 0; i < ps_tsv_columns(t); i++) {
        if (i == column[0] || i == column[1])
            continue;
        int wrote = snprintf(out + used, room - used, "%s%s", n++ ? ", " : "",
                             ps_import_shown(shown, ps_tsv_name(t, i)));
        used = used + (size_t)wrote < room ? used + (size_t)wrote : room - 1;
    }
    return n;
}

const char *ps_import_line_shown(char out[PS_LINE_SHOWN], const ps_import_job *job,
                                 uint64_t row)
{
    *out = '\0';
    if (!ps_tsv_spanned(job->pins))
        snprintf(out, PS_LINE_SHOWN, ", line %" PRIu64 " of the pins", row + 2);
    return out;
}
