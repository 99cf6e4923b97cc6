/* worker_pool.h - a bounded queue of jobs, and the threads that do them.
 *
 *     submit -> [ queue ] -> N threads -> job->run(job, fate, number)
 *
 * A queue that is full refuses at once: to wait longer than anybody would is no service.
 * Whatever was taken is run exactly once, and told its fate: a job whose deadline passed
 * while it waited, or that still waits when the pool stops, answers without working.
 *
 * Threads: submit, poke and the counts from any; run and refresh on the workers.
 * Not here: what a job is (http_later.c), loops over rows (pinsage/workers.h).
 */
#ifndef PINSAGE_SERVER_BASE_WORKER_POOL_H
#define PINSAGE_SERVER_BASE_WORKER_POOL_H

#include <stdint.h>

#include "pinsage/err.h"

typedef enum ps_fate { PS_JOB_DO, PS_JOB_LATE, PS_JOB_STOP } ps_fate;

typedef struct ps_job {
    struct ps_job *next; /* the pool's */
    uint64_t queued;     /* ns, ps_now_ns: set by submit */
    uint64_t deadline;   /* ns, 0: none */
    void (*run)(struct ps_job *job, ps_fate fate, unsigned worker);
    void *cls;
} ps_job;

typedef struct ps_worker_pool ps_worker_pool;

typedef struct ps_worker_pool_opts {
    unsigned workers; /* 1.. */
    uint32_t queue;   /* 1..: jobs that may wait */
    /* NULL, or called on each worker before its first job and after each poke, also when
     * there is no job. */
    void (*refresh)(void *cls, unsigned worker);
    void *cls;
} ps_worker_pool_opts;

int ps_worker_pool_start(ps_worker_pool **c, ps_worker_pool_opts opts, ps_why *why);
/* End what is running, tell what waits to stop, free. NULL is fine. */
void ps_worker_pool_stop(ps_worker_pool *c);

/* PS_EFULL: the queue is full, or the pool stops; the job stays the caller's. */
int ps_worker_pool_submit(ps_worker_pool *c, ps_job *job);
void ps_worker_pool_poke(ps_worker_pool *c);
uint32_t ps_worker_pool_waiting(ps_worker_pool *c);

#endif
