/* test_token_file.c - files of bearer tokens: what they may say, and what is found in
 * them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "pinsage/rng.h"
#include "server/security/token_file.h"
#include "tests/support/scratch.h"

static ps_tokens tokens;
static ps_why why;

static int parse(const char *text)
{
    ps_tokens_done(&tokens);
    why = (ps_why){0};
    return ps_tokens_parse(&tokens, text, strlen(text), "tokens", &why);
}

static int find(const char *text)
{
    return ps_tokens_find(&tokens, (ps_text){text, strlen(text)});
}

static void a_line_has_a_token_and_perhaps_a_name(void **state)
{
    (void)state;
    assert_int_equal(parse("# who may write\n\n  importer\tfirst.token=  # old\r\n"
                           "second/token+\nops@home third-token~ #x"),
                     PS_OK);
    assert_int_equal(tokens.n, 3);
    assert_string_equal(tokens.token[0].name, "importer");
    assert_string_equal(tokens.token[1].name, "line-4");
    assert_string_equal(tokens.token[2].name, "ops@home");
    assert_int_equal(find("first.token="), 0);
    assert_int_equal(find("second/token+"), 1);
    assert_int_equal(find("third-token~"), 2);
    assert_true(tokens.has_short);
}

static void only_the_whole_token_is_found(void **state)
{
    (void)state;
    assert_int_equal(parse("0123456789abcdef\n"), PS_OK);
    assert_false(tokens.has_short);
    assert_int_equal(find("0123456789abcdef"), 0);
    assert_int_equal(find("0123456789abcde"), -1);
    assert_int_equal(find("0123456789abcdef0"), -1);
    assert_int_equal(find("0123456789abcdeF"), -1);
    assert_int_equal(find(""), -1);
    assert_int_equal(ps_tokens_find(&tokens, (ps_text){"0123456789abcdef\0\0", 18}), -1);
}

static void what_is_no_file_of_tokens_is_refused_with_the_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        long line;
        const char *word;
    } bad[] = {
        {"", 0, "no token"},
        {"# all gone\n\n", 0, "no token"},
        {"good-token\nname token more\n", 2, "a name and a token"},
        {"na:me token\n", 1, "name"},
        {"t\xc3\xb6ken\n", 1, "ASCII"},
        {"to\001ken\n", 1, "ASCII"},
        {"a same\nb same\n", 2, "token stands twice"},
        {"a one\na two\n", 2, "\"a\" stands twice"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(parse(bad[i].text), PS_EFORMAT);
        assert_int_equal(why.line, bad[i].line);
        assert_non_null(strstr(why.text, bad[i].word));
        assert_null(strstr(why.text, "same")); /* a token is never told */
        assert_null(tokens.token);
    }
}

static void lengths_and_counts_have_ends(void **state)
{
    (void)state;
    char text[PS_TOKEN_BYTES + 2] = {0};
    memset(text, 'x', PS_TOKEN_BYTES);
    assert_int_equal(parse(text), PS_OK);
    assert_int_equal(find(text), 0);
    text[PS_TOKEN_BYTES] = 'x';
    assert_int_equal(find(text), -1);
    assert_int_equal(parse(text), PS_EFORMAT);

    char *many = calloc(PS_TOKENS_MAX + 1, 8), *at = many;
    for (int i = 0; i < PS_TOKENS_MAX; i++)
        at += sprintf(at, "t%d\n", i);
    assert_int_equal(parse(many), PS_OK);
    assert_int_equal(find("t0"), 0);
    assert_int_equal(find("t255"), 255);
    sprintf(at, "one\n");
    assert_int_equal(parse(many), PS_EFORMAT);
    free(many);
}

/* Oracle: memcmp. */
static void finding_agrees_with_a_plain_comparison(void **state)
{
    (void)state;
    uint64_t rng = 7;
    assert_int_equal(parse("aa\nab\nba\nbb\naaa\naab\n"), PS_OK);
    for (int round = 0; round < 2000; round++) {
        char text[5] = {0};
        size_t len = ps_rng_below(&rng, 5);
        for (size_t i = 0; i < len; i++)
            text[i] = "abc"[ps_rng_below(&rng, 3)];
        int want = -1;
        for (size_t i = 0; i < tokens.n; i++)
            if (tokens.token[i].len == len && !memcmp(tokens.token[i].text, text, len))
                want = (int)i;
        assert_int_equal(find(text), want);
    }
}

static void files_are_read_unless_everybody_may_write_them(void **state)
{
    (void)state;
    const char *path = scratch_text("tokens", "name a-long-enough-token\n");
    ps_tokens_done(&tokens); /* of the test before */
    chmod(path, 0644);
    assert_int_equal(ps_tokens_read(&tokens, path, &why), PS_OK);
    assert_int_equal(tokens.mode, 0644);
    assert_false(ps_stamp_differs(&tokens.stamp, path));
    ps_tokens_done(&tokens);

    chmod(path, 0666);
    assert_int_equal(ps_tokens_read(&tokens, path, &why), PS_EINVAL);
    assert_non_null(strstr(why.text, "write"));
    assert_int_equal(ps_tokens_read(&tokens, scratch("missing"), &why), PS_ENOENT);
    assert_int_equal(ps_tokens_read(&tokens, scratch_dir(), &why), PS_EINVAL);
    mkfifo(scratch("fifo"), 0600);
    assert_int_equal(ps_tokens_read(&tokens, scratch("fifo"), &why), PS_EINVAL);

    char *big = malloc(300000);
    memset(big, '#', 300000);
    path = scratch_file("big", big, 300000);
    assert_int_equal(ps_tokens_read(&tokens, path, &why), PS_EFORMAT);
    assert_non_null(strstr(why.text, "longer"));
    free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_a_token_and_perhaps_a_name),
        cmocka_unit_test(only_the_whole_token_is_found),
        cmocka_unit_test(what_is_no_file_of_tokens_is_refused_with_the_line),
        cmocka_unit_test(lengths_and_counts_have_ends),
        cmocka_unit_test(finding_agrees_with_a_plain_comparison),
        cmocka_unit_test(files_are_read_unless_everybody_may_write_them),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ps_tokens_done(&tokens);
    return failed;
}
