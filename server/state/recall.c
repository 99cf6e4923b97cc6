/* recall.c - a thread that asks again, slowly.
 *
 * Threads: see recall.h. The lock guards the counts and the request to stop.
 */
#include "server/state/recall.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pinsage/clock.h"
#include "server/state/state.h"

#define K      10
#define SMOOTH 0.1 /* weight of the newest sample */
#define NOBODY UINT32_MAX

struct ps_recall {
    ps_state *state; /* borrowed */
    uint32_t every;
    _Atomic uint32_t row; /* offered; NOBODY when it was taken */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stop;
    bool stopping;
    ps_recall_counts counts;
};

void ps_recall_offer(ps_recall *r, uint32_t row)
{
    if (r && atomic_load_explicit(&r->row, memory_order_relaxed) == NOBODY)
        atomic_store_explicit(&r->row, row, memory_order_relaxed);
}

static void note(ps_recall *r, uint32_t hits, uint32_t wanted)
{
    double share = (double)hits / wanted;
    pthread_mutex_lock(&r->lock);
    ps_recall_counts *c = &r->counts;
    c->sampled++;
    c->hits += hits;
    c->wanted += wanted;
    c->recall = isnan(c->recall) ? share : c->recall + SMOOTH * (share - c->recall);
    pthread_mutex_unlock(&r->lock);
}

/* Rows belong to one engine; a reload between offer and look asks about another pin,
 * which is as good. */
static void sample(ps_recall *r, uint32_t row)
{
    ps_reader *reader = NULL;
    ps_engine *e = ps_state_engine(r->state);
    uint32_t hits, wanted;
    if (e && !ps_reader_new(&reader, e) &&
        !ps_reader_recall(reader, row, K, &hits, &wanted, NULL) && wanted)
        note(r, hits, wanted);
    ps_reader_free(reader);
    ps_engine_release(e);
}

/* False when it is time to stop. */
static bool rest(ps_recall *r)
{
    struct timespec until = ps_after_ms(r->every);
    pthread_mutex_lock(&r->lock);
    while (!r->stopping && !pthread_cond_timedwait(&r->stop, &r->lock, &until))
        ;
    bool go_on = !r->stopping;
    pthread_mutex_unlock(&r->lock);
    return go_on;
}

static void *run(void *cls)
{
    ps_recall *r = cls;
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19);
    while (rest(r)) {
        uint32_t row = atomic_exchange(&r->row, NOBODY);
        if (row != NOBODY)
            sample(r, row);
    }
    return NULL;
}

static void recall_free(ps_recall *r)
{
    pthread_cond_destroy(&r->stop);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

int ps_recall_start(ps_recall **out, ps_state *state, uint32_t every, ps_why *why)
{
    *out = NULL;
    if (!every)
        return PS_OK;
    ps_recall *r = calloc(1, sizeof *r);
    if (!r)
        return ps_fail(why, PS_ENOMEM, NULL, 0, "no memory to watch the recall");
    *r = (ps_recall){.state = state, .every = every, .row = NOBODY};
    r->counts.recall = NAN;
    pthread_mutex_init(&r->lock, NULL);
    ps_cond_init(&r->stop);
    if (!pthread_create(&r->thread, NULL, run, r)) {
        *out = r;
        return PS_OK;
    }
    recall_free(r);
    return ps_fail(why, PS_ENOMEM, NULL, 0, "no thread to watch the recall");
}

void ps_recall_stop(ps_recall *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->stopping = true;
    pthread_cond_signal(&r->stop);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    recall_free(r);
}

ps_recall_counts ps_recall_count(ps_recall *r)
{
    if (!r)
        return (ps_recall_counts){.recall = NAN};
    pthread_mutex_lock(&r->lock);
    ps_recall_counts counts = r->counts;
    pthread_mutex_unlock(&r->lock);
    return counts;
}
