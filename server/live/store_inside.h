/* store_inside.h - what the parts of the store share.
 *
 * Threads: see store.h.
 */
#ifndef PINSAGE_SERVER_LIVE_STORE_INSIDE_H
#define PINSAGE_SERVER_LIVE_STORE_INSIDE_H

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

#include "pinsage/arena.h"
#include "pinsage/buf.h"
#include "pinsage/file.h"
#include "server/live/store.h"

#define PS_STORE_FORMAT 1 /* of the tables, and of an edge's record */
#define PS_PIN_FORMAT   2 /* of a pin's record; 1, without metadata, is read too */

#define PS_STORE_COPY "data.mdb.new" /* see store_rewrite.c */

enum { PINS, EDGES, VOTES, META, PS_STORE_TABLES };

typedef struct ps_store_table {
    const char *name;
    unsigned flags;
} ps_store_table;
extern const ps_store_table ps_store_tables[PS_STORE_TABLES];

/* How far a trim has come. */
typedef struct ps_sweep {
    uint64_t lsn;
    bool removed; /* something */
    int table;    /* being swept; META: finished */
    size_t size;
    unsigned char key[PS_ID_MAX]; /* (size) where to go on in it */
} ps_sweep;

/* What the mark beside the folder tells. */
typedef struct ps_store_mark {
    uint64_t id, lsn; /* id 0: there is none */
} ps_store_mark;

struct ps_store {
    char dir[PS_PATH_MAX];
    ps_store_mark mark;
    uint64_t id; /* 0: it has none */
    ps_store_opts opts;
    int lock;              /* -1: not held */
    bool checked;          /* its pages were all looked at once */
    bool lockless;         /* nothing may be written here, not even that it is read */
    pthread_rwlock_t gate; /* held by each snapshot; alone by whoever changes env */
    MDB_env *env;          /* NULL after it could not be opened again */
    MDB_dbi dbi[PS_STORE_TABLES];
    size_t map_bytes;
    _Atomic uint64_t lsn, compacted;
    /* The writer's: */
    bool garbage;  /* as "garbage" in meta says */
    bool doubt;    /* whether the last commit came through is not known */
    ps_buf batch;  /* operations gathered, see store_write.c */
    uint64_t next; /* number of the newest of them; lsn when there is none */
    ps_sweep sweep;
};

/* LMDB's complaint as ours. */
int ps_store_fail(const ps_store *s, ps_why *why, int rc, const char *what);
/* Close the file, do something to it (NULL: nothing), and open it, with a map of that
 * size, whether or not that failed. Waits for snapshots. A file that cannot be opened
 * stays closed: the next call tries again. */
int ps_store_reopen(ps_store *s, size_t map_bytes,
                    int (*meanwhile)(ps_store *s, void *cls, ps_why *why), void *cls,
                    ps_why *why);
/* A descriptor of the file that other processes flock, shared, while they read. After a
 * failure errno says why. */
int ps_store_readers(const ps_store *s, int *fd, ps_why *why);
/* Value of a key of the meta table. */
int ps_store_meta(const ps_store *s, MDB_txn *txn, const char *key, uint64_t *value);
int ps_store_set_meta(const ps_store *s, MDB_txn *txn, const char *key, uint64_t value);

/* ---- Which store it is (store_identity.c) ---- */

/* Into s->mark. */
int ps_store_read_mark(ps_store *s, ps_why *why);
/* Before the file is opened: it must be there when the mark is. */
int ps_store_expect(const ps_store *s, ps_why *why);
/* Once s->id and s->lsn are known: are they the mark's? */
int ps_store_recognise(ps_store *s, ps_why *why);
/* Writer: from now on it is this one. */
int ps_store_write_mark(ps_store *s, ps_why *why);

/* ---- Write transactions (store_write.c) ---- */

/* What one changes; an errno or LMDB's code. May be called again from the start. */
typedef int ps_store_change(ps_store *s, MDB_txn *txn, void *cls);
/* All of it durably, or nothing; the map grows as needed. */
int ps_store_run(ps_store *s, ps_store_change *fn, void *cls, ps_why *why);

/* ---- Records (store_record.c) ---- */

#define PS_EDGE_KEY 24

/* Key of an edge; the first eight bytes are its pin's. */
void ps_edge_key(ps_text pin, ps_text board, unsigned char key[PS_EDGE_KEY]);
/* Append the bytes of a record. */
void ps_record_pin(ps_buf *b, const ps_store_pin *pin);
void ps_record_edge(ps_buf *b, const ps_store_edge *edge);
/* A record read; false when these are not bytes of one. Texts are borrowed, features are
 * copied into the arena, since the map aligns nothing (NULL: features are left out). */
bool ps_record_read_pin(MDB_val value, ps_store_pin *pin, ps_arena *arena);
bool ps_record_read_edge(MDB_val value, ps_store_edge *edge);
/* Every record of pins and edges begins with its number; one too short for that counts as
 * the newest, so that whoever reads comes across it. */
uint64_t ps_record_lsn(MDB_val value);
/* A pin's `died`, and writing it over into a record in memory. */
uint64_t ps_record_died(MDB_val value);
void ps_record_set_died(void *record, uint64_t died);

#endif
