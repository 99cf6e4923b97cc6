/* worker_pool.c - one list, one lock, one condition.
 *
 * Jobs are at least tens of microseconds long, so that a shared list costs nothing that
 * could be measured; it is what keeps them in order.
 *
 * Threads: see worker_pool.h.
 */
#include "server/base/worker_pool.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "pinsage/clock.h"

typedef struct hand {
    struct ps_worker_pool *pool; /* borrowed */
    unsigned number;
    pthread_t thread;
} hand;

struct ps_worker_pool {
    ps_worker_pool_opts opts;
    hand *hands; /* owned, (started) */
    unsigned started;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    /* All below is guarded by lock. */
    ps_job *first, **last;
    uint32_t waiting;
    uint64_t pokes;
    bool quit;
};

/* ------------------------------ Working ------------------------------------ */

static ps_job *take_job(ps_worker_pool *c)
{
    ps_job *job = c->first;
    if (!job)
        return NULL;
    c->first = job->next;
    if (!c->first)
        c->last = &c->first;
    c->waiting--;
    return job;
}

static void run_job(ps_job *job, bool quit, unsigned worker)
{
    bool late = job->deadline && ps_now_ns() >= job->deadline;
    job->run(job, quit ? PS_JOB_STOP : late ? PS_JOB_LATE : PS_JOB_DO, worker);
}

/* Called, and returns, with the lock held. */
static void catch_up(hand *me, uint64_t *seen)
{
    ps_worker_pool *c = me->pool;
    *seen = c->pokes;
    if (!c->opts.refresh)
        return;
    pthread_mutex_unlock(&c->lock);
    c->opts.refresh(c->opts.cls, me->number);
    pthread_mutex_lock(&c->lock);
}

static void *work(void *arg)
{
    hand *me = arg;
    ps_worker_pool *c = me->pool;
    uint64_t seen = 0;
    pthread_mutex_lock(&c->lock);
    for (;;) {
        if (seen != c->pokes && !c->quit)
            catch_up(me, &seen);
        bool quit = c->quit;
        ps_job *job = take_job(c);
        if (job) {
            pthread_mutex_unlock(&c->lock);
            run_job(job, quit, me->number);
            pthread_mutex_lock(&c->lock);
        } else if (quit) {
            break;
        } else if (seen == c->pokes) {
            pthread_cond_wait(&c->wake, &c->lock);
        }
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

/* ------------------------------ From outside ------------------------------- */

int ps_worker_pool_submit(ps_worker_pool *c, ps_job *job)
{
    job->next = NULL;
    job->queued = ps_now_ns();
    pthread_mutex_lock(&c->lock);
    bool full = c->quit || c->waiting == c->opts.queue;
    if (!full) {
        *c->last = job;
        c->last = &job->next;
        c->waiting++;
        pthread_cond_signal(&c->wake);
    }
    pthread_mutex_unlock(&c->lock);
    return full ? PS_EFULL : PS_OK;
}

void ps_worker_pool_poke(ps_worker_pool *c)
{
    pthread_mutex_lock(&c->lock);
    c->pokes++;
    pthread_cond_broadcast(&c->wake);
    pthread_mutex_unlock(&c->lock);
}

uint32_t ps_worker_pool_waiting(ps_worker_pool *c)
{
    pthread_mutex_lock(&c->lock);
    uint32_t n = c->waiting;
    pthread_mutex_unlock(&c->lock);
    return n;
}

/* ------------------------------ Lifetime ----------------------------------- */

int ps_worker_pool_start(ps_worker_pool **out, ps_worker_pool_opts opts, ps_why *why)
{
    ps_worker_pool *c = calloc(1, sizeof *c);
    hand *hands = calloc(opts.workers, sizeof *hands);
    if (!c || !hands) {
        free(c);
        free(hands);
        return PS_ENOMEM;
    }
    c->opts = opts;
    c->hands = hands;
    c->last = &c->first;
    c->pokes = 1; /* so that each begins with a refresh */
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->wake, NULL);
    for (; c->started < opts.workers; c->started++) {
        hand *h = &hands[c->started];
        *h = (hand){.pool = c, .number = c->started};
        if (pthread_create(&h->thread, NULL, work, h)) {
            ps_worker_pool_stop(c);
            return ps_fail(why, PS_ELIBRARY, "workers", 0, "cannot start a thread");
        }
    }
    *out = c;
    return PS_OK;
}

void ps_worker_pool_stop(ps_worker_pool *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    c->quit = true;
    pthread_cond_broadcast(&c->wake);
    pthread_mutex_unlock(&c->lock);
    for (unsigned i = 0; i < c->started; i++)
        pthread_join(c->hands[i].thread, NULL);
    pthread_cond_destroy(&c->wake);
    pthread_mutex_destroy(&c->lock);
    free(c->hands);
    free(c);
}
