/* test_target.c - request targets: pieces come out decoded, and what is odd is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/rng.h"
#include "server/message/request.h"
#include "server/message/target.h"
#include "tests/support/texts.h"

static ps_arena arena;
static ps_target target;

static int parse(const char *raw)
{
    ps_arena_reset(&arena);
    ps_why why = {0};
    int err = ps_target_parse(&target, (ps_text){raw, strlen(raw)}, &arena, &why);
    assert_true(!err || why.text[0]);
    return err;
}

static void a_path_is_cut_at_raw_slashes_only(void **state)
{
    (void)state;
    assert_int_equal(parse("/related/a%2Fb%2fc"), PS_OK);
    assert_int_equal(target.n_segments, 2);
    assert_text(target.segment[0], "related");
    assert_text(target.segment[1], "a/b/c");
}

static void ids_may_hold_anything_once_encoded(void **state)
{
    (void)state;
    assert_int_equal(parse("/pins/%22q%27%20%3F%23%26%3D%25%5C%F0%9F%90%88"), PS_OK);
    assert_text(target.segment[1], "\"q' ?#&=%\\\xf0\x9f\x90\x88");
    assert_int_equal(parse("/pins/\xc3\xa9"), PS_OK);
    assert_text(target.segment[1], "\xc3\xa9");
}

static void a_plus_is_itself_in_a_path_and_a_space_in_a_parameter(void **state)
{
    (void)state;
    assert_int_equal(parse("/pins/a+b?x=a+b&y=a%2Bb"), PS_OK);
    assert_text(target.segment[1], "a+b");
    assert_text(target.param[0].value, "a b");
    assert_text(target.param[1].value, "a+b");
}

static void dots_and_empty_parts_are_kept_as_sent(void **state)
{
    (void)state;
    assert_int_equal(parse("/a//../%2e%2e/"), PS_OK);
    assert_int_equal(target.n_segments, 5);
    assert_text(target.segment[1], "");
    assert_text(target.segment[2], "..");
    assert_text(target.segment[3], "..");
    assert_text(target.segment[4], "");
    assert_int_equal(parse("/"), PS_OK);
    assert_int_equal(target.n_segments, 1);
}

static void parameters_come_in_order_with_empty_ones_told(void **state)
{
    (void)state;
    assert_int_equal(parse("/a?k=5&&verbose&exclude=x&exclude=y%26z&e="), PS_OK);
    assert_int_equal(target.n_params, 5);
    assert_text(target.param[0].name, "k");
    assert_text(target.param[0].value, "5");
    assert_text(target.param[1].name, "verbose");
    assert_text(target.param[1].value, "");
    assert_text(target.param[3].value, "y&z");
    assert_text(target.param[4].value, "");
    assert_int_equal(parse("/a?k=1=2?3"), PS_OK);
    assert_text(target.param[0].value, "1=2?3");
}

static void absolute_form_loses_its_host(void **state)
{
    (void)state;
    assert_int_equal(parse("http://h:80/a/b?c=d"), PS_OK);
    assert_int_equal(target.n_segments, 2);
    assert_text(target.param[0].value, "d");
    assert_int_equal(parse("http://h"), PS_OK);
    assert_text(target.segment[0], "");
    assert_int_equal(parse("/pins/http%3A%2F%2Fx"), PS_OK);
    assert_text(target.segment[1], "http://x");
}

static void what_is_malformed_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",         "*",           "a",
        "/a%",      "/a%2",        "/a%zz",
        "/a%00b",   "/a?b=%",      "/a?%0=",
        "/a?b=%00", "/a b",        "/a\tb",
        "/a#b",     "/\x7f",       "/a\x01",
        "/%ff",     "/%c0%af",     "/a?b=%80",
        "?a=b",     "/a%ed%a0%80", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (parse(bad[i]) != PS_EINVAL)
            fail_msg("\"%s\" was taken", bad[i]);
    ps_why why = {0};
    assert_int_equal(ps_target_parse(&target, (ps_text){0}, &arena, &why), PS_EINVAL);
}

static void any_bytes_at_all_do_no_harm(void **state)
{
    (void)state;
    static const char alphabet[] = "/?&=%%%+#.0aF2\xc3\xa9\xff ";
    uint64_t rng = 7;
    int taken = 0;
    for (int i = 0; i < 20000; i++) {
        size_t len = ps_rng_below(&rng, 24);
        char *raw = malloc(len + 1); /* exactly so long, for the sanitizer to see */
        for (size_t c = 0; c < len; c++)
            raw[c] = alphabet[ps_rng_below(&rng, sizeof alphabet - 1)];
        if (len)
            raw[0] = '/';
        raw[len] = '\0';
        ps_arena_reset(&arena);
        taken += !ps_target_parse(&target, (ps_text){raw, len}, &arena, NULL);
        free(raw);
    }
    assert_in_range(taken, 100, 19900);
}

static void header_lists_are_searched_with_their_weights(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool has;
    } cases[] = {
        {"gzip", true},
        {"GZIP", true},
        {"deflate, gzip;q=0.5", true},
        {"gzip;q=0", false},
        {"gzip; q=0.000", false},
        {"gzip;q=0.001", true},
        {"xgzip, gzipx", false},
        {"", false},
        {" br ,\tgzip ", true},
        {"deflate", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ps_text value = {cases[i].value, strlen(cases[i].value)};
        if (ps_header_names(value, "gzip") != cases[i].has)
            fail_msg("\"%s\"", cases[i].value);
    }
}

static void etags_match_one_of_a_list_or_anything(void **state)
{
    (void)state;
    ps_text list = {"\"a\", W/\"b\"", 10};
    assert_true(ps_etag_matches(list, "\"a\""));
    assert_true(ps_etag_matches(list, "\"b\""));
    assert_false(ps_etag_matches(list, "\"c\""));
    assert_true(ps_etag_matches((ps_text){" * ", 3}, "\"c\""));
    assert_false(ps_etag_matches((ps_text){NULL, 0}, "\"c\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_cut_at_raw_slashes_only),
        cmocka_unit_test(ids_may_hold_anything_once_encoded),
        cmocka_unit_test(a_plus_is_itself_in_a_path_and_a_space_in_a_parameter),
        cmocka_unit_test(dots_and_empty_parts_are_kept_as_sent),
        cmocka_unit_test(parameters_come_in_order_with_empty_ones_told),
        cmocka_unit_test(absolute_form_loses_its_host),
        cmocka_unit_test(what_is_malformed_is_refused),
        cmocka_unit_test(any_bytes_at_all_do_no_harm),
        cmocka_unit_test(header_lists_are_searched_with_their_weights),
        cmocka_unit_test(etags_match_one_of_a_list_or_anything),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ps_arena_done(&arena);
    return failed;
}
