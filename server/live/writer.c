/* writer.c - a queue, a thread, and what it does when nothing waits.
 *
 * Threads: see writer.h. The lock guards the queue, the commands and the counts; views
 * are the thread's alone. Not here: what other threads have it do (writer_asked.c).
 */
#include "server/live/writer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pinsage/clock.h"
#include "pinsage/hash.h"
#include "server/live/writer_inside.h"

#define REFRESH 8   /* stale rows between two looks at the queue */
#define URGENT  64  /* the same, twice, while somebody waits for a snapshot */
#define TRIM    512 /* records looked at in one transaction */
#define LATE    60  /* seconds after which stale rows do not wait for a pause any more */
#define IDLE_S  1   /* second until what could not be done is tried again */

/* ------------------------------ Batches ------------------------------------- */

static subject subject_of(const ps_write *w)
{
    subject s = {.whole = w->kind == PS_WRITE_PUT || w->kind == PS_WRITE_PATCH ||
                          w->kind == PS_WRITE_DELETE};
    if (w->kind != PS_WRITE_VOTE) /* which is nobody's */
        s.pin = ps_hash(w->pin.data, w->pin.len);
    if (!s.whole)
        s.board = ps_hash(w->board.data, w->board.len);
    return s;
}

/* Of two writes to one pin the second waits for the next batch, unless they are saves to
 * different boards: a pin that everybody saves is not written once a commit. */
static bool joins(const ps_writer *w, uint32_t n, const ps_write *write, subject *s)
{
    *s = subject_of(write);
    for (uint32_t i = 0; i < n && s->pin; i++) {
        const subject *t = &w->subject[i];
        if (t->pin == s->pin && (t->whole || s->whole || t->board == s->board))
            return false;
    }
    return true;
}

/* Under the lock. */
static uint32_t take_batch(ps_writer *w)
{
    uint32_t n = 0;
    while (w->first && n < w->opts.batch && joins(w, n, w->first, &w->subject[n])) {
        ps_write *write = w->first;
        w->first = write->next;
        if (!w->first)
            w->last = &w->first;
        w->pending[n++] = (pending_write){.w = write};
        w->counts.waiting--;
    }
    return n;
}

/* Under the lock: those from the first on that did not fit, back to where they were. */
static void put_back(ps_writer *w, uint32_t first, uint32_t n)
{
    while (n-- > first) {
        ps_write *write = w->pending[n].w;
        write->next = w->first;
        if (!w->first)
            w->last = &write->next;
        w->first = write;
        w->counts.waiting++;
    }
}

/* Under the lock: let more join, if the options say so. */
static void wait_for_more(ps_writer *w)
{
    struct timespec until = ps_after_ms(w->opts.delay);
    if (!w->opts.delay)
        return;
    while (w->counts.waiting < w->opts.batch && !w->stopping && !w->command &&
           !w->request && !pthread_cond_timedwait(&w->work, &w->lock, &until))
        ;
}

static uint32_t stale_rows(const ps_writer *w)
{
    uint32_t n = 0;
    for (const ps_live_view *l = w->views; l; l = l->next)
        n += l->n + l->overflowed;
    return n;
}

static double oldest_stale(const ps_writer *w)
{
    ps_staleness s;
    const ps_live_view *l = w->views;
    if (!l || !l->n || !ps_view_staleness(l->view, l->queue[l->first], &s))
        return 0;
    return (double)time(NULL) - s.since;
}

/* Under the lock. */
static void note_stale(ps_writer *w)
{
    w->counts.stale = stale_rows(w);
    w->counts.oldest_stale = oldest_stale(w);
}

static void run_batch(ps_writer *w, uint32_t n)
{
    write_batch g = {.store = w->store,
                     .views = w->views,
                     .time = (double)time(NULL),
                     .arena = w->arena,
                     .pending = w->pending,
                     .n = n};
    uint64_t failed = 0;
    double began = ps_now();
    int err = ps_batch_run(&g);
    w->arena = g.arena;
    for (uint32_t i = 0; i < g.n; i++)
        failed += w->pending[i].w->err != PS_OK;
    pthread_mutex_lock(&w->lock);
    put_back(w, g.n, n);
    note_stale(w);
    w->counts.writes += g.n - failed;
    w->counts.failed += failed;
    w->counts.batches++;
    w->counts.commit_seconds += ps_now() - began;
    w->counts.full = err == PS_EFULL;
    pthread_mutex_unlock(&w->lock);
    for (uint32_t i = 0; i < g.n; i++)
        w->pending[i].w->done(w->pending[i].w);
}

/* ------------------------------ The thread --------------------------------- */

/* At every start somebody says so again: mostly there is nothing left to be done. */
static void begin_trimming(ps_writer *w, uint64_t lsn)
{
    ps_store_counts counts;
    bool known = ps_store_count(w->store, &counts, NULL) == PS_OK;
    if (known && counts.compacted >= lsn && !ps_store_has_garbage(w->store))
        return;
    w->trim = lsn > w->trim ? lsn : w->trim;
}

/* A failure ends it: it is tried again after the next compaction or start; or soon, when
 * it is only that another process reads the file. */
static void trim(ps_writer *w)
{
    bool more = false;
    int err = ps_store_trim(w->store, w->trim, true, TRIM, &more, NULL);
    if (!err && !more && ps_store_has_garbage(w->store))
        err = ps_store_rewrite(w->store, NULL);
    w->hindered = err == PS_EBUSY ? w->trim : 0;
    if (err || !more)
        w->trim = 0;
}

/* A few stale rows, a few records that a compaction made needless. */
static void do_background_work(ps_writer *w, bool urgent)
{
    uint64_t again = 0;
    for (ps_live_view *l = w->views; l; l = l->next)
        for (int i = 0; i < (urgent ? 2 : 1); i++) {
            int n = ps_live_view_refresh(l, urgent ? URGENT : REFRESH);
            again += n > 0 ? (uint64_t)n : 0;
        }
    if (w->trim)
        trim(w);
    pthread_mutex_lock(&w->lock);
    w->counts.embedded_again += again;
    note_stale(w);
    w->counts.trimming = w->trim || w->told;
    pthread_mutex_unlock(&w->lock);
}

/* Under the lock. */
static void start_trim(ps_writer *w)
{
    uint64_t lsn = w->told;
    w->told = 0;
    pthread_mutex_unlock(&w->lock);
    begin_trimming(w, lsn);
    pthread_mutex_lock(&w->lock);
    w->counts.trimming = w->trim || w->told;
}

/* Under the lock, which it lets go of meanwhile. */
static void work_on(ps_writer *w)
{
    bool urgent = w->request, late = oldest_stale(w) > LATE;
    uint32_t n = 0;
    if (w->first) {
        wait_for_more(w);
        n = take_batch(w);
    }
    pthread_mutex_unlock(&w->lock);
    if (n)
        run_batch(w, n);
    if (!n || urgent || late || w->trim)
        do_background_work(w, urgent);
    pthread_mutex_lock(&w->lock);
}

/* Under the lock: nothing waits. What readers held is freed when they are gone, and what
 * could not be embedded is tried again. */
static void wait_idle(ps_writer *w)
{
    bool failed = false;
    size_t held = 0;
    for (ps_live_view *l = w->views; l; l = l->next) {
        held += ps_view_reclaim(l->view);
        failed = failed || l->failed;
    }
    if (!held && !failed && !w->hindered) {
        pthread_cond_wait(&w->work, &w->lock);
        return;
    }
    struct timespec until = ps_after_ms(IDLE_S * 1000);
    if (!pthread_cond_timedwait(&w->work, &w->lock, &until))
        return;
    for (ps_live_view *l = w->views; l; l = l->next)
        ps_live_view_retry(l);
    w->told = w->hindered > w->told ? w->hindered : w->told;
    w->hindered = 0;
}

static void *run(void *cls)
{
    ps_writer *w = cls;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        if (w->command)
            writer_answer(w);
        else if (w->request && !stale_rows(w))
            writer_take_snapshot(w);
        else if (w->told)
            start_trim(w);
        else if (w->first || (!w->stopping && (stale_rows(w) || w->trim)))
            work_on(w);
        else if (w->stopping)
            break;
        else
            wait_idle(w);
    }
    w->ended = true;
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* ------------------------------ Lifetime ----------------------------------- */

void ps_writer_free(ps_writer *w)
{
    if (!w)
        return;
    ps_arena_done(&w->arena);
    pthread_cond_destroy(&w->work);
    pthread_cond_destroy(&w->answered);
    pthread_mutex_destroy(&w->lock);
    free(w->pending);
    free(w->subject);
    free(w);
}

int ps_writer_start(ps_writer **out, ps_store *store, ps_writer_opts opts, ps_why *why)
{
    ps_writer *w = calloc(1, sizeof *w);
    if (!w)
        return ps_fail(why, PS_ENOMEM, NULL, 0, "no memory for the writer");
    w->store = store;
    w->opts = opts;
    w->last = &w->first;
    pthread_mutex_init(&w->lock, NULL);
    ps_cond_init(&w->work);
    ps_cond_init(&w->answered);
    w->pending = calloc(opts.batch, sizeof *w->pending);
    w->subject = calloc(opts.batch, sizeof *w->subject);
    if (w->pending && w->subject && !pthread_create(&w->thread, NULL, run, w)) {
        *out = w;
        return PS_OK;
    }
    ps_writer_free(w);
    return ps_fail(why, PS_ENOMEM, NULL, 0, "the writer's thread cannot be started");
}

void ps_writer_stop(ps_writer *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
}

int ps_writer_submit(ps_writer *w, ps_write *write)
{
    pthread_mutex_lock(&w->lock);
    bool full = w->counts.waiting >= w->opts.queue || w->stopping;
    if (full) {
        w->counts.refused++;
    } else {
        write->next = NULL;
        *w->last = write;
        w->last = &write->next;
        w->counts.waiting++;
        pthread_cond_signal(&w->work);
    }
    pthread_mutex_unlock(&w->lock);
    return full ? PS_EBUSY : PS_OK;
}

ps_writer_counts ps_writer_count(ps_writer *w)
{
    pthread_mutex_lock(&w->lock);
    ps_writer_counts counts = w->counts;
    pthread_mutex_unlock(&w->lock);
    return counts;
}
