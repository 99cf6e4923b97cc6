/* test_auth.c - who may write, told request by request. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/security/auth.h"
#include "server/security/hosts.h"
#include "tests/support/scratch.h"

static ps_auth *auth;
static ps_auth_opts opts;
static ps_arena arena;
static ps_reply reply;
static struct sockaddr_storage peer;
static ps_request request;

static void open_auth(ps_auth_opts o)
{
    ps_auth_close(auth);
    opts = o;
    ps_why why = {0};
    assert_int_equal(ps_auth_open(&auth, &opts, NULL, &why), PS_OK);
}

static const struct sockaddr_storage *peer_at(const char *address)
{
    struct sockaddr_in *four = (void *)&peer;
    struct sockaddr_in6 *six = (void *)&peer;
    memset(&peer, 0, sizeof peer);
    if (strchr(address, ':')) {
        peer.ss_family = AF_INET6;
        assert_int_equal(inet_pton(AF_INET6, address, &six->sin6_addr), 1);
    } else {
        peer.ss_family = AF_INET;
        assert_int_equal(inet_pton(AF_INET, address, &four->sin_addr), 1);
    }
    return &peer;
}

static void ask(const char *from, const char *authorization)
{
    ps_arena_reset(&arena);
    request = (ps_request){.verb = PS_PUT, .arena = &arena, .peer = peer_at(from)};
    request.header.authorization = ps_text_of(authorization);
    request.header.host = ps_text_of("localhost:8080");
    request.header.names_us = true;
}

/* 200 if the request as it stands may do that. */
static unsigned status(unsigned powers)
{
    ps_reply_reset(&reply);
    if (ps_auth_check(auth, &request, powers, &reply)) {
        assert_int_equal(reply.body.size, 0);
        return 200;
    }
    return reply.status;
}

static unsigned may_write(const char *from, const char *authorization)
{
    ask(from, authorization);
    return status(PS_MAY_WRITE);
}

static const char *header(const char *name)
{
    for (unsigned i = 0; i < reply.n_headers; i++)
        if (strcmp(reply.header[i].name, name) == 0)
            return reply.header[i].value;
    return "";
}

static void the_loopback_has_many_spellings(void **state)
{
    (void)state;
    static const char *const near[] = {"127.0.0.1", "127.9.8.7", "::1",
                                       "::ffff:127.0.0.1"};
    static const char *const far[] = {"10.0.0.1",        "128.0.0.1", "::",     "::2",
                                      "::ffff:10.0.0.1", "fe80::1",   "7f00::1"};
    for (size_t i = 0; i < sizeof near / sizeof *near; i++)
        assert_true(ps_is_loopback(peer_at(near[i])));
    for (size_t i = 0; i < sizeof far / sizeof *far; i++)
        assert_false(ps_is_loopback(peer_at(far[i])));
    assert_false(ps_is_loopback(NULL));
    peer.ss_family = AF_UNSPEC;
    assert_false(ps_is_loopback(&peer));
}

static void without_tokens_only_this_machine_writes(void **state)
{
    (void)state;
    open_auth((ps_auth_opts){0});
    assert_int_equal(may_write("127.0.0.1", NULL), 200);
    assert_int_equal(may_write("10.1.2.3", NULL), 403);
    assert_non_null(strstr(reply.body.data, "permission_denied"));
    assert_int_equal(may_write("10.1.2.3", "Bearer whatever"), 403);
    ask("10.1.2.3", NULL);
    assert_int_equal(status(PS_MAY_ADMIN), 403);
    assert_int_equal(status(PS_MAY_READ), 200);
    request.peer = NULL;
    assert_int_equal(status(PS_MAY_WRITE), 403);
}

static void a_proxy_on_this_machine_is_not_this_machine(void **state)
{
    (void)state;
    open_auth((ps_auth_opts){0});
    ask("127.0.0.1", NULL);
    request.header.proxied = true;
    assert_int_equal(status(PS_MAY_WRITE), 403);
    assert_non_null(strstr(reply.body.data, "proxy"));
    assert_int_equal(status(PS_MAY_READ), 200);
}

static unsigned from_page(const char *origin, const char *host)
{
    ask("127.0.0.1", NULL);
    request.header.origin = ps_text_of(origin);
    request.header.host = ps_text_of(host);
    request.header.names_us = ps_hosts_know(&(ps_hosts){0}, request.header.host);
    return status(PS_MAY_WRITE);
}

static void pages_of_other_sites_may_not_write_through_a_browser(void **state)
{
    (void)state;
    open_auth((ps_auth_opts){0});
    assert_int_equal(from_page("http://127.0.0.1:8080", "127.0.0.1:8080"), 200);
    assert_int_equal(from_page("http://[::1]:8080", "[::1]:8080"), 200);
    assert_int_equal(from_page("http://localhost", "LOCALHOST"), 200);
    assert_int_equal(from_page("http://evil.example", "127.0.0.1:8080"), 403);
    assert_int_equal(from_page("null", "127.0.0.1:8080"), 403);
    assert_int_equal(from_page("http://127.0.0.1:9999", "127.0.0.1:8080"), 403);
    /* A name that was made to point here. */
    assert_int_equal(from_page("http://evil.example:8080", "evil.example:8080"), 403);
    assert_int_equal(from_page("http://127.0.0.1.evil.example", "127.0.0.1.evil.example"),
                     403);
    assert_int_equal(from_page("http://", ""), 403);
    assert_int_equal(from_page("http://", NULL), 403); /* HTTP/1.0 needs no Host */
    assert_int_equal(from_page("http://[", "["), 403);
}

static void with_tokens_a_write_shows_one(void **state)
{
    (void)state;
    open_auth(
        (ps_auth_opts){.token_file = scratch_text("tokens", "bot one-long-token-0001\n"
                                                            "another-long-token-02\n")});
    assert_int_equal(may_write("10.1.2.3", "Bearer one-long-token-0001"), 200);
    assert_int_equal(request.who.len, 3);
    assert_memory_equal(request.who.data, "bot", 3);
    assert_int_equal(may_write("10.1.2.3", "bearer  another-long-token-02"), 200);
    assert_memory_equal(request.who.data, "line-2", 6);
    ask("10.1.2.3", "Bearer one-long-token-0001");
    assert_int_equal(status(PS_MAY_ADMIN | PS_MAY_WRITE), 200);

    assert_int_equal(may_write("127.0.0.1", NULL), 401);
    assert_string_equal(header("WWW-Authenticate"), "Bearer realm=\"pinsage\"");
    assert_non_null(strstr(reply.body.data, "unauthenticated"));
    assert_int_equal(request.who.len, 0);
    assert_int_equal(may_write("127.0.0.1", "Bearer wrong-long-token-xx"), 401);
    assert_non_null(strstr(header("WWW-Authenticate"), "invalid_token"));
    assert_null(strstr(reply.body.data, "wrong-long"));
    static const char *const odd[] = {"Basic b25lOnR3bw==",
                                      "Bearer",
                                      "Bearer ",
                                      "one-long-token-0001",
                                      "Bearer one-long-token-0001 ",
                                      "Bearer one-long-token-0001,"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        assert_int_equal(may_write("127.0.0.1", odd[i]), 401);
    ask("10.1.2.3", NULL);
    assert_int_equal(status(PS_MAY_READ), 200);
}

static void a_read_only_server_writes_for_nobody(void **state)
{
    (void)state;
    open_auth((ps_auth_opts){.read_only = true});
    assert_int_equal(may_write("127.0.0.1", NULL), 403);
    assert_non_null(strstr(reply.body.data, "read-only"));
    ask("127.0.0.1", NULL);
    assert_int_equal(status(PS_MAY_ADMIN), 200);
    assert_int_equal(status(PS_MAY_ADMIN | PS_MAY_WRITE), 403);
}

static void each_token_has_a_rate_of_its_own(void **state)
{
    (void)state;
    open_auth(
        (ps_auth_opts){.token_file = scratch_text("tokens", "a token-a\nb token-b\n"),
                       .rate = 0.01,
                       .burst = 3});
    for (int i = 0; i < 3; i++)
        assert_int_equal(may_write("10.1.2.3", "Bearer token-a"), 200);
    assert_int_equal(may_write("10.1.2.3", "Bearer token-a"), 429);
    assert_string_equal(header("Retry-After"), "100");
    assert_non_null(strstr(reply.body.data, "resource_exhausted"));
    assert_int_equal(may_write("10.1.2.3", "Bearer token-b"), 200);
    /* Saving the file anew gives nobody a fresh bucket. */
    usleep(10000);
    scratch_text("tokens", "b token-b\na token-a\nc token-c\n");
    ps_auth_refresh(auth);
    assert_int_equal(may_write("10.1.2.3", "Bearer token-a"), 429);
    assert_int_equal(may_write("10.1.2.3", "Bearer token-c"), 200);

    open_auth((ps_auth_opts){.rate = 1000, .burst = 1});
    assert_int_equal(may_write("127.0.0.1", NULL), 200);
    usleep(2000);
    assert_int_equal(may_write("127.0.0.1", NULL), 200);
}

static void link_to(const char *folder)
{
    unlink(scratch("secret/new"));
    assert_int_equal(symlink(folder, scratch("secret/new")), 0);
    assert_int_equal(rename(scratch("secret/new"), scratch("secret/..data")), 0);
}

/* secret/tokens -> ..data/tokens, ..data -> ..1, then ..2: as Kubernetes does it. */
static void a_changed_file_is_read_again(void **state)
{
    (void)state;
    mkdir(scratch("secret"), 0700);
    mkdir(scratch("secret/..1"), 0700);
    mkdir(scratch("secret/..2"), 0700);
    scratch_text("secret/..1/tokens", "a first-token\n");
    scratch_text("secret/..2/tokens", "a other-token\n");
    link_to("..1");
    assert_int_equal(symlink("..data/tokens", scratch("secret/tokens")), 0);
    char path[4096];
    snprintf(path, sizeof path, "%s", scratch("secret/tokens"));
    open_auth((ps_auth_opts){.token_file = path});
    assert_int_equal(may_write("10.1.2.3", "Bearer first-token"), 200);
    ps_auth_refresh(auth);
    assert_int_equal(may_write("10.1.2.3", "Bearer first-token"), 200);

    link_to("..2");
    ps_auth_refresh(auth);
    assert_int_equal(may_write("10.1.2.3", "Bearer first-token"), 401);
    assert_int_equal(may_write("10.1.2.3", "Bearer other-token"), 200);
}

static void a_file_gone_bad_leaves_the_tokens_in_use(void **state)
{
    (void)state;
    char path[4096];
    snprintf(path, sizeof path, "%s", scratch_text("tokens", "first-token\n"));
    open_auth((ps_auth_opts){.token_file = path});
    for (int i = 0; i < 2; i++) {
        scratch_text("tokens", i ? "a b c\n" : "");
        ps_auth_refresh(auth);
        ps_auth_refresh(auth);
        assert_int_equal(may_write("10.1.2.3", "Bearer first-token"), 200);
    }
    unlink(path);
    ps_auth_refresh(auth);
    assert_int_equal(may_write("10.1.2.3", "Bearer first-token"), 200);
    scratch_text("tokens", "second-token\n");
    ps_auth_refresh(auth);
    assert_int_equal(may_write("10.1.2.3", "Bearer second-token"), 200);

    ps_auth *none = NULL;
    ps_why why = {0};
    scratch_text("tokens", "");
    assert_int_equal(ps_auth_open(&none, &opts, NULL, &why), PS_EFORMAT);
    assert_string_equal(why.where, path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_loopback_has_many_spellings),
        cmocka_unit_test(without_tokens_only_this_machine_writes),
        cmocka_unit_test(a_proxy_on_this_machine_is_not_this_machine),
        cmocka_unit_test(pages_of_other_sites_may_not_write_through_a_browser),
        cmocka_unit_test(with_tokens_a_write_shows_one),
        cmocka_unit_test(a_read_only_server_writes_for_nobody),
        cmocka_unit_test(each_token_has_a_rate_of_its_own),
        cmocka_unit_test(a_changed_file_is_read_again),
        cmocka_unit_test(a_file_gone_bad_leaves_the_tokens_in_use),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ps_auth_close(auth);
    ps_arena_done(&arena);
    ps_reply_done(&reply);
    return failed;
}
