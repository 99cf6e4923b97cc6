/* tsv.c - lines and fields, found with memchr in a sliding buffer.
 *
 *     |...used lines...|begin       line        |eol  ...     end|      room|
 *
 * Lines are handed out where they lie. When the buffer holds no whole line the rest
 * moves to its front and it is filled up again; it grows only for a line longer than
 * itself. Whether bytes need a look at their UTF-8 is decided for a whole filling at
 * once: mostly there is nothing above 0x7f and no NUL, and no line is looked at twice.
 *
 * Threads: see tsv.h.
 */
#include "core/data/tsv.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/data/gz.h"
#include "pinsage/buf.h"

#define FIRST_ROOM ((size_t)1 << 20)

struct ps_tsv {
    ps_gz *gz;
    char *path;   /* owned */
    char *buffer; /* owned */
    size_t begin, end, room, max_line;
    bool ended;   /* nothing more comes from gz */
    bool suspect; /* the buffer may hold NUL or bytes that are not ASCII */
    long line;
    size_t n_columns;
    ps_text *names;  /* (n_columns) in header */
    ps_text *fields; /* (n_columns) of the line at hand */
    char *header;    /* owned */
};

/* ------------------------------ Lines ------------------------------------- */

/* True if any byte is NUL or above 0x7f. */
static bool look(const char *data, size_t size)
{
    unsigned char odd = 0;
    for (size_t i = 0; i < size; i++)
        odd |= (unsigned char)((unsigned char)(data[i] - 1) & 0x80);
    for (size_t i = 0; i < size; i++)
        odd |= (unsigned char)(data[i] & 0x80);
    return odd;
}

/* Room for at least one more byte, the unused bytes first. */
static int make_room(ps_tsv *t, ps_why *why)
{
    if (t->begin) {
        memmove(t->buffer, t->buffer + t->begin, t->end - t->begin);
        t->end -= t->begin;
        t->begin = 0;
    }
    if (t->end < t->room)
        return PS_OK;
    size_t room = t->room ? 2 * t->room : FIRST_ROOM;
    char *buffer = realloc(t->buffer, room);
    if (!buffer)
        return ps_fail(why, PS_ENOMEM, t->path, t->line, "no memory for a long line");
    t->buffer = buffer;
    t->room = room;
    return PS_OK;
}

static int fill(ps_tsv *t, ps_why *why)
{
    size_t got = 0;
    int err = make_room(t, why);
    if (!err) {
        err = ps_gz_read(t->gz, t->buffer + t->end, t->room - t->end, &got, why);
        if (err && why)
            why->line = t->line;
    }
    if (err)
        return err;
    /* What was not used yet keeps its doubt. */
    t->suspect = (t->suspect && t->end) || look(t->buffer + t->end, got);
    t->end += got;
    t->ended = got == 0;
    return PS_OK;
}

static int check_line(const ps_tsv *t, ps_text line, ps_why *why)
{
    if (memchr(line.data, '\0', line.len))
        return ps_fail(why, PS_EFORMAT, t->path, t->line, "the line has a NUL byte");
    if (!ps_utf8_valid(line.data, line.len))
        return ps_fail(why, PS_EFORMAT, t->path, t->line, "the line is not UTF-8");
    return PS_OK;
}

static int too_long(const ps_tsv *t, ps_why *why)
{
    return ps_fail(why, PS_EFORMAT, t->path, t->line, "the line is longer than %zu bytes",
                   t->max_line);
}

/* 1 and the next line without its end, 0 at the end of the file, or an error. */
static int next_line(ps_tsv *t, ps_text *line, ps_why *why)
{
    size_t seen = 0; /* bytes after begin known to hold no line end */
    char *eol = NULL;
    t->line++;
    while (!eol) {
        if (t->end > t->begin + seen)
            eol = memchr(t->buffer + t->begin + seen, '\n', t->end - t->begin - seen);
        seen = t->end - t->begin;
        if (eol || (t->ended && seen))
            break;
        if (t->ended) {
            t->line--;
            return 0;
        }
        if (seen > t->max_line + 1)
            return too_long(t, why);
        int err = fill(t, why);
        if (err)
            return err;
    }
    char *start = t->buffer + t->begin;
    *line = (ps_text){start, eol ? (size_t)(eol - start) : seen};
    t->begin += line->len + (eol != NULL);
    if (line->len && start[line->len - 1] == '\r')
        line->len--;
    if (line->len > t->max_line)
        return too_long(t, why);
    int err = t->suspect ? check_line(t, *line, why) : PS_OK;
    return err ? err : 1;
}

/* ------------------------------ Header ------------------------------------ */

static size_t count_fields(ps_text line)
{
    size_t n = 1;
    for (size_t i = 0; i < line.len; i++)
        n += line.data[i] == '\t';
    return n;
}

/* The line's fields into out (max); returns how many were stored. */
static size_t split(ps_text line, ps_text *out, size_t max)
{
    const char *at = line.data, *end = line.data + line.len;
    for (size_t n = 0; n < max;) {
        const char *tab = memchr(at, '\t', (size_t)(end - at));
        out[n++] = (ps_text){at, (size_t)((tab ? tab : end) - at)};
        if (!tab)
            return n;
        at = tab + 1;
    }
    return max;
}

static int check_names(const ps_tsv *t, ps_why *why)
{
    for (size_t i = 0; i < t->n_columns; i++) {
        ps_text name = t->names[i];
        if (name.len == 0)
            return ps_fail(why, PS_EFORMAT, t->path, 1, "column %zu has no name", i + 1);
        for (size_t j = 0; j < i; j++)
            if (ps_text_same(t->names[j], name))
                return ps_fail(why, PS_EFORMAT, t->path, 1,
                               "column \"%.*s\" stands twice",
                               name.len < 64 ? (int)name.len : 64, name.data);
    }
    return PS_OK;
}

static int read_header(ps_tsv *t, ps_why *why)
{
    ps_text line;
    int got = next_line(t, &line, why);
    if (got < 0)
        return got;
    if (got == 0)
        return ps_fail(why, PS_EFORMAT, t->path, 0, "the file is empty");
    if (line.len >= 3 && memcmp(line.data, "\xef\xbb\xbf", 3) == 0)
        line = (ps_text){line.data + 3, line.len - 3};
    if (line.len == 0)
        return ps_fail(why, PS_EFORMAT, t->path, 1,
                       "the first line is empty; it must name the columns");
    t->n_columns = count_fields(line);
    if (t->n_columns > PS_TSV_MAX_COLUMNS)
        return ps_fail(why, PS_EFORMAT, t->path, 1, "more than %d columns",
                       PS_TSV_MAX_COLUMNS);
    t->header = malloc(line.len);
    t->names = calloc(t->n_columns, sizeof *t->names);
    t->fields = calloc(t->n_columns, sizeof *t->fields);
    if (!t->header || !t->names || !t->fields)
        return ps_fail(why, PS_ENOMEM, t->path, 1, "no memory for the columns");
    memcpy(t->header, line.data, line.len);
    split((ps_text){t->header, line.len}, t->names, t->n_columns);
    return check_names(t, why);
}

int ps_tsv_open(ps_tsv **out, const char *path, size_t max_line, ps_why *why)
{
    ps_tsv *t = calloc(1, sizeof *t);
    if (t)
        t->path = strdup(path);
    if (!t || !t->path) {
        free(t);
        return ps_fail(why, PS_ENOMEM, path, 0, "no memory to read it");
    }
    t->max_line = max_line ? max_line : PS_TSV_MAX_LINE;
    int err = ps_gz_open(&t->gz, path, why);
    if (!err)
        err = read_header(t, why);
    if (err)
        ps_tsv_close(t);
    else
        *out = t;
    return err;
}

void ps_tsv_close(ps_tsv *t)
{
    if (!t)
        return;
    ps_gz_close(t->gz);
    free(t->buffer);
    free(t->header);
    free(t->names);
    free(t->fields);
    free(t->path);
    free(t);
}

/* ------------------------------ Columns ----------------------------------- */

size_t ps_tsv_columns(const ps_tsv *t)
{
    return t->n_columns;
}

ps_text ps_tsv_name(const ps_tsv *t, size_t column)
{
    return t->names[column];
}

int ps_tsv_find(const ps_tsv *t, const char *name)
{
    for (size_t i = 0; i < t->n_columns; i++)
        if (ps_text_is(t->names[i], name))
            return (int)i;
    return -1;
}

int ps_tsv_need(const ps_tsv *t, const char *name, size_t *column, ps_why *why)
{
    char have[160];
    size_t used = 0;
    int found = ps_tsv_find(t, name);
    if (found >= 0) {
        *column = (size_t)found;
        return PS_OK;
    }
    for (size_t i = 0; i < t->n_columns; i++) {
        ps_text c = t->names[i];
        if (used + c.len + 3 > sizeof have)
            break;
        if (used)
            have[used++] = ' ';
        memcpy(have + used, c.data, c.len);
        used += c.len;
    }
    return ps_fail(why, PS_EFORMAT, t->path, 1,
                   "there is no column \"%s\"; there is: %.*s", name, (int)used, have);
}

/* ------------------------------ Fields ------------------------------------ */

int ps_tsv_next(ps_tsv *t, const ps_text **fields, ps_why *why)
{
    ps_text line;
    int got = next_line(t, &line, why);
    if (got <= 0)
        return got;
    size_t n = split(line, t->fields, t->n_columns);
    ps_text last = t->fields[n - 1];
    if (n < t->n_columns || last.data + last.len < line.data + line.len) {
        n = count_fields(line);
        if (line.len == 0)
            return ps_fail(why, PS_EFORMAT, t->path, t->line, "the line is empty");
        return ps_fail(why, PS_EFORMAT, t->path, t->line,
                       "the line has %zu field%s, the header has %zu", n,
                       n == 1 ? "" : "s", t->n_columns);
    }
    *fields = t->fields;
    return 1;
}

long ps_tsv_line(const ps_tsv *t)
{
    return t->line;
}

const char *ps_tsv_path(const ps_tsv *t)
{
    return t->path;
}

uint64_t ps_tsv_done(const ps_tsv *t)
{
    return ps_gz_done(t->gz);
}

uint64_t ps_tsv_total(const ps_tsv *t)
{
    return ps_gz_total(t->gz);
}
