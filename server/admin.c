/* admin.c - waits for the main thread, holding no thread meanwhile.
 *
 * Threads: see admin.h.
 */
#include "server/admin.h"

#include <string.h>

#include "server/later.h"

static void on_reloaded(ps_reload *r)
{
    ps_wait_finish(r->cls);
}

static void tell_reload(ps_door *d, const ps_request *request, ps_reply *out, void *cls)
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

void ps_admin_reload(ps_door *d, const ps_request *request, ps_reply *out)
{
    const ps_reloader *who = &d->state->reloader;
    ps_reload *r = ps_arena_alloc(request->arena, sizeof *r);
    if (!r || !who->ask) {
        ps_reply_failed(out, r ? PS_EUNSUPPORTED : PS_ENOMEM, NULL);
        return;
    }
    *r = (ps_reload){.done = on_reloaded};
    r->cls = ps_wait_begin(request, tell_reload, r);
    who->ask(who->cls, r);
}
