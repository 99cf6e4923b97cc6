/* batch.h - writes of one transaction: judged, gathered, committed, shown.
 *
 * Threads: the writer's.
 */
#ifndef PINSAGE_SERVER_LIVE_BATCH_H
#define PINSAGE_SERVER_LIVE_BATCH_H

#include "pinsage/arena.h"
#include "server/live/edit.h"
#include "server/live/writer.h"

/* An edge that a write changes. */
typedef struct change {
    ps_text pin, board;
    bool saved;
    uint64_t lsn;
    struct change *next;
} change;

/* A write of the batch, and what it comes to. */
typedef struct pending_write {
    ps_write *w;
    bool puts, drops;        /* the pin's record */
    ps_edited edited;        /* what is put */
    change *changes, **last; /* edges, in order */
} pending_write;

typedef struct write_batch {
    ps_store *store;     /* borrowed */
    ps_live_view *views; /* borrowed, a list; the first one judges */
    double time;
    ps_arena arena;
    pending_write *pending; /* (n) owned by the caller */
    uint32_t n;
} write_batch;

/* Judge and gather all, commit, and show them in every view; fills what came of each
 * write. When they do not fit into one transaction together, n becomes less: the rest is
 * for another batch. Returns what the commit returned. */
int ps_batch_run(write_batch *g);

#endif
