/* test_routes.c - the table of addresses: no way to change something goes unasked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/routes/routes.h"

/* What is asked by POST because the question has a body, and changes nothing. */
static bool only_asks(const char *path)
{
    static const char *const paths[] = {"/related",
                                        "/embed",
                                        "/grpc.health.v1.Health/Check",
                                        "/pinsage.v1.RecommendService/Related",
                                        "/pinsage.v1.RecommendService/Recommend",
                                        "/pinsage.v1.RecommendService/Embed",
                                        "/pinsage.v1.RecommendService/GetPin",
                                        "/pinsage.v1.RecommendService/GetBoard",
                                        "/pinsage.v1.RecommendService/{method}"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (strcmp(paths[i], path) == 0)
            return true;
    return false;
}

static void what_changes_something_asks_who_it_is(void **state)
{
    (void)state;
    unsigned writes = 0;
    for (unsigned i = 0; i < ps_route_unmatched(); i++) {
        const ps_route *r = ps_route_at(i);
        bool asks = r->write || r->admin, must = r->verb != PS_GET && !only_asks(r->path);
        if (asks != must)
            print_message("%s %s\n", ps_verb_name(r->verb), r->path);
        assert_int_equal(asks, must);
        writes += asks;
    }
    assert_true(writes > 9);
}

static void what_lies_below_admin_is_an_admins(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ps_route_unmatched(); i++) {
        const ps_route *r = ps_route_at(i);
        assert_int_equal(r->admin, strncmp(r->path, "/admin/", 7) == 0);
    }
}

static void no_answer_to_a_write_is_kept(void **state)
{
    (void)state;
    for (unsigned i = 0; ps_route_at(i); i++) {
        const ps_route *r = ps_route_at(i);
        assert_false(r->cacheable && (r->write || r->admin || r->verb != PS_GET));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_changes_something_asks_who_it_is),
        cmocka_unit_test(what_lies_below_admin_is_an_admins),
        cmocka_unit_test(no_answer_to_a_write_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
