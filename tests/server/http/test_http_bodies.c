/* test_http_bodies.c - bodies and deadlines as handlers find them.
 *
 * The handler here says what it was given.
 * Link: -Wl,--wrap=ps_route_run -Wl,--wrap=ps_route_is_bulk
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/clock.h"
#include "server/routes/routes.h"
#include "tests/support/httpd.h"

void __wrap_ps_route_run(ps_context *d, const ps_request *r, ps_reply *out);
bool __wrap_ps_route_is_bulk(ps_request *r);

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

bool __wrap_ps_route_is_bulk(ps_request *r)
{
    return r->raw.len == 6 && memcmp(r->raw.data, "/votes", 6) == 0;
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
    static const char *const lines[] = {"PUT /pins/a", "POST /related", "DELETE /pins/a"};
    char text[500];
    httpd_start();
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof text,
                 "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                 "Content-Length: 5\r\n\r\nhello",
                 lines[i]);
        httpd_expect(httpd_send(text), "200 OK", "5 bytes: hello");
        snprintf(text, sizeof text,
                 "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
                 lines[i]);
        httpd_expect(httpd_send(text), "200 OK", "5 bytes: hello");
    }
    httpd_stop();
}

static int post(const char *path, size_t bytes, bool chunked)
{
    static char text[20000];
    int n = snprintf(text, sizeof text,
                     "POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", path);
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
        httpd_expect(post("/votes", 5000, chunked), "200 OK", "5000 bytes");
        httpd_expect(post("/votes", 5001, chunked), "413 ", "too long");
    }
    httpd_stop();
    httpd_opts.auth.read_only = true;
    httpd_start();
    int before = runs;
    httpd_expect(post("/votes", 5000, false), "403 ", "permission_denied");
    httpd_expect(httpd_send("POST /votes HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n"
                            "Expect: 100-continue\r\n\r\n"),
                 "HTTP/1.1 403 ", "Connection: close");
    assert_int_equal(runs, before);
    httpd_stop();
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_sooner_deadline_counts, set_up),
        cmocka_unit_test_setup(bodies_arrive_whole_with_every_verb, set_up),
        cmocka_unit_test_setup(rows_for_bulk_take_more, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
