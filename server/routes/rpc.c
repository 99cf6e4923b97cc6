/* rpc.c - Connect's way of saying which message is meant, in what coding.
 *
 * Threads: see rpc.h.
 */
#include "server/routes/rpc.h"

#include "pinsage/base64.h"
#include "server/api/answer.h"
#include "server/api/calls.h"
#include "server/base/gunzip.h"
#include "server/routes/health.h"

#define REFUSE(code_, ...)                                                               \
    (ps_reply_error(out, (ps_failure){.code = PS_CODE_##code_}, __VA_ARGS__), false)

/* The protocol has no words for this status: clients go by the number. */
static bool refuse_type(ps_reply *out, const char *text)
{
    ps_reply_error(out, (ps_failure){.code = PS_CODE_UNKNOWN, .status = 415}, "%s", text);
    ps_reply_header(out, "Accept-Post", "application/json, application/proto");
    return false;
}

static bool refuse_packing(ps_reply *out, ps_text packing)
{
    ps_reply_header(out, "Accept-Encoding", "gzip, identity");
    return REFUSE(UNIMPLEMENTED,
                  "unknown compression \"%.*s\": there are gzip and identity",
                  (int)(packing.len < 60 ? packing.len : 60), packing.data);
}

/* ------------------------------ The message -------------------------------- */

static bool take_post(const ps_request *r, ps_body *b, ps_reply *out)
{
    ps_text type = r->header.content_type, packing = r->header.content_encoding;
    bool json = type.data && ps_type_is(type, "application/json");
    if (!json && !(type.data && ps_type_is(type, "application/proto")))
        return refuse_type(out,
                           "Content-Type: wanted application/json or application/proto");
    if (ps_coding_of(packing) == PS_CODING_UNKNOWN) /* gzip is unpacked by now */
        return refuse_packing(out, packing);
    b->dialect = json ? PS_LOOSE_JSON : PS_BINARY;
    b->bytes = r->body;
    return true;
}

/* A message in an address, packed: it may be as long as one in a body. */
static bool unpack(const ps_context *d, const ps_request *r, ps_text *message)
{
    ps_gunzip *g = NULL;
    ps_buf text = {0};
    const char *kept = NULL;
    int err = ps_gunzip_new(&g);
    if (!err)
        err = ps_gunzip_add(g, message->data, message->len, &text,
                            (size_t)d->state->opts->body_bytes);
    if (!err && ps_gunzip_is_whole(g))
        kept = ps_arena_copy(r->arena, text.size ? text.data : "", text.size);
    *message = (ps_text){kept, text.size};
    ps_gunzip_free(g);
    ps_buf_done(&text);
    return kept != NULL;
}

static bool take_get(const ps_context *d, const ps_request *r, ps_body *b, ps_reply *out)
{
    const ps_text *encoding = ps_request_param(r, "encoding");
    const ps_text *message = ps_request_param(r, "message");
    const ps_text *packing = ps_request_param(r, "compression");
    const ps_text *base64 = ps_request_param(r, "base64");
    const ps_text *version = ps_request_param(r, "connect");
    bool json = encoding && ps_text_is(*encoding, "json");
    if (!json && !(encoding && ps_text_is(*encoding, "proto")))
        return refuse_type(out, "encoding: wanted json or proto");
    if (version && !ps_text_is(*version, "v1"))
        return REFUSE(INVALID_ARGUMENT, "connect: wanted v1");
    ps_coding coding = packing ? ps_coding_of(*packing) : PS_CODING_NONE;
    if (coding == PS_CODING_UNKNOWN)
        return refuse_packing(out, *packing);
    if (!message)
        return REFUSE(INVALID_ARGUMENT, "message: is required");
    b->dialect = json ? PS_LOOSE_JSON : PS_BINARY;
    b->bytes = *message;
    if (base64 && ps_text_is(*base64, "1") &&
        !ps_base64_read(*message, r->arena, &b->bytes))
        return REFUSE(INVALID_ARGUMENT, "message: not base64");
    if (coding == PS_CODING_GZIP && b->bytes.len && !unpack(d, r, &b->bytes))
        return REFUSE(INVALID_ARGUMENT, "message: not gzip, or too long unpacked");
    return true;
}

/* False after refusing. */
static bool take_message(const ps_context *d, const ps_request *r, ps_body *b,
                         ps_reply *out)
{
    ps_text version = r->header.connect_version;
    *b = (ps_body){.request = r, .k_max = d->state->opts->k_max, .arena = r->arena};
    if (version.data && !ps_text_is(version, "1"))
        return REFUSE(INVALID_ARGUMENT, "Connect-Protocol-Version: wanted 1");
    bool taken = r->verb == PS_POST ? take_post(r, b, out) : take_get(d, r, b, out);
    out->binary = taken && b->dialect == PS_BINARY;
    return taken;
}

/* ------------------------------ Calls -------------------------------------- */

void ps_rpc_call(ps_context *d, const ps_request *r, ps_reply *out)
{
    ps_body b;
    ps_call call = ps_call_find(r->target.segment[1]);
    if (!call)
        ps_rpc_unknown(d, r, out);
    else if (take_message(d, r, &b, out))
        call(d, &b, out);
}

bool ps_rpc_is_unknown(ps_text method)
{
    return !ps_call_find(method);
}

void ps_rpc_unknown(ps_context *d, const ps_request *r, ps_reply *out)
{
    (void)d;
    (void)r;
    ps_reply_error(out, (ps_failure){.code = PS_CODE_UNIMPLEMENTED, .status = 404},
                   PS_SERVICE " has no such method");
}

void ps_rpc_health(ps_context *d, const ps_request *r, ps_reply *out)
{
    ps_body b;
    ps_why why = {0};
    ps_text service;
    if (!take_message(d, r, &b, out))
        return;
    int err = ps_body_health(&b, &service, &why);
    if (!err && service.len && !ps_text_is(service, PS_SERVICE))
        err = ps_fail(&why, PS_ENOENT, NULL, 0, "there is no such service here");
    if (err) {
        ps_reply_failed(out, err, &why);
        return;
    }
    bool ready = ps_health_is_ready(d->state);
    ps_answer a = ps_answer_begin(out);
    ps_add_enum(&a, PS_FIELD(1, "status"), ready ? 1 : 2,
                ready ? "SERVING" : "NOT_SERVING");
    ps_answer_end(&a, out, PS_OK);
}
