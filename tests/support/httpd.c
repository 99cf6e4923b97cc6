/* httpd.c - see httpd.h.
 *
 * Threads: one test at a time.
 */
#include "tests/support/httpd.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/base/listen.h"
#include "server/base/loop.h"
#include "server/cli/steps.h"
#include "server/routes/routes.h"

ps_serve_opts httpd_opts;
ps_state httpd_state;
static ps_http *http;
static ps_loop *loop;
static struct sockaddr_in address;

/* ------------------------------ A server ----------------------------------- */

static void release(void *h)
{
    ps_http_release(h);
}

void httpd_start(void)
{
    int fd;
    char told[PS_ADDRESS_MAX];
    ps_why why = {0};
    httpd_state =
        (ps_state){.opts = &httpd_opts, .n_loops = 1, .n_workers = 2, .n_stats = 3};
    pthread_mutex_init(&httpd_state.lock, NULL);
    httpd_state.stats = aligned_alloc(_Alignof(ps_stats), 3 * sizeof *httpd_state.stats);
    memset(httpd_state.stats, 0, 3 * sizeof *httpd_state.stats);
    httpd_state.worker_context = calloc(2, sizeof *httpd_state.worker_context);
    for (unsigned i = 0; i < 2; i++)
        httpd_state.worker_context[i] = (ps_context){
            .state = &httpd_state, .stats = &httpd_state.stats[1 + i], .worker = true};
    assert_int_equal(ps_log_start(&httpd_state.log, 2, "logfmt", "error", &why), PS_OK);
    assert_int_equal(
        ps_auth_open(&httpd_state.auth, &httpd_opts.auth, httpd_state.log, &why), PS_OK);
    ps_worker_pool_opts pool = {.workers = httpd_opts.workers, .queue = httpd_opts.queue};
    assert_int_equal(ps_worker_pool_start(&httpd_state.pool, pool, &why), PS_OK);
    assert_int_equal(ps_listen(&fd, 1, "127.0.0.1:0", told, &why), PS_OK);
    assert_int_equal(ps_http_start(&http, &httpd_state, 0, fd, &why), PS_OK);
    ps_pump pump = {.fd = ps_http_fd(http),
                    .begin = ps_http_begin,
                    .run = ps_http_run,
                    .timeout = ps_http_timeout,
                    .tick = ps_http_tick,
                    .cls = http};
    assert_int_equal(ps_loop_start(&loop, pump, &why), PS_OK);
    address = (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)strtoul(strrchr(told, ':') + 1, NULL, 10)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

void httpd_release(void)
{
    ps_worker_pool_stop(httpd_state.pool);
    httpd_state.pool = NULL;
    ps_loop_post(loop, release, http);
}

void httpd_stop(void)
{
    httpd_release();
    ps_loop_stop(loop);
    ps_http_stop(http);
    ps_auth_close(httpd_state.auth);
    ps_log_stop(httpd_state.log);
    free(httpd_state.worker_context);
    free(httpd_state.stats);
    pthread_mutex_destroy(&httpd_state.lock);
}

void httpd_reset(void)
{
    httpd_opts = ps_cli_serve_defaults();
    httpd_opts.workers = 1;
    httpd_opts.queue = 8;
    httpd_opts.deadline = 0;
    httpd_opts.body_bytes = 1000;
    httpd_opts.bulk_bytes = 5000;
}

/* ------------------------------ A client ----------------------------------- */

int httpd_send(const char *text)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval limit = {.tv_sec = 20};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    return fd;
}

int httpd_ask(const char *what, const char *headers)
{
    char text[1000];
    snprintf(text, sizeof text,
             "GET /boards/%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n",
             what, headers);
    return httpd_send(text);
}

const char *httpd_answer(int fd)
{
    static char text[100000];
    size_t n = 0;
    for (ssize_t got; (got = recv(fd, text + n, sizeof text - 1 - n, 0)) > 0;)
        n += (size_t)got;
    text[n] = '\0';
    close(fd);
    return text;
}

void httpd_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no \"%s\" in \"%s\"", part, text);
}

void httpd_expect(int fd, const char *status, const char *body)
{
    const char *text = httpd_answer(fd);
    httpd_has(text, status);
    httpd_has(text, body);
}

uint64_t httpd_sum(size_t offset)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < httpd_state.n_stats; i++)
        sum += ps_count_get((ps_count *)(void *)((char *)&httpd_state.stats[i] + offset));
    return sum;
}
