/* progress.h - how long work tells how far it is, without knowing who listens.
 *
 * core/ and index/ never print: they call ps_progress_at, often and cheaply; the
 * listener (server/cli/progress.c) decides when to show a bar, a line, or nothing.
 * A listener may also ask for the work to stop: then ps_progress_at returns
 * PS_ECANCELLED, which the worker passes on.
 *
 * Threads: ps_progress_at may be called from several threads if the listener says so;
 * the one in server/ does.
 */
#ifndef PINSAGE_PROGRESS_H
#define PINSAGE_PROGRESS_H

#include <stdint.h>

#include "pinsage/err.h"

typedef struct ps_progress {
    /* done of total (0 = unknown) units of stage, e.g. ("walks", 1000, 26000, "pins").
     * done == total ends the stage. note may be NULL. */
    int (*at)(void *cls, const char *stage, uint64_t done, uint64_t total,
              const char *unit, const char *note);
    void *cls;
} ps_progress;

/* p may be NULL, and p->at too: nobody listens. */
static inline int ps_progress_at(const ps_progress *p, const char *stage, uint64_t done,
                                 uint64_t total, const char *unit)
{
    return p && p->at ? p->at(p->cls, stage, done, total, unit, 0) : PS_OK;
}

static inline int ps_progress_note(const ps_progress *p, const char *stage, uint64_t done,
                                   uint64_t total, const char *unit, const char *note)
{
    return p && p->at ? p->at(p->cls, stage, done, total, unit, note) : PS_OK;
}

#endif
