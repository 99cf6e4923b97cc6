/* body_inside.h - bytes to a generated message, for body.c.
 *
 * Threads: see body.h.
 */
#ifndef PINSAGE_SERVER_API_BODY_INSIDE_H
#define PINSAGE_SERVER_API_BODY_INSIDE_H

#include <protobuf-c/protobuf-c.h>

#include "pinsage/v1/pinsage.pb-c.h"
#include "server/api/body.h"

/* Most strings and messages in one list, above what any question takes: what a small
 * body can blow up to is bounded. */
#define BODY_LIST_MAX 16384

/* A message of that description, in b's arena. Its strings are UTF-8 without NUL. */
int body_read_json(const ps_body *b, const ProtobufCMessageDescriptor *d, void **message,
                   ps_why *why);
int body_read_binary(const ps_body *b, const ProtobufCMessageDescriptor *d,
                     void **message, ps_why *why);
/* Either, as b's dialect is. */
int body_read(const ps_body *b, const ProtobufCMessageDescriptor *d, void **message,
              ps_why *why);
/* True for the message that stands for one pair of a map. */
bool body_is_pair(const ProtobufCMessageDescriptor *d);

/* ---- Fields that several messages have: checked; PS_EINVAL names the field ---- */

/* Messages with features have pairs of their own, which look the same. */
#define BODY_FEATURE Pinsage__V1__EmbedRequest__FeaturesEntry
#define BODY_SAME_PAIR(a, b)                                                             \
    _Static_assert(sizeof(a) == sizeof(b) && offsetof(a, key) == offsetof(b, key) &&     \
                       offsetof(a, value) == offsetof(b, value),                         \
                   "pairs differ")

/* The pin of the address, or the body's own. */
int body_take_pin(const ps_body *b, const char *s, ps_text *out, ps_why *why);
/* more: vectors that room is left for behind them. */
int body_take_features(const ps_body *b, BODY_FEATURE *const *pairs, size_t n,
                       size_t more, ps_content *out, ps_why *why);
int body_take_boards(const ps_body *b, char **list, size_t n, const ps_text **out,
                     uint32_t *n_out, ps_why *why);

#endif
