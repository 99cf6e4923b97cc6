/* pairs.c - query and related pins by name, as rows.
 *
 * Threads: the reader's. Not here: pairs taken from held-out boards (core/train).
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/catalog/import_parts.h"

typedef struct loader {
    ps_pairs *pairs;
    size_t room;
    ps_tsv *file;
    ps_pins_reader *pins;
    bool skip_unknown;
    ps_why *why;
} loader;

int ps_pairs_add(ps_pairs *p, size_t *room, uint32_t query, uint32_t related)
{
    if (p->n == *room) {
        size_t more = *room ? 2 * *room : 1024;
        void *grown = realloc(p->pair, more * sizeof *p->pair);
        if (!grown)
            return PS_ENOMEM;
        p->pair = grown;
        *room = more;
    }
    p->pair[p->n][0] = query;
    p->pair[p->n++][1] = related;
    return PS_OK;
}

static int add_pair(loader *l, uint32_t query, uint32_t related)
{
    int err = ps_pairs_add(l->pairs, &l->room, query, related);
    return err ? ps_fail(l->why, err, ps_tsv_path(l->file), ps_tsv_line(l->file),
                         "no memory for the pairs")
               : PS_OK;
}

static int unknown(loader *l, ps_text id)
{
    char shown[PS_SHOWN], other[PS_SHOWN];
    ps_text near;
    ps_import_shown(shown, id);
    if (ps_pins_suggest(l->pins, id.data, id.len, &near, 1) == 0)
        return ps_fail(l->why, PS_EFORMAT, ps_tsv_path(l->file), ps_tsv_line(l->file),
                       "pin \"%s\" is not in the catalog", shown);
    return ps_fail(l->why, PS_EFORMAT, ps_tsv_path(l->file), ps_tsv_line(l->file),
                   "pin \"%s\" is not in the catalog; did you mean \"%s\"?", shown,
                   ps_import_shown(other, near));
}

static int take_line(loader *l, ps_text query, ps_text related)
{
    uint32_t q = ps_pins_row(l->pins, query.data, query.len);
    uint32_t r = ps_pins_row(l->pins, related.data, related.len);
    if (q != PS_NO_ROW && r != PS_NO_ROW)
        return add_pair(l, q, r);
    if (!l->skip_unknown)
        return unknown(l, q == PS_NO_ROW ? query : related);
    l->pairs->unknown++;
    return PS_OK;
}

static int read_pairs(loader *l)
{
    const ps_text *field;
    size_t column[2];
    int got = 0;
    int err = ps_import_two_columns(l->file, "query", "related", column, l->why);
    while (!err && (got = ps_tsv_next(l->file, &field, l->why)) > 0)
        err = take_line(l, field[column[0]], field[column[1]]);
    if (err || got < 0)
        return err ? err : got;
    if (l->pairs->n)
        return PS_OK;
    if (l->pairs->unknown)
        return ps_fail(l->why, PS_EFORMAT, ps_tsv_path(l->file), 0,
                       "no pair is left: all %" PRIu64 " have a pin that is not in the "
                       "catalog",
                       l->pairs->unknown);
    return ps_fail(l->why, PS_EFORMAT, ps_tsv_path(l->file), 0,
                   "there are no pairs, only the header");
}

int ps_pairs_load(ps_pairs *p, const char *path, ps_pins_reader *pins, bool skip_unknown,
                  ps_why *why)
{
    loader l = {.pairs = p, .pins = pins, .skip_unknown = skip_unknown, .why = why};
    *p = (ps_pairs){0};
    int err = ps_tsv_open(&l.file, ps_import_path(path), 0, why);
    if (!err)
        err = read_pairs(&l);
    ps_tsv_close(l.file);
    if (err)
        ps_pairs_free(p);
    return err;
}

void ps_pairs_free(ps_pairs *p)
{
    free(p->pair);
    *p = (ps_pairs){0};
}
