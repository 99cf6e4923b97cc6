/* serve_open.c - a generation is opened aside, tried, and put into every loop.
 *
 * Opening, at start and at SIGHUP, is done by libuv's worker threads, so that liveness
 * and signals are answered meanwhile. A new engine that does not answer its canary
 * question never becomes the current one.
 *
 * Threads: the main thread, but for open_engine.
 */
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#include "pinsage/catalog.h"
#include "pinsage/layout.h"
#include "pinsage/offer.h"
#include "server/routes/routes.h"
#include "server/serve/serve_inside.h"
#include "server/state/file_check.h"

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

/* A server that starts while `current` cannot be served (a catalog of an older program, a
 * link moved by hand) takes the newest generation that can: late answers beat none. One
 * that answers already stays with what it has. */
static int open_generation(server *s, ps_generation **g)
{
    const char *catalog = s->state.opts->catalog;
    char current[PS_PATH_MAX], dir[PS_PATH_MAX];
    atomic_store(&s->state.fallen_back, false);
    int err = ps_catalog_current(catalog, current, s->why);
    if (err || s->state.engine || ps_catalog_servable(catalog, dir, NULL) ||
        strcmp(dir, current) == 0)
        return err ? err : ps_generation_open(g, catalog, s->why);
    err = ps_generation_open_dir(g, dir, s->why);
    if (!err)
        ps_log_say(s->state.log, PS_LOG_WARN,
                   "current cannot be served yet: the newest that can is",
                   PS_LINK_CURRENT, current, "serving", dir, "remedy",
                   "finish the update, then it is taken up", NULL);
    atomic_store(&s->state.fallen_back, !err);
    return err;
}

/* A server that only reads shows what was written until now. */
static int open_with_live(server *s, const ps_progress *progress)
{
    ps_generation *g;
    ps_store *store;
    const ps_writes *writes = serve_live(&s->state);
    int err = serve_live_read(&s->state, &store, s->why);
    if (err)
        return err;
    ps_writes read = {.store = store};
    ps_progress_at(progress, "opening files", 0, 0, "");
    err = open_generation(s, &g);
    if (!err)
        err = ps_engine_open_generation(&s->opened, g, store ? &read : writes, progress,
                                        s->why);
    ps_store_close(store);
    return err;
}

/* Clients ask for methods by name: none goes missing unless somebody said that it may. */
static int check_methods(server *s)
{
    char lost[200];
    ps_offer now, old;
    const ps_engine *e = s->state.engine;
    if (!e || s->state.opts->accept_fewer || s->reloads.accept_fewer)
        return PS_OK;
    const ps_generation *g = ps_engine_generation(s->opened);
    ps_offer_of(&now, g->manifest);
    ps_offer_of(&old, ps_engine_generation(e)->manifest);
    if (!ps_offer_lost(&now, &old, lost, sizeof lost))
        return PS_OK;
    atomic_fetch_add(&s->state.reloads_fewer, 1);
    return ps_fail(s->why, PS_EMISMATCH, g->name, 0,
                   "it does not answer by what is in use now: %s; a restart, or "
                   "/admin/reload?accept_fewer=true, takes it up",
                   lost);
}

/* On a worker thread. */
static void open_engine(uv_work_t *work)
{
    server *s = work->data;
    ps_progress progress = {.at = ps_state_progress, .cls = &s->state};
    s->opened = NULL;
    s->err = open_with_live(s, &progress);
    if (s->err)
        return;
    ps_progress_at(&progress, "asking a test question", 0, 0, "");
    s->err = try_canary(s->opened, s->why);
    if (!s->err)
        s->err = check_methods(s);
    if (!s->err)
        s->err = ps_engine_attach(s->opened, s->why);
    if (s->err) {
        ps_engine_release(s->opened);
        s->opened = NULL;
    }
}

typedef struct installing {
    ps_http *http;
    ps_engine *e; /* borrowed */
    uint32_t install;
    int err;
    sem_t *done;
} installing;

/* On a loop's thread. */
static void install(void *cls)
{
    installing *in = cls;
    in->err = ps_http_install(in->http, in->e, in->install);
    sem_post(in->done);
}

/* A loop that did not turn yet, so that nobody was taken from a queue too early. */
static void install_and_start(serve_io *io, installing *in)
{
    install(in);
    if (!in->err)
        in->err = serve_start_loop(io, NULL);
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
        in[i] =
            (installing){s->io[i].http, s->opened, s->state.install + 1, PS_OK, &done};
        if (s->io[i].loop)
            ps_loop_post(s->io[i].loop, install, &in[i]);
        else
            install_and_start(&s->io[i], &in[i]);
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
    ps_file_check_begin(s->state.files);
    s->opened = NULL;
    ps_worker_pool_poke(s->state.pool);
}

void serve_refresh(void *state, unsigned worker)
{
    ps_state *st = state;
    ps_context *d = &st->worker_context[worker];
    ps_reader *reader = NULL;
    uint32_t install;
    ps_engine *e = ps_state_current(st, &install);
    if (e && ps_reader_new(&reader, e))
        ps_log_say(st->log, PS_LOG_ERROR, "a worker has no memory for the generation",
                   NULL);
    if (reader) {
        ps_reader_end(reader);
        ps_reader_free(d->reader);
        d->reader = reader;
        d->install = install;
    }
    ps_engine_release(e);
}

static void say_listening(server *s, bool first)
{
    ps_engine *e = s->state.engine;
    ps_generation *g = ps_engine_generation(e);
    char pins[16];
    snprintf(pins, sizeof pins, "%u", g->n_pins);
    ps_notify_tell(&s->notify, "READY=1\nSTATUS=serving %s, %s pins, at %s", g->name,
                   pins, s->address);
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

/* A generation may have a block no more, or in another width. */
static void say_unfit(const server *s)
{
    ps_unfit unfit;
    char vectors[24], pins[16];
    ps_engine_unfit(s->state.engine, &unfit);
    snprintf(vectors, sizeof vectors, "%llu", (unsigned long long)unfit.vectors);
    snprintf(pins, sizeof pins, "%u", unfit.pins);
    if (unfit.vectors)
        ps_log_say(s->state.log, PS_LOG_WARN,
                   "live vectors fit no block; a compaction would drop them", "vectors",
                   vectors, "pins", pins, "first", unfit.first, NULL);
}

static void on_opened(uv_work_t *work, int status)
{
    (void)status;
    server *s = work->data;
    bool first = !s->state.engine; /* only this thread changes it */
    s->opening = false;
    if (first && s->phase != RUNNING) { /* of no use any more */
        ps_engine_release(s->opened);
        s->opened = NULL;
    }
    if (s->opened) {
        atomic_fetch_add(&s->state.reloads, !first);
        install_everywhere(s);
        serve_live_taken_up(&s->state, s->state.engine);
        say_listening(s, first);
        say_unfit(s);
    } else if (first) {
        serve_stop(s);
    } else {
        char text[600];
        atomic_fetch_add(&s->state.reloads_failed, 1);
        ps_why_format(s->why, s->err, text, sizeof text);
        ps_log_say(s->state.log, PS_LOG_ERROR, "reload failed", "error", text, NULL);
        ps_notify_tell(&s->notify, "READY=1\nSTATUS=serving on, the reload failed: %s",
                       text);
    }
    ps_state_progress(&s->state, "", 0, 0, "", NULL);
    serve_reload_end(s, s->err, s->why);
    s->err = first ? s->err : PS_OK;
    if (s->again && s->phase == RUNNING)
        serve_open(s);
}

void serve_open(server *s)
{
    s->again = s->opening;
    if (s->opening)
        return;
    if (s->state.engine)
        ps_notify_tell(&s->notify, "RELOADING=1\nMONOTONIC_USEC=%llu",
                       (unsigned long long)(uv_hrtime() / 1000));
    s->opening = true;
    serve_reload_begin(s);
    memset(s->why, 0, sizeof *s->why);
    uv_queue_work(&s->uv, &s->work, open_engine, on_opened);
}
