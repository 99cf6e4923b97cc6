/* routes.h - every address of the server, in one table.
 *
 * A path is matched part by part: "{pin}" takes any one part, "{image...}" all that are
 * left. GET answers HEAD too. The first row whose path and verb fit is taken; when only
 * the path fits, the answer is 405 with the verbs that would.
 *
 * Threads: the table is constant; a context belongs to one loop or worker.
 * Not here: what the addresses do (rest.c, rpc.c, admin.c, health.c, web.c).
 */
#ifndef PINSAGE_SERVER_ROUTES_ROUTES_H
#define PINSAGE_SERVER_ROUTES_ROUTES_H

#include "server/message/reply.h"
#include "server/message/request.h"
#include "server/state/context.h"

typedef void (*ps_handler)(ps_context *d, const ps_request *r, ps_reply *out);

typedef struct ps_route {
    ps_verb verb;
    const char *path;
    ps_handler handle;
    bool engine;                 /* needs one: 503 until it is loaded */
    bool cacheable;              /* good answers may be kept, and have an ETag */
    bool probe;                  /* its failures are answers, and no errors for the log */
    bool write, admin;           /* what ps_auth_check asks for */
    bool on_worker;              /* always done by a worker */
    bool no_deadline;            /* --deadline does not count, only the client's own */
    bool bulk;                   /* its body may have --bulk-bytes */
    bool bodyless;               /* it takes no body, though its verb would */
    bool rpc;                    /* a call: it says itself what coding it cannot read */
    bool (*exists)(ps_text arg); /* NULL, or: the row fits only if this says so */
    const char *const *params;   /* as ps_params_check takes them; NULL: not checked */
} ps_route;

/* Row i, NULL past the end. The row before the end is where requests are counted that
 * fit none; it matches nothing. */
const ps_route *ps_route_at(unsigned i);
unsigned ps_route_unmatched(void);

/* True if requests for the row may have a body. */
bool ps_route_takes_body(const ps_route *route);
/* Parse r's target, find its row (r->route) and see whether it may be asked. False: out,
 * which was reset, is the answer. */
bool ps_route_admit(ps_context *d, ps_request *r, ps_reply *out);
/* Let the row's handler answer. */
void ps_route_run(ps_context *d, const ps_request *r, ps_reply *out);

#endif
