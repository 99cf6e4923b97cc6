/* body.h - from a message's bytes to a question, in any of three dialects.
 *
 * The messages are those of include/pinsage/v1/pinsage.proto. Bytes are first read by the
 * message's own description, which is generated from that file, then checked and put
 * into the plain structs of questions.h. A field of a new question is thus read, and
 * refused by its name, by all transports alike:
 *
 *     features.visual[17]: not a finite number
 *
 * Threads: one arena, one thread.
 * Not here: which transport speaks which dialect (rest.c, rpc.c).
 */
#ifndef PINSAGE_SERVER_API_BODY_H
#define PINSAGE_SERVER_API_BODY_H

#include "pinsage/arena.h"
#include "pinsage/err.h"
#include "server/engine/engine.h"
#include "server/message/questions.h"
#include "server/message/request.h"

typedef enum ps_dialect {
    PS_STRICT_JSON, /* unknown fields are refused: a misspelt one is noticed */
    PS_LOOSE_JSON,  /* unknown fields are ignored, as clients of the RPC expect */
    PS_BINARY       /* protobuf */
} ps_dialect;

typedef struct ps_body {
    const ps_request *request; /* that it came with */
    ps_text bytes;
    ps_dialect dialect;
    ps_text pin;      /* data NULL, or told by the address: the body may only agree */
    ps_text if_match; /* data NULL, or told by a header: goes before the body's */
    uint32_t k_max;   /* most results of an answer */
    ps_arena *arena;  /* everything that is read lives here */
} ps_body;

/* PS_EINVAL names the field; PS_ENOMEM. */
int ps_body_related(const ps_body *b, ps_related *q, ps_why *why);
int ps_body_recommend(const ps_body *b, ps_recommend *q, ps_why *why);
int ps_body_embed(const ps_body *b, ps_embed_pin *q, ps_why *why);
int ps_body_get_pin(const ps_body *b, ps_get_pin *q, ps_why *why);
int ps_body_put_pin(const ps_body *b, ps_put_pin *q, ps_why *why);
int ps_body_patch_pin(const ps_body *b, ps_put_pin *q, ps_why *why);
int ps_body_delete_pin(const ps_body *b, ps_delete_pin *q, ps_why *why);
int ps_body_save(const ps_body *b, ps_save *q, ps_why *why);
int ps_body_unsave(const ps_body *b, ps_save *q, ps_why *why);
int ps_body_get_board(const ps_body *b, ps_get_board *q, ps_why *why);
int ps_body_vote(const ps_body *b, ps_vote *q, ps_why *why);
/* The name of the service that a health check asks about; "" is the server. */
int ps_body_health(const ps_body *b, ps_text *service, ps_why *why);

#endif
