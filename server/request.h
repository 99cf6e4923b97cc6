/* request.h - a request as the doors see it, free of any HTTP library.
 *
 * Threads: a request belongs to the loop that received it.
 * Not here: splitting the target (target.h), answering (reply.h).
 */
#ifndef PINSAGE_SERVER_REQUEST_H
#define PINSAGE_SERVER_REQUEST_H

#include <stdbool.h>

#include "pinsage/arena.h"
#include "pinsage/text.h"
#include "server/target.h"

struct sockaddr_storage;

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

/* Headers that somebody looks at; data NULL when absent. */
typedef struct ps_headers {
    ps_text accept, accept_encoding, if_match, if_none_match, if_modified_since;
    ps_text connect_version, content_encoding;
    ps_text authorization, content_type, host, origin;
    bool proxied; /* there is a Forwarded, X-Forwarded-For or Via */
} ps_headers;

#define PS_ARGS_MAX 4

typedef struct ps_request {
    ps_verb verb;
    ps_text raw; /* target as sent */
    ps_target target;
    ps_text arg[PS_ARGS_MAX]; /* what the route's {braces} matched */
    ps_headers header;
    ps_text body;
    const struct sockaddr_storage *peer; /* borrowed; NULL: not known */
    ps_text who;     /* name of the token that let it pass; empty for none */
    ps_arena *arena; /* reset after the request; borrowed */
} ps_request;

/* First parameter of that name, NULL when there is none. */
const ps_text *ps_request_param(const ps_request *r, const char *name);
/* True if a comma-separated header value names the token with a weight above 0. */
bool ps_header_names(ps_text value, const char *token);
/* True if a Content-Type is that media type, whatever its parameters. */
bool ps_type_is(ps_text content_type, const char *type);
/* True if an If-None-Match value holds etag (weak or strong) or is "*". */
bool ps_etag_matches(ps_text if_none_match, const char *etag);

#endif
