/* rest.h - the REST transport: from addresses, parameters and JSON bodies to operations.
 *
 * What is not known is refused by name, a parameter (params.h) or a field of a body
 * (body.h). A body is application/json and nothing else, which also keeps other sites'
 * pages from posting here unasked: they may send forms, but no JSON.
 *
 * Threads: the loop that owns the context.
 */
#ifndef PINSAGE_SERVER_ROUTES_REST_H
#define PINSAGE_SERVER_ROUTES_REST_H

#include "server/routes/routes.h"

void ps_rest_related(ps_context *d, const ps_request *r, ps_reply *out);
void ps_rest_pin(ps_context *d, const ps_request *r, ps_reply *out);
void ps_rest_board(ps_context *d, const ps_request *r, ps_reply *out);
void ps_rest_version(ps_context *d, const ps_request *r, ps_reply *out);

/* ---- rest_body.c: with a body, or with a change ---- */
void ps_rest_recommend(ps_context *d, const ps_request *r, ps_reply *out);
void ps_rest_embed(ps_context *d, const ps_request *r, ps_reply *out);
void ps_rest_put_pins(ps_context *d, const ps_request *r, ps_reply *out);
void ps_rest_put_pin(ps_context *d, const ps_request *r, ps_reply *out);
void ps_rest_patch_pin(ps_context *d, const ps_request *r, ps_reply *out);
void ps_rest_delete_pin(ps_context *d, const ps_request *r, ps_reply *out);
void ps_rest_save(ps_context *d, const ps_request *r, ps_reply *out);
void ps_rest_unsave(ps_context *d, const ps_request *r, ps_reply *out);
void ps_rest_vote(ps_context *d, const ps_request *r, ps_reply *out);

void ps_rest_image(ps_context *d, const ps_request *r, ps_reply *out);
void ps_rest_metrics(ps_context *d, const ps_request *r, ps_reply *out);

#endif
