/* test_request.c - headers that are read piece by piece. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/message/request.h"

#define TRACE  "0af7651916cd43dd8448eb211c80319c"
#define PARENT "b7ad6b7169203331"

static const char *trace_of(const char *header)
{
    static char out[PS_TRACE_ID];
    memset(out, 'x', sizeof out);
    ps_trace_id((ps_text){header, strlen(header)}, out);
    return out;
}

static void a_traceparent_gives_its_trace(void **state)
{
    (void)state;
    assert_string_equal(trace_of("00-" TRACE "-" PARENT "-01"), TRACE);
    assert_string_equal(trace_of("00-" TRACE "-" PARENT "-00"), TRACE);
    assert_string_equal(trace_of("cc-" TRACE "-" PARENT "-01-what-comes-later"), TRACE);
}

static void what_is_no_traceparent_gives_none(void **state)
{
    (void)state;
    static const char *const odd[] = {
        "",
        "00-" TRACE "-" PARENT,
        "00-" TRACE "-" PARENT "-0",
        "00-" TRACE "-" PARENT "-01-more",
        "00-" TRACE "-" PARENT "-0x",
        "ff-" TRACE "-" PARENT "-01",
        "cc-" TRACE "-" PARENT "-01x",
        "00-00000000000000000000000000000000-" PARENT "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-" PARENT "-01",
        "00_" TRACE "-" PARENT "-01",
        "00-\"af7651916cd43dd8448eb211c80319\n-" PARENT "-01",
    };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        assert_string_equal(trace_of(odd[i]), "");
    char none[PS_TRACE_ID];
    ps_trace_id((ps_text){0}, none);
    assert_string_equal(none, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_traceparent_gives_its_trace),
        cmocka_unit_test(what_is_no_traceparent_gives_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
