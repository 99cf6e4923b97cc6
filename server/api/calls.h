/* calls.h - an operation reached by a message: read the message, then do it.
 *
 * Both transports come through here with a body: the RPC transport with all of its
 * methods, the REST transport where an address takes a body. A further method is a line
 * of this table, a reader (body.h), an operation (ops.h), and its row of the routes.
 *
 * Threads: see ops.h.
 */
#ifndef PINSAGE_SERVER_API_CALLS_H
#define PINSAGE_SERVER_API_CALLS_H

#include "server/api/body.h"
#include "server/api/ops.h"

#define PS_SERVICE "pinsage.v1.RecommendService"

/* Method of the service, name of reader and operation, question. */
#define PS_CALL_MAP(XX)                                                                  \
    XX(Related, related, ps_related)                                                     \
    XX(Recommend, recommend, ps_recommend)                                               \
    XX(Embed, embed, ps_embed_pin)                                                       \
    XX(GetPin, get_pin, ps_get_pin)                                                      \
    XX(PutPin, put_pin, ps_put_pin)                                                      \
    XX(DeletePin, delete_pin, ps_delete_pin)                                             \
    XX(SavePin, save, ps_save)                                                           \
    XX(UnsavePin, unsave, ps_save)                                                       \
    XX(GetBoard, get_board, ps_get_board)                                                \
    XX(Vote, vote, ps_vote)

typedef void (*ps_call)(ps_context *d, const ps_body *b, ps_reply *out);

#define XX(method, name, question)                                                       \
    void ps_call_##name(ps_context *d, const ps_body *b, ps_reply *out);
PS_CALL_MAP(XX)
#undef XX

/* The call of a method's name; NULL when there is none. */
ps_call ps_call_find(ps_text method);

#endif
