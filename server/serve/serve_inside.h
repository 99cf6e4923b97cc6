/* serve_inside.h - the server's main thread as its own files see it.
 *
 *      server 1 --- n  io: a loop's thread, pumping one HTTP daemon
 *
 * Threads: the main thread, but for what a worker opens.
 */
#ifndef PINSAGE_SERVER_SERVE_SERVE_INSIDE_H
#define PINSAGE_SERVER_SERVE_SERVE_INSIDE_H

#include <sys/types.h>
#include <uv.h>

#include "server/base/listen.h"
#include "server/base/loop.h"
#include "server/base/notify.h"
#include "server/http/http.h"
#include "server/state/state.h"

#define LOOPS_MAX   256
#define WORKERS_MAX 256

typedef enum phase { RUNNING, DELAYING, REFUSING, CLOSING, STOPPED } phase;

typedef struct serve_io {
    ps_http *http;
    ps_loop *loop; /* NULL until it turns */
    bool handed; /* the listener is a copy of the service manager's: it goes on listening,
                    and nobody is taken from its queue before there are answers */
} serve_io;

typedef struct serve_reloads {
    uv_async_t wake;     /* somebody asked */
    uv_fs_event_t watch; /* of the catalog's folder */
    uv_timer_t settle;   /* after an event */
    char target[256];    /* of `current` when a generation was opened last */
    bool refused;        /* that one is not in use */
    uint64_t tried;      /* when, uv_now time */
    dev_t dev;           /* of the catalog's folder, and its number there */
    ino_t ino;
    bool away; /* the link that led to the catalog leads elsewhere */
    pthread_mutex_t lock;
    ps_reload *asked;     /* guarded by lock: for the next opening */
    bool closed;          /* guarded by lock: nobody is there to be asked */
    ps_reload *answering; /* of the opening under way */
    bool accept_fewer;    /* one of those who ask for it said so */
} serve_reloads;

typedef struct server {
    ps_state state;
    serve_reloads reloads;
    ps_notify notify;
    uv_loop_t uv;
    uv_signal_t term, interrupt, reload;
    uv_timer_t timer, chores;
    uv_work_t work;
    bool opening, again; /* a generation is being opened; another SIGHUP came */
    phase phase;
    uint64_t since; /* when the phase began, uv_now time */
    serve_io *io;   /* (state.n_loops) */
    char address[PS_ADDRESS_MAX], admin_address[PS_ADDRESS_MAX];
    ps_engine *opened; /* by the worker thread; NULL if that failed */
    int err;
    ps_why *why;
} server;

/* ---- serve.c ---- */
int serve_start_loop(serve_io *io, ps_why *why);
/* Leave the main loop now. */
void serve_stop(server *s);

/* ---- serve_live.c ---- */
/* Open the catalog's live state and start its writer, unless the server is read-only. */
int serve_live_start(ps_state *st, ps_why *why);
/* This engine answers from now on: what its generation contains may go. */
void serve_live_taken_up(ps_state *st, const ps_engine *e);
/* Finish what was submitted; what comes later is refused. While loops still turn. */
void serve_live_stop(ps_state *st);
/* When no engine is left. */
void serve_live_close(ps_state *st);
/* Of a server that only reads: what was written until now, to be closed by the caller. */
int serve_live_read(const ps_state *st, ps_store **store, ps_why *why);
/* What engines write to; NULL when nothing is written. */
const ps_writes *serve_live(const ps_state *st);

/* ---- serve_reload.c ---- */
void serve_reload_init(server *s); /* before there are loops */
void serve_reload_start(server *s);
void serve_reload_look(server *s); /* now and then */
/* Say, again if need be, where the link to the catalog leads when that is elsewhere. */
void serve_reload_tell_link(server *s);
/* An opening begins; it has ended, well or not (then the one before stays). */
void serve_reload_begin(server *s);
void serve_reload_end(server *s, int err, const ps_why *why);
/* Leave the main loop; then, when that has ended but loops still turn, tell who asked. */
void serve_reload_close(server *s);
void serve_reload_stop(server *s);
void serve_reload_done(server *s);

/* ---- serve_open.c ---- */
/* Open the catalog's current generation and answer from it, soon; a second call while
 * one is under way makes it be opened again. */
void serve_open(server *s);
/* On a worker: answer from the state's engine from now on. A ps_worker_pool_opts.refresh.
 */
void serve_refresh(void *state, unsigned worker);

#endif
