/* pins_db.h - what the reading, writing and searching halves of pins.mdb share.
 *
 * A record, the value of row_pin, is bytes after bytes, lengths as varints (seven bits
 * a byte, low ones first):
 *
 *     id  title  text  image          each: length, bytes
 *     n_meta, bytes of what follows
 *     name  value  name  value ...    each: length, bytes
 *
 * Rows and numbers are u32 keys and values in the machine's order (LMDB's integer keys),
 * so a file is read by machines of one endianness, as the arrays beside it are.
 *
 * Threads: see pins.h.
 */
#ifndef PINSAGE_CORE_CATALOG_PINS_DB_H
#define PINSAGE_CORE_CATALOG_PINS_DB_H

#include <lmdb.h>
#include <stdatomic.h>

#include "pinsage/pins.h"

enum { PIN_ROW, ROW_PIN, BOARD_NUM, NUM_BOARD, PS_PINS_TABLES };

typedef struct ps_pins_table {
    const char *name;
    unsigned flags;
} ps_pins_table;
extern const ps_pins_table ps_pins_tables[PS_PINS_TABLES];

struct ps_pins {
    MDB_env *env;
    MDB_dbi dbi[PS_PINS_TABLES];
    uint32_t count, boards;
    const char *base;          /* where row 0's record is mapped */
    _Atomic uint64_t *records; /* (count) where rows' records were found, see pins.c */
};

struct ps_pins_reader {
    ps_pins *pins; /* borrowed */
    MDB_txn *txn;
};

/* LMDB's complaint as ours. */
int ps_pins_fail(ps_why *why, int rc, const char *path, const char *what);

#endif
