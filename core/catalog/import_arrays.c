/* import_arrays.c - a user's matrix, looked at number by number and copied.
 *
 * The file is mapped and gone through once in pieces of a megabyte; pages already
 * used are given back, so that a matrix larger than memory passes through like any
 * other. Halves stay halves.
 *
 * Threads: see import_parts.h. Not here: the .npy header (core/data/npy_header.c).
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/catalog/import_parts.h"
#include "pinsage/npy.h"

#define PIECE   ((size_t)1 << 20)
#define MAX_DIM ((uint64_t)1 << 20)

/* ------------------------------ Looking ----------------------------------- */

static int check_kind(const ps_npy *a, const char *path, ps_why *why)
{
    if (a->dtype != PS_F32 && a->dtype != PS_F16)
        return ps_fail(why, PS_EFORMAT, path, 0,
                       "its numbers are %s; vectors must be <f4 or <f2",
                       ps_dtype_name(a->dtype));
    if (a->ndim != 2)
        return ps_fail(why, PS_EFORMAT, path, 0,
                       "it has one dimension; vectors must have the shape (pins, D)");
    if (a->cols == 0 || a->cols > MAX_DIM)
        return ps_fail(why, PS_EFORMAT, path, 0,
                       "its rows have %" PRIu64 " numbers, 1 to %" PRIu64 " are possible",
                       a->cols, MAX_DIM);
    return PS_OK;
}

static int open_array(ps_npy *a, const char *path, ps_why *why)
{
    int err = ps_npy_open(a, path, PS_SEQUENTIAL, why);
    if (err == PS_EUNSUPPORTED) /* an array that we do not read is bad data here */
        return PS_EFORMAT;
    if (err)
        return err;
    err = check_kind(a, path, why);
    if (err)
        ps_npy_close(a);
    return err;
}

int ps_import_array_check(const char *path, ps_why *why)
{
    ps_npy a;
    int err = open_array(&a, path, why);
    if (!err)
        ps_npy_close(&a);
    return err;
}

/* What a row is: bits of all its numbers or'ed, and whether any has the exponent that
 * infinities and NaN have. */
typedef struct look {
    uint32_t bits, broken;
} look;

static look look_f32(const uint32_t *row, size_t n)
{
    look l = {0, 0};
    for (size_t i = 0; i < n; i++) {
        l.bits |= row[i] & 0x7fffffffu; /* a minus sign alone is still zero */
        l.broken |= (row[i] & 0x7f800000u) == 0x7f800000u;
    }
    return l;
}

static look look_f16(const uint16_t *row, size_t n)
{
    look l = {0, 0};
    for (size_t i = 0; i < n; i++) {
        l.bits |= row[i] & 0x7fffu;
        l.broken |= (row[i] & 0x7c00u) == 0x7c00u;
    }
    return l;
}

static look look_at(const ps_npy *a, uint64_t row)
{
    size_t n = (size_t)a->cols, at = (size_t)row * n;
    return a->dtype == PS_F32 ? look_f32((const uint32_t *)a->data + at, n)
                              : look_f16((const uint16_t *)a->data + at, n);
}

static int bad_row(const ps_import_job *job, const ps_npy *a, uint64_t row,
                   const char *path)
{
    ps_npy one = *a;
    const char *start = (const char *)a->data + row * a->cols * ps_dtype_size(a->dtype);
    uint64_t column = 0;
    char shown[PS_SHOWN];
    for (one.cols = 1; column < a->cols; column++) {
        one.data = start + column * ps_dtype_size(a->dtype);
        if (look_at(&one, 0).broken)
            break;
    }
    uint32_t fraction = a->dtype == PS_F32 ? 0x007fffffu : 0x03ffu;
    bool nan = look_at(&one, 0).bits & fraction;
    return ps_fail(job->why, PS_EFORMAT, path, 0,
                   "row %" PRIu64 ", column %" PRIu64
                   " (from 0) is %s; the row is pin \"%s\", line %" PRIu64 " of the pins",
                   row, column, nan ? "NaN" : "infinite",
                   ps_import_shown(shown, ps_idmap_name(&job->ids, (uint32_t)row)),
                   row + 2);
}

/* ------------------------------ Copying ----------------------------------- */

/* Give the pages before `end` back; they can be read again from the file. */
static void let_go(const ps_npy *a, size_t end)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    madvise(a->map.data, end / page * page, MADV_DONTNEED);
}

static int copy_rows(ps_import_job *job, const ps_npy *a, const char *path, ps_out *o,
                     const char *stage, uint64_t *filled)
{
    size_t row_size = (size_t)a->cols * ps_dtype_size(a->dtype);
    uint64_t step = PIECE / row_size + 1;
    for (uint64_t row = 0; row < a->rows;) {
        uint64_t end = a->rows - row < step ? a->rows : row + step;
        const char *from = (const char *)a->data + row * row_size;
        size_t size = (size_t)(end - row) * row_size;
        for (; row < end; row++) {
            look l = look_at(a, row);
            if (l.broken)
                return bad_row(job, a, row, path);
            *filled += l.bits != 0;
        }
        ps_out_write(o, from, size);
        let_go(a, (size_t)(from + size - (const char *)a->map.data));
        int err = ps_progress_at(job->progress, stage, row * row_size, a->rows * row_size,
                                 "bytes");
        if (err)
            return err;
    }
    return PS_OK;
}

static int copy_array(ps_import_job *job, const char *name, const ps_npy *a,
                      const char *path, uint64_t *filled)
{
    ps_out *o;
    int err = ps_draft_create(job->draft, name, &o, job->why);
    if (err)
        return err;
    ps_npy_header(o, a->dtype, a->rows, a->cols);
    err = copy_rows(job, a, path, o, name, filled);
    if (!err)
        return ps_draft_close(job->draft, name, o, job->why);
    ps_out_abort(o);
    return err;
}

int ps_import_array(ps_import_job *job, const char *name, const char *path,
                    ps_import_array_found *found)
{
    ps_npy a;
    int err = open_array(&a, path, job->why);
    if (err)
        return err;
    *found = (ps_import_array_found){.dim = a.cols, .dtype = ps_dtype_name(a.dtype)};
    if (a.rows != job->ids.n)
        err = ps_fail(job->why, PS_EFORMAT, path, 0,
                      "it has %" PRIu64 " rows, there are %" PRIu32 " pins", a.rows,
                      job->ids.n);
    if (!err)
        err = copy_array(job, name, &a, path, &found->filled);
    ps_npy_close(&a);
    return err;
}
