/* writer.h - the one thread that changes live state: durable first, then seen, then told.
 *
 *     submit -> queue -> batch -> LMDB transaction -> views -> embedding -> done()
 *
 * Writes that wait together are committed together, at most `batch` of them and never two
 * of the same pin, but for saves to different boards, so that each is judged by what
 * stood before the batch. A write is done, and only then answered, when its transaction
 * is durable, every view shows it and a new pin has its vector. When no write waits, or
 * too long after the last pause, the writer embeds stored pins anew whose boards changed.
 *
 * Threads: submit from any; done() is called on the writer's thread.
 */
#ifndef PINSAGE_SERVER_LIVE_WRITER_H
#define PINSAGE_SERVER_LIVE_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "pinsage/err.h"
#include "pinsage/text.h"
#include "server/live/live.h"
#include "server/message/questions.h"

typedef enum ps_write_kind {
    PS_WRITE_PUT,    /* a pin's content and boards; what is not told stays */
    PS_WRITE_PATCH,  /* the same of a pin that must be there */
    PS_WRITE_DELETE, /* a pin, from all its boards */
    PS_WRITE_SAVE,   /* a pin to a board */
    PS_WRITE_UNSAVE, /* a pin from a board */
    PS_WRITE_VOTE    /* a judgement */
} ps_write_kind;

/* What the pin must be for the write to happen. */
typedef enum ps_match { PS_MATCH_ANY, PS_MATCH_LSN, PS_MATCH_THERE } ps_match;

typedef struct ps_write {
    ps_write_kind kind;
    ps_text pin, board; /* of save and unsave */
    ps_content content; /* of a put or patch; all borrowed until done is called */
    ps_edit_how features, metadata, boards; /* of the content; texts stay when NULL */
    ps_text json;                           /* of a vote */
    ps_match match;
    uint64_t match_lsn;
    /* Called once, on the writer's thread, when the write is durable and seen, or when
     * it came to nothing. */
    void (*done)(struct ps_write *w);
    void *cls;
    /* What came of it: PS_ENOENT no such pin, PS_EMISMATCH the precondition, PS_EFULL no
     * room on the disk, PS_EBUSY no view is attached, PS_EINVAL in words. */
    int err;
    ps_why why;
    uint64_t lsn; /* the pin's version now (ps_view_lsn) */
    /* put: it was not there; patch, delete, save, unsave: something was done */
    bool changed;
    uint64_t votes;
    struct ps_write *next; /* the writer's */
} ps_write;

typedef struct ps_writer ps_writer;

typedef struct ps_writer_opts {
    uint32_t batch; /* 64, 1..4096: writes of one transaction */
    uint32_t delay; /* 0, 0..1000 ms: waited for more to join; 0: whoever is there */
    uint32_t queue; /* 4096, 1..1000000: writes waiting; more are refused */
    uint32_t stale; /* 100000, 1..100000000: stored pins waiting to be embedded anew */
} ps_writer_opts;

/* Borrows the store. */
int ps_writer_start(ps_writer **w, ps_store *store, ps_writer_opts opts, ps_why *why);
/* Finish what was submitted and end the thread: what is submitted later is refused, views
 * may still be detached. NULL is fine. */
void ps_writer_stop(ps_writer *w);
/* After the stop, and when no view is attached. NULL is fine. */
void ps_writer_free(ps_writer *w);

/* PS_EBUSY: the queue is full; the write stays the caller's. */
int ps_writer_submit(ps_writer *w, ps_write *write);

/* Bring a view, built at some version of the store, up to date and keep it so until it is
 * detached. Both wait for the writer. */
int ps_writer_attach(ps_writer *w, ps_live_view *l, ps_why *why);
void ps_writer_detach(ps_writer *w, ps_live_view *l);
/* A snapshot of an attached view, taken between two batches when no stored pin waits to
 * be embedded anew: graph, names and vectors are all as of operation *lsn. slot is of the
 * view, and is exited by the caller. PS_EBUSY when that is not reached within a moment,
 * with what is left of it in *stale: ask again, the writer does those first. */
int ps_writer_snapshot(ps_writer *w, const ps_live_view *l, ps_epoch_slot *slot,
                       ps_snapshot *s, uint64_t *lsn, uint32_t *stale);
/* The generation in use has compacted all up to lsn: the store forgets it, a little after
 * each batch, and has its file written anew at the end (`trimming` of the counts). May
 * be said again at every start; does not wait. */
void ps_writer_trim(ps_writer *w, uint64_t lsn);

/* What an engine needs to be written to. */
typedef struct ps_writes {
    ps_store *store;
    ps_writer *writer; /* NULL: it can be read alone */
    uint32_t stale;    /* as in the options */
} ps_writes;

typedef struct ps_writer_counts {
    uint64_t writes, refused, failed, batches;
    uint64_t embedded_again; /* stale rows */
    uint32_t waiting, stale; /* in the queues */
    double oldest_stale;     /* age in seconds of the longest waiting, 0: none */
    double commit_seconds;   /* all batches together */
    bool full;               /* the last batch found no room */
    bool trimming;           /* records that a compaction made needless are still there */
} ps_writer_counts;
ps_writer_counts ps_writer_count(ps_writer *w);

#endif
