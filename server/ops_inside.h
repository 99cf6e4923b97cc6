/* ops_inside.h - pieces of answers that several operations share.
 *
 * Threads: see ops.h.
 */
#ifndef PINSAGE_SERVER_OPS_INSIDE_H
#define PINSAGE_SERVER_OPS_INSIDE_H

#include "server/answer.h"
#include "server/ops.h"

/* Names of files below --images become addresses of this server, written into scratch,
 * which the caller ends; others stay as they are. */
ps_text op_image(const ps_door *d, ps_text image, ps_buf *scratch);
/* A list of pinsage.v1.Result. */
int op_add_results(ps_door *d, ps_answer *a, ps_field f, const ps_scored *result,
                   uint32_t n);
/* An unknown pin gets an error that names those near it. */
void op_refuse_pin(ps_door *d, ps_text pin, const ps_why *why, ps_reply *out);

#endif
