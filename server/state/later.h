/* later.h - answers that are not ready when their handler returns.
 *
 *      loop                      worker                    any thread
 *      handler: ps_later -----> handler, again
 *      then <----------------------------- ps_wait_begin
 *      then <----------------------------------------------- ps_wait_finish
 *      the answer is sent
 *
 * Work that takes longer than a lookup is not done on a loop, for all connections of that
 * loop would wait: the handler asks ps_later and is called a second time on a worker.
 * What somebody else finishes (the writer, when a group of writes is durable) holds no
 * thread at all: the exchange waits, and its answer is filled by a function on the loop.
 *
 * Threads: ps_wait_finish from any; the rest on the thread that the handler runs on.
 * Not here: suspending the connection meanwhile (server/http/http_later.c).
 */
#ifndef PINSAGE_SERVER_STATE_LATER_H
#define PINSAGE_SERVER_STATE_LATER_H

#include "server/message/request.h"
#include "server/state/context.h"

/* True on a loop: return, leaving out as it is; the handler is called again on a worker,
 * with the worker's own context. When no worker comes to it in time, the client is told
 * so. False on a worker: go on. */
bool ps_later(const ps_context *d, ps_reply *out);

/* Fills out (which was reset) once the wait is finished, on the loop. It may say ps_later
 * or begin another wait. cls lives in the request's arena, or by itself. */
typedef void (*ps_then)(ps_context *d, const ps_request *r, ps_reply *out, void *cls);

/* Of one exchange; the transport owns it and fills finish. */
typedef struct ps_wait {
    ps_then then;
    void *cls;
    void (*end)(void *cls); /* NULL, or called when the exchange is over */
    void *end_cls;
    bool begun;                        /* by the handler, on the handler's thread */
    bool finished;                     /* the loop has heard of it */
    void (*finish)(struct ps_wait *w); /* from any thread: has the loop go on */
} ps_wait;

/* Once in a run of a handler, or of a ps_then: the answer to r comes from `then`. What
 * stands in the reply is dropped. */
ps_wait *ps_wait_begin(const ps_request *r, ps_then then, void *cls);

/* Have end(cls) called when the exchange is over, whatever became of it: for what a wait
 * needs that the arena cannot hold. At most once in a request. */
void ps_wait_end(const ps_request *r, void (*end)(void *cls), void *cls);

/* Exactly once for each wait, also before the handler has returned. The request and its
 * arena stay until then, whatever becomes of the client. A request that has a deadline is
 * answered deadline_exceeded when it passes: then `then` is never called. */
void ps_wait_finish(ps_wait *w);

#endif
