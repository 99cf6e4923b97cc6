/* writer_inside.h - the writer as its own files see it.
 *
 * Threads: see writer.h.
 */
#ifndef PINSAGE_SERVER_LIVE_WRITER_INSIDE_H
#define PINSAGE_SERVER_LIVE_WRITER_INSIDE_H

#include <pthread.h>

#include "server/live/batch.h"

/* What another thread waits for the writer to do. */
typedef struct command {
    enum { ATTACH, DETACH } what;
    ps_live_view *l;
    int err;
    ps_why *why;
    bool done;
} command;

/* Somebody wants to see a view when nothing in it is stale. */
typedef struct snapshot_request {
    const ps_live_view *l;
    ps_epoch_slot *slot;
    ps_snapshot *s;
    uint64_t *lsn;
    int err;
    bool done;
} snapshot_request;

/* What a write is about, in hashes: one board of a pin, or the whole of it. */
typedef struct subject {
    uint64_t pin, board; /* pin 0: nobody's */
    bool whole;
} subject;

struct ps_writer {
    ps_store *store;
    ps_writer_opts opts;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work, answered;
    ps_write *first, **last;   /* the queue */
    command *command;          /* one at a time */
    snapshot_request *request; /* the same; it may have to wait */
    bool stopping, ended;      /* asked to; the thread is gone */
    ps_writer_counts counts;
    ps_live_view *views;    /* newest first */
    uint64_t told;          /* under the lock: records up to it may go; 0: nothing new */
    uint64_t trim;          /* the same, being done; 0: nothing to do */
    uint64_t hindered;      /* the same, once no other process reads the file; 0: none */
    pending_write *pending; /* (batch) */
    subject *subject;       /* (batch) what they are about */
    ps_arena arena;
};

/* Under the lock, which it lets go of meanwhile: do what is asked. */
void writer_answer(ps_writer *w);
/* Under the lock, between two batches, when nothing is stale: the snapshot that was asked
 * for is taken. */
void writer_take_snapshot(ps_writer *w);

#endif
