/* loop.h - a thread that turns one libuv loop and pumps one source of work.
 *
 * The source is whatever can be waited for through one file descriptor: for us an HTTP
 * daemon in external-epoll mode. A turn of the pump is run(), then the question how long
 * the source can be left alone; both are asked again whenever the descriptor is ready,
 * the time is over, or a posted function has run.
 *
 * Threads: ps_loop_post from any thread; all callbacks on the loop's own.
 * Not here: signals and the main thread's loop (serve.c).
 */
#ifndef PINSAGE_SERVER_BASE_LOOP_H
#define PINSAGE_SERVER_BASE_LOOP_H

#include <stdint.h>

#include "pinsage/err.h"

typedef struct ps_loop ps_loop;

typedef struct ps_pump {
    int fd;                                  /* readable when there is something to run */
    void (*begin)(void *cls, ps_loop *loop); /* once, before all others; NULL: none */
    void (*run)(void *cls);
    /* ms until run is due, -1: not by time. turns: how often in a row it was due at once
     * while the descriptor was not ready. */
    int64_t (*timeout)(void *cls, unsigned turns);
    void (*tick)(void *cls); /* every PS_TICK_MS; NULL: none */
    void *cls;
} ps_pump;

#define PS_TICK_MS 250

int ps_loop_start(ps_loop **l, ps_pump pump, ps_why *why);
/* Run fn(cls) on the loop's thread, soon and in order. Aborts when memory is exhausted.
 */
void ps_loop_post(ps_loop *l, void (*fn)(void *cls), void *cls);
/* Run what was posted, end the thread, free. The source stays the caller's. */
void ps_loop_stop(ps_loop *l);

#endif
