/* rest.h - the REST door: from addresses, parameters and JSON bodies to operations.
 *
 * What is not known is refused by name, a parameter (params.h) or a field of a body
 * (body.h). A body is application/json and nothing else, which also keeps other sites'
 * pages from posting here unasked: they may send forms, but no JSON.
 *
 * Threads: the loop that owns the door.
 */
#ifndef PINSAGE_SERVER_DOORS_REST_H
#define PINSAGE_SERVER_DOORS_REST_H

#include "server/doors/routes.h"

void ps_rest_related(ps_door *d, const ps_request *r, ps_reply *out);
void ps_rest_pin(ps_door *d, const ps_request *r, ps_reply *out);
void ps_rest_board(ps_door *d, const ps_request *r, ps_reply *out);
void ps_rest_version(ps_door *d, const ps_request *r, ps_reply *out);

/* ---- rest_body.c: with a body, or with a change ---- */
void ps_rest_recommend(ps_door *d, const ps_request *r, ps_reply *out);
void ps_rest_embed(ps_door *d, const ps_request *r, ps_reply *out);
void ps_rest_put_pins(ps_door *d, const ps_request *r, ps_reply *out);
void ps_rest_put_pin(ps_door *d, const ps_request *r, ps_reply *out);
void ps_rest_delete_pin(ps_door *d, const ps_request *r, ps_reply *out);
void ps_rest_save(ps_door *d, const ps_request *r, ps_reply *out);
void ps_rest_unsave(ps_door *d, const ps_request *r, ps_reply *out);
void ps_rest_vote(ps_door *d, const ps_request *r, ps_reply *out);

void ps_rest_image(ps_door *d, const ps_request *r, ps_reply *out);
void ps_rest_metrics(ps_door *d, const ps_request *r, ps_reply *out);

#endif
