/* serve.c - starts the loops, opens the catalog, waits for signals, drains.
 *
 *      SIGTERM -> readiness fails, answers close their connections
 *        drain_delay later -> no new handshakes; a moment later the listeners close
 *          no connection left, or drain_limit later -> loops stop, return
 *
 * Opening a generation, at start and at SIGHUP, is done by libuv's worker threads, so
 * that liveness and signals are answered meanwhile. A new engine that does not answer
 * its canary question never becomes the current one.
 *
 * Threads: the main thread, but for open_engine.
 */
#include "server/serve.h"

#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "pinsage/workers.h"
#include "server/http.h"
#include "server/listen.h"
#include "server/loop.h"
#include "server/state.h"

#define DRAIN_STEP_MS 20
#define DEAF_MS       100 /* for handshakes under way to end */
#define CHORES_MS     1000
#define LOOPS_MAX     256
#define SPARE_FDS     64 /* beside connections: maps, sockets, loops */

typedef enum phase { RUNNING, DELAYING, DEAF, CLOSING, STOPPED } phase;

/* An I/O thread: the loop pumps its HTTP. */
typedef struct io {
    ps_http *http;
    ps_loop *loop;
} io;

typedef struct server {
    ps_state state;
    uv_loop_t uv;
    uv_signal_t term, interrupt, reload;
    uv_timer_t timer, chores;
    uv_work_t work;
    bool opening, again; /* a generation is being opened; another SIGHUP came */
    phase phase;
    uint64_t since; /* when the phase began, uv_now time */
    io *io;         /* (state.n_loops) */
    char address[PS_ADDRESS_MAX], admin_address[PS_ADDRESS_MAX];
    ps_engine *opened; /* by the worker thread; NULL if that failed */
    int err;
    ps_why *why;
} server;

/* ------------------------------ Drain -------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    (void)handle;
}

static void stop(server *s)
{
    s->phase = STOPPED;
    uv_handle_t *const handles[] = {(uv_handle_t *)&s->term, (uv_handle_t *)&s->interrupt,
                                    (uv_handle_t *)&s->reload, (uv_handle_t *)&s->timer,
                                    (uv_handle_t *)&s->chores};
    for (size_t i = 0; i < sizeof handles / sizeof *handles; i++)
        if (!uv_is_closing(handles[i]))
            uv_close(handles[i], on_closed);
}

static uint64_t open_connections(const server *s)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < s->state.n_loops; i++)
        n += ps_count_get(&s->state.stats[i].accepted) -
             ps_count_get(&s->state.stats[i].closed);
    return n;
}

static void deafen(void *http)
{
    ps_http_deafen(http);
}

static void quiesce(void *http)
{
    ps_http_quiesce(http);
}

static void enter(server *s, phase next)
{
    s->phase = next;
    s->since = uv_now(&s->uv);
    if (next == DELAYING)
        return;
    for (unsigned i = 0; i < s->state.n_loops; i++)
        ps_loop_post(s->io[i].loop, next == DEAF ? deafen : quiesce, s->io[i].http);
}

static void end_drain(server *s)
{
    char text[24];
    uint64_t left = open_connections(s);
    snprintf(text, sizeof text, "%llu", (unsigned long long)left);
    ps_log_say(s->state.log, left ? PS_LOG_WARN : PS_LOG_INFO, "stopped", "connections",
               text, NULL);
    stop(s);
}

static void on_drain(uv_timer_t *timer)
{
    server *s = timer->data;
    const ps_serve_opts *o = s->state.opts;
    uint64_t waited = uv_now(&s->uv) - s->since;
    if (s->phase == DELAYING && waited >= o->drain_delay)
        enter(s, DEAF);
    else if (s->phase == DEAF && waited >= DEAF_MS)
        enter(s, CLOSING);
    else if (s->phase == CLOSING && waited >= DRAIN_STEP_MS &&
             (!open_connections(s) || waited >= o->drain_limit))
        end_drain(s);
}

static void on_signal(uv_signal_t *handle, int number)
{
    server *s = handle->data;
    const char *name = number == SIGTERM ? "SIGTERM" : "SIGINT";
    if (s->phase != RUNNING) {
        ps_log_say(s->state.log, PS_LOG_WARN, "stopping at once", "signal", name, NULL);
        stop(s);
        return;
    }
    ps_log_say(s->state.log, PS_LOG_INFO, "draining", "signal", name, NULL);
    atomic_store(&s->state.draining, true);
    enter(s, number == SIGTERM && s->state.opts->drain_delay ? DELAYING : DEAF);
    uv_timer_start(&s->timer, on_drain, DRAIN_STEP_MS, DRAIN_STEP_MS);
}

/* ------------------------------ Opening a generation ----------------------- */

static int try_canary(ps_engine *e, ps_why *why)
{
    ps_reader *r;
    int err = ps_reader_new(&r, e);
    if (err)
        return err;
    err = ps_reader_canary(r, why);
    ps_reader_free(r);
    return err;
}

/* On a worker thread. */
static void open_engine(uv_work_t *work)
{
    server *s = work->data;
    s->opened = NULL;
    s->err = ps_engine_open(&s->opened, s->state.opts->catalog, s->why);
    if (s->err)
        return;
    s->err = try_canary(s->opened, s->why);
    if (s->err) {
        ps_engine_release(s->opened);
        s->opened = NULL;
    }
}

typedef struct installing {
    ps_http *http;
    ps_engine *e; /* borrowed */
    int err;
    sem_t *done;
} installing;

/* On a loop's thread. */
static void install(void *cls)
{
    installing *in = cls;
    in->err = ps_http_install(in->http, in->e);
    sem_post(in->done);
}

/* Waits until every loop answers from the new engine: only then is it called current.
 * That takes no longer than the answers that the loops are at. */
static void install_everywhere(server *s)
{
    installing in[LOOPS_MAX + 1];
    sem_t done;
    bool good = true;
    sem_init(&done, 0, 0);
    for (unsigned i = 0; i < s->state.n_loops; i++) {
        in[i] = (installing){s->io[i].http, s->opened, PS_OK, &done};
        ps_loop_post(s->io[i].loop, install, &in[i]);
    }
    for (unsigned i = 0; i < s->state.n_loops; i++)
        while (sem_wait(&done))
            ;
    for (unsigned i = 0; i < s->state.n_loops; i++)
        good = good && !in[i].err;
    sem_destroy(&done);
    if (!good)
        ps_log_say(s->state.log, PS_LOG_ERROR, "a loop has no memory for the generation",
                   NULL);
    ps_state_install(&s->state, s->opened, good);
    s->opened = NULL;
}

static void say_listening(server *s, bool first)
{
    ps_engine *e = s->state.engine;
    ps_generation *g = ps_engine_generation(e);
    char pins[16];
    snprintf(pins, sizeof pins, "%u", g->n_pins);
    if (!first)
        ps_log_say(s->state.log, PS_LOG_INFO, "reloaded", "generation", g->name, "pins",
                   pins, NULL);
    else
        ps_log_say(s->state.log, PS_LOG_INFO, "listening", "addr", s->address,
                   "generation", g->name, "pins", pins, "method", ps_engine_method(e, 0),
                   "index", ps_engine_index(e),
                   *s->admin_address ? "admin" : (const char *)NULL, s->admin_address,
                   NULL);
}

static void start_opening(server *s);

static void on_opened(uv_work_t *work, int status)
{
    (void)status;
    server *s = work->data;
    bool first = !s->state.engine; /* only this thread changes it */
    s->opening = false;
    if (s->opened) {
        install_everywhere(s);
        say_listening(s, first);
    } else if (first) {
        stop(s);
    } else {
        char text[600];
        ps_why_format(s->why, s->err, text, sizeof text);
        ps_log_say(s->state.log, PS_LOG_ERROR, "reload failed", "error", text, NULL);
        s->err = PS_OK;
    }
    if (s->again && s->phase == RUNNING)
        start_opening(s);
}

static void start_opening(server *s)
{
    s->opening = true;
    s->again = false;
    memset(s->why, 0, sizeof *s->why);
    uv_queue_work(&s->uv, &s->work, open_engine, on_opened);
}

static void on_reload(uv_signal_t *handle, int number)
{
    (void)number;
    server *s = handle->data;
    if (s->opening)
        s->again = true;
    else if (s->phase == RUNNING)
        start_opening(s);
}

/* ------------------------------ Loops -------------------------------------- */

static int start_io(server *s, unsigned i, int listener, ps_why *why)
{
    int err = ps_http_start(&s->io[i].http, &s->state, i, listener, why);
    if (err)
        return err;
    ps_pump pump = {.fd = ps_http_fd(s->io[i].http),
                    .run = ps_http_run,
                    .timeout = ps_http_timeout,
                    .tick = ps_http_tick,
                    .cls = s->io[i].http};
    return ps_loop_start(&s->io[i].loop, pump, why);
}

/* The last loop is the admin's when there is such an address. */
static int start_loops(server *s, ps_why *why)
{
    const ps_serve_opts *o = s->state.opts;
    unsigned admin = o->admin_listen != NULL, n = s->state.n_loops - admin;
    int listener[LOOPS_MAX + 1];
    int err = ps_listen(listener, n, o->listen, s->address, why);
    if (err)
        return err;
    if (admin) {
        err = ps_listen(listener + n, 1, o->admin_listen, s->admin_address, why);
        for (unsigned i = 0; i < n && err; i++)
            close(listener[i]);
        if (err)
            return err;
    }
    for (unsigned i = 0; i < n + admin; i++)
        if (err)
            close(listener[i]);
        else
            err = start_io(s, i, listener[i], why);
    return err;
}

static void stop_loops(server *s)
{
    for (unsigned i = 0; s->io && i < s->state.n_loops; i++)
        ps_loop_stop(s->io[i].loop);
    for (unsigned i = 0; s->io && i < s->state.n_loops; i++)
        ps_http_stop(s->io[i].http);
}

/* ------------------------------ The process -------------------------------- */

/* Signals are for the main thread: threads inherit the mask that they are made with. */
static void block_signals(int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(how, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void raise_fd_limit(const server *s)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)s->state.opts->connections + SPARE_FDS;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < wanted)
        ps_log_say(s->state.log, PS_LOG_WARN,
                   "fewer file descriptors are allowed than connections", NULL);
}

static double unix_time(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int start_state(server *s, const ps_serve_opts *o, ps_why *why)
{
    ps_state *st = &s->state;
    unsigned loops = o->loops ? o->loops : ps_cores();
    loops = loops < LOOPS_MAX ? loops : LOOPS_MAX;
    *st = (ps_state){.opts = o, .start_time = unix_time()};
    st->n_loops = loops + (o->admin_listen != NULL);
    pthread_mutex_init(&st->lock, NULL);
    int err = ps_log_start(&st->log, STDERR_FILENO, o->log_format, o->log_level, why);
    if (!err && o->images)
        err = ps_images_open(&st->images, o->images, o->image_bytes, why);
    if (!err)
        err = ps_auth_open(&st->auth, &o->auth, st->log, why);
    size_t size = st->n_loops * sizeof *st->stats;
    st->stats = err ? NULL : aligned_alloc(_Alignof(ps_stats), size);
    s->io = err ? NULL : calloc(st->n_loops, sizeof *s->io);
    if (!err && (!st->stats || !s->io))
        err = PS_ENOMEM;
    if (!err)
        memset(st->stats, 0, size);
    return err;
}

static void end_state(server *s)
{
    ps_state *st = &s->state;
    ps_engine_release(st->engine);
    ps_auth_close(st->auth);
    ps_images_close(st->images);
    ps_log_stop(st->log);
    pthread_mutex_destroy(&st->lock);
    free(st->stats);
    free(s->io);
}

/* Once a second: files that may have been exchanged. */
static void on_chores(uv_timer_t *timer)
{
    server *s = timer->data;
    ps_auth_refresh(s->state.auth);
}

static void start_main(server *s)
{
    uv_signal_init(&s->uv, &s->term);
    uv_signal_init(&s->uv, &s->interrupt);
    uv_signal_init(&s->uv, &s->reload);
    uv_timer_init(&s->uv, &s->timer);
    uv_timer_init(&s->uv, &s->chores);
    s->term.data = s->interrupt.data = s->reload.data = s->timer.data = s->work.data = s;
    s->chores.data = s;
    uv_timer_start(&s->chores, on_chores, CHORES_MS, CHORES_MS);
    uv_signal_start(&s->term, on_signal, SIGTERM);
    uv_signal_start(&s->interrupt, on_signal, SIGINT);
    uv_signal_start(&s->reload, on_reload, SIGHUP);
    start_opening(s);
}

int ps_serve(const ps_serve_opts *opts, ps_why *why)
{
    ps_why local = {0};
    server s = {.why = why ? why : &local};
    block_signals(SIG_BLOCK);
    int err = start_state(&s, opts, s.why);
    if (!err) {
        raise_fd_limit(&s);
        err = start_loops(&s, s.why);
    }
    if (!err && uv_loop_init(&s.uv))
        err = ps_fail(s.why, PS_ELIBRARY, "serve", 0, "cannot make an event loop");
    else if (!err) {
        start_main(&s);
        block_signals(SIG_UNBLOCK);
        uv_run(&s.uv, UV_RUN_DEFAULT);
        uv_loop_close(&s.uv);
        err = s.err;
    }
    stop_loops(&s);
    end_state(&s);
    return err;
}
