/* later.c - what a handler may say of its answer besides giving it.
 *
 * Threads: see later.h.
 */
#include "server/state/later.h"

#include <assert.h>

bool ps_later(const ps_context *d, ps_reply *out)
{
    out->later = !d->worker;
    return out->later;
}

ps_wait *ps_wait_begin(const ps_request *r, ps_then then, void *cls)
{
    ps_wait *w = r->wait;
    assert(!w->begun);
    w->then = then;
    w->cls = cls;
    w->begun = true;
    w->finished = false;
    return w;
}

void ps_wait_end(const ps_request *r, void (*end)(void *cls), void *cls)
{
    assert(!r->wait->end);
    r->wait->end = end;
    r->wait->end_cls = cls;
}

void ps_wait_finish(ps_wait *w)
{
    w->finish(w);
}
