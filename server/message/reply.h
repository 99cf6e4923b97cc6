/* reply.h - an answer before it becomes HTTP, and the one shape of all errors.
 *
 *     {"code":"not_found","message":"no pin \"catt\"","details":[...]}
 *
 * Codes are those of the Connect protocol, which is also how a code becomes a status. A
 * detail is {"type","value","debug"}: value is a base64 protobuf message of that type,
 * debug the same as JSON.
 *
 * Threads: a reply belongs to whoever has the request.
 */
#ifndef PINSAGE_SERVER_MESSAGE_REPLY_H
#define PINSAGE_SERVER_MESSAGE_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "pinsage/buf.h"
#include "pinsage/err.h"
#include "pinsage/text.h"

#define PS_REPLY_HEADERS 8
#define PS_ETAG_ROOM     32 /* W/"0123456789abcdef" */

typedef struct ps_reply {
    unsigned status;
    const char *type;  /* content type */
    ps_buf body;       /* owned; its room serves one reply after the other */
    const void *bytes; /* instead of body when not NULL: constant bytes (size) */
    int fd;            /* instead of both when >= 0: a file (size), owned */
    uint64_t size;
    struct {
        const char *name, *value; /* constant, or in the request's arena */
    } header[PS_REPLY_HEADERS];
    unsigned n_headers;
    bool binary;    /* wanted as protobuf, if it is no error */
    bool cacheable; /* the same target gets the same answer while the engine stays at its
                  version */
    bool uncacheable; /* a moment later it would be another: not to be kept */
    bool close;       /* end the connection after it */
    bool later;       /* there is no answer yet: a worker must make it (later.h) */
    const char *etag; /* NULL: none, or a header of its own; in the arena */
    uint32_t install; /* which engine answered, as ps_context has it, */
    uint64_t version; /* and what it had seen written */
    /* For the metrics. */
    uint8_t method, source; /* of a ranking; method PS_NO_METHOD: it was none */
} ps_reply;

#define PS_NO_METHOD 255

/* Ready for a new answer: 200, JSON, nothing in it. Keeps the body's room. */
void ps_reply_reset(ps_reply *r);
void ps_reply_done(ps_reply *r);
void ps_reply_header(ps_reply *r, const char *name, const char *value);

#define PS_CODE_MAP(XX)                                                                  \
    XX(CANCELED, canceled, 499)                                                          \
    XX(UNKNOWN, unknown, 500)                                                            \
    XX(INVALID_ARGUMENT, invalid_argument, 400)                                          \
    XX(DEADLINE_EXCEEDED, deadline_exceeded, 504)                                        \
    XX(NOT_FOUND, not_found, 404)                                                        \
    XX(ALREADY_EXISTS, already_exists, 409)                                              \
    XX(PERMISSION_DENIED, permission_denied, 403)                                        \
    XX(RESOURCE_EXHAUSTED, resource_exhausted, 429)                                      \
    XX(FAILED_PRECONDITION, failed_precondition, 400)                                    \
    XX(ABORTED, aborted, 409)                                                            \
    XX(OUT_OF_RANGE, out_of_range, 400)                                                  \
    XX(UNIMPLEMENTED, unimplemented, 501)                                                \
    XX(INTERNAL, internal, 500)                                                          \
    XX(UNAVAILABLE, unavailable, 503)                                                    \
    XX(DATA_LOSS, data_loss, 500)                                                        \
    XX(UNAUTHENTICATED, unauthenticated, 401)

typedef enum ps_code {
#define XX(upper, lower, status) PS_CODE_##upper,
    PS_CODE_MAP(XX)
#undef XX
} ps_code;

/* Names near the one that was not found; n 0 = no detail. */
typedef struct ps_suggestions {
    const char *type; /* "pinsage.v1.NearPins": repeated string pins = 1 */
    const char *field;
    const ps_text *name; /* (n) */
    size_t n;
} ps_suggestions;

typedef struct ps_failure {
    ps_code code;
    unsigned status; /* 0 = the code's own */
    ps_suggestions near;
} ps_failure;

/* Make r an error. Everything that refuses a request comes through here. */
void ps_reply_error(ps_reply *r, ps_failure f, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same from an error of the engine. */
void ps_reply_failed(ps_reply *r, int err, const ps_why *why);
ps_code ps_code_of(int err);
const char *ps_code_name(ps_code code); /* "not_found" */

#endif
