/* test_health.c - what probes are told while there is nothing to serve yet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/clock.h"
#include "server/cli/steps.h"
#include "server/routes/health.h"

static ps_serve_opts opts;
static ps_stats stats[2];
static ps_state server;
static ps_context context = {.state = &server};
static ps_reply reply;
static ps_arena arena;

static int set_up(void **state)
{
    (void)state;
    opts = ps_cli_serve_defaults();
    memset(stats, 0, sizeof stats);
    server = (ps_state){.opts = &opts, .stats = stats, .n_loops = 2, .n_stats = 2};
    pthread_mutex_init(&server.lock, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pthread_mutex_destroy(&server.lock);
    ps_arena_done(&arena);
    ps_reply_done(&reply);
    return 0;
}

static const char *ask(ps_handler handle, const char *check)
{
    ps_request r = {.arena = &arena, .arg[0] = {check, check ? strlen(check) : 0}};
    ps_reply_reset(&reply);
    handle(&context, &r, &reply);
    ps_buf_char(&reply.body, '\0');
    return reply.body.data;
}

static void has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no \"%s\" in \"%s\"", part, text);
}

static void readiness_tells_how_far_the_start_is(void **state)
{
    (void)state;
    has(ask(ps_health_ready, NULL), "[-]generation failed: no generation is open yet\n");
    assert_int_equal(reply.status, 503);
    ps_state_progress(&server, "reading the index", 0, 0, "", NULL);
    has(ask(ps_health_ready, NULL), "no generation is open yet: reading the index\n");
    ps_state_progress(&server, "replaying", 43, 100, "records", NULL);
    has(ask(ps_health_ready, "generation"),
        "no generation is open yet: replaying, 43 %\n");
    ps_state_progress(&server, "", 0, 0, "", NULL);
    has(ask(ps_health_ready, "generation"), "no generation is open yet\n");
}

static void a_named_check_is_asked_alone(void **state)
{
    (void)state;
    has(ask(ps_health_ready, "draining"), "ok\n");
    assert_int_equal(reply.status, 200);
    atomic_store(&server.draining, true);
    has(ask(ps_health_ready, "draining"), "[-]draining failed");
    assert_int_equal(reply.status, 503);
    has(ask(ps_health_ready, "nothing"), "not_found");
    assert_int_equal(reply.status, 404);
}

static void liveness_is_that_loops_turn_whatever_else(void **state)
{
    (void)state;
    atomic_store(&server.draining, true);
    ask(ps_health_live, NULL);
    assert_int_equal(reply.status, 200);
    ps_count_set(&stats[0].tick_ns, ps_now_ns());
    ps_count_set(&stats[1].tick_ns, ps_now_ns() - 60000000000u);
    has(ask(ps_health_live, NULL), "[-]loops failed: loop 1 has not turned for 6");
    assert_int_equal(reply.status, 503);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(readiness_tells_how_far_the_start_is, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_named_check_is_asked_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(liveness_is_that_loops_turn_whatever_else, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
