/* compaction.c - waits for a question, compactions, has the result taken up, tidies.
 *
 * Threads: see compaction.h.
 */
#include "server/state/compaction.h"

#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pinsage/catalog.h"
#include "pinsage/workers.h"
#include "server/state/state.h"

#define NICE    10
#define POLL_US 20000

struct ps_compaction {
    ps_state *state; /* borrowed */
    unsigned threads;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;
    ps_compaction_request *question; /* under way, or about to be; NULL: none */
    _Atomic bool stopping;
    ps_compaction_counts counts;
};

static int at(void *cls, const char *stage, uint64_t done, uint64_t total,
              const char *unit, const char *note)
{
    const ps_compaction *f = cls;
    (void)stage, (void)done, (void)total, (void)unit, (void)note;
    return atomic_load(&f->stopping) ? PS_ECANCELLED : PS_OK;
}

/* ------------------------------ The steps ---------------------------------- */

static int compact(ps_compaction *f, ps_compaction_request *q)
{
    ps_progress progress = {.at = at, .cls = f};
    ps_compact_opts opts = {.threads = f->threads, .keep = q->keep, .seed = 1};
    ps_engine *e = ps_state_engine(f->state);
    if (!e)
        return ps_fail(&q->why, PS_EBUSY, NULL, 0, "no generation is loaded yet");
    int err = ps_compact_engine(e, f->state->opts->catalog, &opts, &q->report, &progress,
                                &q->why);
    ps_engine_release(e);
    return err;
}

static void on_reloaded(ps_reload *r)
{
    sem_post(r->cls);
}

/* Until the new generation is in use, or is known not to be. */
static int take_up(ps_compaction *f, ps_compaction_request *q)
{
    sem_t done;
    ps_reload r = {.done = on_reloaded, .cls = &done};
    const ps_reloader *who = &f->state->reloader;
    char text[400];
    sem_init(&done, 0, 0);
    who->ask(who->cls, &r);
    while (sem_wait(&done))
        ;
    sem_destroy(&done);
    if (!r.err)
        return PS_OK;
    ps_why_format(&r.why, r.err, text, sizeof text);
    return ps_fail(&q->why, PS_EMISMATCH, NULL, 0,
                   "%s is made, but not taken up, %s stays in use: %s",
                   q->report.generation, r.generation, text);
}

/* What a reload tells the writer to forget is gone when the answer comes, so that who
 * asked for an erasure can look at once. */
static void await_trimmed(ps_compaction *f)
{
    while (!atomic_load(&f->stopping) &&
           ps_writer_count(f->state->writes.writer).trimming)
        usleep(POLL_US);
}

static void prune(ps_compaction *f, const ps_compaction_request *q)
{
    ps_why why = {0};
    if (!q->keep && ps_catalog_prune(f->state->opts->catalog, 0, &why))
        ps_log_say(f->state->log, PS_LOG_WARN, "older generations are still there",
                   "error", why.text, NULL);
}

/* Before the new generation is taken up: the store keeps what an update lacks. */
static int erase_next(ps_compaction *f, ps_compaction_request *q)
{
    char path[PS_PATH_MAX];
    const char *catalog = f->state->opts->catalog;
    if (q->keep || ps_catalog_next(catalog, path, NULL))
        return PS_OK;
    int err = ps_compact_erase_next(catalog, &q->why);
    if (!err)
        ps_log_say(f->state->log, PS_LOG_WARN, "the update under way is given up",
                   "generation", strrchr(path, '/') + 1, "reason", "keep=0", NULL);
    return err;
}

static void say_dropped(ps_compaction *f, const ps_compact_report *r)
{
    char vectors[24], pins[16];
    snprintf(vectors, sizeof vectors, "%" PRIu64, r->dropped.vectors);
    snprintf(pins, sizeof pins, "%u", r->dropped.pins);
    if (r->dropped.vectors)
        ps_log_say(f->state->log, PS_LOG_WARN, "vectors that fit no block are dropped",
                   "vectors", vectors, "pins", pins, "first", r->dropped.first, NULL);
}

static void say(ps_compaction *f, const ps_compaction_request *q)
{
    const ps_compact_report *r = &q->report;
    char pins[16], lsn[24], seconds[24], text[600];
    snprintf(pins, sizeof pins, "%u", r->pins);
    snprintf(lsn, sizeof lsn, "%" PRIu64, r->lsn);
    snprintf(seconds, sizeof seconds, "%.1f", r->seconds);
    if (q->err) {
        ps_why_format(&q->why, q->err, text, sizeof text);
        ps_log_say(f->state->log, PS_LOG_ERROR, "compact failed", "error", text, NULL);
    } else {
        say_dropped(f, r);
        ps_log_say(f->state->log, PS_LOG_INFO,
                   r->nothing ? "nothing to compact" : "compacted", "generation",
                   r->generation, "pins", pins, "lsn", lsn, "seconds", seconds, NULL);
    }
}

static void answer(ps_compaction *f, ps_compaction_request *q)
{
    q->err = compact(f, q);
    if (!q->err)
        q->err = erase_next(f, q);
    if (!q->err && !q->report.nothing)
        q->err = take_up(f, q);
    if (!q->err) {
        await_trimmed(f);
        prune(f, q);
    }
    say(f, q);
    pthread_mutex_lock(&f->lock);
    f->question = NULL;
    f->counts.failed += q->err != PS_OK;
    f->counts.compactions += !q->err && !q->report.nothing;
    f->counts.dropped += q->err ? 0 : q->report.dropped.vectors;
    if (!q->err && !q->report.nothing)
        f->counts.seconds = q->report.seconds;
    pthread_mutex_unlock(&f->lock);
    q->done(q);
}

/* ------------------------------ The thread --------------------------------- */

static void *run(void *cls)
{
    ps_compaction *f = cls;
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
    pthread_mutex_lock(&f->lock);
    for (;;) {
        if (f->question) {
            ps_compaction_request *q = f->question;
            pthread_mutex_unlock(&f->lock);
            answer(f, q);
            pthread_mutex_lock(&f->lock);
        } else if (atomic_load(&f->stopping)) {
            break;
        } else {
            pthread_cond_wait(&f->work, &f->lock);
        }
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

int ps_compaction_start(ps_compaction **out, ps_state *state, unsigned threads,
                        ps_why *why)
{
    ps_compaction *f = calloc(1, sizeof *f);
    if (!f)
        return ps_fail(why, PS_ENOMEM, NULL, 0, "no memory for compactions");
    f->state = state;
    f->threads = threads ? threads : (ps_cores() + 1) / 2;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->work, NULL);
    if (pthread_create(&f->thread, NULL, run, f) == 0) {
        *out = f;
        return PS_OK;
    }
    pthread_mutex_destroy(&f->lock);
    pthread_cond_destroy(&f->work);
    free(f);
    return ps_fail(why, PS_ENOMEM, NULL, 0, "no thread for compactions");
}

void ps_compaction_cancel(ps_compaction *f)
{
    if (f)
        atomic_store(&f->stopping, true);
}

void ps_compaction_stop(ps_compaction *f)
{
    if (!f)
        return;
    pthread_mutex_lock(&f->lock);
    atomic_store(&f->stopping, true);
    pthread_cond_signal(&f->work);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    pthread_mutex_destroy(&f->lock);
    pthread_cond_destroy(&f->work);
    free(f);
}

int ps_compaction_ask(ps_compaction *f, ps_compaction_request *q)
{
    int err = PS_OK;
    pthread_mutex_lock(&f->lock);
    if (atomic_load(&f->stopping))
        err = PS_ECANCELLED;
    else if (f->question)
        err = PS_EBUSY;
    else
        f->question = q;
    pthread_cond_signal(&f->work);
    pthread_mutex_unlock(&f->lock);
    return err;
}

ps_compaction_counts ps_compaction_count(ps_compaction *f)
{
    ps_compaction_counts counts = {0};
    if (!f)
        return counts;
    pthread_mutex_lock(&f->lock);
    counts = f->counts;
    counts.running = f->question != NULL;
    pthread_mutex_unlock(&f->lock);
    return counts;
}
