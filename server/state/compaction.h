/* compaction.h - compactions of a server that goes on: one at a time, on a thread of its
 * own.
 *
 *     ask -> compact (compact.h) -> taken up (reload.h) -> the writer compacts -> done()
 *
 * Whatever is killed, fails or is called off on the way is harmless: see compact.h. The
 * thread gives way to requests, and takes half of the cores unless told otherwise.
 *
 * Threads: ask, cancel and count from any; done() is called on the compaction thread.
 * Not here: HTTP (admin.c).
 */
#ifndef PINSAGE_SERVER_STATE_COMPACTION_H
#define PINSAGE_SERVER_STATE_COMPACTION_H

#include "server/compact/compact.h"

struct ps_state;
typedef struct ps_compaction ps_compaction;

typedef struct ps_compaction_counts {
    uint64_t compactions, failed;
    uint64_t dropped; /* vectors that were written and fitted no block */
    double seconds;   /* that the last one took */
    bool running;
} ps_compaction_counts;

typedef struct ps_compaction_request {
    unsigned keep; /* older generations, 0..1000; 0 is done when the new one answers */
    void (*done)(struct ps_compaction_request *q);
    void *cls;
    /* What came of it. */
    int err;
    ps_why why;
    ps_compact_report report;
} ps_compaction_request;

int ps_compaction_start(ps_compaction **f, struct ps_state *state, unsigned threads,
                        ps_why *why);
/* Call off what is under way, and answer nothing more. NULL is fine. */
void ps_compaction_cancel(ps_compaction *f);
/* Cancel, wait for the thread, free. Whoever it may wait for must have been told of the
 * end. NULL is fine. */
void ps_compaction_stop(ps_compaction *f);

/* PS_EBUSY: one is under way; PS_ECANCELLED: the server ends. Then done is not called. */
int ps_compaction_ask(ps_compaction *f, ps_compaction_request *q);
ps_compaction_counts ps_compaction_count(ps_compaction *f);

#endif
