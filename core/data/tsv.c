/* tsv.c - lines and fields, found with memchr in a sliding buffer.
 *
 *     |...used lines...|begin       line        |eol  ...     end|      room|
 *
 * Lines are handed out where they lie. When the buffer holds no whole line the rest
 * moves to its front and it is filled up again; it grows only for a line longer than
 * itself. Whether bytes need a look at their UTF-8 is decided for a whole filling at
 * once: mostly there is nothing above 0x7f and no NUL, and no line is looked at twice.
 *
 * Quotes are found in the same way. A field that begins with one is in quotes when the
 * closing one ends it, as whoever quotes writes it; else the quote is text, as in a file
 * that knows no quoting. Only a field that would hold tabs *and* line ends can be read
 * both ways: that is refused, unless the header itself is in quotes.
 *
 * Threads: see tsv.h.
 */
#include "core/data/tsv.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/data/foreign.h"
#include "core/data/gz.h"
#include "core/data/quoted.h"
#include "pinsage/buf.h"

#define FIRST_ROOM ((size_t)1 << 20)
#define FIRST_LOOK ((size_t)8)

struct ps_tsv {
    ps_gz *gz;
    char *path;          /* owned */
    char *buffer;        /* owned */
    const char *columns; /* borrowed: "pin=item_id,..." or NULL */
    size_t begin, end, room, max_line;
    bool ended;        /* nothing more comes from gz */
    bool suspect;      /* the buffer may hold NUL or bytes that are not ASCII */
    bool quotes;       /* it may hold quotes */
    bool strict;       /* the header is in quotes: so a quote is never text by itself */
    bool spanned;      /* some record had more than one line */
    long line, next;   /* of the record at hand, and of the one after it */
    long first_quoted; /* line of the first field in quotes, 0: none yet */
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
    t->quotes = (t->quotes && t->end) || (got && memchr(t->buffer + t->end, '"', got));
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
    /* A header that does not end is another file's beginning. */
    int err = t->line > 1 ? PS_OK
                          : ps_foreign_header(t->buffer + t->begin, t->end - t->begin,
                                              t->path, why);
    if (err)
        return err;
    return ps_fail(why, PS_EFORMAT, t->path, t->line, "the line is longer than %zu bytes",
                   t->max_line);
}

/* The first line end at or behind `from` bytes after begin, or the end of the file: *len
 * bytes after begin. */
static int find_end(ps_tsv *t, size_t from, size_t *len, ps_why *why)
{
    for (;;) {
        size_t have = t->end - t->begin;
        const char *data = t->buffer + t->begin;
        const char *eol = have > from ? memchr(data + from, '\n', have - from) : NULL;
        *len = eol ? (size_t)(eol - data) : have;
        if (eol || t->ended)
            return PS_OK;
        if (have > t->max_line + 1)
            return too_long(t, why);
        from = have;
        int err = fill(t, why);
        if (err)
            return err;
    }
}

/* ------------------------------ Quotes ------------------------------------ */

/* Two readings make sense, and the wrong one would merge lines or cut one. */
static int ambiguous(const ps_tsv *t, const char *field, size_t len, ps_why *why)
{
    long last = t->line;
    for (size_t i = 0; i < len; i++)
        last += field[i] == '\n';
    return ps_fail(why, PS_EFORMAT, t->path, t->line,
                   "a quote begins a field and is closed in line %ld, behind tabs; if it "
                   "is text, write the field as \"\"\"...\", if not, leave no tabs in it",
                   last);
}

static int not_closed(const ps_tsv *t, ps_quoted q, ps_why *why)
{
    return ps_fail(why, PS_EFORMAT, t->path, t->line,
                   q == PS_QUOTED_OPEN || t->ended
                       ? "a field's quote is not closed"
                       : "text follows the closing quote of a field; a quote inside one "
                         "is written twice");
}

/* The field that begins with a quote `at` bytes after begin: 1 and its closing one, 0
 * when the quote is text. *len grows when the field goes over line ends. */
static int close_quote(ps_tsv *t, size_t at, size_t *len, size_t *close, ps_why *why)
{
    int err = PS_OK;
    ps_quoted q = PS_QUOTED_OPEN;
    *close = at + 1;
    while (!err && q == PS_QUOTED_OPEN && *close <= t->max_line) {
        q = ps_quoted_close(t->buffer + t->begin, t->end - t->begin, close, t->ended);
        if (q == PS_QUOTED_OPEN)
            err = fill(t, why);
    }
    if (err)
        return err;
    if (q != PS_QUOTED)
        return t->strict ? not_closed(t, q, why) : 0;
    const char *field = t->buffer + t->begin + at;
    bool lines = *close > *len;
    if (lines && !t->strict && memchr(field, '\t', *close - at))
        return ambiguous(t, field, *close - at, why);
    if (lines)
        err = find_end(t, *close, len, why);
    return err ? err : 1;
}

/* A field in quotes may hold line ends: *len is where the first line ends, and becomes
 * where the record does. */
static int find_record_end(ps_tsv *t, size_t *len, ps_why *why)
{
    for (size_t at = 0; at < *len; at++) {
        size_t close = at;
        int quoted = 0;
        if (t->buffer[t->begin + at] == '"')
            quoted = close_quote(t, at, len, &close, why);
        if (quoted < 0)
            return quoted;
        const char *data = t->buffer + t->begin;
        at = quoted ? close + 1 : at;
        const char *tab = memchr(data + at, '\t', *len - at);
        if (!tab)
            return PS_OK;
        at = (size_t)(tab - data);
    }
    return PS_OK;
}

static long count_ends(ps_text record)
{
    long n = 0;
    const char *at = record.data, *end = record.data + record.len;
    while (at < end && (at = memchr(at, '\n', (size_t)(end - at)))) {
        n++;
        at++;
    }
    return n;
}

/* 1 and the next line without its end, 0 at the end of the file, or an error. More than a
 * line when quoted fields go on. */
static int next_line(ps_tsv *t, ps_text *line, ps_why *why)
{
    size_t len;
    t->line = t->next;
    int err = find_end(t, 0, &len, why);
    if (err)
        return err;
    if (t->begin == t->end) {
        t->line--;
        return 0;
    }
    bool quotes = t->quotes && memchr(t->buffer + t->begin, '"', len);
    if (quotes)
        err = find_record_end(t, &len, why);
    if (err)
        return err;
    *line = (ps_text){t->buffer + t->begin, len};
    t->next = t->line + 1 + (quotes ? count_ends(*line) : 0);
    t->spanned |= t->next > t->line + 1;
    t->begin += len + (t->begin + len < t->end);
    if (len && line->data[len - 1] == '\r')
        line->len--;
    if (line->len > t->max_line)
        return too_long(t, why);
    err = t->suspect ? check_line(t, *line, why) : PS_OK;
    return err ? err : 1;
}

/* ------------------------------ Header ------------------------------------ */

/* The length of a field in quotes that begins a record's rest, quotes and all; 0 for any
 * other. What find_record_end found is found again, now with nothing to wait for. */
static size_t quoted_size(const ps_tsv *t, const char *at, size_t len)
{
    size_t close = 1;
    if (!t->quotes || len == 0 || *at != '"')
        return 0;
    return ps_quoted_close(at, len, &close, true) == PS_QUOTED ? close + 1 : 0;
}

/* The line's fields, quotes taken off in place, into out (max); how many it has, however
 * many were stored. */
static size_t split(ps_tsv *t, ps_text line, ps_text *out, size_t max)
{
    char *at = (char *)(uintptr_t)line.data;
    const char *end = at + line.len;
    for (size_t n = 0;;) {
        size_t quoted = quoted_size(t, at, (size_t)(end - at));
        char *tab = memchr(at + quoted, '\t', (size_t)(end - at) - quoted);
        if (n < max && quoted) {
            out[n] = (ps_text){at + 1, ps_quoted_strip(at + 1, quoted - 2)};
            t->first_quoted = t->first_quoted ? t->first_quoted : t->line;
        } else if (n < max) {
            out[n] = (ps_text){at, (size_t)((tab ? tab : end) - at)};
        }
        n++;
        if (!tab)
            return n;
        at = tab + 1;
    }
}

static int check_names(const ps_tsv *t, ps_why *why)
{
    for (size_t i = 0; i < t->n_columns; i++) {
        ps_text name = t->names[i];
        if (name.len == 0)
            return ps_fail(why, PS_EFORMAT, t->path, 1, "column %zu has no name%s", i + 1,
                           i ? ""
                             : ": pandas writes its index so; leave it out by "
                               "to_csv(..., sep='\\t', index=False)");
        for (size_t j = 0; j < i; j++)
            if (ps_text_same(t->names[j], name))
                return ps_fail(why, PS_EFORMAT, t->path, 1,
                               "column \"%.*s\" stands twice",
                               name.len < 64 ? (int)name.len : 64, name.data);
    }
    return PS_OK;
}

/* The first bytes, to see what file it is; a byte order mark is passed over. */
static int begin_file(ps_tsv *t, ps_why *why)
{
    int err = PS_OK;
    while (!err && !t->ended && t->end < FIRST_LOOK)
        err = fill(t, why);
    if (!err)
        err = ps_foreign_table(t->buffer, t->end, t->path, why);
    if (!err && t->end >= 3 && memcmp(t->buffer, "\xef\xbb\xbf", 3) == 0)
        t->begin = 3;
    return err;
}

static int read_header(ps_tsv *t, ps_why *why)
{
    ps_text line;
    bool empty = t->begin == t->end && t->begin == 0;
    int got = next_line(t, &line, why);
    if (got < 0)
        return got;
    if (empty)
        return ps_fail(why, PS_EFORMAT, t->path, 0, "the file is empty");
    if (got == 0 || line.len == 0)
        return ps_fail(why, PS_EFORMAT, t->path, 1,
                       "the first line is empty; it must name the columns");
    int err = ps_foreign_header(line.data, line.len, t->path, why);
    if (err)
        return err;
    t->n_columns = split(t, line, NULL, 0);
    if (t->n_columns > PS_TSV_MAX_COLUMNS)
        return ps_fail(why, PS_EFORMAT, t->path, 1, "more than %d columns",
                       PS_TSV_MAX_COLUMNS);
    t->header = malloc(line.len);
    t->names = calloc(t->n_columns, sizeof *t->names);
    t->fields = calloc(t->n_columns, sizeof *t->fields);
    if (!t->header || !t->names || !t->fields)
        return ps_fail(why, PS_ENOMEM, t->path, 1, "no memory for the columns");
    memcpy(t->header, line.data, line.len);
    split(t, (ps_text){t->header, line.len}, t->names, t->n_columns);
    t->strict = t->first_quoted;
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
    t->line = t->next = 1;
    int err = ps_gz_open(&t->gz, path, why);
    if (!err)
        err = begin_file(t, why);
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

void ps_tsv_rename(ps_tsv *t, const char *columns)
{
    t->columns = columns;
}

/* "item_id" for "pin" when columns say pin=item_id; data NULL when they say nothing. */
static ps_text renamed(const ps_tsv *t, const char *name)
{
    ps_text rest = ps_text_of(t->columns), entry, left;
    while (ps_text_cut(&rest, ',', &entry))
        if (ps_text_cut(&entry, '=', &left) && ps_text_is(left, name))
            return entry;
    return (ps_text){NULL, 0};
}

static int find_column(const ps_tsv *t, ps_text name)
{
    for (size_t i = 0; i < t->n_columns; i++)
        if (ps_text_same(t->names[i], name))
            return (int)i;
    return -1;
}

int ps_tsv_find(const ps_tsv *t, const char *name)
{
    ps_text other = renamed(t, name);
    int found = other.data ? find_column(t, other) : -1;
    return found >= 0 ? found : find_column(t, ps_text_of(name));
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
    ps_text other = renamed(t, name);
    return ps_fail(why, PS_EFORMAT, t->path, 1,
                   "there is no column \"%s\"%s%.*s%s; there is: %.*s", name,
                   other.data ? " and no \"" : "", other.len < 64 ? (int)other.len : 64,
                   other.data ? other.data : "", other.data ? "\"" : "", (int)used, have);
}

/* ------------------------------ Fields ------------------------------------ */

int ps_tsv_next(ps_tsv *t, const ps_text **fields, ps_why *why)
{
    ps_text line;
    int got = next_line(t, &line, why);
    if (got <= 0)
        return got;
    size_t n = split(t, line, t->fields, t->n_columns);
    if (n != t->n_columns) {
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

bool ps_tsv_spanned(const ps_tsv *t)
{
    return t->spanned;
}

long ps_tsv_quoted(const ps_tsv *t)
{
    return t->first_quoted;
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
