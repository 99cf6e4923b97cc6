/* tsv.h - the lines of a tab-separated file, plain or gzip, one after the other.
 *
 * The first line names the columns; every other line has as many fields. UTF-8, no
 * escapes. Fields may be in quotes as pandas and Excel write them (quoted.h); such a one
 * may hold tabs and line ends. A byte order mark, CRLF line ends and a last line without
 * an end are tolerated; anything else that is odd is refused with file and line: text
 * that is not UTF-8, a NUL byte, a line with too few or too many fields, a line that is
 * too long, gzip data that is damaged or cut off. Files of other kinds are named for what
 * they are, with a command that helps (foreign.h).
 *
 *     err = ps_tsv_open(&t, path, 0, why);
 *     if (!err)
 *         err = ps_tsv_need(t, "pin", &pin, why);
 *     while (!err && (err = ps_tsv_next(t, &field, why)) > 0)
 *         err = add(field[pin].data, field[pin].len);
 *     ps_tsv_close(t);
 *
 * Threads: a reader belongs to one thread. Not here: what the columns mean.
 */
#ifndef PINSAGE_CORE_DATA_TSV_H
#define PINSAGE_CORE_DATA_TSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pinsage/err.h"
#include "pinsage/text.h"

#define PS_TSV_MAX_LINE    ((size_t)16 << 20)
#define PS_TSV_MAX_COLUMNS 4096

typedef struct ps_tsv ps_tsv;

/* Open and read the header. max_line: bytes of the longest line accepted, 0 means
 * PS_TSV_MAX_LINE. PS_EFORMAT: the file is empty, a column has no name, or two have the
 * same. */
int ps_tsv_open(ps_tsv **t, const char *path, size_t max_line, ps_why *why);
void ps_tsv_close(ps_tsv *t); /* NULL is fine */

/* Columns, and their names as the header has them; borrowed until close. */
size_t ps_tsv_columns(const ps_tsv *t);
ps_text ps_tsv_name(const ps_tsv *t, size_t column);
/* Let columns be found under other names: "pin=item_id,board=user_id" (borrowed until
 * close, NULL for none). The column of the other name is taken where there is one. */
void ps_tsv_rename(ps_tsv *t, const char *columns);
/* Position of a column, -1 when there is none. */
int ps_tsv_find(const ps_tsv *t, const char *name);
/* The same for a column that must be there: PS_EFORMAT tells which ones are. */
int ps_tsv_need(const ps_tsv *t, const char *name, size_t *column, ps_why *why);

/* Next line: 1 and its fields, one a column, in *fields; 0 at the end; or an error.
 * Fields are borrowed until the next call. */
int ps_tsv_next(ps_tsv *t, const ps_text **fields, ps_why *why);
/* Number of the line that ps_tsv_next gave last, its first if it had several; the header
 * is line 1. */
long ps_tsv_line(const ps_tsv *t);
/* True when some record so far had several lines: then records and lines are not the same
 * numbers. */
bool ps_tsv_spanned(const ps_tsv *t);
/* Line of the first field in quotes so far, 0 when there was none. */
long ps_tsv_quoted(const ps_tsv *t);
const char *ps_tsv_path(const ps_tsv *t);

/* For progress: bytes of the file read so far (packed ones, if it is gzip), and its
 * size, 0 when that is not known (a pipe). */
uint64_t ps_tsv_done(const ps_tsv *t);
uint64_t ps_tsv_total(const ps_tsv *t);

#endif
