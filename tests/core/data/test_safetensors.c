/* test_safetensors.c - what we write is the format to the byte, what others write is
 * read, and every header that lies is refused in words. */
#include "pinsage/safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/buf.h"
#include "pinsage/file.h"
#include "pinsage/hash.h"
#include "pinsage/rng.h"
#include "tests/support/numpy.h"
#include "tests/support/scratch.h"

/* ------------------------------ Helpers ----------------------------------- */

/* A file of this header and n data bytes 0, 1, 2, ...; says `length` bytes of header. */
static const char *make_sized(const char *header, size_t size, uint64_t length, size_t n)
{
    ps_buf b = {0};
    for (int i = 0; i < 8; i++)
        ps_buf_char(&b, (char)(length >> (8 * i)));
    ps_buf_add(&b, header, size);
    for (size_t i = 0; i < n; i++)
        ps_buf_char(&b, (char)i);
    const char *path = scratch_file("x.safetensors", b.data, b.size);
    ps_buf_done(&b);
    return path;
}

static const char *make(const char *header, size_t n)
{
    return make_sized(header, strlen(header), strlen(header), n);
}

static ps_safetensors *opened(const char *path)
{
    ps_safetensors *s;
    ps_why why = {0};
    int err = ps_safetensors_open(&s, path, &why);
    if (err)
        print_message("%s\n", why.text);
    assert_int_equal(err, PS_OK);
    return s;
}

static void refused(const char *path, int err, const char *part)
{
    ps_safetensors *s;
    ps_why why = {0};
    int got = ps_safetensors_open(&s, path, &why);
    if (got != err || !strstr(why.text, part))
        print_message("%s: %s, expected \"%s\"\n", ps_errname(got), why.text, part);
    assert_int_equal(got, err);
    assert_non_null(strstr(why.text, part));
    assert_null(strchr(why.text, '\n'));
    assert_string_equal(why.where, path);
    assert_null(s);
}

static void malformed(const char *header, size_t n, const char *part)
{
    refused(make(header, n), PS_EFORMAT, part);
}

#define ENTRY(name, dtype, shape, offsets)                                               \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape                             \
    ",\"data_offsets\":" offsets "}"

static const float six[6] = {0.0f, -1.5f, 2.25f, 1e-30f, 3e38f, -0.0f};
static const uint8_t word[3] = {'a', 0, 0xff};
static const uint16_t halves[2] = {0x3c00, 0xc000};

static const ps_tensor three[] = {
    {"text", PS_TENSOR_U8, 1, {3, 1}, word},
    {"conv.1.Q.weight", PS_TENSOR_F32, 2, {2, 3}, six},
    {"h", PS_TENSOR_F16, 1, {2, 1}, halves},
};

/* ------------------------------ Writing ----------------------------------- */

static void what_we_write_is_the_format_to_the_byte(void **state)
{
    (void)state;
    static const char *const meta[][2] = {{"by", "a \"test\"\n"}};
    static const char header[] =
        "{\"__metadata__\":{\"by\":\"a \\\"test\\\"\\n\"},"
        "\"conv.1.Q.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
        "\"h\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[24,28]},"
        "\"text\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[28,31]}}";
    const char *path = scratch("ours.safetensors");
    uint64_t size, hash;
    assert_int_equal(ps_safetensors_write(path, three, 3, meta, 1, &size, &hash, NULL),
                     PS_OK);

    size_t n, whole = (8 + sizeof header - 1 + 63) / 64 * 64;
    char *file = slurp(path, &n);
    assert_int_equal(n, whole + 31);
    assert_int_equal(n, size);
    assert_int_equal(hash, ps_hash(file, n));
    for (size_t i = 0; i < 8; i++)
        assert_int_equal((unsigned char)file[i], (whole - 8) >> (8 * i) & 255);
    assert_memory_equal(file + 8, header, sizeof header - 1);
    for (size_t i = 8 + sizeof header - 1; i < whole; i++)
        assert_int_equal(file[i], ' ');
    assert_memory_equal(file + whole, six, 24);
    assert_memory_equal(file + whole + 24, halves, 4);
    assert_memory_equal(file + whole + 28, word, 3);
    free(file);
}

static void what_we_write_we_read(void **state)
{
    (void)state;
    static const char *const meta[][2] = {{"a", "1"}, {"b", "zwei \xc3\xbc"}};
    const char *path = scratch("ours.safetensors");
    assert_int_equal(ps_safetensors_write(path, three, 3, meta, 2, NULL, NULL, NULL), 0);
    ps_safetensors *s = opened(path);
    assert_string_equal(ps_safetensors_at(s, 0)->name, "conv.1.Q.weight");
    assert_string_equal(ps_safetensors_at(s, 2)->name, "text");
    assert_null(ps_safetensors_at(s, 3));
    assert_string_equal(ps_safetensors_meta(s, "b"), "zwei \xc3\xbc");
    assert_null(ps_safetensors_meta(s, "c"));
    const ps_tensor *t = ps_safetensors_find(s, "text");
    assert_int_equal(t->type, PS_TENSOR_U8);
    assert_int_equal(t->shape[0], 3);
    assert_memory_equal(t->data, word, 3);
    float out[6];
    assert_int_equal(ps_safetensors_read_f32(s, "conv.1.Q.weight", 2, 3, out, NULL), 0);
    assert_memory_equal(out, six, sizeof six);
    assert_int_equal(ps_safetensors_read_f32(s, "h", 2, 0, out, NULL), 0);
    assert_true(out[0] == 1.0f && out[1] == -2.0f);
    ps_safetensors_close(s);
}

static void a_file_without_tensors_or_metadata_is_a_file(void **state)
{
    (void)state;
    const char *path = scratch("none.safetensors");
    assert_int_equal(ps_safetensors_write(path, NULL, 0, NULL, 0, NULL, NULL, NULL), 0);
    ps_safetensors *s = opened(path);
    assert_null(ps_safetensors_at(s, 0));
    assert_null(ps_safetensors_meta(s, "a"));
    ps_safetensors_close(s);
}

static void an_independent_reader_gets_what_we_wrote(void **state)
{
    (void)state;
    if (!have_numpy())
        skip();
    const char *path = scratch("ours.safetensors");
    assert_int_equal(ps_safetensors_write(path, three, 3, NULL, 0, NULL, NULL, NULL), 0);
    assert_true(
        numpy("import json, struct\n"
              "b = open('ours.safetensors', 'rb').read()\n"
              "n, = struct.unpack('<Q', b[:8])\n"
              "h, d = json.loads(b[8:8+n]), b[8+n:]\n"
              "assert (8 + n) % 64 == 0\n"
              "T = {'F32': '<f4', 'F16': '<f2', 'U8': 'u1'}\n"
              "def get(k):\n"
              "    lo, hi = h[k]['data_offsets']\n"
              "    return np.frombuffer(d[lo:hi], T[h[k]['dtype']])"
              ".reshape(h[k]['shape'])\n"
              "assert get('conv.1.Q.weight').tolist()[0] == [0.0, -1.5, 2.25]\n"
              "assert get('h').tolist() == [1.0, -2.0]\n"
              "assert get('text').tolist() == [97, 0, 255]\n"
              "assert max(v['data_offsets'][1] for v in h.values()) == len(d)\n"));
}

static void what_no_reader_would_take_is_not_written(void **state)
{
    (void)state;
    const char *path = scratch("bad.safetensors");
    ps_tensor twice[2] = {three[1], three[1]};
    ps_tensor bad[] = {
        {"__metadata__", PS_TENSOR_F32, 1, {1, 1}, six},
        {"\xff", PS_TENSOR_F32, 1, {1, 1}, six},
        {"a", PS_TENSOR_F32, 3, {1, 1}, six},
        {"a", PS_TENSOR_F32, 1, {1, 2}, six},
        {"a", PS_TENSOR_F32, 2, {1ull << 40, 1ull << 40}, six},
    };
    static const char *const meta[][2] = {{"k", "\xc0\x80"}};
    static const char *const again[][2] = {{"k", "1"}, {"k", "2"}};
    ps_why why = {0};
    assert_int_equal(ps_safetensors_write(path, twice, 2, NULL, 0, NULL, NULL, &why),
                     PS_EINVAL);
    assert_non_null(strstr(why.text, "twice"));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(
            ps_safetensors_write(path, &bad[i], 1, NULL, 0, NULL, NULL, &why), PS_EINVAL);
    assert_int_equal(ps_safetensors_write(path, three, 3, meta, 1, NULL, NULL, &why),
                     PS_EINVAL);
    assert_int_equal(ps_safetensors_write(path, three, 3, again, 2, NULL, NULL, &why),
                     PS_EINVAL);
    assert_false(ps_file_exists(path));
}

/* ------------------------------ Reading ----------------------------------- */

static void order_blanks_and_odd_places_of_others_are_read(void **state)
{
    (void)state;
    /* A byte first, so that the numbers lie at odd places. */
    const char *path =
        make("{ " ENTRY("n", "F32", "[1, 2]", "[1, 9]") " , " ENTRY(
                 "b", "U8", "[1]",
                 "[0,1]") ",\n" ENTRY("h", "BF16", "[2]",
                                      "[9,13]") ", " ENTRY("e", "F32", "[0, 7]",
                                                           "[9,9]") " }   ",
             13);
    ps_safetensors *s = opened(path);
    static const char *const order[] = {"b", "n", "e", "h"};
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(ps_safetensors_at(s, i)->name, order[i]);
    static const unsigned char want[] = {1, 2, 3, 4, 5, 6, 7, 8};
    static const unsigned char wide[] = {0, 0, 9, 10, 0, 0, 11, 12};
    float out[2];
    assert_int_equal(ps_safetensors_read_f32(s, "n", 1, 2, out, NULL), PS_OK);
    assert_memory_equal(out, want, 8);
    assert_int_equal(ps_safetensors_read_f32(s, "h", 2, 0, out, NULL), PS_OK);
    assert_memory_equal(out, wide, 8);
    assert_int_equal(ps_safetensors_read_f32(s, "e", 0, 7, out, NULL), PS_OK);
    ps_safetensors_close(s);
}

static void long_half_tensors_are_widened_whole(void **state)
{
    (void)state;
    enum { N = 1500 };
    static uint16_t half[N];
    static float out[N];
    for (size_t i = 0; i < N; i++)
        half[i] = (uint16_t)(0x3c00 + i % 1024);
    ps_tensor t = {"x", PS_TENSOR_F16, 2, {3, N / 3}, half};
    const char *path = scratch("half.safetensors");
    assert_int_equal(ps_safetensors_write(path, &t, 1, NULL, 0, NULL, NULL, NULL), 0);
    ps_safetensors *s = opened(path);
    assert_int_equal(ps_safetensors_read_f32(s, "x", 3, N / 3, out, NULL), PS_OK);
    for (size_t i = 0; i < N; i++)
        assert_true(out[i] == 1.0f + (float)(i % 1024) / 1024.0f);
    ps_safetensors_close(s);
}

static void another_shape_or_name_than_asked_for_is_told(void **state)
{
    (void)state;
    const char *path = scratch("ours.safetensors");
    assert_int_equal(ps_safetensors_write(path, three, 3, NULL, 0, NULL, NULL, NULL), 0);
    ps_safetensors *s = opened(path);
    float out[6];
    ps_why why = {0};
    const char *name = "conv.1.Q.weight";
    assert_int_equal(ps_safetensors_read_f32(s, name, 3, 2, out, &why), PS_EMISMATCH);
    assert_string_equal(why.text, "tensor \"conv.1.Q.weight\" has shape (2, 3), "
                                  "expected is (3, 2)");
    assert_int_equal(ps_safetensors_read_f32(s, name, 6, 0, out, &why), PS_EMISMATCH);
    assert_int_equal(ps_safetensors_read_f32(s, "h", 2, 1, out, &why), PS_EMISMATCH);
    assert_int_equal(ps_safetensors_read_f32(s, "text", 3, 0, out, &why), PS_EMISMATCH);
    assert_non_null(strstr(why.text, "bytes"));
    assert_int_equal(ps_safetensors_read_f32(s, "no", 3, 0, out, &why), PS_EMISMATCH);
    assert_non_null(strstr(why.text, "no tensor"));
    ps_safetensors_close(s);
}

/* ------------------------------ Refusals ---------------------------------- */

static void headers_that_are_not_headers_are_refused(void **state)
{
    (void)state;
    refused(scratch_file("x", "", 0), PS_EFORMAT, "too few");
    refused(scratch_file("x", "1234567", 7), PS_EFORMAT, "too few");
    refused(make_sized("{}", 2, 3, 0), PS_EFORMAT, "cut off");
    refused(make_sized("{}", 2, UINT64_MAX, 0), PS_EFORMAT, "100000000");
    refused(make_sized("{}", 2, 100000001, 0), PS_EFORMAT, "100000000");
    refused(make_sized("{}", 2, 1, 0), PS_EFORMAT, "malformed");
    malformed("", 0, "begin with");
    malformed("[]", 0, "begin with");
    malformed(" {}", 0, "begin with");
    malformed("{}x", 0, "malformed");
    malformed("{\"a\":}", 0, "malformed");
    malformed("{\"\xff\":1}", 0, "malformed");
    malformed("{\"a\\u0000\":1}", 0, "malformed");
    malformed(
        "{" ENTRY("a", "U8", "[1]", "[0,1]") "," ENTRY("a", "U8", "[1]", "[0,1]") "}", 1,
        "duplicate");
    refused(make_sized("{}\0\0", 4, 4, 0), PS_EFORMAT, "malformed");
}

static void entries_that_are_not_tensors_are_refused(void **state)
{
    (void)state;
    malformed("{\"a\":3}", 0, "not an object");
    malformed("{\"a\":{}}", 0, "dtype");
    malformed("{\"a\":{\"dtype\":3}}", 0, "dtype");
    malformed("{\"a\":{\"dtype\":\"U8\"}}", 0, "shape");
    malformed("{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, "data_offsets");
    malformed("{" ENTRY("a", "U8", "[-1]", "[0,1]") "}", 1, "not a size");
    malformed("{" ENTRY("a", "U8", "[1.0]", "[0,1]") "}", 1, "not a size");
    malformed("{" ENTRY("a", "U8", "[1]", "[0]") "}", 1, "two positions");
    malformed("{" ENTRY("a", "U8", "[1]", "[-1,0]") "}", 1, "two positions");
    malformed("{" ENTRY("a", "U8", "[1]", "[0,1,2]") "}", 1, "two positions");
    malformed("{" ENTRY("a\\nb", "U8", "[1]", "[1,0]") "}", 1, "a?b");
    malformed("{\"__metadata__\":[]}", 0, "__metadata__");
    malformed("{\"__metadata__\":{\"a\":1}}", 0, "not a string");
    refused(make("{" ENTRY("a", "F64", "[1]", "[0,8]") "}", 8), PS_EUNSUPPORTED, "F64");
    refused(make("{" ENTRY("a", "U8", "[]", "[0,1]") "}", 1), PS_EUNSUPPORTED,
            "0 dimensions");
    refused(make("{" ENTRY("a", "U8", "[1,1,1]", "[0,1]") "}", 1), PS_EUNSUPPORTED,
            "3 dimensions");
}

static void data_that_are_not_where_they_should_be_are_refused(void **state)
{
    (void)state;
    malformed("{" ENTRY("a", "F32", "[2]", "[0,8]") "}", 7, "cut off");
    malformed("{" ENTRY("a", "F32", "[2]", "[0,7]") "}", 8, "make 8");
    malformed("{" ENTRY("a", "F32", "[2]", "[0,8]") "}", 9, "1 bytes at its end");
    malformed("{" ENTRY("a", "F32", "[1]", "[4,8]") "}", 8, "belong to no tensor");
    malformed(
        "{" ENTRY("a", "U8", "[2]", "[0,2]") "," ENTRY("b", "U8", "[2]", "[3,5]") "}", 5,
        "belong to no tensor");
    malformed(
        "{" ENTRY("a", "U8", "[2]", "[0,2]") "," ENTRY("b", "U8", "[2]", "[1,3]") "}", 3,
        "overlap");
    malformed(
        "{" ENTRY("a", "U8", "[2]", "[0,2]") "," ENTRY("b", "U8", "[2]", "[0,2]") "}", 2,
        "overlap");
    malformed(
        "{" ENTRY("a", "U8", "[0]", "[1,1]") "," ENTRY("b", "U8", "[2]", "[0,2]") "}", 2,
        "overlap");
    malformed("{" ENTRY("a", "U8", "[1]", "[5,4]") "}", 8, "before they begin");
    malformed(
        "{" ENTRY("a", "U8", "[9223372036854775807]", "[0,9223372036854775807]") "}", 8,
        "cut off");
    malformed("{" ENTRY("a", "U8", "[9223372036854775808]", "[0,1]") "}", 8, "malformed");
    malformed("{" ENTRY("a", "F32", "[4294967296,4294967296]", "[0,0]") "}", 0,
              "too large");
    malformed("{" ENTRY("a", "F32", "[4611686018427387904]", "[0,0]") "}", 0,
              "too large");
}

/* A file damaged anywhere either opens with tensors inside the map, or is refused. */
static void damage_anywhere_never_leads_outside_the_file(void **state)
{
    (void)state;
    const char *path = scratch("ours.safetensors");
    assert_int_equal(ps_safetensors_write(path, three, 3, NULL, 0, NULL, NULL, NULL), 0);
    size_t n;
    char *good = slurp(path, &n), *bad = malloc(n);
    uint64_t rng = 7;
    for (int round = 0; round < 3000; round++) {
        memcpy(bad, good, n);
        for (uint64_t hits = 1 + ps_rng_below(&rng, 3); hits > 0; hits--)
            bad[ps_rng_below(&rng, n - 31)] = (char)ps_rng_below(&rng, 256);
        size_t cut = ps_rng_below(&rng, 4) ? n : ps_rng_below(&rng, n);
        ps_safetensors *s;
        if (ps_safetensors_open(&s, scratch_file("bad", bad, cut), NULL) != PS_OK)
            continue;
        volatile unsigned char sum = 0;
        const ps_tensor *t;
        for (size_t i = 0; (t = ps_safetensors_at(s, i)); i++)
            for (size_t b = 0; b < t->shape[0] * t->shape[1] * ps_tensor_size(t->type);
                 b++)
                sum = (unsigned char)(sum + ((const unsigned char *)t->data)[b]);
        ps_safetensors_close(s);
    }
    free(good);
    free(bad);
}

static void a_missing_file_is_not_found(void **state)
{
    (void)state;
    ps_safetensors *s;
    assert_int_equal(ps_safetensors_open(&s, scratch("none"), NULL), PS_ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_we_write_is_the_format_to_the_byte),
        cmocka_unit_test(what_we_write_we_read),
        cmocka_unit_test(a_file_without_tensors_or_metadata_is_a_file),
        cmocka_unit_test(an_independent_reader_gets_what_we_wrote),
        cmocka_unit_test(what_no_reader_would_take_is_not_written),
        cmocka_unit_test(order_blanks_and_odd_places_of_others_are_read),
        cmocka_unit_test(long_half_tensors_are_widened_whole),
        cmocka_unit_test(another_shape_or_name_than_asked_for_is_told),
        cmocka_unit_test(headers_that_are_not_headers_are_refused),
        cmocka_unit_test(entries_that_are_not_tensors_are_refused),
        cmocka_unit_test(data_that_are_not_where_they_should_be_are_refused),
        cmocka_unit_test(damage_anywhere_never_leads_outside_the_file),
        cmocka_unit_test(a_missing_file_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
