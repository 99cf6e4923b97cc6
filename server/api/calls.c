/* calls.c - the calls, and the table of their names.
 *
 * All are alike: read the question, then do what it asks. They are written out, so that
 * who looks for ps_op_vote finds who calls it. A question lives in the request's arena,
 * as all that it points to: an answer may be made later, by a worker.
 *
 * Threads: see calls.h.
 */
#include "server/api/calls.h"

/* True when a question was read well; else out is the refusal. */
static bool was_read(int err, const ps_why *why, ps_reply *out)
{
    if (err)
        ps_reply_failed(out, err, why);
    return !err;
}

static void call_related(ps_context *d, const ps_body *b, ps_reply *out)
{
    ps_why why = {0};
    ps_related *q = ps_arena_alloc(b->arena, sizeof *q);
    if (was_read(q ? ps_body_related(b, q, &why) : PS_ENOMEM, &why, out))
        ps_op_related(d, b->request, q, out);
}

void ps_call_recommend(ps_context *d, const ps_body *b, ps_reply *out)
{
    ps_why why = {0};
    ps_recommend *q = ps_arena_alloc(b->arena, sizeof *q);
    if (was_read(q ? ps_body_recommend(b, q, &why) : PS_ENOMEM, &why, out))
        ps_op_recommend(d, b->request, q, out);
}

void ps_call_embed(ps_context *d, const ps_body *b, ps_reply *out)
{
    ps_why why = {0};
    ps_embed_pin *q = ps_arena_alloc(b->arena, sizeof *q);
    if (was_read(q ? ps_body_embed(b, q, &why) : PS_ENOMEM, &why, out))
        ps_op_embed(d, b->request, q, out);
}

static void call_get_pin(ps_context *d, const ps_body *b, ps_reply *out)
{
    ps_why why = {0};
    ps_get_pin *q = ps_arena_alloc(b->arena, sizeof *q);
    if (was_read(q ? ps_body_get_pin(b, q, &why) : PS_ENOMEM, &why, out))
        ps_op_get_pin(d, b->request, q, out);
}

void ps_call_put_pin(ps_context *d, const ps_body *b, ps_reply *out)
{
    ps_why why = {0};
    ps_put_pin *q = ps_arena_alloc(b->arena, sizeof *q);
    if (was_read(q ? ps_body_put_pin(b, q, &why) : PS_ENOMEM, &why, out))
        ps_op_put_pin(d, b->request, q, out);
}

void ps_call_patch_pin(ps_context *d, const ps_body *b, ps_reply *out)
{
    ps_why why = {0};
    ps_put_pin *q = ps_arena_alloc(b->arena, sizeof *q);
    if (was_read(q ? ps_body_patch_pin(b, q, &why) : PS_ENOMEM, &why, out))
        ps_op_patch_pin(d, b->request, q, out);
}

static void call_delete_pin(ps_context *d, const ps_body *b, ps_reply *out)
{
    ps_why why = {0};
    ps_delete_pin *q = ps_arena_alloc(b->arena, sizeof *q);
    if (was_read(q ? ps_body_delete_pin(b, q, &why) : PS_ENOMEM, &why, out))
        ps_op_delete_pin(d, b->request, q, out);
}

static void call_save(ps_context *d, const ps_body *b, ps_reply *out)
{
    ps_why why = {0};
    ps_save *q = ps_arena_alloc(b->arena, sizeof *q);
    if (was_read(q ? ps_body_save(b, q, &why) : PS_ENOMEM, &why, out))
        ps_op_save(d, b->request, q, out);
}

static void call_unsave(ps_context *d, const ps_body *b, ps_reply *out)
{
    ps_why why = {0};
    ps_save *q = ps_arena_alloc(b->arena, sizeof *q);
    if (was_read(q ? ps_body_unsave(b, q, &why) : PS_ENOMEM, &why, out))
        ps_op_unsave(d, b->request, q, out);
}

static void call_get_board(ps_context *d, const ps_body *b, ps_reply *out)
{
    ps_why why = {0};
    ps_get_board *q = ps_arena_alloc(b->arena, sizeof *q);
    if (was_read(q ? ps_body_get_board(b, q, &why) : PS_ENOMEM, &why, out))
        ps_op_get_board(d, b->request, q, out);
}

void ps_call_vote(ps_context *d, const ps_body *b, ps_reply *out)
{
    ps_why why = {0};
    ps_vote *q = ps_arena_alloc(b->arena, sizeof *q);
    if (was_read(q ? ps_body_vote(b, q, &why) : PS_ENOMEM, &why, out))
        ps_op_vote(d, b->request, q, out);
}

static const struct {
    const char *method;
    ps_call call;
} calls[] = {
    {"Related", call_related},       {"Recommend", ps_call_recommend},
    {"Embed", ps_call_embed},        {"GetPin", call_get_pin},
    {"PutPin", ps_call_put_pin},     {"DeletePin", call_delete_pin},
    {"SavePin", call_save},          {"UnsavePin", call_unsave},
    {"GetBoard", call_get_board},    {"Vote", ps_call_vote},
    {"PatchPin", ps_call_patch_pin},
};

ps_call ps_call_find(ps_text method)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (ps_text_is(method, calls[i].method))
            return calls[i].call;
    return NULL;
}
