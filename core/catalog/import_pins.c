/* import_pins.c - pins.tsv line by line into pins.mdb.
 *
 * Nothing of a line is kept but the id, which must be unlike all before it. Since empty
 * lines are refused, row r stands in line r + 2, unless a field in quotes went over line
 * ends: that is how the first of two equal ids is named without remembering its line.
 *
 * Threads: see import_parts.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/catalog/import_parts.h"

#define LINES_A_LOOK 4096 /* lines between two words to the listener */

typedef struct columns {
    int pin, title, text, image; /* -1: there is none */
    ps_text *meta; /* (2 x columns) name, value of those that have one; owned */
} columns;

const char *ps_import_shown(char out[PS_SHOWN], ps_text name)
{
    size_t most = PS_SHOWN - 4, len = name.len < most ? name.len : most;
    while (len < name.len && len > 0 && ((unsigned char)name.data[len] & 0xc0) == 0x80)
        len--; /* not through the middle of a character */
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)name.data[i];
        out[i] = byte < 0x20 || byte == 0x7f ? '?' : (char)byte;
    }
    memcpy(out + len, len < name.len ? "..." : "", len < name.len ? 4 : 1);
    return out;
}

/* ------------------------------ One line ---------------------------------- */

static int bad_id(ps_import_job *job, ps_text id)
{
    const char *path = ps_tsv_path(job->pins);
    long line = ps_tsv_line(job->pins);
    if (id.len == 0)
        return ps_fail(job->why, PS_EFORMAT, path, line, "the pin's id is empty");
    return ps_fail(job->why, PS_EFORMAT, path, line,
                   "the pin's id has %zu bytes, at most %d are possible", id.len,
                   PS_ID_MAX);
}

static int add_id(ps_import_job *job, ps_text id)
{
    uint32_t row;
    bool added;
    char shown[PS_SHOWN];
    if (id.len == 0 || id.len > PS_ID_MAX)
        return bad_id(job, id);
    int err = ps_idmap_add(&job->ids, id, &row, &added);
    if (err)
        return ps_fail(job->why, err, ps_tsv_path(job->pins), ps_tsv_line(job->pins),
                       err == PS_ERANGE ? "more than 2^32 - 1 pins"
                                        : "no memory for the pin's id");
    if (added)
        return PS_OK;
    char first[48] = "";
    if (!ps_tsv_spanned(job->pins))
        snprintf(first, sizeof first, ", first in line %lu", (unsigned long)row + 2);
    return ps_fail(job->why, PS_EFORMAT, ps_tsv_path(job->pins), ps_tsv_line(job->pins),
                   "pin \"%s\" stands twice%s", ps_import_shown(shown, id), first);
}

static uint32_t find_meta(const ps_import_job *job, const columns *c,
                          const ps_text *field)
{
    uint32_t n = 0;
    for (int i = 0; i < (int)ps_tsv_columns(job->pins); i++) {
        if (i == c->pin || i == c->title || i == c->text || i == c->image ||
            field[i].len == 0)
            continue;
        c->meta[2 * n] = ps_tsv_name(job->pins, (size_t)i);
        c->meta[2 * n + 1] = field[i];
        n++;
    }
    return n;
}

static ps_text field_of(const ps_text *field, int column)
{
    return column < 0 ? (ps_text){"", 0} : field[column];
}

static int add_pin(ps_import_job *job, const columns *c, const ps_text *field)
{
    ps_pin pin = {.id = field[c->pin],
                  .title = field_of(field, c->title),
                  .text = field_of(field, c->text),
                  .image = field_of(field, c->image)};
    int err = add_id(job, pin.id);
    if (err)
        return err;
    return ps_pins_writer_pin(job->writer, &pin, c->meta, find_meta(job, c, field),
                              job->why);
}

/* ------------------------------ All lines --------------------------------- */

static int tell(const ps_import_job *job, uint64_t total)
{
    uint64_t done = ps_tsv_done(job->pins);
    /* The end is told once, when all is done. */
    if (total && done >= total)
        done = total - 1;
    return ps_progress_at(job->progress, "pins", done, total, "bytes");
}

static int read_pins(ps_import_job *job, const columns *c)
{
    const ps_text *field;
    uint64_t total = ps_tsv_total(job->pins);
    int got, err = PS_OK;
    while (!err && (got = ps_tsv_next(job->pins, &field, job->why)) > 0) {
        err = add_pin(job, c, field);
        if (!err && job->ids.n % LINES_A_LOOK == 0)
            err = tell(job, total);
    }
    return err ? err : got;
}

int ps_import_pins(ps_import_job *job)
{
    size_t n = ps_tsv_columns(job->pins);
    columns c = {.pin = ps_tsv_find(job->pins, "pin"),
                 .title = ps_tsv_find(job->pins, "title"),
                 .text = ps_tsv_find(job->pins, "text"),
                 .image = ps_tsv_find(job->pins, "image"),
                 .meta = calloc(2 * n, sizeof *c.meta)};
    int err = PS_OK;
    if (!c.meta)
        err = ps_fail(job->why, PS_ENOMEM, ps_tsv_path(job->pins), 1,
                      "no memory for the columns");
    if (!err)
        err = read_pins(job, &c);
    free(c.meta);
    if (!err && job->ids.n == 0)
        err = ps_fail(job->why, PS_EFORMAT, ps_tsv_path(job->pins), 0,
                      "there are no pins, only the header");
    if (err)
        return err;
    uint64_t done = ps_tsv_done(job->pins);
    job->report->pins = job->ids.n;
    return ps_progress_at(job->progress, "pins", done, done, "bytes");
}
