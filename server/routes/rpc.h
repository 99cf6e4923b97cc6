/* rpc.h - the RPC transport: unary calls of the Connect protocol over HTTP/1.1.
 *
 *     POST /pinsage.v1.RecommendService/METHOD      the body is the message
 *     GET  /pinsage.v1.RecommendService/METHOD?connect=v1&encoding=json&message=...
 *
 * The message is JSON or protobuf, by Content-Type (application/json, application/proto)
 * or by encoding (json, proto), and so is the answer. A message in an address may be
 * base64 (base64=1), of the kind that is safe there, padded or not. Either side may pack
 * with gzip.
 * An error is JSON whatever was asked for.
 *
 * Threads: the loop that owns the context.
 * Not here: what the methods are (calls.h), their addresses (routes.c).
 */
#ifndef PINSAGE_SERVER_ROUTES_RPC_H
#define PINSAGE_SERVER_ROUTES_RPC_H

#include "server/routes/routes.h"

/* The method named by the address. */
void ps_rpc_call(ps_context *d, const ps_request *r, ps_reply *out);
/* 404, which clients read as unimplemented. */
void ps_rpc_unknown(ps_context *d, const ps_request *r, ps_reply *out);
bool ps_rpc_is_unknown(ps_text method);
/* grpc.health.v1.Health/Check: the server ("") and its service are ready or not. */
void ps_rpc_health(ps_context *d, const ps_request *r, ps_reply *out);

#endif
