/* test_gunzip.c - packed bodies, in pieces, to a limit, damaged.
 *
 * Beside it: zlib's own deflate, and the text itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "pinsage/err.h"
#include "server/base/gunzip.h"

static unsigned char packed[100000];

static size_t pack(const char *text, size_t size, unsigned char *out)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)text;
    z.avail_in = (uInt)size;
    z.next_out = out;
    z.avail_out = 50000;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t n = z.total_out;
    deflateEnd(&z);
    return n;
}

/* Unpack in pieces of `step` bytes; *whole as ps_gunzip_is_whole. */
static int unpack(const void *data, size_t size, size_t step, size_t limit, ps_buf *out,
                  bool *whole)
{
    ps_gunzip *g;
    int err = ps_gunzip_new(&g);
    assert_int_equal(err, PS_OK);
    ps_buf_clear(out);
    for (size_t at = 0; at < size && !err; at += step)
        err = ps_gunzip_add(g, (const char *)data + at,
                            size - at < step ? size - at : step, out, limit);
    *whole = ps_gunzip_is_whole(g);
    ps_gunzip_free(g);
    return err;
}

static char *long_text(size_t size)
{
    char *text = malloc(size);
    unsigned x = 7;
    for (size_t i = 0; i < size; i++)
        text[i] = (char)('a' + ((x = x * 1103515245u + 12345u) >> 28));
    return text;
}

static void any_pieces_give_the_text(void **state)
{
    (void)state;
    enum { SIZE = 70000 };
    char *text = long_text(SIZE);
    size_t n = pack(text, SIZE, packed);
    ps_buf out = {0};
    bool whole;
    for (size_t step = 1; step < 2 * n; step = step * 3 + 1) {
        assert_int_equal(unpack(packed, n, step, SIZE, &out, &whole), PS_OK);
        assert_true(whole);
        assert_int_equal(out.size, SIZE);
        assert_memory_equal(out.data, text, SIZE);
    }
    ps_buf_done(&out);
    free(text);
}

static void members_in_a_row_are_one_text(void **state)
{
    (void)state;
    ps_buf out = {0};
    bool whole;
    size_t n = pack("one, ", 5, packed);
    n += pack("", 0, packed + n);
    n += pack("two", 3, packed + n);
    for (size_t step = 1; step <= n; step++) {
        assert_int_equal(unpack(packed, n, step, 8, &out, &whole), PS_OK);
        assert_true(whole);
        assert_int_equal(out.size, 8);
        assert_memory_equal(out.data, "one, two", 8);
    }
    ps_buf_done(&out);
}

static void a_bomb_stops_at_the_limit(void **state)
{
    (void)state;
    enum { SIZE = 10000000 };
    char *zeros = calloc(1, SIZE);
    size_t n = pack(zeros, SIZE, packed);
    ps_buf out = {0};
    bool whole;
    assert_true(n < 11000);
    for (size_t limit = 0; limit < SIZE; limit = limit * 7 + 16383) {
        assert_int_equal(unpack(packed, n, n, limit, &out, &whole), PS_ERANGE);
        assert_true(out.size <= limit);
    }
    assert_int_equal(unpack(packed, n, n, SIZE - 1, &out, &whole), PS_ERANGE);
    assert_int_equal(unpack(packed, n, n, SIZE, &out, &whole), PS_OK);
    assert_true(whole && out.size == SIZE);
    ps_buf_done(&out);
    free(zeros);
}

static void damage_is_seen(void **state)
{
    (void)state;
    ps_buf out = {0};
    bool whole;
    size_t n = pack("a text that is packed", 21, packed);
    for (size_t cut = 1; cut < n; cut++) {
        assert_int_equal(unpack(packed, cut, cut, 100, &out, &whole), PS_OK);
        assert_false(whole);
    }
    for (size_t at = 10; at < n; at++) { /* behind the head, whose time is nobody's */
        packed[at] ^= 0x20;
        int err = unpack(packed, n, n, 100, &out, &whole);
        bool same = out.size == 21 && memcmp(out.data, "a text that is packed", 21) == 0;
        assert_true(err || !whole || same); /* a bit of padding says nothing */
        packed[at] ^= 0x20;
    }
    packed[n] = 'x';
    assert_int_equal(unpack(packed, n + 1, n + 1, 100, &out, &whole), PS_OK);
    assert_false(whole);
    memcpy(packed + n, "xyz plain text behind", 21);
    assert_int_equal(unpack(packed, n + 21, n + 21, 100, &out, &whole), PS_EFORMAT);
    assert_int_equal(unpack("{\"plain\":\"json\"}", 16, 16, 100, &out, &whole),
                     PS_EFORMAT);
    ps_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_pieces_give_the_text),
        cmocka_unit_test(members_in_a_row_are_one_text),
        cmocka_unit_test(a_bomb_stops_at_the_limit),
        cmocka_unit_test(damage_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
