/* folding.h - folds of a server that goes on: one at a time, on a thread of its own.
 *
 *     ask -> fold (fold.h) -> taken up (reload.h) -> the writer absorbs -> done()
 *
 * Whatever is killed, fails or is called off on the way is harmless: see fold.h. The
 * thread gives way to requests, and takes half of the cores unless told otherwise.
 *
 * Threads: ask, cancel and count from any; done() is called on the folding thread.
 * Not here: HTTP (admin.c).
 */
#ifndef PINSAGE_SERVER_SERVE_FOLDING_H
#define PINSAGE_SERVER_SERVE_FOLDING_H

#include "server/doors/metrics.h"
#include "server/fold/fold.h"

struct ps_state;
typedef struct ps_folding ps_folding;

typedef struct ps_fold_question {
    unsigned keep; /* older generations, 0..1000; 0 is done when the new one answers */
    void (*done)(struct ps_fold_question *q);
    void *cls;
    /* What came of it. */
    int err;
    ps_why why;
    ps_fold_report report;
} ps_fold_question;

int ps_folding_start(ps_folding **f, struct ps_state *state, unsigned threads,
                     ps_why *why);
/* Call off what is under way, and answer nothing more. NULL is fine. */
void ps_folding_cancel(ps_folding *f);
/* Cancel, wait for the thread, free. Whoever it may wait for must have been told of the
 * end. NULL is fine. */
void ps_folding_stop(ps_folding *f);

/* PS_EBUSY: one is under way; PS_ECANCELLED: the server ends. Then done is not called. */
int ps_folding_ask(ps_folding *f, ps_fold_question *q);
struct ps_fold_facts ps_folding_count(ps_folding *f);

#endif
