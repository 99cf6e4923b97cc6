/* test_http_later.c - exchanges that wait: for a worker, for somebody else, in vain.
 *
 * A real loop and a real pool under handlers of our own: what ps_route_run would do is
 * told by the board's name, "/boards/NAME".
 * Link: -Wl,--wrap=ps_route_run
 */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/state/later.h"
#include "tests/support/httpd.h"

void __wrap_ps_route_run(ps_context *d, const ps_request *r, ps_reply *out);

/* ------------------------------ Handlers ----------------------------------- */

enum { WAITS = 256 };

static sem_t go, begun;
static atomic_int runs, then_runs;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    ps_wait *wait;
    char *note; /* in the request's arena */
} waiting[WAITS];
static int n_waiting; /* guarded by lock */

static void say(ps_reply *out, const ps_context *d, const char *text)
{
    ps_buf_printf(&out->body, "%s on a %s", text, d->worker ? "worker" : "loop");
}

static void then_say(ps_context *d, const ps_request *r, ps_reply *out, void *cls)
{
    (void)r;
    atomic_fetch_add(&then_runs, 1);
    say(out, d, cls);
}

static void then_work(ps_context *d, const ps_request *r, ps_reply *out, void *cls)
{
    if (!ps_later(d, out))
        then_say(d, r, out, cls);
}

static ps_wait *begin_wait(const ps_request *r, ps_then then)
{
    char *note = ps_arena_copy(r->arena, "waited", 6);
    ps_wait *w = ps_wait_begin(r, then, note);
    pthread_mutex_lock(&lock);
    waiting[n_waiting].note = note;
    waiting[n_waiting++].wait = w;
    pthread_mutex_unlock(&lock);
    return w;
}

/* All waits that began; then they are forgotten. */
static void finish_all(void)
{
    pthread_mutex_lock(&lock);
    for (int i = 0; i < n_waiting; i++) {
        waiting[i].note[0] = 'W'; /* the arena is still there */
        ps_wait_finish(waiting[i].wait);
    }
    n_waiting = 0;
    pthread_mutex_unlock(&lock);
}

static int count_waiting(void)
{
    pthread_mutex_lock(&lock);
    int n = n_waiting;
    pthread_mutex_unlock(&lock);
    return n;
}

static void block(void)
{
    sem_post(&begun);
    while (sem_wait(&go))
        ;
}

void __wrap_ps_route_run(ps_context *d, const ps_request *r, ps_reply *out)
{
    ps_text what = r->arg[0];
    atomic_fetch_add(&runs, 1);
    if (ps_text_is(what, "work") && !ps_later(d, out)) {
        say(out, d, "worked");
    } else if (ps_text_is(what, "block") && !ps_later(d, out)) {
        block();
        say(out, d, "blocked");
    } else if (ps_text_is(what, "wait")) {
        begin_wait(r, then_say);
    } else if (ps_text_is(what, "wait-done")) {
        begin_wait(r, then_say);
        finish_all();
    } else if (ps_text_is(what, "work-wait-work") && !ps_later(d, out)) {
        begin_wait(r, then_work);
        finish_all();
    } else if (!out->later) {
        say(out, d, "answered");
    }
}

static int set_up(void **state)
{
    (void)state;
    httpd_reset();
    runs = then_runs = n_waiting = 0;
    sem_init(&go, 0, 0);
    sem_init(&begun, 0, 0);
    return 0;
}

static void wait_until_waiting(int n)
{
    while (count_waiting() < n)
        usleep(1000);
}

/* ------------------------------ Workers ------------------------------------ */

static void what_takes_longer_is_done_again_on_a_worker(void **state)
{
    (void)state;
    httpd_start();
    httpd_expect(httpd_ask("work", ""), "200 OK", "worked on a worker");
    assert_int_equal(runs, 2);
    assert_int_equal(HTTPD_SUM(jobs_done), 1);
    httpd_stop();
}

static void a_full_queue_says_when_to_come_back(void **state)
{
    (void)state;
    httpd_opts.queue = 2;
    httpd_start();
    int first = httpd_ask("block", "");
    while (sem_wait(&begun))
        ;
    int second = httpd_ask("block", ""), third = httpd_ask("work", "");
    while (ps_worker_pool_waiting(httpd_state.pool) < 2)
        usleep(1000);
    const char *text = httpd_answer(httpd_ask("work", ""));
    httpd_has(text, "503 Service Unavailable");
    httpd_has(text, "Retry-After: 1\r\n");
    httpd_has(text, "\"code\":\"unavailable\"");
    httpd_expect(httpd_ask("plain", ""), "200 OK",
                 "answered on a loop"); /* lookups go on */
    sem_post(&go);
    sem_post(&go);
    httpd_expect(first, "200 OK", "blocked");
    httpd_expect(second, "200 OK", "blocked");
    httpd_expect(third, "200 OK", "worked");
    assert_int_equal(HTTPD_SUM(jobs_refused), 1);
    httpd_stop();
}

static void what_waited_longer_than_its_deadline_is_not_begun(void **state)
{
    (void)state;
    httpd_start();
    int first = httpd_ask("block", "");
    while (sem_wait(&begun))
        ;
    int second = httpd_ask("work", "Connect-Timeout-Ms: 20\r\n");
    while (ps_worker_pool_waiting(httpd_state.pool) < 1)
        usleep(1000);
    usleep(30000);
    sem_post(&go);
    httpd_expect(first, "200 OK", "blocked");
    httpd_expect(second, "504 Gateway Timeout", "\"code\":\"deadline_exceeded\"");
    assert_int_equal(runs, 3); /* twice the first, once the second */
    assert_int_equal(HTTPD_SUM(jobs_late), 1);
    httpd_stop();
}

static void a_stop_answers_what_is_queued(void **state)
{
    (void)state;
    httpd_start();
    int first = httpd_ask("block", "");
    while (sem_wait(&begun))
        ;
    int second = httpd_ask("work", "");
    while (ps_worker_pool_waiting(httpd_state.pool) < 1)
        usleep(1000);
    sem_post(&go);
    httpd_stop();
    httpd_expect(first, "200 OK", "blocked");
    httpd_has(httpd_answer(second), "HTTP/1.1 "); /* done, or told to go */
}

/* ------------------------------ Waits -------------------------------------- */

static void many_wait_at_once_and_hold_no_thread(void **state)
{
    (void)state;
    int fd[200];
    httpd_start();
    for (int i = 0; i < 200; i++)
        fd[i] = httpd_ask("wait", "");
    wait_until_waiting(200);
    httpd_expect(httpd_ask("work", ""), "200 OK", "worked");
    finish_all();
    for (int i = 0; i < 200; i++)
        httpd_expect(fd[i], "200 OK", "Waited on a loop");
    httpd_stop();
}

static void a_wait_may_end_before_its_handler(void **state)
{
    (void)state;
    httpd_start();
    for (int i = 0; i < 50; i++)
        httpd_expect(httpd_ask("wait-done", ""), "200 OK", "Waited on a loop");
    assert_int_equal(then_runs, 50);
    httpd_stop();
}

static void workers_may_wait_and_waits_may_work(void **state)
{
    (void)state;
    httpd_start();
    for (int i = 0; i < 50; i++)
        httpd_expect(httpd_ask("work-wait-work", ""), "200 OK", "Waited on a worker");
    assert_int_equal(then_runs, 50);
    httpd_stop();
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    httpd_start();
    int fd = httpd_send(
        "GET /boards/wait HTTP/1.1\r\nHost: localhost\r\n\r\n"
        "GET /boards/work HTTP/1.1\r\nHost: localhost\r\n\r\n"
        "GET /boards/plain HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        "\r\n");
    wait_until_waiting(1);
    finish_all();
    const char *text = httpd_answer(fd);
    const char *first = strstr(text, "Waited"), *second = strstr(text, "worked");
    const char *third = strstr(text, "answered on a loop");
    assert_true(first && second && third && first < second && second < third);
    httpd_stop();
}

static void a_wait_is_given_up_at_its_deadline(void **state)
{
    (void)state;
    httpd_start();
    int fd = httpd_ask("wait", "Connect-Timeout-Ms: 30\r\n");
    httpd_expect(fd, "504 Gateway Timeout", "\"code\":\"deadline_exceeded\"");
    assert_int_equal(count_waiting(), 1);
    finish_all();
    httpd_expect(httpd_ask("plain", ""), "200 OK", "answered on a loop");
    assert_int_equal(then_runs, 0);
    httpd_stop();
}

static void a_client_that_went_away_does_no_harm(void **state)
{
    (void)state;
    httpd_start();
    for (int i = 0; i < 20; i++)
        close(httpd_ask("wait", ""));
    wait_until_waiting(20);
    finish_all();
    close(httpd_ask("block", ""));
    while (sem_wait(&begun))
        ;
    sem_post(&go);
    httpd_expect(httpd_ask("work", ""), "200 OK", "worked");
    httpd_stop();
}

static void a_stop_answers_who_waits(void **state)
{
    (void)state;
    httpd_start();
    int fd = httpd_ask("wait", "");
    wait_until_waiting(1);
    httpd_release();
    httpd_expect(fd, "503 Service Unavailable", "stopping");
    finish_all();
    httpd_stop();
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_takes_longer_is_done_again_on_a_worker, set_up),
        cmocka_unit_test_setup(a_full_queue_says_when_to_come_back, set_up),
        cmocka_unit_test_setup(what_waited_longer_than_its_deadline_is_not_begun, set_up),
        cmocka_unit_test_setup(a_stop_answers_what_is_queued, set_up),
        cmocka_unit_test_setup(many_wait_at_once_and_hold_no_thread, set_up),
        cmocka_unit_test_setup(a_wait_may_end_before_its_handler, set_up),
        cmocka_unit_test_setup(workers_may_wait_and_waits_may_work, set_up),
        cmocka_unit_test_setup(pipelined_requests_are_answered_in_order, set_up),
        cmocka_unit_test_setup(a_wait_is_given_up_at_its_deadline, set_up),
        cmocka_unit_test_setup(a_client_that_went_away_does_no_harm, set_up),
        cmocka_unit_test_setup(a_stop_answers_who_waits, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
