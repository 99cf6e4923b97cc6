/* body_inside.h - bytes to a generated message, for body.c.
 *
 * Threads: see body.h.
 */
#ifndef PINSAGE_SERVER_API_BODY_INSIDE_H
#define PINSAGE_SERVER_API_BODY_INSIDE_H

#include <protobuf-c/protobuf-c.h>

#include "server/api/body.h"

/* Most strings and messages in one list, above what any question takes: what a small
 * body can blow up to is bounded. */
#define BODY_LIST_MAX 16384

/* A message of that description, in b's arena. Its strings are UTF-8 without NUL. */
int body_read_json(const ps_body *b, const ProtobufCMessageDescriptor *d, void **message,
                   ps_why *why);
int body_read_binary(const ps_body *b, const ProtobufCMessageDescriptor *d,
                     void **message, ps_why *why);
/* True for the message that stands for one pair of a map. */
bool body_is_pair(const ProtobufCMessageDescriptor *d);

#endif
