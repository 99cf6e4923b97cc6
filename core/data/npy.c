/* npy.c - arrays on disk, mapped.
 *
 * Reading costs one page: the header. The size on disk must be what the header promises
 * to the byte, so that a file cut off by a full disk or a broken copy is told at open
 * and not by SIGBUS under a walk.
 *
 * Threads: see npy.h. Not here: the header's syntax (npy_header.c), halves (half.h).
 */
#include "pinsage/npy.h"

#include <inttypes.h>
#include <string.h>

#include "core/data/npy_header.h"
#include "pinsage/half.h"

/* Bytes of the data; false when the product does not fit. */
static bool data_size(const ps_npy *a, size_t *size)
{
    return !__builtin_mul_overflow(a->rows, a->cols, size) &&
           !__builtin_mul_overflow(*size, ps_dtype_size(a->dtype), size);
}

static int check_size(const ps_npy *a, size_t offset, const char *path, ps_why *why)
{
    size_t want, have = a->map.size - offset;
    if (!data_size(a, &want))
        return ps_fail(why, PS_EFORMAT, path, 0,
                       "its header promises more than fits in memory");
    if (have < want)
        return ps_fail(why, PS_EFORMAT, path, 0,
                       "the file is cut off: its header promises %zu bytes of data, "
                       "there are %zu",
                       want, have);
    if (have > want)
        return ps_fail(why, PS_EFORMAT, path, 0,
                       "the file has %zu bytes more than its header promises",
                       have - want);
    return PS_OK;
}

int ps_npy_open(ps_npy *a, const char *path, ps_access how, ps_why *why)
{
    size_t offset = 0;
    *a = (ps_npy){0};
    int err = ps_map_open(&a->map, path, how, why);
    if (err)
        return err;
    err = ps_npy_header_read(a, &offset, a->map.data, a->map.size, path, why);
    if (!err)
        err = check_size(a, offset, path, why);
    if (err)
        ps_npy_close(a);
    else
        a->data = (const char *)a->map.data + offset;
    return err;
}

static int check_as(const ps_npy *a, ps_dtype dtype, uint64_t rows, uint64_t cols,
                    const char *path, ps_why *why)
{
    if (a->dtype != dtype)
        return ps_fail(why, PS_EFORMAT, path, 0, "its numbers are %s, expected are %s",
                       ps_dtype_name(a->dtype), ps_dtype_name(dtype));
    if (rows != UINT64_MAX && a->rows != rows)
        return ps_fail(why, PS_EFORMAT, path, 0,
                       "it has %" PRIu64 " rows, expected are %" PRIu64, a->rows, rows);
    if (cols && a->cols != cols)
        return ps_fail(why, PS_EFORMAT, path, 0,
                       "it has %" PRIu64 " columns, expected are %" PRIu64, a->cols,
                       cols);
    return PS_OK;
}

int ps_npy_open_as(ps_npy *a, const char *path, ps_dtype dtype, uint64_t rows,
                   uint64_t cols, ps_access how, ps_why *why)
{
    int err = ps_npy_open(a, path, how, why);
    if (err)
        return err;
    err = check_as(a, dtype, rows, cols, path, why);
    if (err)
        ps_npy_close(a);
    return err;
}

void ps_npy_close(ps_npy *a)
{
    ps_map_close(&a->map);
    *a = (ps_npy){0};
}

/* ------------------------------ Writing ----------------------------------- */

void ps_npy_header(ps_out *o, ps_dtype dtype, uint64_t rows, uint64_t cols)
{
    char header[PS_NPY_HEADER];
    ps_npy_header_write(header, dtype, rows, cols);
    ps_out_write(o, header, sizeof header);
}

int ps_npy_create(ps_npy *a, void **data, const char *path, ps_dtype dtype, uint64_t rows,
                  uint64_t cols, ps_why *why)
{
    size_t size;
    *a = (ps_npy){
        .dtype = dtype, .ndim = cols ? 2 : 1, .rows = rows, .cols = cols ? cols : 1};
    if (!data_size(a, &size) || __builtin_add_overflow(size, PS_NPY_HEADER, &size))
        return ps_fail(why, PS_ERANGE, path, 0, "an array of that shape is too large");
    int err = ps_map_create(&a->map, path, size, why);
    if (err)
        return err;
    ps_npy_header_write(a->map.data, dtype, rows, cols);
    *data = (char *)a->map.data + PS_NPY_HEADER;
    a->data = *data;
    return PS_OK;
}

void ps_npy_row_f32(const ps_npy *a, uint64_t r, float *out)
{
    size_t cols = (size_t)a->cols, first = (size_t)r * cols;
    if (a->dtype == PS_F32)
        memcpy(out, (const float *)a->data + first, cols * sizeof *out);
    else
        ps_f16_to_f32((const uint16_t *)a->data + first, out, cols);
}
