/* test_log.c - lines read back as what was said, and a stuck reader stops nobody. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <jansson.h>

#include "server/base/log.h"
#include "tests/support/scratch.h"

static int fd;
static ps_log *open_log(const char *format, const char *level)
{
    ps_log *log;
    ps_why why = {0};
    fd = open(scratch("log"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ps_log_start(&log, fd, format, level, &why), PS_OK);
    return log;
}

static char *close_log(ps_log *log)
{
    ps_log_stop(log);
    close(fd);
    return slurp(scratch("log"), NULL);
}

static void logfmt_quotes_what_needs_it(void **state)
{
    (void)state;
    ps_log *log = open_log("logfmt", "info");
    ps_log_say(log, PS_LOG_INFO, "up", "a", "plain", "b", "two words", "c", "", "d",
               "x=\"y\"\n", NULL);
    char *text = close_log(log);
    assert_memory_equal(text, "ts=2", 4);
    assert_non_null(strstr(
        text,
        "Z level=info msg=up a=plain b=\"two words\" c=\"\" d=\"x=\\\"y\\\"\\n\"\n"));
    assert_int_equal(strcspn(text, "\n") + 1, strlen(text));
    free(text);
}

static void json_lines_parse(void **state)
{
    (void)state;
    ps_log *log = open_log("json", "debug");
    ps_line line = {0};
    for (int i = 0; i < 2; i++) {
        ps_line_begin(&line, log, PS_LOG_WARN, "request");
        ps_line_text(&line, "path", (ps_text){"/a\"\xff\n", 5});
        ps_line_u64(&line, "status", 200);
        ps_line_real(&line, "duration", 0.25);
        ps_line_end(&line);
    }
    ps_log_put(log, &line, false);
    ps_line_done(&line);
    char *text = close_log(log), *at = text;
    for (int i = 0; i < 2; i++) {
        size_t len = strcspn(at, "\n");
        json_t *j = json_loadb(at, len, 0, NULL);
        assert_non_null(j);
        assert_int_equal(strlen(json_string_value(json_object_get(j, "ts"))), 24);
        assert_string_equal(json_string_value(json_object_get(j, "level")), "warn");
        assert_int_equal(json_integer_value(json_object_get(j, "status")), 200);
        json_decref(j);
        at += len + 1;
    }
    free(text);
}

static void lines_below_the_level_are_not_written(void **state)
{
    (void)state;
    ps_log *log = open_log("logfmt", "warn");
    ps_log_say(log, PS_LOG_INFO, "quiet", NULL);
    ps_log_say(log, PS_LOG_ERROR, "loud", NULL);
    assert_false(ps_log_wants(log, PS_LOG_INFO));
    char *text = close_log(log);
    assert_null(strstr(text, "quiet"));
    assert_non_null(strstr(text, "loud"));
    free(text);
}

static void a_reader_that_does_not_read_costs_lines_and_not_time(void **state)
{
    (void)state;
    int ends[2];
    ps_log *log;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(ps_log_start(&log, ends[1], "logfmt", "info", NULL), PS_OK);
    static char words[10000];
    memset(words, 'w', sizeof words - 1);
    for (int i = 0; i < 400; i++) {
        ps_line line = {0};
        ps_line_begin(&line, log, PS_LOG_INFO, "flood");
        ps_line_text(&line, "text", (ps_text){words, sizeof words - 1});
        ps_line_end(&line);
        ps_log_put(log, &line, false);
        ps_line_done(&line);
    }
    assert_in_range(ps_log_dropped(log), 100, 399);
    close(ends[0]); /* SIGPIPE is ignored, as in the server */
    ps_log_stop(log);
    close(ends[1]);
}

static void odd_formats_and_levels_are_refused(void **state)
{
    (void)state;
    ps_log *log;
    ps_why why = {0};
    assert_int_equal(ps_log_start(&log, 2, "xml", "info", &why), PS_EINVAL);
    assert_non_null(strstr(why.text, "xml"));
    assert_int_equal(ps_log_start(&log, 2, "json", "loud", &why), PS_EINVAL);
    assert_non_null(strstr(why.text, "loud"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logfmt_quotes_what_needs_it),
        cmocka_unit_test(json_lines_parse),
        cmocka_unit_test(lines_below_the_level_are_not_written),
        cmocka_unit_test(a_reader_that_does_not_read_costs_lines_and_not_time),
        cmocka_unit_test(odd_formats_and_levels_are_refused),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
