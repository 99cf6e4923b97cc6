/* request.h - a request as the routes see it, free of any HTTP library.
 *
 * Threads: a request belongs to the loop that received it, or to the worker that the loop
 * has handed it to.
 * Not here: splitting the target (target.h), answering (reply.h).
 */
#ifndef PINSAGE_SERVER_MESSAGE_REQUEST_H
#define PINSAGE_SERVER_MESSAGE_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "pinsage/arena.h"
#include "pinsage/text.h"
#include "server/message/target.h"

struct sockaddr_storage;
struct ps_wait;

/* Bits, so that a set of verbs fits into an Allow header's mask. */
typedef enum ps_verb {
    PS_GET = 1,
    PS_HEAD = 2,
    PS_POST = 4,
    PS_PUT = 8,
    PS_DELETE = 16,
    PS_PATCH = 32,
    PS_OPTIONS = 64
} ps_verb;

const char *ps_verb_name(ps_verb v);
/* The verb of a method's name; 0 for one we do not know. */
ps_verb ps_verb_of(const char *name);

/* Headers that somebody looks at; data NULL when absent. */
typedef struct ps_headers {
    ps_text accept, accept_encoding, if_match, if_none_match, if_modified_since;
    ps_text connect_version, content_encoding;
    ps_text authorization, content_type, host, origin, connect_timeout, traceparent;
    bool proxied;  /* a proxy has passed it on, by what it says or how */
    bool names_us; /* its Host is one of the server's names, or there is none */
} ps_headers;

#define PS_ARGS_MAX 4
#define PS_TRACE_ID 33

typedef struct ps_request {
    ps_verb verb;
    ps_text raw; /* target as sent */
    ps_target target;
    ps_text arg[PS_ARGS_MAX]; /* what the route's {braces} matched */
    ps_headers header;
    ps_text body;
    unsigned route;                      /* row of the routes, once it was found */
    uint64_t deadline_ns;                /* ps_now_ns; 0: none */
    struct ps_wait *wait;                /* for later.h; borrowed */
    const struct sockaddr_storage *peer; /* borrowed; NULL: not known */
    ps_text who;                /* name of the token that let it pass; empty for none */
    ps_arena *arena;            /* reset after the request; borrowed */
    char trace_id[PS_TRACE_ID]; /* for the log; empty for none */
} ps_request;

/* The trace id of a W3C traceparent ("00-0af7...319c-b7ad...3331-01"), 32 hexadecimal
 * digits; empty when the header is none. */
void ps_trace_id(ps_text traceparent, char out[PS_TRACE_ID]);

/* Milliseconds that a Connect-Timeout-Ms header allows, 0 when there is none or it says
 * 0; PS_EINVAL in words. */
int ps_request_timeout(const ps_request *r, uint64_t *ms, ps_why *why);
/* First parameter of that name, NULL when there is none. */
const ps_text *ps_request_param(const ps_request *r, const char *name);
/* True if a comma-separated header value names the token with a weight above 0. */
bool ps_header_names(ps_text value, const char *token);
/* True if a Content-Type is that media type, whatever its parameters. */
bool ps_type_is(ps_text content_type, const char *type);
/* What a Content-Encoding says: none ("", "identity"), gzip, or what we cannot read. */
typedef enum ps_coding { PS_CODING_NONE, PS_CODING_GZIP, PS_CODING_UNKNOWN } ps_coding;
ps_coding ps_coding_of(ps_text content_encoding);
/* True if an If-None-Match value holds etag (weak or strong) or is "*". */
bool ps_etag_matches(ps_text if_none_match, const char *etag);

#endif
