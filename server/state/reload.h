/* reload.h - asking that the catalog's current generation be taken up, and hearing how it
 * went.
 *
 * Threads: ask from any; done() is called on the main thread, or on the asker's when the
 * server is about to end.
 * Not here: who watches the catalog, opening, trying, switching (serve_reload.c,
 * serve_open.c).
 */
#ifndef PINSAGE_SERVER_STATE_RELOAD_H
#define PINSAGE_SERVER_STATE_RELOAD_H

#include <stdbool.h>

#include "pinsage/err.h"

typedef struct ps_reload {
    struct ps_reload *next; /* the main thread's */
    void (*done)(struct ps_reload *r);
    void *cls;
    bool accept_fewer; /* also a generation that answers by fewer methods */
    bool by_hand;      /* whoever asks means the catalog as its path leads to it today */
    /* What came of it: of an opening that began after the question. */
    int err;
    ps_why why;
    char generation[64]; /* in use now */
} ps_reload;

/* Whoever can be asked; ask is NULL where nobody can. */
typedef struct ps_reloader {
    void (*ask)(void *cls, ps_reload *r);
    void *cls;
} ps_reloader;

#endif
