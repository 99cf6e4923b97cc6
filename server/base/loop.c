/* loop.c - libuv's part of an I/O thread.
 *
 *      poll on fd ----+
 *      timer ---------+--> pump: run(), timeout() -> timer
 *      posted calls --+
 *
 * The timer is only moved when it would come too late: on a busy connection the time
 * that is left changes with every request, and an early turn costs nothing. A source
 * that has more to run at once is run in the loop's next turn and never by a timer of 0
 * ms: libuv would call that again and again before anything else.
 *
 * libmicrohttpd's own epoll thread stalls when exactly 128 connections are ready; driven
 * from outside like this it never waits by itself.
 *
 * Threads: see loop.h.
 */
#include "server/base/loop.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <uv.h>

typedef struct call {
    struct call *next;
    void (*fn)(void *cls);
    void *cls;
} call;

struct ps_loop {
    ps_pump pump;
    uv_loop_t uv;
    uv_poll_t poll;
    uv_timer_t timer, tick;
    uv_idle_t eager; /* runs while the source has more to do at once */
    uv_async_t wake;
    pthread_t thread;
    pthread_mutex_t lock;
    call *first, **last; /* guarded by lock */
    uint64_t due;        /* when the timer fires, uv_now time */
    unsigned turns;      /* see ps_pump.timeout */
};

/* ------------------------------ Turning ------------------------------------ */

static void on_timer(uv_timer_t *timer);
static void on_eager(uv_idle_t *eager);

static void pump(ps_loop *l)
{
    l->pump.run(l->pump.cls);
    int64_t left = l->pump.timeout(l->pump.cls, l->turns);
    l->turns++;
    if (left <= 0) {
        if (left == 0)
            uv_idle_start(&l->eager, on_eager);
        return;
    }
    uint64_t due = uv_now(&l->uv) + (uint64_t)left;
    if (uv_is_active((uv_handle_t *)&l->timer) && l->due <= due)
        return;
    l->due = due;
    uv_timer_start(&l->timer, on_timer, (uint64_t)left, 0);
}

static void on_timer(uv_timer_t *timer)
{
    pump(timer->data);
}

static void on_eager(uv_idle_t *eager)
{
    uv_idle_stop(eager);
    pump(eager->data);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    ps_loop *l = poll->data;
    l->turns = 0;
    pump(l);
}

static void on_tick(uv_timer_t *timer)
{
    ps_loop *l = timer->data;
    l->pump.tick(l->pump.cls);
    pump(l);
}

/* Sends coalesce, so everything that waits is run. */
static void on_wake(uv_async_t *wake)
{
    ps_loop *l = wake->data;
    pthread_mutex_lock(&l->lock);
    call *c = l->first;
    l->first = NULL;
    l->last = &l->first;
    pthread_mutex_unlock(&l->lock);
    while (c) {
        call *next = c->next;
        c->fn(c->cls);
        free(c);
        c = next;
    }
    l->turns = 0;
    if (!uv_is_closing((uv_handle_t *)&l->poll))
        pump(l);
}

static void *turn(void *arg)
{
    ps_loop *l = arg;
    uv_run(&l->uv, UV_RUN_DEFAULT);
    return NULL;
}

/* ------------------------------ Lifetime ----------------------------------- */

static void start_handles(ps_loop *l)
{
    uv_timer_init(&l->uv, &l->timer);
    uv_timer_init(&l->uv, &l->tick);
    uv_idle_init(&l->uv, &l->eager);
    l->eager.data = l->poll.data = l->timer.data = l->tick.data = l->wake.data = l;
    uv_poll_start(&l->poll, UV_READABLE, on_ready);
    if (l->pump.tick)
        uv_timer_start(&l->tick, on_tick, PS_TICK_MS, PS_TICK_MS);
    uv_idle_start(&l->eager, on_eager);
}

static void close_handles(void *cls)
{
    ps_loop *l = cls;
    uv_close((uv_handle_t *)&l->poll, NULL);
    uv_close((uv_handle_t *)&l->timer, NULL);
    uv_close((uv_handle_t *)&l->tick, NULL);
    uv_close((uv_handle_t *)&l->eager, NULL);
    uv_close((uv_handle_t *)&l->wake, NULL);
}

static void free_loop(ps_loop *l)
{
    int busy = uv_loop_close(&l->uv);
    assert(!busy);
    (void)busy;
    pthread_mutex_destroy(&l->lock);
    free(l);
}

static int refuse(ps_loop *l, const char *what, ps_why *why)
{
    uv_run(&l->uv, UV_RUN_DEFAULT);
    free_loop(l);
    return ps_fail(why, PS_ELIBRARY, "loop", 0, "cannot make %s", what);
}

int ps_loop_start(ps_loop **out, ps_pump source, ps_why *why)
{
    ps_loop *l = calloc(1, sizeof *l);
    if (!l || uv_loop_init(&l->uv)) {
        free(l);
        return ps_fail(why, PS_ENOMEM, "loop", 0, "cannot make an event loop");
    }
    l->pump = source;
    l->last = &l->first;
    pthread_mutex_init(&l->lock, NULL);
    if (uv_async_init(&l->uv, &l->wake, on_wake))
        return refuse(l, "a way to wake it", why);
    if (uv_poll_init(&l->uv, &l->poll, source.fd)) {
        uv_close((uv_handle_t *)&l->wake, NULL);
        return refuse(l, "a watch on its source", why);
    }
    start_handles(l);
    if (source.begin)
        source.begin(source.cls, l);
    if (pthread_create(&l->thread, NULL, turn, l)) {
        close_handles(l);
        return refuse(l, "a thread", why);
    }
    *out = l;
    return PS_OK;
}

void ps_loop_post(ps_loop *l, void (*fn)(void *cls), void *cls)
{
    call *c = malloc(sizeof *c);
    if (!c)
        abort();
    *c = (call){.fn = fn, .cls = cls};
    pthread_mutex_lock(&l->lock);
    bool was_empty = !l->first;
    *l->last = c;
    l->last = &c->next;
    pthread_mutex_unlock(&l->lock);
    if (was_empty)
        uv_async_send(&l->wake);
}

void ps_loop_stop(ps_loop *l)
{
    if (!l)
        return;
    ps_loop_post(l, close_handles, l);
    pthread_join(l->thread, NULL);
    free_loop(l);
}
