/* test_base64.c - RFC 4648's own examples, both ways, and what is no base64. */
#include "pinsage/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/rng.h"

static ps_arena arena;

static void the_examples_of_the_standard_go_both_ways(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},         {"foo", "Zm9v"},
        {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        ps_buf b = {0};
        ps_text back;
        ps_base64_add(&b, ps_text_of(pairs[i][0]));
        ps_buf_char(&b, '\0');
        assert_string_equal(b.data, pairs[i][1]);
        assert_true(ps_base64_read(ps_text_of(pairs[i][1]), &arena, &back));
        assert_true(ps_text_is(back, pairs[i][0]));
        ps_buf_done(&b);
    }
}

static void any_bytes_come_back(void **state)
{
    (void)state;
    uint64_t rng = 9;
    for (int turn = 0; turn < 200; turn++) {
        char bytes[100];
        size_t n = ps_rng_below(&rng, sizeof bytes);
        for (size_t i = 0; i < n; i++)
            bytes[i] = (char)ps_rng_below(&rng, 256);
        ps_buf b = {0};
        ps_text back;
        ps_base64_add(&b, (ps_text){bytes, n});
        assert_true(ps_base64_read((ps_text){b.data, b.size}, &arena, &back));
        assert_int_equal(back.len, n);
        assert_true(n == 0 || memcmp(back.data, bytes, n) == 0);
        ps_buf_done(&b);
    }
}

static void both_alphabets_and_padding_are_read(void **state)
{
    (void)state;
    static const char *const same[] = {"+/+/Zg==", "-_-_Zg", " / /Zg=", "+_-/Zg=="};
    ps_text first, back;
    assert_true(ps_base64_read(ps_text_of(same[0]), &arena, &first));
    assert_int_equal(first.len, 4);
    for (size_t i = 1; i < sizeof same / sizeof *same; i++) {
        assert_true(ps_base64_read(ps_text_of(same[i]), &arena, &back));
        assert_int_equal(back.len, first.len);
        assert_memory_equal(back.data, first.data, first.len);
    }
}

static void what_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"Z", "Zg===", "Zm9vY", "Z*==", "=Zg", "Zm=v"};
    ps_text back;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(ps_base64_read(ps_text_of(bad[i]), &arena, &back));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_standard_go_both_ways),
        cmocka_unit_test(any_bytes_come_back),
        cmocka_unit_test(both_alphabets_and_padding_are_read),
        cmocka_unit_test(what_is_none_is_refused),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ps_arena_done(&arena);
    return failed;
}
