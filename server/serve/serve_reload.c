/* serve_reload.c - when a generation is taken up: `current` changed, or somebody asked.
 *
 *      folder of the catalog --- event --> settle, 200 ms --+
 *      once a second ------------------------------------- +--> look: another link?
 *      SIGHUP, POST /admin/reload ------------------------------> open
 *
 * The folder is watched, not the link: a watch on what is replaced hears of it once and
 * never again. Volumes that tell nobody of changes are the reason for looking anyway. A
 * generation that was refused is left alone until `current` names another, somebody asks,
 * or a minute has passed.
 *
 * Threads: the main thread, but for ask().
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/serve/serve_inside.h"

#define SETTLE_MS 200
#define RETRY_MS  60000

/* ------------------------------ Looking ------------------------------------ */

/* Where `current` leads; "" when it leads nowhere. */
static void read_current(const server *s, char *out, size_t room)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/current", s->state.opts->catalog);
    ssize_t len = n > 0 && (size_t)n < sizeof path ? readlink(path, out, room - 1) : -1;
    out[len > 0 ? len : 0] = '\0';
}

/* The path that was given may be a link that is switched to another catalog. Live writes,
 * generations and the sandbox are all of the folder that it led to at the start, and that
 * is what is served until the end: half of one and half of the other would lose writes.
 */
static bool link_leads_home(const server *s)
{
    const char *link = s->state.opts->link;
    struct stat st;
    return !link || (stat(link, &st) == 0 && st.st_dev == s->reloads.dev &&
                     st.st_ino == s->reloads.ino);
}

static void look_at_link(server *s)
{
    const ps_serve_opts *o = s->state.opts;
    bool away = !link_leads_home(s);
    if (away && !s->reloads.away)
        ps_log_say(s->state.log, PS_LOG_WARN, "the catalog's link leads elsewhere",
                   "link", o->link, "serving", o->catalog, "remedy",
                   "restart the server to follow it", NULL);
    else if (!away && s->reloads.away)
        ps_log_say(s->state.log, PS_LOG_INFO, "the catalog's link leads here again",
                   "link", o->link, NULL);
    s->reloads.away = away;
}

void serve_reload_tell_link(server *s)
{
    s->reloads.away = false;
    look_at_link(s);
}

static int refuse_link(const server *s, ps_why *why)
{
    return ps_fail(
        why, PS_EMISMATCH, s->state.opts->link, 0,
        "it leads elsewhere than at the start, to another catalog than %.150s: "
        "restart the server to follow it",
        s->state.opts->catalog);
}

void serve_reload_look(server *s)
{
    serve_reloads *r = &s->reloads;
    char now[sizeof r->target];
    look_at_link(s);
    if (s->phase != RUNNING || s->state.opts->no_watch || !s->state.engine)
        return;
    read_current(s, now, sizeof now);
    bool other = *now && strcmp(now, r->target) != 0;
    bool retry = r->refused && uv_now(&s->uv) - r->tried > RETRY_MS;
    if (other || (retry && !s->opening))
        serve_open(s);
}

static void on_settled(uv_timer_t *timer)
{
    serve_reload_look(timer->data);
}

static void on_event(uv_fs_event_t *event, const char *name, int events, int status)
{
    (void)name;
    (void)events;
    server *s = event->data;
    if (!status)
        uv_timer_start(&s->reloads.settle, on_settled, SETTLE_MS, 0);
}

/* ------------------------------ Being asked -------------------------------- */

static void answer(server *s, ps_reload *list, int err, const ps_why *why)
{
    for (ps_reload *r = list, *next; r; r = next) {
        next = r->next;
        r->err = err;
        if (why)
            r->why = *why;
        if (!err && r->by_hand && !link_leads_home(s))
            r->err = refuse_link(s, &r->why);
        if (s->state.engine)
            snprintf(r->generation, sizeof r->generation, "%s",
                     ps_engine_generation(s->state.engine)->name);
        r->done(r);
    }
}

static ps_reload *take_asked(serve_reloads *r)
{
    pthread_mutex_lock(&r->lock);
    ps_reload *list = r->asked;
    r->asked = NULL;
    pthread_mutex_unlock(&r->lock);
    return list;
}

static void ask(void *cls, ps_reload *question)
{
    server *s = cls;
    serve_reloads *r = &s->reloads;
    pthread_mutex_lock(&r->lock);
    bool closed = r->closed;
    if (!closed) {
        question->next = r->asked;
        r->asked = question;
        uv_async_send(&r->wake);
    }
    pthread_mutex_unlock(&r->lock);
    if (closed) {
        question->err = PS_ECANCELLED;
        question->done(question);
    }
}

static void on_asked(uv_async_t *wake)
{
    server *s = wake->data;
    if (s->phase == RUNNING)
        serve_open(s); /* takes the questions, now or when it is at it again */
    else
        answer(s, take_asked(&s->reloads), PS_ECANCELLED, NULL);
}

/* ------------------------------ The opening -------------------------------- */

void serve_reload_begin(server *s)
{
    serve_reloads *r = &s->reloads;
    read_current(s, r->target, sizeof r->target);
    r->tried = uv_now(&s->uv);
    r->answering = take_asked(r);
    r->accept_fewer = false;
    for (const ps_reload *q = r->answering; q; q = q->next)
        r->accept_fewer |= q->accept_fewer;
}

void serve_reload_end(server *s, int err, const ps_why *why)
{
    serve_reloads *r = &s->reloads;
    ps_reload *list = r->answering;
    r->answering = NULL;
    r->refused = err != PS_OK;
    answer(s, list, err, why);
}

/* ------------------------------ Lifetime ----------------------------------- */

void serve_reload_init(server *s)
{
    pthread_mutex_init(&s->reloads.lock, NULL);
    s->reloads.closed = true;
    s->state.reloader = (ps_reloader){.ask = ask, .cls = s};
}

void serve_reload_start(server *s)
{
    serve_reloads *r = &s->reloads;
    const ps_serve_opts *o = s->state.opts;
    struct stat st = {0};
    stat(o->catalog, &st);
    r->dev = st.st_dev;
    r->ino = st.st_ino;
    uv_async_init(&s->uv, &r->wake, on_asked);
    uv_timer_init(&s->uv, &r->settle);
    uv_fs_event_init(&s->uv, &r->watch);
    r->wake.data = r->settle.data = r->watch.data = s;
    if (!o->no_watch && uv_fs_event_start(&r->watch, on_event, o->catalog, 0))
        ps_log_say(s->state.log, PS_LOG_INFO, "the catalog is looked at once a second",
                   NULL);
    pthread_mutex_lock(&r->lock);
    r->closed = false;
    pthread_mutex_unlock(&r->lock);
}

void serve_reload_close(server *s)
{
    serve_reloads *r = &s->reloads;
    if (r->closed)
        return;
    pthread_mutex_lock(&r->lock);
    r->closed = true;
    pthread_mutex_unlock(&r->lock);
    uv_close((uv_handle_t *)&r->wake, NULL);
    uv_close((uv_handle_t *)&r->settle, NULL);
    uv_close((uv_handle_t *)&r->watch, NULL);
}

void serve_reload_stop(server *s)
{
    answer(s, take_asked(&s->reloads), PS_ECANCELLED, NULL);
    answer(s, s->reloads.answering, PS_ECANCELLED, NULL);
    s->reloads.answering = NULL;
}

void serve_reload_done(server *s)
{
    pthread_mutex_destroy(&s->reloads.lock);
}
