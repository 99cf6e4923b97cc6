/* http_later.c - exchanges whose answer comes later: handed to a worker, or waiting.
 *
 * An answer is made in steps: the route's handler, or what a wait has left to be done.
 * After a step the loop settles it:
 *
 *      step --- says later ----> a worker does the step again -> posts back -> settle
 *           --- began a wait --> somebody finishes it ---------> posts back -> settle
 *           --- neither -------> the answer stands
 *
 * Meanwhile the connection is suspended. All of this is seen by the loop alone, which
 * learns of other threads by what they post to it; so there is nothing to lock. In this
 * mode the library is woken by nobody: the loop pumps it after whatever was posted.
 *
 * Threads: the loop, but for work() and http_wait_finish().
 */
#include <assert.h>
#include <stddef.h>

#include "pinsage/clock.h"
#include "server/http/http_inside.h"

static void on_worked(void *cls);
static void on_finished(void *cls);

/* ------------------------------ Steps -------------------------------------- */

void http_wait_finish(ps_wait *w)
{
    exchange *x = (exchange *)(void *)((char *)w - offsetof(exchange, wait));
    ps_loop_post(x->http->loop, on_finished, x);
}

/* What was waited for may have changed the view: its answer is made inside the newest
 * version, as any other is. */
static void run_then(exchange *x, ps_context *d)
{
    if (d->reader)
        ps_reader_begin(d->reader);
    x->then(d, &x->request, &x->reply, x->cls);
    if (d->reader)
        ps_reader_end(d->reader);
}

/* A step that is done again must not find what it left the first time. */
static void run_step(exchange *x, ps_context *d)
{
    bool binary = x->reply.binary;
    ps_reply_reset(&x->reply);
    x->reply.binary = binary;
    if (x->then)
        run_then(x, d);
    else
        ps_route_run(d, &x->request, &x->reply);
}

/* ------------------------------ Workers ------------------------------------ */

static void refuse(exchange *x, ps_code code, const char *text)
{
    x->reply.later = false;
    ps_reply_error(&x->reply, (ps_failure){.code = code}, "%s", text);
    if (code == PS_CODE_UNAVAILABLE)
        ps_reply_header(&x->reply, "Retry-After", "1");
}

/* On a worker. */
static void work(ps_job *job, ps_fate fate, unsigned worker)
{
    exchange *x = job->cls;
    ps_context *d = &x->http->state->worker_context[worker];
    x->worker = worker;
    ps_hist_add(&d->stats->queued, ps_now_ns() - job->queued);
    if (fate == PS_JOB_DO) {
        ps_count_add(&d->stats->jobs_begun, 1);
        run_step(x, d);
        ps_count_add(&d->stats->jobs_done, 1);
    } else if (fate == PS_JOB_LATE) {
        ps_count_add(&d->stats->jobs_late, 1);
        refuse(x, PS_CODE_DEADLINE_EXCEEDED, "the time was over before its turn came");
    } else {
        refuse(x, PS_CODE_UNAVAILABLE, "the server is stopping");
    }
    ps_loop_post(x->http->loop, on_worked, x);
}

/* True: it has been taken. */
static bool hand_over(ps_http *h, exchange *x)
{
    x->job = (ps_job){.run = work, .cls = x, .deadline = x->request.deadline_ns};
    x->working = true;
    if (!ps_worker_pool_submit(h->state->pool, &x->job))
        return true;
    x->working = false;
    ps_count_add(&h->stats->jobs_refused, 1);
    refuse(x, PS_CODE_UNAVAILABLE, "too many requests are waiting");
    return false;
}

/* A ranking's method has one number in the worker's counters and another in ours. */
static void adopt(ps_http *h, exchange *x)
{
    const ps_stats *theirs = h->state->worker_context[x->worker].stats;
    x->working = false;
    if (x->reply.method != PS_NO_METHOD)
        x->reply.method =
            (uint8_t)ps_stats_method(h->stats, theirs->method[x->reply.method].name);
}

/* ------------------------------ Settling ----------------------------------- */

/* After a step. True: the answer stands in the reply. */
static bool settle(ps_http *h, exchange *x)
{
    for (;;) {
        if (x->reply.later)
            return !hand_over(h, x);
        if (!x->wait.begun)
            return true;
        if (!x->wait.finished)
            return false;
        x->wait.begun = false;
        x->then = x->wait.then;
        x->cls = x->wait.cls;
        run_step(x, &h->context);
    }
}

/* The library takes an answer to a suspended connection, and sends it once that is
 * resumed. Without one, for want of memory, it asks again and is refused. */
static void deliver(ps_http *h, exchange *x)
{
    x->conn->parked = NULL;
    http_send(h, x);
    MHD_resume_connection(x->mhd);
}

int http_make(ps_http *h, exchange *x)
{
    if (ps_route_at(x->request.route)->on_worker)
        x->reply.later = true;
    else
        run_step(x, &h->context);
    if (settle(h, x))
        return 1;
    x->conn->parked = x;
    MHD_suspend_connection(x->mhd);
    return 0;
}

static void on_worked(void *cls)
{
    exchange *x = cls;
    adopt(x->http, x);
    if (settle(x->http, x))
        deliver(x->http, x);
}

static void on_finished(void *cls)
{
    exchange *x = cls;
    ps_http *h = x->http;
    x->wait.finished = true;
    if (x->abandoned) {
        h->abandoned--;
        http_recycle(h, x);
    } else if (!x->working && x->conn->parked == x && settle(h, x)) {
        deliver(h, x);
    }
}

/* ------------------------------ Giving up ---------------------------------- */

void http_expire(ps_http *h, exchange *x, uint64_t now)
{
    if (x->working || !x->request.deadline_ns || now < x->request.deadline_ns)
        return;
    refuse(x, PS_CODE_DEADLINE_EXCEEDED, "not done in time; it may still be done");
    deliver(h, x);
}

void http_give_up(ps_http *h, exchange *x)
{
    assert(!x->working);
    refuse(x, PS_CODE_UNAVAILABLE, "the server is stopping");
    deliver(h, x);
}
