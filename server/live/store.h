/* store.h - what was written since the generation, durably: CATALOG/live/, one LMDB.
 *
 * Everything is keyed by names, never by row numbers, so that what was written outlives
 * any generation. Each operation has a log sequence number, one more than the one before,
 * across restarts and compactions. The store holds the newest state of each name, not the
 * history; a generation says up to which number it contains the store, and whoever
 * reads passes that number and sees what came after. So it is harmless whether what a
 * generation contains is still there.
 *
 *     table   key                             value (store_record.c)
 *     pins    id                              lsn died time deleted texts features
 *     edges   XXH3-64 of pin, XXH3-128 of     lsn time saved pin board
 *             pin and board
 *     votes   lsn u64                         JSON text
 *     meta    "format" "lsn" "compacted"      u64
 *             "garbage" "id"
 *
 * A pin's `died` is the number of its newest deletion: what a generation holds of that
 * id, edges too, is dead unless the generation contains that number. Edges that were
 * in the store go with their pin, in the same operation.
 *
 * Durability. Operations are gathered in memory and appear together at commit, which
 * returns once data pages and then the meta page are on the medium. A commit that fails,
 * for want of room or because the medium does, leaves the state before it: pages of a
 * failed commit are referred to by nothing, so it does no harm that the kernel may call
 * a page clean after fsync failed once; the next commit writes all it needs again. The
 * store goes on answering and takes the next commit as soon as there is room. When it
 * cannot be told whether a commit came through, all later ones are refused in words, and
 * the next start finds out. Not promised: anything of a medium that says it wrote what
 * it did not.
 *
 * Threads: one writer thread calls what is under "Writing". Any number of threads read,
 * each with a reader of its own; they never wait for a commit, only while the map grows
 * or the file is opened again, and that waits for them: keep snapshots short.
 * Not here: the state in memory that requests read (view.h), when to commit (writer.h).
 */
#ifndef PINSAGE_SERVER_LIVE_STORE_H
#define PINSAGE_SERVER_LIVE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pinsage/err.h"
#include "pinsage/pins.h"
#include "pinsage/text.h"

#define PS_STORE_RECORD_MAX ((size_t)4 << 20)  /* bytes of one record */
#define PS_STORE_BATCH_MAX  ((size_t)64 << 20) /* of a batch that is not committed yet */

typedef struct ps_store ps_store;

typedef struct ps_store_opts {
    /* Another process may be writing, unless this one may write nothing in dir, not even
     * a lock: then PS_EBUSY. Refuses to write. One thread. */
    bool read_only;
    /* Commits fsync the data but not the meta page, up to twice as fast: a power cut
     * may undo the last ones; never a crash, and nothing is torn. */
    bool lazy_meta;
    /* Address space to begin with; 0 for 64 GiB. It costs nothing until it is used: the
     * file is as long as its content. Doubled when it is full. */
    size_t map_bytes;
    /* What the current generation contains: numbers go on above it even if live/ was
     * lost. */
    uint64_t compacted;
    /* Take what is found for the store, though the mark beside it tells of another one,
     * or of a newer state of it (store_identity.c). */
    bool accept;
    const char *step; /* what is told to who is refused meanwhile; NULL for "serve" */
} ps_store_opts;

/* dir is made when missing (read_only: PS_ENOENT), unless something was written to it
 * before: then a missing, empty, foreign or older store is PS_EFORMAT. PS_EBUSY says
 * which process writes. */
int ps_store_open(ps_store **s, const char *dir, ps_store_opts opts, ps_why *why);
/* No reader may be left. Drops a batch that is not committed. NULL is fine. */
void ps_store_close(ps_store *s);

/* Number of the last operation committed. */
uint64_t ps_store_lsn(const ps_store *s);

/* True when there is a store at dir, or was one. */
bool ps_store_exists(const char *dir);

typedef struct ps_store_counts {
    uint64_t lsn, compacted;
    uint64_t pins, edges, votes; /* records, of deletions too */
    uint64_t bytes;              /* of the file, free pages included */
    uint64_t map_bytes;
} ps_store_counts;
int ps_store_count(ps_store *s, ps_store_counts *counts, ps_why *why);

/* Read every record: that it can be read, and that its number is none to come. detail
 * (room) gets what was found. */
int ps_store_verify(ps_store *s, char *detail, size_t room, ps_why *why);

/* ---- Records ---- */

typedef struct ps_store_feature {
    ps_text name;        /* of the feature block */
    uint32_t dim;        /* 0: the pin has no vector there */
    const float *values; /* (dim) */
} ps_store_feature;

typedef struct ps_store_pin {
    ps_text id;
    uint64_t lsn;  /* of the operation */
    uint64_t died; /* of the newest deletion, 0 for none; kept by the store */
    double time;   /* seconds since 1970 */
    bool deleted;  /* then it has neither texts nor features */
    ps_text title, text, image;
    uint32_t n_meta;
    ps_text meta; /* bytes of as many pairs (ps_pin_meta_write); any without pairs */
    /* What is told of its vectors; of a block that is not named here the generation's
     * vector stays, unless `whole`. */
    uint32_t n_features;
    const ps_store_feature *features;
    bool whole; /* a record of version 1: it names all vectors that there are */
} ps_store_pin;

typedef struct ps_store_edge {
    ps_text pin, board;
    uint64_t lsn;
    double time;
    bool saved; /* false: taken from the board */
} ps_store_edge;

typedef struct ps_store_vote {
    uint64_t lsn;
    ps_text json;
} ps_store_vote;

/* ---- Writing ----
 * Each gathers one operation and tells its number (lsn may be NULL); fields that the
 * store keeps itself are not read. PS_EINVAL for a name of the wrong length, PS_ERANGE
 * for a record or a batch too large: the batch is as it was before. */
int ps_store_put_pin(ps_store *s, const ps_store_pin *pin, uint64_t *lsn, ps_why *why);
int ps_store_drop_pin(ps_store *s, ps_text id, double time, uint64_t *lsn, ps_why *why);
int ps_store_put_edge(ps_store *s, const ps_store_edge *edge, uint64_t *lsn, ps_why *why);
int ps_store_put_vote(ps_store *s, ps_text json, uint64_t *lsn, ps_why *why);
/* Bytes gathered; 0 when there is nothing to commit. */
size_t ps_store_gathered(const ps_store *s);
/* All of the batch, or, when it fails, nothing: PS_EFULL when there is no room, PS_EIO,
 * PS_EFORMAT. The batch is gone in both cases. */
int ps_store_commit(ps_store *s, ps_why *why);
void ps_store_abort(ps_store *s);

/* After the current generation contains all up to lsn: remove records up to it, of
 * votes too when they are with it. Looks at no more than `most` records in one
 * transaction; call again while *more, between batches. May be stopped anywhere, also by
 * a crash, and begun again. */
int ps_store_trim(ps_store *s, uint64_t lsn, bool votes, uint32_t most, bool *more,
                  ps_why *why);
/* Whether a trim has removed records since the file was written anew. */
bool ps_store_has_garbage(const ps_store *s);
/* Write the file anew with what is left, so that it is as short as can be and nothing of
 * what was deleted can be found in it. For after a trim: takes as long as copying
 * what is left. PS_EBUSY while another process reads; failure changes nothing. */
int ps_store_rewrite(ps_store *s, ps_why *why);

/* ---- Reading ---- */

typedef struct ps_store_reader ps_store_reader;
int ps_store_reader_new(ps_store_reader **r, ps_store *s); /* borrows s */
void ps_store_reader_free(ps_store_reader *r);             /* NULL is fine */
/* A snapshot of what is committed, until it is released. */
int ps_store_acquire(ps_store_reader *r, ps_why *why);
void ps_store_release(ps_store_reader *r);
/* Number of the last operation in the snapshot. */
uint64_t ps_store_reader_lsn(const ps_store_reader *r);

/* PS_ENOENT when the store has no record of it. What the record points to lives until the
 * reader's next call. */
int ps_store_get_pin(ps_store_reader *r, ps_text id, ps_store_pin *pin, ps_why *why);
int ps_store_get_edge(ps_store_reader *r, ps_text pin, ps_text board, ps_store_edge *edge,
                      ps_why *why);

/* Call back for every record with a number above `after`: pins by id, edges those of a
 * pin together, votes by number. What is not 0 stops, and is returned. */
typedef int ps_store_on_pin(void *cls, const ps_store_pin *pin);
typedef int ps_store_on_edge(void *cls, const ps_store_edge *edge);
typedef int ps_store_on_vote(void *cls, const ps_store_vote *vote);
int ps_store_each_pin(ps_store_reader *r, uint64_t after, ps_store_on_pin *on, void *cls,
                      ps_why *why);
int ps_store_each_edge(ps_store_reader *r, uint64_t after, ps_store_on_edge *on,
                       void *cls, ps_why *why);
int ps_store_edges_of(ps_store_reader *r, ps_text pin, uint64_t after,
                      ps_store_on_edge *on, void *cls, ps_why *why);
int ps_store_each_vote(ps_store_reader *r, uint64_t after, ps_store_on_vote *on,
                       void *cls, ps_why *why);

#endif
