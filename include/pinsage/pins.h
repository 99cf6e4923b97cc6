/* pins.h - who is who: pin ids and rows, titles and metadata, boards by name.
 *
 * One LMDB file, pins.mdb, written once by import and then only read: four tables
 *   pin_row   id -> row u32          row_pin   row u32 -> record
 *   board_num board -> number u32    num_board number u32 -> board
 * A record is id, title, text, image, then how many metadata there are, their bytes, and
 * their names and values; each text has a varint length in front. Ids and board names
 * have 1 to 511 bytes (LMDB's key limit).
 *
 * LMDB believes what its file says: opening checks that none of it is missing, the rest
 * is for the checksum that `verify` reads.
 *
 * Threads: a ps_pins may be shared; each thread reads through its own ps_pins_reader.
 * Strings that a reader returns are borrowed from the mapped file and live until
 * ps_pins_close.
 */
#ifndef PINSAGE_PINS_H
#define PINSAGE_PINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pinsage/buf.h"
#include "pinsage/err.h"
#include "pinsage/text.h"

#define PS_ID_MAX 511
#define PS_NO_ROW UINT32_MAX

typedef struct ps_pin {
    ps_text id, title, text, image;
    uint32_t n_meta;
    const void *meta; /* walk with ps_pin_meta */
} ps_pin;

typedef struct ps_pins ps_pins;
typedef struct ps_pins_reader ps_pins_reader;

int ps_pins_open(ps_pins **p, const char *path, ps_why *why);
void ps_pins_close(ps_pins *p);
uint32_t ps_pins_count(const ps_pins *p);
uint32_t ps_pins_boards(const ps_pins *p);

int ps_pins_reader_new(ps_pins_reader **r, ps_pins *p); /* borrows p */
void ps_pins_reader_free(ps_pins_reader *r);

/* Row of a pin id, PS_NO_ROW when there is none. */
uint32_t ps_pins_row(ps_pins_reader *r, const char *id, size_t len);
/* Record of a row; PS_ENOENT past the end. */
int ps_pins_get(ps_pins_reader *r, uint32_t row, ps_pin *pin);
/* Records that will be asked for: their memory is fetched for all at once. */
void ps_pins_prefetch(ps_pins_reader *r, const uint32_t *row, size_t n);
/* Step through a pin's metadata: *at is 0 first; 0 when there is no more. */
int ps_pin_meta(const ps_pin *pin, size_t *at, ps_text *name, ps_text *value);
/* Append what a ps_pin's meta points to: n_meta pairs name, value. */
void ps_pin_meta_write(ps_buf *b, const ps_text *meta, uint32_t n_meta);
/* Whether these bytes, of unknown origin, are those of so many pairs. */
bool ps_pin_meta_check(ps_text bytes, uint32_t n_meta);
uint32_t ps_pins_board(ps_pins_reader *r, const char *board, size_t len);
int ps_pins_board_name(ps_pins_reader *r, uint32_t number, ps_text *name);

/* XXH3 of every id, in row order, into out (N): seeds of walks come from these. */
int ps_pins_hashes(ps_pins_reader *r, uint64_t *out);
/* Pins as somebody else sees them, who may have deleted some, renamed some and added
 * others after the stored ones. pin fills in a row's record, in memory that outlives the
 * search, and fails for a pin that is not there. */
typedef struct ps_pins_seen {
    int (*pin)(void *cls, uint32_t row, ps_pin *pin);
    void *cls;
    uint32_t rows; /* one past the largest */
} ps_pins_seen;
/* Ids nearest to a misspelt one, best first, at most max; returns how many. Those one or
 * two edits away; then pins among the first few thousand whose title contains it; if
 * there are none, ids that begin like it. Bounded work: a few thousand seeks, never a
 * scan of a large catalog (a few milliseconds in one of a million ids). Of the pins that
 * seen has; NULL: of those that are stored. */
size_t ps_pins_suggest(ps_pins_reader *r, const ps_pins_seen *seen, ps_text id,
                       ps_text *out, size_t max);

/* ---- Writing, import only ---- */
typedef struct ps_pins_writer ps_pins_writer;
/* room: bytes of input text, to size the map. */
int ps_pins_writer_new(ps_pins_writer **w, const char *path, uint64_t room, ps_why *why);
/* Next row. meta: n_meta pairs name, value. Ids must be unique: the caller checks. */
int ps_pins_writer_pin(ps_pins_writer *w, const ps_pin *pin, const ps_text *meta,
                       uint32_t n_meta, ps_why *why);
/* The two lookups by name, given in row order; sorted here so that pages are appended. */
int ps_pins_writer_ids(ps_pins_writer *w, const ps_text *ids, uint32_t n, ps_why *why);
int ps_pins_writer_boards(ps_pins_writer *w, const ps_text *boards, uint32_t n,
                          ps_why *why);
int ps_pins_writer_close(ps_pins_writer *w, ps_why *why); /* commit, sync, free */
void ps_pins_writer_abort(ps_pins_writer *w);

#endif
