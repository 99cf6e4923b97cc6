/* live.h - one generation's live view, built from the store and kept up by the writer.
 *
 * Threads: built by one thread, then the writer's (writer.h); read by all through its
 * ps_view.
 */
#ifndef PINSAGE_SERVER_LIVE_LIVE_H
#define PINSAGE_SERVER_LIVE_LIVE_H

#include "pinsage/progress.h"
#include "server/live/embedding.h"
#include "server/live/store.h"
#include "server/live/view.h"

typedef struct ps_live_view {
    ps_view *view;
    ps_embedding *embedding;
    uint64_t lsn;      /* the last operation of the store that it shows */
    uint32_t *queue;   /* owned, a ring (room): stale rows to be embedded anew */
    uint32_t first, n; /* of the ring */
    uint32_t room;
    bool failed;               /* some could not be embedded; they are stale still */
    bool overflowed;           /* some stale rows are not in the ring */
    struct ps_live_view *next; /* the writer's list */
} ps_live_view;

/* A view of g and of what the store has beyond what g compacted ("live.compacted" of its
 * manifest), live pins embedded. store NULL: of g alone. room: of the queue. Borrows g's
 * featurizer. */
int ps_live_view_open(ps_live_view *l, ps_generation *g, const ps_featurizer *featurizer,
                      ps_store *store, uint32_t room, const ps_progress *progress,
                      ps_why *why);
void ps_live_view_close(ps_live_view *l);

/* The writer: bring l up to date with the store. */
int ps_live_view_catch_up(ps_live_view *l, ps_store *store, const ps_progress *progress,
                          ps_why *why);
/* A row's boards changed: note it and queue it. */
int ps_live_view_touch(ps_live_view *l, uint32_t row, double time);
/* Embed up to `most` stale rows anew; returns how many, or an error: then they stay
 * stale, until all are queued again. */
void ps_live_view_retry(ps_live_view *l);
int ps_live_view_refresh(ps_live_view *l, uint32_t most);

#endif
