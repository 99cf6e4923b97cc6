/* writer_asked.c - what other threads have the writer do, and wait for.
 *
 * Threads: see writer.h.
 */
#include "pinsage/clock.h"
#include "server/live/writer_inside.h"

#define MOMENT 50 /* ms that a snapshot is waited for */

/* ------------------------------ Commands ----------------------------------- */

static int attach(ps_writer *w, ps_live_view *l, ps_why *why)
{
    int err = ps_live_view_catch_up(l, w->store, NULL, why);
    if (err)
        return err;
    l->next = w->views;
    w->views = l;
    return PS_OK;
}

static void detach(ps_writer *w, ps_live_view *l)
{
    ps_live_view **at = &w->views;
    while (*at && *at != l)
        at = &(*at)->next;
    if (*at)
        *at = l->next;
}

/* By the writer's thread without the lock; when that is gone, under it. */
static void obey(ps_writer *w, command *c)
{
    if (c->what == ATTACH)
        c->err = attach(w, c->l, c->why);
    else
        detach(w, c->l);
}

void writer_answer(ps_writer *w)
{
    command *c = w->command;
    pthread_mutex_unlock(&w->lock);
    obey(w, c);
    pthread_mutex_lock(&w->lock);
    c->done = true;
    w->command = NULL;
    pthread_cond_broadcast(&w->answered);
}

/* The thread answers commands until it is gone; then nobody else is left to do it. */
static int ask(ps_writer *w, command *c)
{
    pthread_mutex_lock(&w->lock);
    while (w->command)
        pthread_cond_wait(&w->answered, &w->lock);
    if (w->ended) {
        obey(w, c);
    } else {
        w->command = c;
        pthread_cond_signal(&w->work);
        while (!c->done)
            pthread_cond_wait(&w->answered, &w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return c->err;
}

int ps_writer_attach(ps_writer *w, ps_live_view *l, ps_why *why)
{
    return ask(w, &(command){.what = ATTACH, .l = l, .why = why});
}

void ps_writer_detach(ps_writer *w, ps_live_view *l)
{
    ask(w, &(command){.what = DETACH, .l = l});
}

void ps_writer_trim(ps_writer *w, uint64_t lsn)
{
    pthread_mutex_lock(&w->lock);
    w->told = lsn > w->told ? lsn : w->told;
    w->counts.trimming |= w->told > 0;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
}

/* ------------------------------ Snapshots ---------------------------------- */

static bool is_attached(const ps_writer *w, const ps_live_view *l)
{
    const ps_live_view *at = w->views;
    while (at && at != l)
        at = at->next;
    return at != NULL;
}

void writer_take_snapshot(ps_writer *w)
{
    snapshot_request *x = w->request;
    x->err = is_attached(w, x->l) ? PS_OK : PS_EINVAL;
    if (!x->err) {
        ps_view_enter(x->l->view, x->slot, x->s);
        *x->lsn = x->l->lsn;
    }
    x->done = true;
    w->request = NULL;
    pthread_cond_broadcast(&w->answered);
}

static int await_snapshot(ps_writer *w, snapshot_request *x)
{
    struct timespec until = ps_after_ms(MOMENT);
    while (!x->done && !pthread_cond_timedwait(&w->answered, &w->lock, &until))
        ;
    if (!x->done)
        w->request = NULL;
    return x->done ? x->err : PS_EBUSY;
}

int ps_writer_snapshot(ps_writer *w, const ps_live_view *l, ps_epoch_slot *slot,
                       ps_snapshot *s, uint64_t *lsn, uint32_t *stale)
{
    snapshot_request x = {.l = l, .slot = slot, .s = s, .lsn = lsn};
    int err = PS_EBUSY;
    pthread_mutex_lock(&w->lock);
    if (w->stopping) {
        err = PS_ECANCELLED;
    } else if (!w->request) {
        w->request = &x;
        pthread_cond_signal(&w->work);
        err = await_snapshot(w, &x);
    }
    *stale = w->counts.stale;
    pthread_mutex_unlock(&w->lock);
    return err;
}
