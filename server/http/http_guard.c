/* http_guard.c - refuses requests that a proxy and we could understand differently.
 *
 * What libmicrohttpd 0.9.75 lets pass and we do not: two Host headers or none; a length
 * given twice, or together with chunked coding; other transfer codings than chunked;
 * blanks or odd bytes in header names; a NUL or a space inside the target; methods in
 * other spellings; lines that end in a bare LF, are folded, or have a CR or NUL inside.
 * Its own strict mode would refuse two of these, but with a page in HTML.
 *
 * It cuts the header up where it lies and tells nobody how the lines ended. But each
 * must begin where the one before it ended, and the last where the header does:
 *
 *     GET /a HTTP/1.1..Host: x..Accept: y....
 *            version + 8 + 2 ^    ^ value + 1 + 2, and so on to method + header size
 *
 * Threads: see http.h.
 */
#include <stddef.h>
#include <string.h>

#include "server/http/http_inside.h"

enum { CRLF = 2 };

typedef struct look {
    ps_headers *h;
    unsigned hosts, lengths, codings;
    bool odd_name, odd_value, odd_line, odd_coding;
    ps_text length;
    const char *next; /* in the library's memory: where the next line must begin */
} look;

/* The bytes of a header name, RFC 9110 section 5.6.2. */
static bool is_token(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)name[i];
        bool plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        if (!plain && (!c || !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return len > 0;
}

/* Headers whose value somebody looks at. */
#define ROW(name, field)                                                                 \
    {                                                                                    \
        {name, sizeof name - 1}, offsetof(ps_headers, field)                             \
    }
static const struct {
    ps_text name;
    size_t at;
} wanted[] = {
    ROW("host", host),
    ROW("accept", accept),
    ROW("accept-encoding", accept_encoding),
    ROW("authorization", authorization),
    ROW("connect-protocol-version", connect_version),
    ROW("connect-timeout-ms", connect_timeout),
    ROW("content-encoding", content_encoding),
    ROW("content-type", content_type),
    ROW("if-match", if_match),
    ROW("if-modified-since", if_modified_since),
    ROW("if-none-match", if_none_match),
    ROW("origin", origin),
    ROW("traceparent", traceparent),
};

/* Where the value of a header goes, NULL if nobody looks at it. */
static ps_text *place_of(ps_headers *h, ps_text name)
{
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (ps_text_alike(name, wanted[i].name))
            return (ps_text *)(void *)((char *)h + wanted[i].at);
    return NULL;
}

static bool is(ps_text t, const char *name)
{
    return ps_text_alike(t, ps_text_of(name));
}

/* What proxies add; "x-forwarded-" has many ends. */
static bool is_of_a_proxy(ps_text name)
{
    static const char *const known[] = {"forwarded",      "via",
                                        "x-real-ip",      "x-client-ip",
                                        "true-client-ip", "cf-connecting-ip"};
    static const ps_text many = {"x-forwarded-", 12};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (is(name, known[i]))
            return true;
    return name.len > many.len && ps_text_alike((ps_text){name.data, many.len}, many);
}

static void take_header(look *l, ps_text name, ps_text value)
{
    ps_text *place = place_of(l->h, name);
    if (place) {
        *place = value;
        l->hosts += place == &l->h->host;
    } else if (is(name, "content-length")) {
        l->lengths++;
        l->length = value;
    } else if (is(name, "transfer-encoding")) {
        l->codings++;
        l->odd_coding |= !is(value, "chunked");
    } else if (is_of_a_proxy(name)) {
        l->h->proxied = true;
    }
}

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                 size_t name_len, const char *value, size_t value_len)
{
    (void)kind;
    look *l = cls;
    if (!name || !value || !is_token(name, name_len)) {
        l->odd_name = true;
        return MHD_YES;
    }
    l->odd_line |= name != l->next;
    l->odd_value |= memchr(value, '\r', value_len) != NULL;
    l->next = value + value_len + CRLF;
    take_header(l, (ps_text){name, name_len}, (ps_text){value, value_len});
    return MHD_YES;
}

static bool refuse(exchange *x, ps_code code, unsigned status, const char *text)
{
    ps_reply_error(&x->reply, (ps_failure){.code = code, .status = status}, "%s", text);
    return true;
}

/* The library has seen to it that these are digits, and no more than fit. */
static uint64_t number_of(ps_text digits)
{
    uint64_t value = 0;
    return ps_text_number(digits, &value) ? value : 0;
}

static bool guard_headers(const ps_http *h, exchange *x, const look *l, bool newest)
{
    if (l->odd_name)
        return refuse(x, PS_CODE_INVALID_ARGUMENT, 400, "a header name is malformed");
    if (l->odd_line || l->odd_value)
        return refuse(x, PS_CODE_INVALID_ARGUMENT, 400,
                      "a header line is folded, or does not end where it should");
    if (l->hosts > 1 || (newest && !l->hosts))
        return refuse(x, PS_CODE_INVALID_ARGUMENT, 400, "not exactly one Host header");
    if (l->codings > 1 || l->odd_coding)
        return refuse(x, PS_CODE_UNIMPLEMENTED, 501,
                      "no transfer coding but \"chunked\" is known");
    if (l->codings && !newest)
        return refuse(x, PS_CODE_INVALID_ARGUMENT, 400,
                      "HTTP/1.0 has no transfer codings");
    if (l->lengths > 1 || (l->lengths && l->codings))
        return refuse(x, PS_CODE_INVALID_ARGUMENT, 400,
                      "the length of the body is told twice");
    l->h->proxied |= !newest; /* as proxies speak by default, and hardly anybody else */
    l->h->names_us = !l->hosts || ps_hosts_know(&h->state->hosts, l->h->host);
    if (h->state->hosts.strict && !l->h->names_us)
        return refuse(x, PS_CODE_PERMISSION_DENIED, 421,
                      "this server does not go by that Host; see --allowed-hosts");
    x->chunked = l->codings > 0;
    x->declared = l->lengths ? number_of(l->length) : 0;
    return false;
}

/* Methods that HTTP has and nothing here is for, or that nobody has heard of. */
static bool refuse_method(exchange *x, const char *method)
{
    static const char *const others[] = {"TRACE", "TRACK", "CONNECT"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(method, others[i]) == 0) {
            ps_reply_header(&x->reply, "Allow", "GET, HEAD, POST, PUT, DELETE, OPTIONS");
            return refuse(x, PS_CODE_UNIMPLEMENTED, 405,
                          "this method is for nothing here");
        }
    return refuse(x, PS_CODE_UNIMPLEMENTED, 501, "this method is not known");
}

bool http_guard(ps_http *h, exchange *x, struct MHD_Connection *c, const char *method,
                const char *version)
{
    const union MHD_ConnectionInfo *size =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    look l = {.h = &x->request.header, .next = version + strlen(version) + CRLF};
    MHD_get_connection_values_n(c, MHD_HEADER_KIND, on_header, &l);
    l.odd_line |= !size || method + size->header_size != l.next + CRLF;
    ps_trace_id(l.h->traceparent, x->request.trace_id);
    x->request.verb = ps_verb_of(method);
    if (!x->request.verb)
        return refuse_method(x, method);
    /* The library ends the target at a NUL; then the version does not follow it. */
    if ((x->raw_end && version != x->raw_end + 1) ||
        method + strlen(method) + 1 + x->request.raw.len != x->raw_end ||
        memchr(x->request.raw.data, ' ', x->request.raw.len))
        return refuse(x, PS_CODE_INVALID_ARGUMENT, 400, "the request line is malformed");
    bool newest = strcmp(version, "HTTP/1.1") == 0;
    if (!newest && strcmp(version, "HTTP/1.0") != 0)
        return refuse(x, PS_CODE_UNIMPLEMENTED, 505, "HTTP/1.1 is spoken here");
    if (x->request.raw.len > h->state->opts->url_bytes)
        return refuse(x, PS_CODE_INVALID_ARGUMENT, 414, "the request target is too long");
    return guard_headers(h, x, &l, newest);
}
