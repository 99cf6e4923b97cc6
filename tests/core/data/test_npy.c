/* test_npy.c - NumPy reads what we write, we read what NumPy writes, and every
 * malformed header is refused in words. */
#include "pinsage/npy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/data/npy_header.h"
#include "pinsage/buf.h"
#include "pinsage/half.h"
#include "tests/support/numpy.h"
#include "tests/support/scratch.h"

/* ------------------------------ Helpers ----------------------------------- */

/* An .npy file of version v with this dictionary, padded as NumPy does, and zeros. */
static const char *make(int v, const char *dictionary, size_t data)
{
    ps_buf b = {0};
    size_t len = strlen(dictionary), start = v == 1 ? 10 : 12;
    size_t whole = (start + len + 1 + 63) / 64 * 64;
    ps_buf_add(&b, "\x93NUMPY", 6);
    ps_buf_char(&b, (char)v);
    ps_buf_char(&b, 0);
    for (size_t i = 0; i < start - 8; i++)
        ps_buf_char(&b, (char)(i < 4 ? (whole - start) >> (8 * i) : 0));
    ps_buf_text(&b, dictionary);
    while (b.size < whole - 1)
        ps_buf_char(&b, ' ');
    ps_buf_char(&b, '\n');
    for (size_t i = 0; i < data; i++)
        ps_buf_char(&b, 0);
    const char *path = scratch_file("x.npy", b.data, b.size);
    ps_buf_done(&b);
    return path;
}

static void opens(const char *path, ps_dtype dtype, uint32_t ndim, uint64_t rows,
                  uint64_t cols)
{
    ps_npy a;
    ps_why why = {0};
    int err = ps_npy_open(&a, path, PS_RANDOM, &why);
    if (err)
        print_message("%s\n", why.text);
    assert_int_equal(err, PS_OK);
    assert_int_equal(a.dtype, dtype);
    assert_int_equal(a.ndim, ndim);
    assert_int_equal(a.rows, rows);
    assert_int_equal(a.cols, cols);
    ps_npy_close(&a);
}

static void refused(const char *path, int err, const char *part)
{
    ps_npy a;
    ps_why why = {0};
    int got = ps_npy_open(&a, path, PS_RANDOM, &why);
    if (got != err || !strstr(why.text, part))
        print_message("%s: %s, expected \"%s\"\n", ps_errname(got), why.text, part);
    assert_int_equal(got, err);
    assert_non_null(strstr(why.text, part));
    assert_string_equal(why.where, path);
    assert_null(a.map.data);
}

/* ------------------------------ Reading ----------------------------------- */

#define DICT(descr, order, shape)                                                        \
    "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape ", }"

static void all_versions_and_types_are_read(void **state)
{
    (void)state;
    for (int v = 1; v <= 3; v++) {
        opens(make(v, DICT("'<f4'", "False", "(3, 4)"), 48), PS_F32, 2, 3, 4);
        opens(make(v, DICT("'<f2'", "False", "(3, 4)"), 24), PS_F16, 2, 3, 4);
        opens(make(v, DICT("'<u4'", "False", "(5,)"), 20), PS_U32, 1, 5, 1);
        opens(make(v, DICT("'<u8'", "False", "(0,)"), 0), PS_U64, 1, 0, 1);
        opens(make(v, DICT("'<f8'", "False", "(2, 3)"), 48), PS_F64, 2, 2, 3);
        opens(make(v, DICT("'<f4'", "False", "(3, 0)"), 0), PS_F32, 2, 3, 0);
    }
}

static void blanks_quotes_and_order_of_keys_do_not_matter(void **state)
{
    (void)state;
    opens(make(1, "{\"shape\":(2,3),\"fortran_order\":False,\"descr\":\"<f4\"}", 24),
          PS_F32, 2, 2, 3);
    opens(make(1,
               " { 'shape' : ( 2 , 3 , ) , 'descr' : '<f4' , 'fortran_order' : False } ",
               24),
          PS_F32, 2, 2, 3);
}

static void arrays_we_do_not_read_are_refused_by_name(void **state)
{
    (void)state;
    const int no = PS_EUNSUPPORTED;
    refused(make(1, DICT("'<i8'", "False", "(3,)"), 24), no, "\"<i8\"");
    refused(make(1, DICT("'|O'", "False", "(3,)"), 24), no, "\"|O\"");
    refused(make(1, DICT("'>f4'", "False", "(3,)"), 12), no, "big-endian");
    refused(make(1, DICT("'<f4'", "True", "(3, 4)"), 48), no, "Fortran");
    refused(make(1, DICT("[('a', '<f4')]", "False", "(3,)"), 12), no, "records");
    refused(make(1, DICT("'<f4'", "False", "(3, 4, 5)"), 240), no, "3 dimensions");
    refused(make(1, DICT("'<f4'", "False", "()"), 4), no, "0 dimensions");
    refused(make(4, DICT("'<f4'", "False", "(3,)"), 12), no, "version 4.0");
}

static void malformed_headers_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "{",
        "}",
        "{}",
        "[]",
        "'descr'",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'shape': (3,)}",
        "{'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)} x",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,),,}",
        "{,'descr': '<f4', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f4' 'fortran_order': False, 'shape': (3,)}",
        "{'descr' '<f4', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f4, }",
        "{'descr': \"<f4', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': <f4, 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'x': 1}",
        "{'descr': '<f4', 'fortran_order': false, 'shape': (3,)}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (3,)}",
        "{'descr': '<f4', 'fortran_order': FalseTrue, 'shape': (3,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': [3,]}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 3}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (,3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,,4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3 4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,4}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3.0,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (0x3,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551616,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(make(1, bad[i], 12), PS_EFORMAT, "malformed");
}

static void a_header_cut_at_any_byte_is_refused(void **state)
{
    (void)state;
    size_t size;
    char *data = slurp(make(1, DICT("'<f4'", "False", "(3,)"), 12), &size);
    for (size_t n = 0; n < size; n++) {
        ps_npy a;
        ps_why why = {0};
        const char *path = scratch_file("cut.npy", data, n);
        assert_int_equal(ps_npy_open(&a, path, PS_RANDOM, &why), PS_EFORMAT);
        assert_true(why.text[0] != '\0');
    }
    free(data);
}

/* Whatever one byte of the header becomes, the answer is a plain array or an error. */
static void a_header_with_any_byte_changed_never_misleads(void **state)
{
    (void)state;
    size_t size;
    char *data = slurp(make(1, DICT("'<f4'", "False", "(3,)"), 12), &size);
    for (size_t at = 0; at < size - 12; at++)
        for (int c = 0; c < 256; c++) {
            char old = data[at];
            ps_npy a = {0};
            size_t offset = 0;
            data[at] = (char)c;
            int err = ps_npy_header_read(&a, &offset, data, size, "x", NULL);
            assert_true(err || (offset <= size && a.ndim <= 2 && a.dtype <= PS_F64));
            data[at] = old;
        }
    free(data);
}

static void wrong_sizes_are_refused_with_the_numbers(void **state)
{
    (void)state;
    const char *d = DICT("'<f4'", "False", "(3, 4)");
    refused(make(1, d, 47), PS_EFORMAT, "promises 48 bytes of data, there are 47");
    refused(make(1, d, 0), PS_EFORMAT, "cut off");
    refused(make(1, d, 49), PS_EFORMAT, "1 bytes more");
    refused(make(1, DICT("'<f4'", "False", "(4294967296, 4294967296)"), 8), PS_EFORMAT,
            "more than fits");
    refused(make(1, DICT("'<u8'", "False", "(2305843009213693952, 1)"), 8), PS_EFORMAT,
            "more than fits");
    refused(scratch_text("x.npy", "PK\x03\x04 an npz, maybe"), PS_EFORMAT, "not an .npy");
    refused(scratch_text("x.npy", ""), PS_EFORMAT, "not an .npy");
    refused(scratch("missing.npy"), PS_ENOENT, "cannot be opened");
}

static void data_that_is_not_aligned_is_refused(void **state)
{
    (void)state;
    char file[] =
        "\x93NUMPY\x01\0\x3b\0{'descr': '<f4', 'fortran_order': False, 'shape': "
        "(1,), } \n1234";
    refused(scratch_file("x.npy", file, sizeof file - 1), PS_EUNSUPPORTED, "not aligned");
}

static void another_type_or_shape_than_wanted_is_refused(void **state)
{
    (void)state;
    ps_npy a;
    ps_why why;
    const char *path = make(1, DICT("'<f4'", "False", "(3, 4)"), 48);
    assert_int_equal(ps_npy_open_as(&a, path, PS_F32, 3, 4, PS_RANDOM, &why), PS_OK);
    ps_npy_close(&a);
    assert_int_equal(ps_npy_open_as(&a, path, PS_F32, UINT64_MAX, 0, PS_RANDOM, &why),
                     PS_OK);
    ps_npy_close(&a);
    assert_int_equal(ps_npy_open_as(&a, path, PS_F16, 3, 4, PS_RANDOM, &why), PS_EFORMAT);
    assert_string_equal(why.text, "its numbers are <f4, expected are <f2");
    assert_int_equal(ps_npy_open_as(&a, path, PS_F32, 5, 4, PS_RANDOM, &why), PS_EFORMAT);
    assert_string_equal(why.text, "it has 3 rows, expected are 5");
    assert_int_equal(ps_npy_open_as(&a, path, PS_F32, 3, 5, PS_RANDOM, &why), PS_EFORMAT);
    assert_string_equal(why.text, "it has 4 columns, expected are 5");
    assert_null(a.map.data);
}

/* ------------------------------ Writing ----------------------------------- */

static void headers_are_padded_to_64_for_any_shape(void **state)
{
    (void)state;
    const uint64_t shapes[][2] = {{0, 0}, {7, 0}, {3, 4}, {UINT64_MAX, UINT64_MAX}};
    for (size_t i = 0; i < 4; i++) {
        char header[PS_NPY_HEADER];
        ps_npy a = {0};
        size_t offset;
        ps_npy_header_write(header, PS_U64, shapes[i][0], shapes[i][1]);
        assert_int_equal(
            ps_npy_header_read(&a, &offset, header, sizeof header, "x", NULL), PS_OK);
        assert_int_equal(offset % 64, 0);
        assert_int_equal(header[offset - 1], '\n');
        assert_int_equal(a.rows, shapes[i][0]);
        assert_int_equal(a.ndim, shapes[i][1] ? 2 : 1);
        assert_int_equal(a.cols, shapes[i][1] ? shapes[i][1] : 1);
    }
}

static void write_stream(const char *name, ps_dtype t, uint64_t rows, uint64_t cols,
                         const void *data)
{
    ps_out *o;
    assert_int_equal(ps_out_open(&o, scratch(name), NULL), PS_OK);
    ps_npy_header(o, t, rows, cols);
    ps_out_write(o, data, rows * (cols ? cols : 1) * ps_dtype_size(t));
    assert_int_equal(ps_out_close(o, NULL, NULL), PS_OK);
}

static void numpy_reads_what_we_write(void **state)
{
    (void)state;
    if (!have_numpy())
        skip();
    const float f4[6] = {0, 1, 2, 3, 4, 5.5f};
    const uint32_t u4[3] = {1, 2, UINT32_MAX};
    const uint64_t u8[2] = {5, UINT64_MAX};
    uint16_t f2[6];
    void *data;
    ps_npy a;
    ps_f32_to_f16(f4, f2, 6);
    write_stream("f4.npy", PS_F32, 2, 3, f4);
    write_stream("f2.npy", PS_F16, 3, 2, f2);
    write_stream("u4.npy", PS_U32, 3, 0, u4);
    write_stream("none.npy", PS_U32, 0, 0, u4);
    assert_int_equal(ps_npy_create(&a, &data, scratch("u8.npy"), PS_U64, 2, 1, NULL),
                     PS_OK);
    memcpy(data, u8, sizeof u8);
    assert_int_equal(ps_map_sync(&a.map, "u8.npy", NULL), PS_OK);
    ps_npy_close(&a);
    assert_true(numpy("def same(name, a):\n"
                      "    b = np.load(name + '.npy', mmap_mode='r')\n"
                      "    assert b.dtype == a.dtype and b.shape == a.shape, (name, b)\n"
                      "    assert (b == a).all() and b.flags.c_contiguous, (name, b)\n"
                      "    assert b.ctypes.data % 64 == 0\n"
                      "x = np.array([0, 1, 2, 3, 4, 5.5], '<f4')\n"
                      "same('f4', x.reshape(2, 3))\n"
                      "same('f2', x.astype('<f2').reshape(3, 2))\n"
                      "same('u4', np.array([1, 2, 2**32 - 1], '<u4'))\n"
                      "same('u8', np.array([[5], [2**64 - 1]], '<u8'))\n"
                      "assert np.load('none.npy').shape == (0,)\n"));
}

static void what_numpy_writes_is_read(void **state)
{
    (void)state;
    if (!have_numpy())
        skip();
    assert_true(
        numpy("x = np.arange(12).reshape(3, 4) / 8 - .5\n"
              "np.save('f4.npy', x.astype('<f4'))\n"
              "np.save('f2.npy', x.astype('<f2'))\n"
              "np.save('f8.npy', x)\n"
              "np.save('fortran.npy', np.asfortranarray(x.astype('<f4')))\n"
              "np.save('big.npy', x.astype('>f4'))\n"
              "np.savez('x.npz', x)\n"
              "with open('v2.npy', 'wb') as f:\n"
              "    np.lib.format.write_array(f, x.astype('<f4'), version=(2, 0))\n"
              "np.save('line.npy', np.arange(5, dtype='<u8'))\n"));
    static const char *const names[] = {"f4.npy", "f2.npy", "v2.npy"};
    for (size_t i = 0; i < 3; i++) {
        ps_npy a;
        assert_int_equal(ps_npy_open(&a, scratch(names[i]), PS_RANDOM, NULL), PS_OK);
        for (unsigned r = 0; r < 3; r++) {
            float row[4];
            ps_npy_row_f32(&a, r, row);
            for (unsigned c = 0; c < 4; c++)
                assert_true(row[c] == (float)(4 * r + c) / 8 - .5f);
        }
        ps_npy_close(&a);
    }
    opens(scratch("line.npy"), PS_U64, 1, 5, 1);
    opens(scratch("f8.npy"), PS_F64, 2, 3, 4);
    refused(scratch("fortran.npy"), PS_EUNSUPPORTED, "Fortran");
    refused(scratch("big.npy"), PS_EUNSUPPORTED, "big-endian");
    refused(scratch("x.npz"), PS_EFORMAT, "zip of NumPy arrays");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_versions_and_types_are_read),
        cmocka_unit_test(blanks_quotes_and_order_of_keys_do_not_matter),
        cmocka_unit_test(arrays_we_do_not_read_are_refused_by_name),
        cmocka_unit_test(malformed_headers_are_refused),
        cmocka_unit_test(a_header_cut_at_any_byte_is_refused),
        cmocka_unit_test(a_header_with_any_byte_changed_never_misleads),
        cmocka_unit_test(wrong_sizes_are_refused_with_the_numbers),
        cmocka_unit_test(data_that_is_not_aligned_is_refused),
        cmocka_unit_test(another_type_or_shape_than_wanted_is_refused),
        cmocka_unit_test(headers_are_padded_to_64_for_any_shape),
        cmocka_unit_test(numpy_reads_what_we_write),
        cmocka_unit_test(what_numpy_writes_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
