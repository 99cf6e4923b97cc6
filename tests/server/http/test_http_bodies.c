/* test_http_bodies.c - bodies and deadlines as handlers find them.
 *
 * The handler here says what it was given.
 * Link: -Wl,--wrap=ps_route_run
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "pinsage/clock.h"
#include "server/routes/routes.h"
#include "tests/support/httpd.h"

void __wrap_ps_route_run(ps_context *d, const ps_request *r, ps_reply *out);

static atomic_int runs;

void __wrap_ps_route_run(ps_context *d, const ps_request *r, ps_reply *out)
{
    (void)d;
    atomic_fetch_add(&runs, 1);
    if (r->body.len) {
        ps_buf_printf(&out->body, "%zu bytes: ", r->body.len);
        ps_buf_add(&out->body, r->body.data, r->body.len);
    } else {
        int64_t left =
            r->deadline_ns ? (int64_t)(r->deadline_ns - ps_now_ns()) : INT64_MAX;
        ps_buf_printf(&out->body, "%lld ms", (long long)left / 1000000);
    }
}

static int set_up(void **state)
{
    (void)state;
    httpd_reset();
    return 0;
}

static void the_sooner_deadline_counts(void **state)
{
    (void)state;
    httpd_start();
    httpd_expect(httpd_ask("left", ""), "200 OK", "9223372036854 ms");
    httpd_stop();
    httpd_opts.deadline = 5000;
    httpd_start();
    httpd_expect(httpd_ask("left", ""), "200 OK", "\r\n\r\n4");
    httpd_expect(httpd_ask("left", "Connect-Timeout-Ms: 9999999999\r\n"), "200 OK",
                 "\r\n\r\n4");
    httpd_expect(httpd_ask("left", "Connect-Timeout-Ms: 0\r\n"), "200 OK", "\r\n\r\n4");
    httpd_expect(httpd_ask("left", "Connect-Timeout-Ms: 2000\r\n"), "200 OK",
                 "\r\n\r\n1");
    httpd_expect(httpd_ask("left", "Connect-Timeout-Ms: 12345678901\r\n"), "400 Bad",
                 "digits");
    httpd_expect(httpd_ask("left", "Connect-Timeout-Ms: abc\r\n"), "400 Bad", "digits");
    httpd_expect(httpd_ask("left", "Connect-Timeout-Ms: \r\n"), "400 Bad", "digits");
    httpd_expect(httpd_ask("left", "Connect-Timeout-Ms: -1\r\n"), "400 Bad", "digits");
    httpd_stop();
}

static void bodies_arrive_whole_with_every_verb(void **state)
{
    (void)state;
    static const char *const lines[] = {"PUT /pins/a", "POST /related", "POST /votes"};
    char text[500];
    httpd_start();
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof text,
                 "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                 "Content-Length: 5\r\n\r\nhello",
                 lines[i]);
        httpd_expect(httpd_send(text), "200 OK", "5 bytes: hello");
        snprintf(text, sizeof text,
                 "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
                 lines[i]);
        httpd_expect(httpd_send(text), "200 OK", "5 bytes: hello");
    }
    httpd_stop();
}

static int post(const char *path, size_t bytes, bool chunked)
{
    static char text[20000];
    int n =
        snprintf(text, sizeof text,
                 "POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", path);
    n += chunked
             ? snprintf(text + n, 100, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", bytes)
             : snprintf(text + n, 100, "Content-Length: %zu\r\n\r\n", bytes);
    memset(text + n, 'x', bytes);
    strcpy(text + n + bytes, chunked ? "\r\n0\r\n\r\n" : "");
    return httpd_send(text);
}

static void rows_for_bulk_take_more(void **state)
{
    (void)state;
    httpd_start();
    for (int chunked = 0; chunked < 2; chunked++) {
        httpd_expect(post("/related", 1000, chunked), "200 OK", "1000 bytes");
        httpd_expect(post("/related", 1001, chunked), "413 ", "too long");
        httpd_expect(post("/pins", 5000, chunked), "200 OK", "5000 bytes");
        httpd_expect(post("/pins", 5001, chunked), "413 ", "too long");
    }
    httpd_stop();
    httpd_opts.auth.read_only = true;
    httpd_start();
    int before = runs;
    httpd_expect(post("/pins", 5000, false), "403 ", "permission_denied");
    httpd_expect(
        httpd_send("POST /pins HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000\r\n"
                   "Expect: 100-continue\r\n\r\n"),
        "HTTP/1.1 403 ", "Connection: close");
    assert_int_equal(runs, before);
    httpd_stop();
}

/* A request line and headers, and nothing after them. */
static int head(const char *line, const char *headers)
{
    char text[500];
    snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n", line,
             headers);
    return httpd_send(text);
}

#define LENGTH "Content-Length: 900\r\n"

static void what_is_refused_is_told_before_its_body_is_read(void **state)
{
    (void)state;
    static const char *const writes[] = {
        "PUT /pins/a",
        "POST /pins",
        "POST /votes",
        "POST /pinsage.v1.RecommendService/PutPin",
        "POST /pinsage.v1.RecommendService/Vote",
    };
    httpd_opts.auth.read_only = true;
    httpd_start();
    int before = runs;
    for (size_t i = 0; i < sizeof writes / sizeof *writes; i++) {
        httpd_expect(head(writes[i], LENGTH), "HTTP/1.1 403 ", "read-only");
        httpd_expect(head(writes[i], LENGTH "Expect: 100-continue\r\n"), "HTTP/1.1 403 ",
                     "read-only");
        httpd_expect(head(writes[i], "Transfer-Encoding: chunked\r\n"), "403 ",
                     "read-only");
    }
    httpd_expect(head("POST /nowhere", LENGTH), "404 ", "nothing at this path");
    httpd_expect(head("POST /pins/a", LENGTH), "405 ", "Allow: GET, HEAD, PUT");
    httpd_expect(head("POST /related?k=3", LENGTH), "400 ", "no parameter");
    httpd_expect(head("POST /related", LENGTH "Connect-Timeout-Ms: -1\r\n"), "400 ",
                 "digits");
    assert_int_equal(runs, before);
    assert_int_equal(HTTPD_SUM(bytes_in), 0);
    httpd_stop();
}

static void bodies_are_refused_where_none_belongs(void **state)
{
    (void)state;
    static const char *const lines[] = {"GET /boards/b",        "DELETE /pins/a",
                                        "PUT /boards/b/pins/p", "POST /admin/reload",
                                        "GET /livez",           "OPTIONS /livez"};
    httpd_start();
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        int before = runs;
        const char *status = i == 5 ? "204 " : "400 ";
        httpd_expect(head(lines[i], LENGTH), status, i == 5 ? "Allow" : "takes no body");
        if (i == 5)
            continue;
        char chunk[200];
        snprintf(chunk, sizeof chunk,
                 "%s HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "1\r\nx",
                 lines[i]);
        httpd_expect(httpd_send(chunk), "400 ", "takes no body");
        assert_int_equal(runs, before);
        httpd_expect(head(lines[i], "Content-Length: 0\r\nConnection: close\r\n"), "200 ",
                     "");
        assert_int_equal(runs, before + 1);
    }
    httpd_stop();
}

static void all_bodies_together_have_a_limit(void **state)
{
    (void)state;
    enum { HALF = 3000 };
    static char text[HALF + 200];
    httpd_opts.body_bytes = httpd_opts.bulk_bytes = 2 * HALF;
    httpd_opts.body_memory = 2 * HALF;
    httpd_start();
    int n = snprintf(text, sizeof text,
                     "POST /related HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
                     "Content-Length: %d\r\n\r\n",
                     HALF + 1);
    memset(text + n, 'x', HALF);
    text[n + HALF] = '\0';
    int first = httpd_send(text);
    while (atomic_load(&httpd_state.body_bytes) < HALF)
        ;
    httpd_expect(post("/related", HALF + 1, false), "503 ", "Retry-After: 1");
    httpd_expect(post("/related", HALF + 1, true), "503 ", "too many request bodies");
    httpd_expect(post("/related", HALF, false), "200 OK", "3000 bytes");
    httpd_expect(
        head("POST /related", "Expect: 100-continue\r\nContent-Length: 5000\r\n"),
        "HTTP/1.1 503 ", "Connection: close");
    httpd_expect(head("POST /related", "Content-Length: 6001\r\n"), "413 ", "too long");
    assert_int_equal(send(first, "x", 1, MSG_NOSIGNAL), 1);
    httpd_expect(first, "200 OK", "3001 bytes");
    httpd_expect(post("/related", HALF + 1, false), "200 OK", "3001 bytes");
    assert_int_equal(HTTPD_SUM(bodies_refused), 3);
    httpd_stop();
    assert_int_equal(atomic_load(&httpd_state.body_bytes), 0);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_sooner_deadline_counts, set_up),
        cmocka_unit_test_setup(bodies_arrive_whole_with_every_verb, set_up),
        cmocka_unit_test_setup(rows_for_bulk_take_more, set_up),
        cmocka_unit_test_setup(what_is_refused_is_told_before_its_body_is_read, set_up),
        cmocka_unit_test_setup(bodies_are_refused_where_none_belongs, set_up),
        cmocka_unit_test_setup(all_bodies_together_have_a_limit, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
