/* rest_body.c - addresses that take a body, or that change something.
 *
 * Threads: see rest.h.
 */
#include <string.h>

#include "server/body.h"
#include "server/ops.h"
#include "server/params.h"
#include "server/rest.h"

static const char *const no_params[] = {NULL};

static ps_body body_of(const ps_door *d, const ps_request *r)
{
    return (ps_body){.bytes = r->body,
                     .dialect = PS_STRICT_JSON,
                     .k_max = d->state->opts->k_max,
                     .arena = r->arena};
}

/* True after refusing a request whose body is no JSON, or that has parameters. */
static bool refuse_body(const ps_request *r, ps_reply *out)
{
    ps_why why = {0};
    int err = ps_params_check(r, no_params, &why);
    if (err) {
        ps_reply_failed(out, err, &why);
        return true;
    }
    ps_text type = r->header.content_type;
    if (type.data && ps_type_is(type, "application/json"))
        return false;
    ps_reply_error(out, (ps_failure){.code = PS_CODE_INVALID_ARGUMENT, .status = 415},
                   "Content-Type: wanted application/json");
    return true;
}

void ps_rest_recommend(ps_door *d, const ps_request *r, ps_reply *out)
{
    ps_why why = {0};
    ps_recommend q;
    ps_body b = body_of(d, r);
    if (refuse_body(r, out))
        return;
    int err = ps_body_recommend(&b, &q, &why);
    if (err)
        ps_reply_failed(out, err, &why);
    else
        ps_op_recommend(d, &q, out);
}

void ps_rest_embed(ps_door *d, const ps_request *r, ps_reply *out)
{
    ps_why why = {0};
    ps_embed_pin q;
    ps_body b = body_of(d, r);
    if (refuse_body(r, out))
        return;
    int err = ps_body_embed(&b, &q, &why);
    if (err)
        ps_reply_failed(out, err, &why);
    else
        ps_op_embed(d, &q, out);
}

void ps_rest_put_pin(ps_door *d, const ps_request *r, ps_reply *out)
{
    ps_why why = {0};
    ps_put_pin q;
    ps_body b = body_of(d, r);
    if (refuse_body(r, out))
        return;
    b.pin = r->arg[0];
    int err = ps_body_put_pin(&b, &q, &why);
    if (err) {
        ps_reply_failed(out, err, &why);
        return;
    }
    if (r->header.if_match.data)
        q.if_match = r->header.if_match;
    ps_op_put_pin(d, &q, out);
}

void ps_rest_vote(ps_door *d, const ps_request *r, ps_reply *out)
{
    ps_why why = {0};
    ps_vote q;
    ps_body b = body_of(d, r);
    if (refuse_body(r, out))
        return;
    int err = ps_body_vote(&b, &q, &why);
    if (err)
        ps_reply_failed(out, err, &why);
    else
        ps_op_vote(d, &q, out);
}

/* ------------------------------ Without a body ----------------------------- */

static int check_id(ps_text id, const char *field, ps_why *why)
{
    return id.len <= PS_ID_MAX ? PS_OK
                               : ps_fail(why, PS_EINVAL, NULL, 0,
                                         "%s: longer than %d bytes", field, PS_ID_MAX);
}

void ps_rest_delete_pin(ps_door *d, const ps_request *r, ps_reply *out)
{
    ps_why why = {0};
    ps_delete_pin q = {r->arg[0], r->header.if_match};
    int err = ps_params_check(r, no_params, &why);
    if (!err)
        err = check_id(q.pin, "pin", &why);
    if (err)
        ps_reply_failed(out, err, &why);
    else
        ps_op_delete_pin(d, &q, out);
}

static void change_board(ps_door *d, const ps_request *r, ps_reply *out,
                         void (*op)(ps_door *, const ps_save *, ps_reply *))
{
    ps_why why = {0};
    ps_save q = {.board = r->arg[0], .pin = r->arg[1]};
    int err = ps_params_check(r, no_params, &why);
    if (!err)
        err = check_id(q.board, "board", &why);
    if (!err)
        err = check_id(q.pin, "pin", &why);
    if (err)
        ps_reply_failed(out, err, &why);
    else
        op(d, &q, out);
}

void ps_rest_save(ps_door *d, const ps_request *r, ps_reply *out)
{
    change_board(d, r, out, ps_op_save);
}

void ps_rest_unsave(ps_door *d, const ps_request *r, ps_reply *out)
{
    change_board(d, r, out, ps_op_unsave);
}
