/* npy_header.c - reads and writes the header of .npy files.
 *
 * The dictionary is a Python literal. Only what numpy.save can produce for a plain array
 * is taken: the three keys once each, in any order, blanks anywhere, a comma at the end
 * or not. Whatever else stands there is refused rather than guessed at, since a wrong
 * guess reads numbers from the wrong place.
 *
 * Threads: pure functions.
 */
#include "core/data/npy_header.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/data/foreign.h"
#include "pinsage/text.h"

static const struct {
    const char *name;
    size_t size;
} dtypes[] = {[PS_F32] = {"<f4", 4},
              [PS_F16] = {"<f2", 2},
              [PS_U32] = {"<u4", 4},
              [PS_U64] = {"<u8", 8},
              [PS_F64] = {"<f8", 8}};

#define N_DTYPES (sizeof dtypes / sizeof *dtypes)

size_t ps_dtype_size(ps_dtype t)
{
    return dtypes[t].size;
}

const char *ps_dtype_name(ps_dtype t)
{
    return dtypes[t].name;
}

/* ------------------------------ Scanning ---------------------------------- */

typedef struct scan {
    const char *at, *end;
    const char *path;
    ps_why *why;
} scan;

static int bad(const scan *s, const char *what)
{
    return ps_fail(s->why, PS_EFORMAT, s->path, 0, "the .npy header is malformed: %s",
                   what);
}

static int unsupported(const scan *s, const char *what)
{
    return ps_fail(s->why, PS_EUNSUPPORTED, s->path, 0, "%s", what);
}

static void skip_blanks(scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n'))
        s->at++;
}

/* True and past it, if c comes next. */
static bool take(scan *s, char c)
{
    skip_blanks(s);
    if (s->at == s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

static bool peek(scan *s, char c)
{
    skip_blanks(s);
    return s->at < s->end && *s->at == c;
}

static bool take_string(scan *s, ps_text *w)
{
    skip_blanks(s);
    if (s->at == s->end || (*s->at != '\'' && *s->at != '"'))
        return false;
    char quote = *s->at++;
    const char *close = memchr(s->at, quote, (size_t)(s->end - s->at));
    if (!close)
        return false;
    *w = (ps_text){s->at, (size_t)(close - s->at)};
    s->at = close + 1;
    return true;
}

static ps_text take_name(scan *s)
{
    skip_blanks(s);
    const char *start = s->at;
    while (s->at < s->end &&
           ((*s->at >= 'a' && *s->at <= 'z') || (*s->at >= 'A' && *s->at <= 'Z')))
        s->at++;
    return (ps_text){start, (size_t)(s->at - start)};
}

static bool take_number(scan *s, uint64_t *value)
{
    skip_blanks(s);
    const char *start = s->at;
    for (*value = 0; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++)
        if (__builtin_mul_overflow(*value, 10u, value) ||
            __builtin_add_overflow(*value, (uint64_t)(*s->at - '0'), value))
            return false;
    return s->at > start;
}

/* ------------------------------ The three keys ---------------------------- */

static int read_descr(scan *s, ps_npy *a)
{
    ps_text type;
    if (peek(s, '['))
        return unsupported(s, "it holds records; plain numbers are wanted");
    if (!take_string(s, &type))
        return bad(s, "descr is not a string");
    for (size_t t = 0; t < N_DTYPES; t++)
        if (ps_text_is(type, dtypes[t].name)) {
            a->dtype = (ps_dtype)t;
            return PS_OK;
        }
    if (type.len && type.data[0] == '>')
        return unsupported(s,
                           "its numbers are big-endian; little-endian ones are wanted: "
                           "X.astype('float32')");
    int len = type.len < 32 ? (int)type.len : 32;
    return ps_fail(s->why, PS_EUNSUPPORTED, s->path, 0,
                   "its numbers are \"%.*s\"; vectors are <f4, <f2 or <f8: "
                   "X.astype('float32')",
                   len, type.data);
}

static int read_order(scan *s)
{
    ps_text value = take_name(s);
    if (ps_text_is(value, "True"))
        return unsupported(s, "it is in Fortran order; C order is wanted "
                              "(numpy.ascontiguousarray)");
    return ps_text_is(value, "False") ? PS_OK
                                      : bad(s, "fortran_order is neither True nor False");
}

static int read_shape(scan *s, ps_npy *a)
{
    uint64_t dims[2] = {0, 1}, n = 0, dim;
    if (!take(s, '('))
        return bad(s, "shape is not a tuple");
    while (!take(s, ')')) {
        if (!take_number(s, &dim))
            return bad(s, "shape is not a tuple of numbers");
        if (n < 2)
            dims[n] = dim;
        n++;
        if (!take(s, ',') && !peek(s, ')'))
            return bad(s, "shape is not a tuple of numbers");
        if (n == 1 && s->at[-1] != ',')
            return bad(s, "shape is not a tuple");
    }
    if (n < 1 || n > 2)
        return ps_fail(s->why, PS_EUNSUPPORTED, s->path, 0,
                       "it has %llu dimensions; wanted are one or two",
                       (unsigned long long)n);
    a->ndim = (uint32_t)n;
    a->rows = dims[0];
    a->cols = dims[1];
    return PS_OK;
}

static int read_entry(scan *s, ps_npy *a, unsigned *seen)
{
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    ps_text key;
    unsigned k = 0;
    if (!take_string(s, &key) || !take(s, ':'))
        return bad(s, "not a dictionary");
    while (k < 3 && !ps_text_is(key, keys[k]))
        k++;
    if (k == 3)
        return bad(s, "a key that is not known");
    if (*seen & 1u << k)
        return bad(s, "a key stands twice");
    *seen |= 1u << k;
    return k == 0 ? read_descr(s, a) : k == 1 ? read_order(s) : read_shape(s, a);
}

static int read_dictionary(scan *s, ps_npy *a)
{
    unsigned seen = 0;
    if (!take(s, '{'))
        return bad(s, "not a dictionary");
    while (!take(s, '}')) {
        int err = read_entry(s, a, &seen);
        if (err)
            return err;
        if (!take(s, ',') && !peek(s, '}'))
            return bad(s, "not a dictionary");
    }
    skip_blanks(s);
    if (s->at != s->end)
        return bad(s, "something follows the dictionary");
    return seen == 7 ? PS_OK : bad(s, "descr, fortran_order or shape is missing");
}

/* ------------------------------ The whole header -------------------------- */

static size_t little_endian(const char *data, size_t n)
{
    size_t value = 0;
    while (n--)
        value = value << 8 | (unsigned char)data[n];
    return value;
}

int ps_npy_header_read(ps_npy *a, size_t *offset, const char *data, size_t size,
                       const char *path, ps_why *why)
{
    scan s = {.path = path, .why = why};
    if (size < 6 || memcmp(data, "\x93NUMPY", 6) != 0)
        return ps_foreign_array(data, size, path, why);
    if (size < 10)
        return ps_fail(why, PS_EFORMAT, path, 0, "the file is cut off in its header");
    /* Version 3 differs from 2 in that names of records may be in UTF-8. */
    if (data[6] < 1 || data[6] > 3 || data[7] != 0)
        return ps_fail(why, PS_EUNSUPPORTED, path, 0,
                       ".npy version %d.%d; 1.0, 2.0 and 3.0 can be read",
                       (unsigned char)data[6], (unsigned char)data[7]);
    size_t digits = data[6] == 1 ? 2 : 4, start = 8 + digits;
    size_t len = size < start ? 0 : little_endian(data + 8, digits);
    if (size < start || len > size - start)
        return ps_fail(why, PS_EFORMAT, path, 0, "the file is cut off in its header");
    s.at = data + start;
    s.end = s.at + len;
    int err = read_dictionary(&s, a);
    if (!err && (start + len) % ps_dtype_size(a->dtype) != 0)
        err =
            unsupported(&s, "its data is not aligned; saving it again with NumPy helps");
    *offset = start + len;
    return err;
}

void ps_npy_header_write(char out[PS_NPY_HEADER], ps_dtype dtype, uint64_t rows,
                         uint64_t cols)
{
    char shape[48];
    unsigned long long r = rows, c = cols;
    if (cols)
        snprintf(shape, sizeof shape, "(%llu, %llu)", r, c);
    else
        snprintf(shape, sizeof shape, "(%llu,)", r);
    memset(out, ' ', PS_NPY_HEADER);
    memcpy(out, "\x93NUMPY\x01", 8);
    out[8] = PS_NPY_HEADER - 10;
    out[9] = 0;
    int n = snprintf(out + 10, PS_NPY_HEADER - 10,
                     "{'descr': '%s', 'fortran_order': False, 'shape': %s, }",
                     ps_dtype_name(dtype), shape);
    out[10 + n] = ' '; /* snprintf's NUL */
    out[PS_NPY_HEADER - 1] = '\n';
}
