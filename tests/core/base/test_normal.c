/* test_normal.c - text taken cluster by cluster is what utf8proc makes of the whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <utf8proc.h>

#include "pinsage/normal.h"
#include "pinsage/rng.h"

static const utf8proc_option_t how =
    UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD;

/* All at once, by the library's own function. */
static void same_as_whole(const char *text, size_t len)
{
    utf8proc_uint8_t *whole;
    ps_buf got = {0};
    utf8proc_ssize_t size =
        utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)len, &whole, how);
    assert_true(size >= 0);
    ps_normal_add(&got, (ps_text){text, len});
    if (got.size != (size_t)size || (size && memcmp(got.data, whole, got.size) != 0))
        fail_msg("\"%.*s\" became \"%.*s\", wanted \"%s\"", (int)len, text, (int)got.size,
                 got.data, whole);
    /* Twice is once. */
    ps_buf again = {0};
    ps_normal_add(&again, (ps_text){got.data, got.size});
    assert_int_equal(again.size, got.size);
    assert_true(!got.size || memcmp(again.data, got.data, got.size) == 0);
    ps_buf_done(&again);
    ps_buf_done(&got);
    free(whole);
}

static void every_character_folds_as_the_library_has_it(void **state)
{
    (void)state;
    char text[8];
    for (int32_t c = 1; c < 0x110000; c++) {
        if (!utf8proc_codepoint_valid(c))
            continue;
        size_t len = ps_normal_encode(c, text);
        same_as_whole(text, len);
    }
}

static void random_texts_come_out_as_if_taken_whole(void **state)
{
    (void)state;
    static const int32_t letters[] = {'a',    'E',    ' ',    0xe9,   0x301,   0x323,
                                      0x327,  0x3a3,  0xdf,   0x130,  0x1112,  0x1161,
                                      0x11ab, 0xac00, 0x304b, 0x3099, 0x1f468, 0x200d,
                                      0x915,  0x93c,  0x5d0,  0x5b7,  0xfb01,  0x1e9e};
    enum { LETTERS = sizeof letters / sizeof *letters };
    uint64_t rng = 5;
    for (int i = 0; i < 30000; i++) {
        char text[64];
        size_t len = 0, n = ps_rng_below(&rng, 12);
        for (size_t j = 0; j < n; j++)
            len += ps_normal_encode(letters[ps_rng_below(&rng, LETTERS)], text + len);
        same_as_whole(text, len);
    }
}

static const char *normal(const char *text, size_t len)
{
    static ps_buf b;
    ps_buf_clear(&b);
    ps_normal_add(&b, (ps_text){text, len});
    return b.data ? b.data : "";
}

static void bytes_that_are_not_utf8_are_blanks(void **state)
{
    (void)state;
    assert_string_equal(normal("A\xff\xc3", 3), "a  ");
    assert_string_equal(normal("\xe2\x82", 2), "  ");
    assert_string_equal(normal("E\xcc\x81\xed\xa0\x80z", 7), "é   z");
    assert_string_equal(normal("", 0), "");
}

/* More accents than a cluster has room for: none is lost, and nothing overflows. */
static void a_heap_of_accents_is_taken_in_parts(void **state)
{
    (void)state;
    char text[1 + 2 * 500];
    *text = 'a';
    for (int i = 0; i < 500; i++)
        memcpy(text + 1 + 2 * i, "\xcc\x81", 2);
    const char *got = normal(text, sizeof text);
    assert_int_equal(strlen(got), sizeof text - 1); /* the first is composed: á */
    char many[3 * 500];
    for (int i = 0; i < 500; i++)
        memcpy(many + 3 * i, "\xef\xb7\xba", 3); /* U+FDFA, the longest of all */
    assert_int_equal(strlen(normal(many, sizeof many)), sizeof many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_character_folds_as_the_library_has_it),
        cmocka_unit_test(random_texts_come_out_as_if_taken_whole),
        cmocka_unit_test(bytes_that_are_not_utf8_are_blanks),
        cmocka_unit_test(a_heap_of_accents_is_taken_in_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
