/* ops.h - the operations of the service, one function each, whichever transport asked.
 *
 * A transport reads its own syntax into the structs of questions.h and gets the JSON
 * answer, which is the same for all transports, or an error of reply.h.
 *
 * Threads: the loop that owns the context.
 * Not here: URLs (rest.c), ranking (engine.h).
 */
#ifndef PINSAGE_SERVER_API_OPS_H
#define PINSAGE_SERVER_API_OPS_H

#include "server/message/questions.h"
#include "server/message/request.h"
#include "server/state/context.h"

/* {"pin","method","source","generation","results":[{"pin","score","title","image"}]},
 * with "board" after "pin" when one was asked for. */
void ps_op_related(ps_context *d, const ps_request *r, const ps_related *q,
                   ps_reply *out);
/* The same of a ranking that is there already, of a question begun at `since` (ns). Of
 * the context only its reader and the images of its state are looked at. */
void ps_op_write_related(ps_context *d, const ps_related *q, const ps_ranking *r,
                         uint64_t since, ps_reply *out);

/* {"pin","title","text","image","boards":[..],"board_count","metadata":{..},"etag"},
 * and "features" when asked for. */
void ps_op_get_pin(ps_context *d, const ps_request *r, const ps_get_pin *q,
                   ps_reply *out);

/* {"board","count","pins":[{"pin","title","image"}]} */
void ps_op_get_board(ps_context *d, const ps_request *r, const ps_get_board *q,
                     ps_reply *out);

/* {"method","source","generation","results","missing"}. */
void ps_op_recommend(ps_context *d, const ps_request *r, const ps_recommend *q,
                     ps_reply *out);
/* {"vector","method","source","generation","results"}. */
void ps_op_embed(ps_context *d, const ps_request *r, const ps_embed_pin *q,
                 ps_reply *out);
/* Those that write are answered when what they did is durable and the next question sees
 * it: {"pin","created","etag"}, {"pin","etag"}, {"pin"}, {"board","pin","changed"},
 * {"votes"}. */
void ps_op_put_pin(ps_context *d, const ps_request *r, const ps_put_pin *q,
                   ps_reply *out);
void ps_op_patch_pin(ps_context *d, const ps_request *r, const ps_put_pin *q,
                     ps_reply *out);
void ps_op_delete_pin(ps_context *d, const ps_request *r, const ps_delete_pin *q,
                      ps_reply *out);
void ps_op_save(ps_context *d, const ps_request *r, const ps_save *q, ps_reply *out);
void ps_op_unsave(ps_context *d, const ps_request *r, const ps_save *q, ps_reply *out);
void ps_op_vote(ps_context *d, const ps_request *r, const ps_vote *q, ps_reply *out);
/* Many pins: a line a pin in, a line a pin out (ops_bulk.c). */
void ps_op_put_pins(ps_context *d, const ps_request *r, ps_reply *out);

/* {"version","generation","pins","boards","edges","index":{..},"methods":[..],
 *  "sample":[ids]} */
void ps_op_version(ps_context *d, ps_reply *out);

#endif
