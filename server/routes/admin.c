/* admin.c - waits for the main thread, or for the one that compactions, holding no thread
 * meanwhile.
 *
 * Threads: see admin.h.
 */
#include "server/routes/admin.h"

#include <string.h>

#include "server/api/ops_inside.h"
#include "server/message/params.h"
#include "server/state/compaction.h"
#include "server/state/later.h"

/* ------------------------------ Reload ------------------------------------- */

static void on_reloaded(ps_reload *r)
{
    ps_wait_finish(r->cls);
}

static void tell_reload(ps_context *d, const ps_request *request, ps_reply *out,
                        void *cls)
{
    (void)d;
    (void)request;
    const ps_reload *r = cls;
    char text[600];
    if (r->err) {
        ps_why_format(&r->why, r->err, text, sizeof text);
        ps_failure f = {.code = PS_CODE_FAILED_PRECONDITION, .status = 409};
        ps_reply_error(out, f, "not taken up, %s stays in use: %s",
                       *r->generation ? r->generation : "nothing", text);
        return;
    }
    ps_buf_text(&out->body, "{\"generation\":");
    ps_buf_json(&out->body, r->generation, strlen(r->generation));
    ps_buf_char(&out->body, '}');
}

void ps_admin_reload(ps_context *d, const ps_request *request, ps_reply *out)
{
    const ps_reloader *who = &d->state->reloader;
    ps_why why = {0};
    bool accept = false;
    ps_reload *r = ps_arena_alloc(request->arena, sizeof *r);
    int err = ps_params_flag(request, "accept_fewer", &accept, &why);
    if (!err && (!r || !who->ask))
        err = r ? PS_EUNSUPPORTED : PS_ENOMEM;
    if (err) {
        ps_reply_failed(out, err, &why);
        return;
    }
    *r = (ps_reload){.done = on_reloaded, .by_hand = true, .accept_fewer = accept};
    r->cls = ps_wait_begin(request, tell_reload, r);
    who->ask(who->cls, r);
}

/* ------------------------------ Compact --------------------------------------- */

static void on_compacted(ps_compaction_request *q)
{
    ps_wait_finish(q->cls);
}

static void refuse_compact(const ps_compaction_request *q, ps_reply *out)
{
    char text[600];
    ps_why_format(&q->why, q->err, text, sizeof text);
    ps_failure f = {.code = ps_code_of(q->err)};
    if (q->err == PS_EBUSY)
        f = (ps_failure){.code = PS_CODE_ABORTED};
    else if (q->err == PS_EMISMATCH)
        f = (ps_failure){.code = PS_CODE_FAILED_PRECONDITION, .status = 409};
    else if (q->err == PS_EFULL)
        f = (ps_failure){.code = PS_CODE_RESOURCE_EXHAUSTED, .status = 503};
    else if (q->err == PS_ECANCELLED)
        f = (ps_failure){.code = PS_CODE_UNAVAILABLE};
    ps_reply_error(out, f, "%s", text);
}

static void write_compact(const ps_compact_report *r, ps_buf *b)
{
    ps_buf_printf(b, "{\"generation\":\"%s\",\"compacted\":%s", r->generation,
                  r->nothing ? "false" : "true");
    ps_buf_printf(b, ",\"lsn\":%llu,\"pins\":%u,\"boards\":%u,\"edges\":%llu",
                  (unsigned long long)r->lsn, r->pins, r->boards,
                  (unsigned long long)r->edges);
    ps_buf_printf(b, ",\"added\":%u,\"replaced\":%u,\"deleted\":%u,\"embedded\":%u",
                  r->added, r->replaced, r->deleted, r->embedded);
    ps_buf_printf(b, ",\"dropped\":{\"vectors\":%llu,\"pins\":%u,\"first\":",
                  (unsigned long long)r->dropped.vectors, r->dropped.pins);
    ps_buf_json(b, r->dropped.first, strlen(r->dropped.first));
    ps_buf_printf(b, "},\"votes\":%llu,\"index\":", (unsigned long long)r->votes);
    ps_buf_json(b, r->index, strlen(r->index));
    ps_buf_text(b, ",\"recall_at_10\":");
    ps_buf_real(b, r->recall_at_10, 4);
    ps_buf_text(b, ",\"seconds\":");
    ps_buf_real(b, r->seconds, 4);
    ps_buf_char(b, '}');
}

static void tell_compact(ps_context *d, const ps_request *request, ps_reply *out,
                         void *cls)
{
    const ps_compaction_request *q = cls;
    (void)d;
    (void)request;
    if (q->err)
        refuse_compact(q, out);
    else
        write_compact(&q->report, &out->body);
}

void ps_admin_compact(ps_context *d, const ps_request *request, ps_reply *out)
{
    ps_why why = {0};
    uint32_t keep = 1;
    ps_compaction *compaction = d->state->compaction;
    ps_compaction_request *q = ps_arena_alloc(request->arena, sizeof *q);
    int err = q ? ps_params_number(request, "keep", 0, 1000, &keep, &why) : PS_ENOMEM;
    if (err || !compaction) {
        if (err)
            ps_reply_failed(out, err, &why);
        else
            op_refuse_writes(out);
        return;
    }
    *q = (ps_compaction_request){.keep = keep, .done = on_compacted};
    q->cls = ps_wait_begin(request, tell_compact, q);
    err = ps_compaction_ask(compaction, q);
    if (!err)
        return;
    q->err =
        ps_fail(&q->why, err, NULL, 0, "%s",
                err == PS_EBUSY ? "a compaction is under way" : "the server is stopping");
    ps_wait_finish(q->cls);
}
