/* reply.c - answers, and errors in their one shape.
 *
 * Threads: see reply.h.
 */
#include "server/message/reply.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pinsage/base64.h"

void ps_reply_reset(ps_reply *r)
{
    ps_buf_clear(&r->body);
    r->body.failed = false;
    *r = (ps_reply){.status = 200,
                    .type = "application/json",
                    .body = r->body,
                    .fd = -1,
                    .method = PS_NO_METHOD};
}

void ps_reply_done(ps_reply *r)
{
    ps_buf_done(&r->body);
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
}

void ps_reply_header(ps_reply *r, const char *name, const char *value)
{
    assert(r->n_headers < PS_REPLY_HEADERS);
    r->header[r->n_headers].name = name;
    r->header[r->n_headers++].value = value;
}

/* ------------------------------ Codes -------------------------------------- */

static const struct {
    const char *name;
    unsigned status;
} codes[] = {
#define XX(upper, lower, status) {#lower, status},
    PS_CODE_MAP(XX)
#undef XX
};

const char *ps_code_name(ps_code code)
{
    return codes[code].name;
}

ps_code ps_code_of(int err)
{
    switch (err) {
    case PS_EINVAL:
        return PS_CODE_INVALID_ARGUMENT;
    case PS_ERANGE:
        return PS_CODE_OUT_OF_RANGE;
    case PS_ENOENT:
        return PS_CODE_NOT_FOUND;
    case PS_EEXIST:
        return PS_CODE_ALREADY_EXISTS;
    case PS_ENOMEM:
    case PS_EFULL:
        return PS_CODE_RESOURCE_EXHAUSTED;
    case PS_EBUSY:
        return PS_CODE_UNAVAILABLE;
    case PS_ETIMEOUT:
        return PS_CODE_DEADLINE_EXCEEDED;
    case PS_EUNSUPPORTED:
    case PS_EMISMATCH:
        return PS_CODE_FAILED_PRECONDITION;
    case PS_EFORMAT:
        return PS_CODE_DATA_LOSS;
    case PS_ECANCELLED:
        return PS_CODE_CANCELED;
    default:
        return PS_CODE_INTERNAL;
    }
}

/* ------------------------------ Details ------------------------------------ */

/* Field 1, repeated string: tag 0x0a, length as a varint, bytes. */
static void add_strings(ps_buf *out, const ps_suggestions *near)
{
    for (size_t i = 0; i < near->n; i++) {
        ps_buf_char(out, 0x0a);
        ps_buf_varint(out, near->name[i].len);
        ps_buf_add(out, near->name[i].data, near->name[i].len);
    }
}

static void add_near(ps_buf *b, const ps_suggestions *near)
{
    ps_buf message = {0};
    add_strings(&message, near);
    ps_buf_printf(b, "{\"type\":\"%s\",\"value\":\"", near->type);
    ps_base64_add(b, (ps_text){message.data, message.size});
    ps_buf_printf(b, "\",\"debug\":{\"%s\":[", near->field);
    for (size_t i = 0; i < near->n; i++) {
        if (i)
            ps_buf_char(b, ',');
        ps_buf_json(b, near->name[i].data, near->name[i].len);
    }
    ps_buf_text(b, "]}}");
    ps_buf_done(&message);
}

/* ------------------------------ Errors ------------------------------------- */

void ps_reply_error(ps_reply *r, ps_failure f, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
    r->bytes = NULL;
    r->cacheable = false;
    r->type = "application/json";
    r->status = f.status ? f.status : codes[f.code].status;
    size_t len = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    ps_buf *b = &r->body;
    ps_buf_clear(b);
    b->failed = false;
    ps_buf_printf(b, "{\"code\":\"%s\",\"message\":", codes[f.code].name);
    ps_buf_json(b, text, len);
    ps_buf_text(b, ",\"details\":[");
    if (f.near.n)
        add_near(b, &f.near);
    ps_buf_text(b, "]}");
}

void ps_reply_failed(ps_reply *r, int err, const ps_why *why)
{
    const char *text = why && why->text[0] ? why->text : ps_strerror(err);
    ps_reply_error(r, (ps_failure){.code = ps_code_of(err)}, "%s", text);
}
