/* test_worker_pool.c - every job that was taken is run once and told its fate. */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/clock.h"
#include "server/base/worker_pool.h"

enum { JOBS = 4000 };

static sem_t go, begun, done;
static atomic_int fates[3], refreshed[8];

static void on_job(ps_job *job, ps_fate fate, unsigned worker)
{
    (void)worker;
    atomic_fetch_add(&fates[fate], 1);
    atomic_int *runs = job->cls;
    if (runs)
        atomic_fetch_add(runs, 1);
    sem_post(&done);
}

static void on_blocking_job(ps_job *job, ps_fate fate, unsigned worker)
{
    if (fate == PS_JOB_DO) {
        sem_post(&begun);
        while (sem_wait(&go))
            ;
    }
    on_job(job, fate, worker);
}

static void on_refresh(void *cls, unsigned worker)
{
    (void)cls;
    atomic_fetch_add(&refreshed[worker], 1);
    sem_post(&done);
}

static int reset(void **state)
{
    (void)state;
    memset(fates, 0, sizeof fates);
    memset(refreshed, 0, sizeof refreshed);
    sem_init(&go, 0, 0);
    sem_init(&begun, 0, 0);
    sem_init(&done, 0, 0);
    return 0;
}

static ps_worker_pool *start(unsigned workers, uint32_t queue)
{
    ps_worker_pool *c;
    ps_worker_pool_opts opts = {.workers = workers, .queue = queue};
    assert_int_equal(ps_worker_pool_start(&c, opts, NULL), PS_OK);
    return c;
}

static void wait_for(sem_t *s, int n)
{
    while (n--)
        while (sem_wait(s))
            ;
}

static void all_jobs_are_run_once(void **state)
{
    (void)state;
    static ps_job job[JOBS];
    static atomic_int runs[JOBS];
    ps_worker_pool *c = start(4, JOBS);
    for (int i = 0; i < JOBS; i++) {
        job[i] = (ps_job){.run = on_job, .cls = &runs[i]};
        assert_int_equal(ps_worker_pool_submit(c, &job[i]), PS_OK);
    }
    wait_for(&done, JOBS);
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(runs[i], 1);
    assert_int_equal(fates[PS_JOB_DO], JOBS);
    assert_int_equal(ps_worker_pool_waiting(c), 0);
    ps_worker_pool_stop(c);
}

static void a_full_queue_refuses(void **state)
{
    (void)state;
    ps_job first = {.run = on_blocking_job}, job[4];
    ps_worker_pool *c = start(1, 3);
    assert_int_equal(ps_worker_pool_submit(c, &first), PS_OK);
    wait_for(&begun, 1);
    for (int i = 0; i < 4; i++) {
        job[i] = (ps_job){.run = on_job};
        assert_int_equal(ps_worker_pool_submit(c, &job[i]), i < 3 ? PS_OK : PS_EFULL);
    }
    assert_int_equal(ps_worker_pool_waiting(c), 3);
    sem_post(&go);
    wait_for(&done, 4);
    assert_int_equal(ps_worker_pool_submit(c, &job[3]), PS_OK);
    wait_for(&done, 1);
    ps_worker_pool_stop(c);
    assert_int_equal(fates[PS_JOB_DO], 5);
}

static void a_job_that_waited_too_long_is_told_so(void **state)
{
    (void)state;
    ps_job first = {.run = on_blocking_job};
    ps_job late = {.run = on_job, .deadline = ps_now_ns() + 1000000};
    ps_job patient = {.run = on_job, .deadline = ps_now_ns() + 3600000000000u};
    ps_worker_pool *c = start(1, 8);
    ps_worker_pool_submit(c, &first);
    wait_for(&begun, 1);
    ps_worker_pool_submit(c, &late);
    ps_worker_pool_submit(c, &patient);
    while (ps_now_ns() < late.deadline)
        ;
    sem_post(&go);
    wait_for(&done, 3);
    assert_int_equal(fates[PS_JOB_LATE], 1);
    assert_int_equal(fates[PS_JOB_DO], 2);
    ps_worker_pool_stop(c);
}

static ps_job extra[JOBS];
static int n_extra;

/* Goes on until the pool takes no more, which here means that it stops. */
static void on_job_until_stop(ps_job *job, ps_fate fate, unsigned worker)
{
    ps_worker_pool *c = job->cls;
    assert_int_equal(fate, PS_JOB_DO);
    sem_post(&begun);
    do {
        usleep(1000);
        extra[n_extra] = (ps_job){.run = on_job};
    } while (ps_worker_pool_submit(c, &extra[n_extra]) == PS_OK && ++n_extra < JOBS);
    job->cls = NULL;
    on_job(job, fate, worker);
}

static void a_stop_ends_what_runs_and_tells_what_waits(void **state)
{
    (void)state;
    ps_worker_pool *c = start(1, 2 * JOBS);
    ps_job first = {.run = on_job_until_stop, .cls = c};
    ps_worker_pool_submit(c, &first);
    wait_for(&begun, 1);
    ps_worker_pool_stop(c);
    assert_true(n_extra < JOBS);
    assert_int_equal(fates[PS_JOB_DO], 1);
    assert_int_equal(fates[PS_JOB_STOP], n_extra);
}

static void each_worker_is_refreshed_at_first_and_after_a_poke(void **state)
{
    (void)state;
    ps_worker_pool *c;
    ps_worker_pool_opts opts = {.workers = 3, .queue = 1, .refresh = on_refresh};
    assert_int_equal(ps_worker_pool_start(&c, opts, NULL), PS_OK);
    wait_for(&done, 3);
    ps_worker_pool_poke(c);
    wait_for(&done, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(refreshed[i], 2);
    ps_worker_pool_stop(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(all_jobs_are_run_once, reset),
        cmocka_unit_test_setup(a_full_queue_refuses, reset),
        cmocka_unit_test_setup(a_job_that_waited_too_long_is_told_so, reset),
        cmocka_unit_test_setup(a_stop_ends_what_runs_and_tells_what_waits, reset),
        cmocka_unit_test_setup(each_worker_is_refreshed_at_first_and_after_a_poke, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
