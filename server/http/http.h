/* http.h - one loop's HTTP: libmicrohttpd between the sockets and the routes.
 *
 * The daemon has no thread of its own (external epoll mode): whoever owns the loop calls
 * ps_http_run when ps_http_fd is readable or ps_http_timeout is over. Answers that may
 * be kept lie ready in a cache of this loop, as finished responses.
 *
 * The library is lax about what it takes for a request; http_guard.c refuses what
 * could mean one thing to us and another to a proxy before us. It also has no limit to
 * how slowly a request may come in; the sweep of ps_http_tick has.
 *
 * Threads: the loop's alone, but for the counters in the state.
 */
#ifndef PINSAGE_SERVER_HTTP_HTTP_H
#define PINSAGE_SERVER_HTTP_HTTP_H

#include <stdint.h>

#include "server/base/loop.h"
#include "server/state/state.h"

typedef struct ps_http ps_http;

/* Take requests from the listening socket (which becomes ours, also on failure) as loop
 * number `loop` of the state. */
int ps_http_start(ps_http **h, ps_state *state, unsigned loop, int listener, ps_why *why);
/* Close every connection, free. */
void ps_http_stop(ps_http *h);

/* The five parts of a ps_pump (loop.h). */
int ps_http_fd(const ps_http *h);
void ps_http_begin(void *h, ps_loop *loop);
void ps_http_run(void *h);
int64_t ps_http_timeout(void *h, unsigned turns); /* ms, -1 = none */
void ps_http_tick(void *h);

/* Answer from this engine from now on (a reference is taken); install is its number, as
 * ps_state_current told it. */
int ps_http_install(ps_http *h, ps_engine *e, uint32_t install);
/* Two steps to take no new connections, some time apart, so that handshakes under way
 * can end: no new ones begin; then the listener closes, and idle connections end within
 * a second. */
void ps_http_stop_listening(ps_http *h);
void ps_http_quiesce(ps_http *h);
/* Last of all, once workers and writer have stopped: answer whoever still waits. */
void ps_http_release(ps_http *h);

#endif
