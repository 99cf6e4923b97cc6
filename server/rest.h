/* rest.h - the REST door: from addresses and parameters to operations.
 *
 * A parameter we do not know is refused by name, so that a misspelt one is noticed; one
 * given twice is refused too, but for exclude.
 *
 * Threads: the loop that owns the door.
 */
#ifndef PINSAGE_SERVER_REST_H
#define PINSAGE_SERVER_REST_H

#include "server/routes.h"

void ps_rest_related(ps_door *d, const ps_request *r, ps_reply *out);
void ps_rest_pin(ps_door *d, const ps_request *r, ps_reply *out);
void ps_rest_board(ps_door *d, const ps_request *r, ps_reply *out);
void ps_rest_version(ps_door *d, const ps_request *r, ps_reply *out);
void ps_rest_image(ps_door *d, const ps_request *r, ps_reply *out);
void ps_rest_metrics(ps_door *d, const ps_request *r, ps_reply *out);

#endif
