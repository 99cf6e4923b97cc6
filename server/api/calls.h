/* calls.h - an operation reached by a message: read the message, then do it.
 *
 * Both transports come through here with a body: the RPC transport with all of its
 * methods, the REST transport where an address takes a body. A further method is a
 * function and a row of calls.c, a reader (body.h), and an operation (ops.h).
 *
 * Threads: see ops.h.
 */
#ifndef PINSAGE_SERVER_API_CALLS_H
#define PINSAGE_SERVER_API_CALLS_H

#include "server/api/body.h"
#include "server/api/ops.h"

#define PS_SERVICE "pinsage.v1.RecommendService"

typedef void (*ps_call)(ps_context *d, const ps_body *b, ps_reply *out);

/* Those that REST has an address for. */
void ps_call_recommend(ps_context *d, const ps_body *b, ps_reply *out);
void ps_call_embed(ps_context *d, const ps_body *b, ps_reply *out);
void ps_call_put_pin(ps_context *d, const ps_body *b, ps_reply *out);
void ps_call_patch_pin(ps_context *d, const ps_body *b, ps_reply *out);
void ps_call_vote(ps_context *d, const ps_body *b, ps_reply *out);

/* The call of a method's name; NULL when there is none. */
ps_call ps_call_find(ps_text method);

#endif
