/* group.h - writes of one transaction: judged, gathered, committed, shown.
 *
 * Threads: the writer's.
 */
#ifndef PINSAGE_SERVER_LIVE_GROUP_H
#define PINSAGE_SERVER_LIVE_GROUP_H

#include "pinsage/arena.h"
#include "server/live/writer.h"

/* An edge that a write changes. */
typedef struct change {
    ps_text pin, board;
    bool saved;
    uint64_t lsn;
    struct change *next;
} change;

/* A write of the group, and what it comes to. */
typedef struct member {
    ps_write *w;
    bool puts, drops;        /* the pin's record */
    change *changes, **last; /* edges, in order */
} member;

typedef struct group {
    ps_store *store;     /* borrowed */
    ps_live_view *views; /* borrowed, a list; the first one judges */
    double time;
    ps_arena arena;
    member *member; /* (n) owned by the caller */
    uint32_t n;
} group;

/* Judge and gather all, commit, and show them in every view; fills what came of each
 * write. When they do not fit into one transaction together, n becomes less: the rest is
 * for another group. Returns what the commit returned. */
int ps_group_run(group *g);

#endif
