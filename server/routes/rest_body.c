/* rest_body.c - addresses that take a body, or that change something.
 *
 * Threads: see rest.h.
 */
#include <string.h>

#include "server/api/calls.h"
#include "server/routes/rest.h"

/* True after refusing a request whose body is no JSON; a patch may say what it is. */
static bool refuse_body(const ps_request *r, ps_reply *out)
{
    ps_text type = r->header.content_type;
    if (type.data &&
        (ps_type_is(type, "application/json") ||
         (r->verb == PS_PATCH && ps_type_is(type, "application/merge-patch+json"))))
        return false;
    ps_reply_error(out, (ps_failure){.code = PS_CODE_INVALID_ARGUMENT, .status = 415},
                   "Content-Type: wanted application/json");
    return true;
}

static void take_body(ps_context *d, const ps_request *r, ps_reply *out, ps_call call)
{
    ps_body b = {.request = r,
                 .bytes = r->body,
                 .dialect = PS_STRICT_JSON,
                 .pin = r->arg[0], /* of PUT and PATCH /pins/{pin} */
                 .if_match = r->header.if_match,
                 .k_max = d->state->opts->k_max,
                 .arena = r->arena};
    if (!refuse_body(r, out))
        call(d, &b, out);
}

void ps_rest_recommend(ps_context *d, const ps_request *r, ps_reply *out)
{
    take_body(d, r, out, ps_call_recommend);
}

void ps_rest_embed(ps_context *d, const ps_request *r, ps_reply *out)
{
    take_body(d, r, out, ps_call_embed);
}

void ps_rest_put_pin(ps_context *d, const ps_request *r, ps_reply *out)
{
    take_body(d, r, out, ps_call_put_pin);
}

void ps_rest_patch_pin(ps_context *d, const ps_request *r, ps_reply *out)
{
    take_body(d, r, out, ps_call_patch_pin);
}

void ps_rest_put_pins(ps_context *d, const ps_request *r, ps_reply *out)
{
    ps_text type = r->header.content_type;
    if (type.data && ps_type_is(type, "application/x-ndjson"))
        ps_op_put_pins(d, r, out);
    else
        ps_reply_error(out, (ps_failure){.code = PS_CODE_INVALID_ARGUMENT, .status = 415},
                       "Content-Type: wanted application/x-ndjson");
}

void ps_rest_vote(ps_context *d, const ps_request *r, ps_reply *out)
{
    take_body(d, r, out, ps_call_vote);
}

/* ------------------------------ Without a body ----------------------------- */

static int check_id(ps_text id, const char *field, ps_why *why)
{
    return id.len <= PS_ID_MAX ? PS_OK
                               : ps_fail(why, PS_EINVAL, NULL, 0,
                                         "%s: longer than %d bytes", field, PS_ID_MAX);
}

void ps_rest_delete_pin(ps_context *d, const ps_request *r, ps_reply *out)
{
    ps_why why = {0};
    ps_delete_pin q = {r->arg[0], r->header.if_match};
    int err = check_id(q.pin, "pin", &why);
    if (err)
        ps_reply_failed(out, err, &why);
    else
        ps_op_delete_pin(d, r, &q, out);
}

static void change_board(ps_context *d, const ps_request *r, ps_reply *out,
                         void (*op)(ps_context *, const ps_request *, const ps_save *,
                                    ps_reply *))
{
    ps_why why = {0};
    ps_save q = {.board = r->arg[0], .pin = r->arg[1]};
    int err = check_id(q.board, "board", &why);
    if (!err)
        err = check_id(q.pin, "pin", &why);
    if (err)
        ps_reply_failed(out, err, &why);
    else
        op(d, r, &q, out);
}

void ps_rest_save(ps_context *d, const ps_request *r, ps_reply *out)
{
    change_board(d, r, out, ps_op_save);
}

void ps_rest_unsave(ps_context *d, const ps_request *r, ps_reply *out)
{
    change_board(d, r, out, ps_op_unsave);
}
