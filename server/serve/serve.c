/* serve.c - starts the loops, has the catalog opened, waits for signals, drains.
 *
 *      SIGTERM -> readiness fails, answers close their connections
 *        drain_delay later -> no new handshakes; a moment later the listeners close
 *          no connection left, or drain_limit later -> loops stop, return
 *
 * A service manager that wants to know (notify.h) is told of all this, and gets a sign
 * of life while the main loop and all others turn. A listener that it handed over stays
 * open there: who comes before we are ready, or after our end, waits in its queue.
 *
 * Threads: the main thread. Not here: how a generation is opened (serve_open.c).
 */
#include "server/serve/serve.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "pinsage/layout.h"
#include "pinsage/workers.h"
#include "server/routes/health.h"
#include "server/routes/routes.h"
#include "server/security/sandbox.h"
#include "server/serve/serve_inside.h"
#include "server/state/compaction.h"
#include "server/state/file_check.h"
#include "server/state/recall.h"

#define DRAIN_STEP_MS 20
#define REFUSING_MS   100 /* for handshakes under way to end */
#define CHORES_MS     1000
#define SPARE_FDS     64 /* beside connections: maps, sockets, loops */

/* ------------------------------ Drain -------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    (void)handle;
}

void serve_stop(server *s)
{
    s->phase = STOPPED;
    uv_handle_t *const handles[] = {(uv_handle_t *)&s->term, (uv_handle_t *)&s->interrupt,
                                    (uv_handle_t *)&s->reload, (uv_handle_t *)&s->timer,
                                    (uv_handle_t *)&s->chores};
    for (size_t i = 0; i < sizeof handles / sizeof *handles; i++)
        if (!uv_is_closing(handles[i]))
            uv_close(handles[i], on_closed);
    serve_reload_close(s);
}

static uint64_t open_connections(const server *s)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < s->state.n_loops; i++)
        n += ps_count_get(&s->state.stats[i].accepted) -
             ps_count_get(&s->state.stats[i].closed);
    return n;
}

static void stop_listening(void *http)
{
    ps_http_stop_listening(http);
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
        if (s->io[i].loop && (next == CLOSING || !s->io[i].handed))
            ps_loop_post(s->io[i].loop, next == REFUSING ? stop_listening : quiesce,
                         s->io[i].http);
}

static void end_drain(server *s)
{
    char text[24];
    uint64_t left = open_connections(s);
    snprintf(text, sizeof text, "%llu", (unsigned long long)left);
    ps_log_say(s->state.log, left ? PS_LOG_WARN : PS_LOG_INFO, "stopped", "connections",
               text, NULL);
    serve_stop(s);
}

static void on_drain(uv_timer_t *timer)
{
    server *s = timer->data;
    const ps_serve_opts *o = s->state.opts;
    uint64_t waited = uv_now(&s->uv) - s->since;
    if (s->phase == DELAYING && waited >= o->drain_delay)
        enter(s, REFUSING);
    else if (s->phase == REFUSING && waited >= REFUSING_MS)
        enter(s, CLOSING);
    else if (s->phase == CLOSING && waited >= DRAIN_STEP_MS &&
             (!open_connections(s) || waited >= o->drain_limit))
        end_drain(s);
}

static void on_reload(uv_signal_t *handle, int number)
{
    (void)number;
    server *s = handle->data;
    if (s->state.tls)
        ps_tls_refresh(s->state.tls, true);
    serve_reload_tell_link(s);
    if (s->phase == RUNNING)
        serve_open(s);
}

static void on_signal(uv_signal_t *handle, int number)
{
    server *s = handle->data;
    const char *name = number == SIGTERM ? "SIGTERM" : "SIGINT";
    if (s->phase != RUNNING) {
        ps_log_say(s->state.log, PS_LOG_WARN, "stopping at once", "signal", name, NULL);
        serve_stop(s);
        return;
    }
    ps_log_say(s->state.log, PS_LOG_INFO, "draining", "signal", name, NULL);
    ps_notify_tell(&s->notify, "STOPPING=1\nSTATUS=draining");
    ps_compaction_cancel(s->state.compaction);
    atomic_store(&s->state.draining, true);
    enter(s, number == SIGTERM && s->state.opts->drain_delay ? DELAYING : REFUSING);
    uv_timer_start(&s->timer, on_drain, DRAIN_STEP_MS, DRAIN_STEP_MS);
}

/* ------------------------------ Loops -------------------------------------- */

int serve_start_loop(serve_io *io, ps_why *why)
{
    ps_pump pump = {.fd = ps_http_fd(io->http),
                    .begin = ps_http_begin,
                    .run = ps_http_run,
                    .timeout = ps_http_timeout,
                    .tick = ps_http_tick,
                    .cls = io->http};
    return ps_loop_start(&io->loop, pump, why);
}

static bool has_admin(const server *s)
{
    return s->state.opts->admin_listen || s->notify.admin_listener >= 0;
}

/* Listeners for n loops, of our own or as copies of the one that was handed over. */
static int open_listeners(serve_io *ios, int *fd, unsigned n, int handed,
                          const char *address, char *told, ps_why *why)
{
    for (unsigned i = 0; i < n; i++)
        ios[i].handed = handed >= 0;
    return handed >= 0 ? ps_listen_handed(fd, n, handed, told, why)
                       : ps_listen(fd, n, address, told, why);
}

/* The last loop is the admin's when there is such an address. */
static int start_loops(server *s, ps_why *why)
{
    const ps_serve_opts *o = s->state.opts;
    unsigned admin = has_admin(s), n = s->state.n_loops - admin;
    int listener[LOOPS_MAX + 1];
    int err = open_listeners(s->io, listener, n, s->notify.listener, o->listen,
                             s->address, why);
    if (err)
        return err;
    if (admin) {
        err = open_listeners(s->io + n, listener + n, 1, s->notify.admin_listener,
                             o->admin_listen, s->admin_address, why);
        for (unsigned i = 0; i < n && err; i++)
            close(listener[i]);
        if (err)
            return err;
    }
    for (unsigned i = 0; i < n + admin; i++)
        if (err)
            close(listener[i]);
        else
            err = ps_http_start(&s->io[i].http, &s->state, i, listener[i], why);
    for (unsigned i = 0; i < n + admin && !err; i++)
        if (i == n || !s->io[i].handed)
            err = serve_start_loop(&s->io[i], why);
    return err;
}

static void release(void *http)
{
    ps_http_release(http);
}

/* Workers first: what they have is posted to the loops, and answered there. */
static void stop_loops(server *s)
{
    ps_worker_pool_stop(s->state.pool);
    for (unsigned i = 0; s->io && i < s->state.n_loops; i++)
        if (s->io[i].loop)
            ps_loop_post(s->io[i].loop, release, s->io[i].http);
    for (unsigned i = 0; s->io && i < s->state.n_loops; i++)
        ps_loop_stop(s->io[i].loop);
    for (unsigned i = 0; s->io && i < s->state.n_loops; i++)
        ps_http_stop(s->io[i].http);
}

/* ------------------------------ The process -------------------------------- */

static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
enum { N_SIGNALS = sizeof signals / sizeof *signals };

/* Signals are for the main thread: threads inherit the mask that they are made with. */
static void block_signals(int how)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < N_SIGNALS; i++)
        sigaddset(&set, signals[i]);
    pthread_sigmask(how, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void on_ignored(uv_signal_t *handle, int number)
{
    (void)handle;
    (void)number;
}

/* With its last watcher libuv gives a signal back to the kernel, whose answer is to end
 * the process, while threads are still being joined. Blocking it is not enough: OpenBLAS
 * has threads of its own, from before main. So a second watcher of each stays to the end,
 * on a loop that nobody turns. */
static int hold_signals(void)
{
    static uv_loop_t still;
    static uv_signal_t held[N_SIGNALS];
    int err = uv_loop_init(&still);
    for (size_t i = 0; i < N_SIGNALS && !err; i++) {
        err = uv_signal_init(&still, &held[i]);
        if (!err)
            err = uv_signal_start(&held[i], on_ignored, signals[i]);
    }
    return err;
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

static int start_pool(ps_state *st, ps_why *why)
{
    for (unsigned i = 0; i < st->n_workers; i++)
        st->worker_context[i] = (ps_context){
            .state = st, .stats = &st->stats[st->n_loops + i], .worker = true};
    return ps_worker_pool_start(&st->pool,
                                (ps_worker_pool_opts){.workers = st->n_workers,
                                                      .queue = st->opts->queue,
                                                      .refresh = serve_refresh,
                                                      .cls = st},
                                why);
}

static unsigned at_most(unsigned n, unsigned most)
{
    return n < most ? n : most;
}

/* What loops and workers share, but for what they have each. */
static int open_shared(ps_state *st, const ps_serve_opts *o, ps_why *why)
{
    int err = ps_log_start(&st->log, STDERR_FILENO, o->log_format, o->log_level, why);
    if (!err)
        err = ps_cors_init(&st->cors, o->cors_origin, why);
    if (!err)
        err = ps_hosts_init(&st->hosts, o->listen, o->allowed_hosts, why);
    if (!err && o->images)
        err = ps_images_open(&st->images, o->images, o->image_bytes, why);
    if (!err)
        err = ps_auth_open(&st->auth, &o->auth, st->log, why);
    if (!err && (o->tls.cert || o->tls.key))
        err = ps_tls_open(&st->tls, &o->tls, st->log, why);
    snprintf(st->cache_control, sizeof st->cache_control,
             o->max_age ? "max-age=%u" : "no-cache", o->max_age);
    return err;
}

static int allocate_threads(server *s)
{
    ps_state *st = &s->state;
    size_t size = st->n_stats * sizeof *st->stats;
    st->stats = aligned_alloc(_Alignof(ps_stats), size);
    st->worker_context = calloc(st->n_workers, sizeof *st->worker_context);
    s->io = calloc(st->n_loops, sizeof *s->io);
    if (!st->stats || !st->worker_context || !s->io)
        return PS_ENOMEM;
    memset(st->stats, 0, size);
    return PS_OK;
}

static int start_state(server *s, const ps_serve_opts *o, ps_why *why)
{
    ps_state *st = &s->state;
    *st = (ps_state){.opts = o, .start_time = unix_time()};
    st->n_loops = at_most(o->loops ? o->loops : ps_cores(), LOOPS_MAX) + has_admin(s);
    st->n_workers = at_most(o->workers ? o->workers : ps_cores(), WORKERS_MAX);
    st->n_stats = st->n_loops + st->n_workers;
    pthread_mutex_init(&st->lock, NULL);
    int err = open_shared(st, o, why);
    if (!err)
        err = allocate_threads(s);
    return err ? err : start_pool(st, why);
}

static void end_state(server *s)
{
    ps_state *st = &s->state;
    for (unsigned i = 0; st->worker_context && i < st->n_workers; i++)
        ps_reader_free(st->worker_context[i].reader);
    ps_engine_release(st->engine);
    serve_live_close(st);
    ps_auth_close(st->auth);
    ps_tls_close(st->tls);
    ps_cors_done(&st->cors);
    ps_hosts_done(&st->hosts);
    ps_images_close(st->images);
    ps_log_stop(st->log);
    pthread_mutex_destroy(&st->lock);
    free(st->worker_context);
    free(st->stats);
    free(s->io);
}

/* Once a second: files that may have been exchanged, and a sign of life. */
static void on_chores(uv_timer_t *timer)
{
    server *s = timer->data;
    ps_auth_refresh(s->state.auth);
    if (s->state.tls)
        ps_tls_refresh(s->state.tls, false);
    serve_reload_look(s);
    if (s->notify.watchdog_ms && ps_health_is_live(&s->state))
        ps_notify_tell(&s->notify, "WATCHDOG=1");
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
    uint32_t watchdog = s->notify.watchdog_ms;
    uint64_t every = watchdog && watchdog / 3 < CHORES_MS ? watchdog / 3 + 1 : CHORES_MS;
    uv_timer_start(&s->chores, on_chores, every, every);
    uv_signal_start(&s->term, on_signal, SIGTERM);
    uv_signal_start(&s->interrupt, on_signal, SIGINT);
    uv_signal_start(&s->reload, on_reload, SIGHUP);
    serve_reload_start(s);
    serve_open(s);
}

/* Files of tokens and keys may be exchanged, so it is their folders that are read. */
static int restrict_files(ps_sandbox *box, const ps_serve_opts *o, ps_why *why)
{
    char live[PS_PATH_MAX]; /* who only reads it says so there */
    if (ps_path_in(live, o->catalog, PS_DIR_LIVE, why))
        return PS_ERANGE;
    const ps_sandbox_path paths[] = {
        {.path = o->catalog, .write = !o->auth.read_only},
        {.path = live, .write = true},
        {.path = o->images},
        {.path = o->auth.token_file, .folder = true},
        {.path = o->tls.cert, .folder = true},
        {.path = o->tls.key, .folder = true},
    };
    return ps_sandbox_files(box, o->sandbox, paths, sizeof paths / sizeof *paths, why);
}

/* All that has threads; the sandbox closes behind them. */
static int start_all(server *s, ps_sandbox *box)
{
    const ps_serve_opts *o = s->state.opts;
    raise_fd_limit(s);
    int err = start_loops(s, s->why);
    if (!err)
        err = serve_live_start(&s->state, s->why);
    if (!err && s->state.writes.writer)
        err = ps_compaction_start(&s->state.compaction, &s->state, o->compact_threads,
                                  s->why);
    if (!err)
        err = ps_recall_start(&s->state.recall, &s->state, o->recall_every, s->why);
    if (!err)
        err = ps_file_check_start(&s->state.files, &s->state, o->verify_rate, s->why);
    if (!err)
        err = ps_sandbox_calls(box, s->why);
    if (!err)
        ps_sandbox_say(box, s->state.log);
    return err;
}

static int run_main(server *s)
{
    if (uv_loop_init(&s->uv) || hold_signals())
        return ps_fail(s->why, PS_ELIBRARY, "serve", 0, "cannot make an event loop");
    start_main(s);
    block_signals(SIG_UNBLOCK);
    uv_run(&s->uv, UV_RUN_DEFAULT);
    uv_loop_close(&s->uv);
    return s->err;
}

static void stop_all(server *s)
{
    ps_compaction_cancel(s->state.compaction);
    serve_live_stop(&s->state); /* who waits for a write is answered, while loops turn */
    serve_reload_stop(s);
    ps_compaction_stop(s->state.compaction);
    stop_loops(s);
    ps_file_check_stop(s->state.files);
    ps_recall_stop(s->state.recall); /* loops and workers have questions for it */
    end_state(s);
    serve_reload_done(s);
    ps_notify_done(&s->notify);
}

int ps_serve(const ps_serve_opts *opts, ps_why *why)
{
    ps_why local = {0};
    server s = {.why = why ? why : &local};
    block_signals(SIG_BLOCK);
    ps_sandbox box = {0};
    int err = ps_notify_init(&s.notify, s.why);
    if (!err)
        err = restrict_files(&box, opts, s.why);
    if (!err)
        err = start_state(&s, opts, s.why);
    serve_reload_init(&s);
    if (!err)
        err = start_all(&s, &box);
    if (!err)
        err = run_main(&s);
    stop_all(&s);
    return err;
}
