/* pairs.c - query and related pins by name, as rows; and which of them are pairs at all.
 *
 * Logs of engagement hold reloads (a pin related to itself) and double clicks (a pair
 * twice). Either would be learned from, and would make the figure by which a model is
 * chosen look better than it is, so they are taken out here, before anybody counts.
 *
 * Threads: the reader's. Not here: pairs taken from held-out boards (core/train).
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/catalog/import_parts.h"
#include "pinsage/buf.h"

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
    if (ps_pins_suggest(l->pins, NULL, id, &near, 1) == 0)
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
    if (q == PS_NO_ROW || r == PS_NO_ROW) {
        l->pairs->left_out.unknown++;
        return l->skip_unknown ? PS_OK : unknown(l, q == PS_NO_ROW ? query : related);
    }
    if (q != r)
        return add_pair(l, q, r);
    l->pairs->left_out.self++;
    return PS_OK;
}

/* ------------------------------ Repeated pairs ---------------------------- */

typedef struct place {
    uint32_t pair[2];
    size_t at; /* in the file */
} place;

static int by_pair(const void *a, const void *b)
{
    const place *x = a, *y = b;
    for (int i = 0; i < 2; i++)
        if (x->pair[i] != y->pair[i])
            return x->pair[i] < y->pair[i] ? -1 : 1;
    return x->at < y->at ? -1 : 1;
}

/* The first of equal pairs stays where it is. */
static int drop_repeated(ps_pairs *p)
{
    place *sorted = malloc((p->n + 1) * sizeof *sorted);
    if (!sorted)
        return PS_ENOMEM;
    for (size_t i = 0; i < p->n; i++)
        sorted[i] = (place){{p->pair[i][0], p->pair[i][1]}, i};
    qsort(sorted, p->n, sizeof *sorted, by_pair);
    for (size_t i = 1; i < p->n; i++)
        if (!memcmp(sorted[i].pair, sorted[i - 1].pair, sizeof sorted->pair))
            p->pair[sorted[i].at][1] = p->pair[sorted[i].at][0]; /* no pair any more */
    free(sorted);
    size_t kept = 0;
    for (size_t i = 0; i < p->n; i++)
        if (p->pair[i][0] != p->pair[i][1])
            memmove(p->pair[kept++], p->pair[i], sizeof *p->pair);
    p->left_out.repeated = p->n - kept;
    p->n = kept;
    return PS_OK;
}

/* ------------------------------ What was left out ------------------------- */

void ps_left_out_print(const ps_left_out *l, ps_buf *out)
{
    const struct {
        uint64_t n;
        const char *what;
    } kinds[] = {
        {l->self, "of a pin with itself"},
        {l->repeated, "repeated"},
        {l->unknown, "of pins that are not in the catalog"},
    };
    const char *comma = "";
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].n) {
            ps_buf_printf(out, "%s%" PRIu64 " %s", comma, kinds[i].n, kinds[i].what);
            comma = ", ";
        }
}

static int refuse_empty(const loader *l)
{
    ps_buf words = {0};
    ps_left_out_print(&l->pairs->left_out, &words);
    int err = words.size ? ps_fail(l->why, PS_EFORMAT, ps_tsv_path(l->file), 0,
                                   "no pair is left: %s", words.data)
                         : ps_fail(l->why, PS_EFORMAT, ps_tsv_path(l->file), 0,
                                   "there are no pairs, only the header");
    ps_buf_done(&words);
    return err;
}

/* ------------------------------ Reading ----------------------------------- */

static int read_pairs(loader *l)
{
    const ps_text *field;
    size_t column[2];
    int got = 0;
    char unused[PS_SHOWN];
    int err = ps_import_two_columns(l->file, "query", "related", column, l->why);
    if (!err && ps_import_unused(l->file, column, unused, sizeof unused))
        err = ps_fail(l->why, PS_EFORMAT, ps_tsv_path(l->file), 1,
                      "column \"%s\" has no meaning here; there may be \"query\" and "
                      "\"related\"",
                      unused);
    while (!err && (got = ps_tsv_next(l->file, &field, l->why)) > 0)
        err = take_line(l, field[column[0]], field[column[1]]);
    if (err || got < 0)
        return err ? err : got;
    if (drop_repeated(l->pairs))
        return ps_fail(l->why, PS_ENOMEM, ps_tsv_path(l->file), 0,
                       "no memory to look for repeated pairs");
    return l->pairs->n ? PS_OK : refuse_empty(l);
}

int ps_pairs_load(ps_pairs *p, const char *path, ps_pins_reader *pins, ps_pairs_opts opts,
                  ps_why *why)
{
    loader l = {.pairs = p, .pins = pins, .skip_unknown = opts.skip_unknown, .why = why};
    *p = (ps_pairs){0};
    int err = ps_import_columns_check(opts.columns, why);
    if (!err)
        err = ps_tsv_open(&l.file, ps_import_path(path), 0, why);
    if (!err) {
        ps_tsv_rename(l.file, opts.columns);
        err = read_pairs(&l);
    }
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
