/* test_options.c - one table gives flags, environment, file, help; later sources win.
 *
 * Threads: one; command lines that exit run in a child.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/cli/cli.h"

typedef struct settings {
    ps_common common;
    const char *name, *mode;
    ps_option_list list;
    uint32_t count, delay;
    uint64_t size;
    double share;
    bool on, skip;
    unsigned colour;
    float rate;
    char chars[6];
} settings;

#define AT(member) offsetof(settings, member)
static const ps_option options[] = {
    {"name", 'n', PS_OPT_TEXT, "TEXT", AT(name), "anna", 0, 0, NULL, "A name"},
    {"mode", 0, PS_OPT_CHOICE, "MODE", AT(mode), "fast", 0, 0, PS_CHOICES("fast", "safe"),
     "A mode"},
    {"item", 'i', PS_OPT_LIST, "ITEM", AT(list), NULL, 0, 0, NULL, "Items"},
    {"the-count", 'c', PS_OPT_U32, "N", AT(count), "7", 1, 100, NULL, "A count"},
    {"delay", 0, PS_OPT_MS, "TIME", AT(delay), "2s", 0, 60000, NULL, "A time"},
    {"size", 0, PS_OPT_U64, "SIZE", AT(size), "1K", 0, 1e12, NULL, "A size"},
    {"share", 0, PS_OPT_REAL, "X", AT(share), "0.5", 0, 1, NULL, "A share"},
    {"on", 0, PS_OPT_FLAG, NULL, AT(on), NULL, 0, 0, NULL, "A switch"},
    {"colour", 0, PS_OPT_ENUM, "WHICH", AT(colour), "blue", 0, 0,
     PS_CHOICES("red", "blue", "green"), "A colour"},
    {"rate", 0, PS_OPT_FLOAT, "X", AT(rate), "0.1", 0, 1, NULL, "A rate"},
    {"chars", 0, PS_OPT_CHARS, "TEXT", AT(chars), NULL, 0, 6, NULL, "A few letters"},
    {"no-skip", 0, PS_OPT_NO_FLAG, NULL, AT(skip), NULL, 0, 0, NULL, "A switch off"},
    PS_COMMON_OPTIONS,
    {0},
};

static const ps_command command = {.name = "import", /* a name that the table knows */
                                   .words = "CATALOG",
                                   .n_words = 1,
                                   .summary = "A test",
                                   .options = options,
                                   .settings_size = sizeof(settings)};

static ps_parsed words;

static settings parse(const char *line, ...)
{
    static char text[16][256];
    char *argv[16] = {(char[]){"pinsage"}, NULL};
    int argc = 1;
    settings s = {0};
    va_list args;
    va_start(args, line);
    for (const char *at = line; at; at = va_arg(args, const char *)) {
        snprintf(text[argc], sizeof text[0], "%s", at);
        argv[argc] = text[argc];
        argc++;
    }
    va_end(args);
    words = (ps_parsed){0};
    ps_options_parse(&command, argc, argv, &s, &words);
    return s;
}

/* Exit status of a command line that is refused; what it said on stderr into text. */
static int refused(char *text, size_t n, const char *a, const char *b)
{
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(pipes[1], STDERR_FILENO);
        parse(a, b, NULL);
        _exit(0);
    }
    close(pipes[1]);
    ssize_t got = read(pipes[0], text, n - 1);
    text[got > 0 ? got : 0] = '\0';
    close(pipes[0]);
    int status;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static const char *write_config(const char *json)
{
    static char path[] = "/tmp/pinsage-config-test.json";
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(json, f);
    fclose(f);
    return path;
}

static void defaults_come_from_the_table(void **state)
{
    (void)state;
    settings s = parse("cat", NULL);
    assert_string_equal(words.word[0], "cat");
    assert_string_equal(s.name, "anna");
    assert_string_equal(s.mode, "fast");
    assert_int_equal(s.count, 7);
    assert_int_equal(s.delay, 2000);
    assert_int_equal(s.size, 1024);
    assert_true(s.share == 0.5);
    assert_int_equal(s.list.n, 0);
    assert_false(s.on);
    assert_int_equal(s.common.seed, 1);
    assert_int_equal(s.colour, 1);
    assert_true(s.rate == 0.1f && s.skip && !*s.chars);
}

static void flags_take_units_and_repeat(void **state)
{
    (void)state;
    settings s = parse("cat", "--delay=250ms", "--size", "3G", "-i", "a", "-i", "b",
                       "--on", "-c9", NULL);
    assert_int_equal(s.delay, 250);
    assert_int_equal(s.size, (uint64_t)3 << 30);
    assert_int_equal(s.list.n, 2);
    assert_string_equal(s.list.item[1], "b");
    assert_true(s.on);
    assert_int_equal(s.count, 9);
}

static void values_go_straight_into_enums_floats_and_letters(void **state)
{
    (void)state;
    settings s =
        parse("cat", "--colour=green", "--rate=0.3", "--chars=abcde", "--no-skip", NULL);
    assert_int_equal(s.colour, 2);
    assert_true(s.rate == 0.3f && !s.skip);
    assert_string_equal(s.chars, "abcde");
    ps_buf printed = {0};
    ps_settings_print(&printed, &command, &s);
    ps_buf_char(&printed, '\0');
    assert_non_null(strstr(printed.data, "\"colour\": \"green\""));
    assert_non_null(strstr(printed.data, "\"rate\": 0.3,"));
    assert_non_null(strstr(printed.data, "\"chars\": \"abcde\""));
    assert_non_null(strstr(printed.data, "\"no-skip\": true"));
    ps_buf_done(&printed);
}

static void flags_win_over_environment_over_file_over_default(void **state)
{
    (void)state;
    char flag[64];
    snprintf(flag, sizeof flag, "--config=%s",
             write_config("{\"name\":\"file\",\"the-count\":3,\"import\":{\"share\":0.25,"
                          "\"item\":[\"x\",\"y\"],\"on\":true,\"delay\":\"5s\"},"
                          "\"serve\":{\"listen\":\"elsewhere\"}}"));
    setenv("PINSAGE_THE_COUNT", "4", 1);
    setenv("PINSAGE_NAME", "environment", 1);
    settings s = parse(flag, "cat", "--name", "flag", "--item", "z", NULL);
    unsetenv("PINSAGE_THE_COUNT");
    unsetenv("PINSAGE_NAME");
    assert_string_equal(s.name, "flag");
    assert_int_equal(s.count, 4);
    assert_true(s.share == 0.25);
    assert_int_equal(s.delay, 5000);
    assert_true(s.on);
    assert_int_equal(s.list.n, 1); /* a flag replaces what the file listed */
    assert_string_equal(s.list.item[0], "z");
}

static void wrong_values_are_usage_errors_that_name_the_option(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"--the-count=0", "--the-count: \"0\" is not in 1..100"},
        {"--the-count=1.5", "--the-count: \"1.5\" is not a whole number"},
        {"--the-count=many", "--the-count: \"many\" is not a number"},
        {"--share=nan", "--share: \"nan\" is not a number"},
        {"--mode=slow", "--mode: \"slow\" is none of fast|safe"},
        {"--colour=pink", "--colour: \"pink\" is none of red|blue|green"},
        {"--rate=1.1", "--rate: \"1.1\" is not in 0..1"},
        {"--chars=abcdef", "--chars: \"abcdef\" is too long"},
        {"--delay=3h", "--delay: \"3h\" is not a number"},
        {"--nonsense", "nonsense"},
        {"second", "\"second\" is one word too many"},
    };
    char text[1024];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(refused(text, sizeof text, "cat", cases[i][0]), 64);
        if (!strstr(text, cases[i][1]))
            fail_msg("%s: said %s", cases[i][0], text);
    }
}

static void a_missing_word_is_a_usage_error(void **state)
{
    (void)state;
    char text[1024];
    assert_int_equal(refused(text, sizeof text, "--on", NULL), 64);
    assert_non_null(strstr(text, "needs CATALOG"));
}

static void a_wrong_file_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\"nmae\":\"x\"}", "\"nmae\" is no setting of any command"},
        {"{\"import\":{\"listen\":\"x\"}}", "\"listen\" is no setting of import"},
        {"{\"the-count\":1000}", "--the-count: \"1000\" is not in 1..100"},
        {"[1]", "must be a JSON object"},
        {"{\"name\":", ""},
        {"{\"name\":null}", "\"name\" must be a string, number or boolean"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        settings s = {0};
        ps_why why = {0};
        const char *path = write_config(cases[i][0]);
        assert_int_equal(ps_config_apply(path, &command, &s, &why), PS_EINVAL);
        assert_string_equal(why.where, path);
        assert_non_null(strstr(why.text, cases[i][1]));
    }
}

static void every_command_says_help_and_has_no_option_twice(void **state)
{
    (void)state;
    for (size_t i = 0; ps_commands[i]; i++) {
        const ps_option *o = ps_commands[i]->options;
        for (size_t a = 0; o[a].name; a++) {
            assert_non_null(o[a].help);
            assert_true(o[a].at < ps_commands[i]->settings_size);
            for (size_t b = 0; b < a; b++) {
                assert_string_not_equal(o[a].name, o[b].name);
                assert_true(!o[a].key || o[a].key != o[b].key);
            }
        }
        assert_ptr_equal(ps_command_find(ps_commands[i]->name), ps_commands[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_come_from_the_table),
        cmocka_unit_test(flags_take_units_and_repeat),
        cmocka_unit_test(values_go_straight_into_enums_floats_and_letters),
        cmocka_unit_test(flags_win_over_environment_over_file_over_default),
        cmocka_unit_test(wrong_values_are_usage_errors_that_name_the_option),
        cmocka_unit_test(a_missing_word_is_a_usage_error),
        cmocka_unit_test(a_wrong_file_is_refused_by_name),
        cmocka_unit_test(every_command_says_help_and_has_no_option_twice),
    };
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
