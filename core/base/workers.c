/* workers.c - a workers that waits for a loop, runs it, and waits again.
 *
 * A loop is a counter: each thread takes the next piece by one atomic add. Threads are
 * started once and sleep on a condition between loops, so that a loop over a small
 * minibatch costs microseconds, not thread starts.
 *
 * Threads: ps_workers_run is called by one thread at a time.
 */
#include "pinsage/workers.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "pinsage/err.h"

typedef struct member {
    struct ps_workers *workers; /* borrowed */
    unsigned number;            /* 1 .. count-1 */
    pthread_t thread;
} member;

struct ps_workers {
    unsigned count;
    member *members; /* owned, (count - 1) */
    pthread_mutex_t lock;
    pthread_cond_t begin, end;
    uint64_t loop;    /* number of the loop under way */
    unsigned running; /* members still in it */
    bool quit;
    /* the loop itself */
    ps_work fn;
    void *cls;
    size_t n, grain;
    atomic_size_t next;
    size_t failed_at; /* begin of the lowest failed piece */
    int err;
};

/* ------------------------------ The loop ---------------------------------- */

static void note_failure(ps_workers *w, size_t begin, int err)
{
    pthread_mutex_lock(&w->lock);
    if (!w->err || begin < w->failed_at) {
        w->err = err;
        w->failed_at = begin;
    }
    pthread_mutex_unlock(&w->lock);
    atomic_store(&w->next, w->n); /* hand out nothing more */
}

static void take_pieces(ps_workers *w, unsigned worker)
{
    for (;;) {
        size_t begin = atomic_fetch_add(&w->next, w->grain);
        if (begin >= w->n)
            return;
        size_t end = w->n - begin > w->grain ? begin + w->grain : w->n;
        int err = w->fn(w->cls, begin, end, worker);
        if (err < 0)
            note_failure(w, begin, err);
    }
}

static void *member_main(void *cls)
{
    member *m = cls;
    ps_workers *w = m->workers;
    uint64_t seen = 0;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        while (w->loop == seen && !w->quit)
            pthread_cond_wait(&w->begin, &w->lock);
        if (w->quit)
            break;
        seen = w->loop;
        pthread_mutex_unlock(&w->lock);
        take_pieces(w, m->number);
        pthread_mutex_lock(&w->lock);
        if (--w->running == 0)
            pthread_cond_signal(&w->end);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

int ps_workers_run(ps_workers *w, size_t n, size_t grain, ps_work fn, void *cls)
{
    if (n == 0)
        return PS_OK;
    pthread_mutex_lock(&w->lock);
    w->fn = fn;
    w->cls = cls;
    w->n = n;
    w->grain = grain ? grain : 1;
    w->err = 0;
    atomic_store(&w->next, 0);
    w->running = w->count - 1;
    w->loop++;
    pthread_cond_broadcast(&w->begin);
    pthread_mutex_unlock(&w->lock);

    take_pieces(w, 0);

    pthread_mutex_lock(&w->lock);
    while (w->running)
        pthread_cond_wait(&w->end, &w->lock);
    int err = w->err;
    pthread_mutex_unlock(&w->lock);
    return err;
}

/* ------------------------------ Lifetime ---------------------------------- */

static void stop_members(ps_workers *w, unsigned started)
{
    pthread_mutex_lock(&w->lock);
    w->quit = true;
    pthread_cond_broadcast(&w->begin);
    pthread_mutex_unlock(&w->lock);
    for (unsigned i = 0; i < started; i++)
        pthread_join(w->members[i].thread, NULL);
}

int ps_workers_new(ps_workers **out, unsigned n)
{
    unsigned count = n ? n : ps_cores();
    ps_workers *w = calloc(1, sizeof *w);
    member *members = calloc(count, sizeof *members);
    if (!w || !members) {
        free(w);
        free(members);
        return PS_ENOMEM;
    }
    w->count = count;
    w->members = members;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->begin, NULL);
    pthread_cond_init(&w->end, NULL);
    for (unsigned i = 0; i + 1 < count; i++) {
        members[i] = (member){.workers = w, .number = i + 1};
        if (pthread_create(&members[i].thread, NULL, member_main, &members[i])) {
            w->count = i + 1;
            ps_workers_free(w);
            return PS_ENOMEM;
        }
    }
    *out = w;
    return PS_OK;
}

unsigned ps_workers_count(const ps_workers *w)
{
    return w->count;
}

void ps_workers_free(ps_workers *w)
{
    if (!w)
        return;
    stop_members(w, w->count - 1);
    pthread_cond_destroy(&w->begin);
    pthread_cond_destroy(&w->end);
    pthread_mutex_destroy(&w->lock);
    free(w->members);
    free(w);
}

/* ------------------------------ Cores ------------------------------------- */

/* CPU quota of the control group, in cores rounded up; 0 when there is none. */
static unsigned quota_cores(void)
{
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (!f)
        return 0;
    double quota = 0, period = 0;
    int n = fscanf(f, "%lf %lf", &quota, &period);
    fclose(f);
    return n == 2 && period > 0 ? (unsigned)(quota / period + 0.999) : 0;
}

unsigned ps_cores(void)
{
    cpu_set_t set;
    unsigned cores = 1;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        cores = (unsigned)CPU_COUNT(&set);
    unsigned quota = quota_cores();
    return quota && quota < cores ? quota : cores;
}
