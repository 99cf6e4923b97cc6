/* import_arrays.c - a user's matrix, looked at number by number and copied.
 *
 * The file is mapped and gone through once in pieces of a megabyte; pages already
 * used are given back, so that a matrix larger than memory passes through like any
 * other. Halves stay halves; doubles, NumPy's default, become floats.
 *
 * Threads: see import_parts.h. Not here: the .npy header (core/data/npy_header.c).
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/catalog/import_parts.h"
#include "pinsage/length.h"
#include "pinsage/npy.h"

#define PIECE   ((size_t)1 << 20)
#define MAX_DIM ((uint64_t)1 << 20)

/* ------------------------------ Looking ----------------------------------- */

static int check_kind(const ps_npy *a, const char *path, ps_why *why)
{
    if (a->dtype != PS_F32 && a->dtype != PS_F16 && a->dtype != PS_F64)
        return ps_fail(why, PS_EFORMAT, path, 0,
                       "its numbers are %s; vectors must be <f4, <f2 or <f8: "
                       "X.astype('float32')",
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

/* type: of the numbers as they are stored. */
static look look_at(ps_dtype type, const void *row, size_t n)
{
    return type == PS_F32 ? look_f32(row, n) : look_f16(row, n);
}

/* What is wrong with a number that cannot be stored. */
static const char *fault_of(const ps_npy *a, uint64_t row, uint64_t column, look l)
{
    size_t at = (size_t)(row * a->cols + column);
    if (a->dtype == PS_F64 && isfinite(((const double *)a->data)[at]))
        return "beyond what a float holds, 3.4e38";
    return l.bits & (a->dtype == PS_F16 ? 0x03ffu : 0x007fffffu) ? "NaN" : "infinite";
}

/* stored: the row's numbers. */
static int bad_row(const ps_import_job *job, const ps_npy *a, uint64_t row, ps_dtype type,
                   const char *stored, const char *path)
{
    char shown[PS_SHOWN], line[PS_LINE_SHOWN];
    uint64_t column = 0;
    look l = {0, 0};
    for (; column < a->cols; column++) {
        l = look_at(type, stored + column * ps_dtype_size(type), 1);
        if (l.broken)
            break;
    }
    return ps_fail(job->why, PS_EFORMAT, path, 0,
                   "row %" PRIu64 ", column %" PRIu64
                   " (from 0) is %s; the row is pin \"%s\"%s",
                   row, column, fault_of(a, row, column, l),
                   ps_import_shown(shown, ps_idmap_name(&job->ids, (uint32_t)row)),
                   ps_import_line_shown(line, job, row));
}

/* Inner products must be numbers. rows: as they are stored; index: where row is there. */
static int check_length(const ps_import_job *job, ps_rows rows, size_t index,
                        uint64_t row, const char *path)
{
    char shown[PS_SHOWN], line[PS_LINE_SHOWN];
    double squares = ps_row_squares(rows, index);
    if (!job->products || ps_length_fits(squares))
        return PS_OK;
    return ps_fail(job->why, PS_EFORMAT, path, 0,
                   "row %" PRIu64
                   " (from 0) is of length %.3g: inner products need 0, or "
                   "%g to %g; the row is pin \"%s\"%s",
                   row, sqrt(squares), PS_LENGTH_LEAST, PS_LENGTH_MOST,
                   ps_import_shown(shown, ps_idmap_name(&job->ids, (uint32_t)row)),
                   ps_import_line_shown(line, job, row));
}

/* ------------------------------ Copying ----------------------------------- */

static ps_dtype stored_type(const ps_npy *a)
{
    return a->dtype == PS_F64 ? PS_F32 : a->dtype;
}

/* Give the pages before `end` back; they can be read again from the file. */
static void let_go(const ps_npy *a, size_t end)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    madvise(a->map.data, end / page * page, MADV_DONTNEED);
}

/* Numbers as they are stored: the file's own, or its doubles rounded, in room. */
static const char *as_stored(const ps_npy *a, const void *from, size_t n, float *room)
{
    if (a->dtype != PS_F64)
        return from;
    for (size_t i = 0; i < n; i++)
        room[i] = (float)((const double *)from)[i];
    return (const char *)room;
}

/* Rows row..end - 1; room: floats of as many rows, for doubles. */
static int copy_piece(ps_import_job *job, const ps_npy *a, uint64_t row, uint64_t end,
                      const char *path, ps_out *o, float *room, uint64_t *filled)
{
    ps_dtype type = stored_type(a);
    size_t cols = (size_t)a->cols, n = (size_t)(end - row) * cols;
    size_t stored_size = cols * ps_dtype_size(type);
    const char *from =
        (const char *)a->data + row * a->cols * (uint64_t)ps_dtype_size(a->dtype);
    const char *stored = as_stored(a, from, n, room);
    ps_rows rows = {stored, cols, type == PS_F16};
    int err = PS_OK;
    for (uint64_t r = row; r < end && !err; r++) {
        const char *one = stored + (size_t)(r - row) * stored_size;
        look l = look_at(type, one, cols);
        if (l.broken)
            return bad_row(job, a, r, type, one, path);
        err = check_length(job, rows, (size_t)(r - row), r, path);
        *filled += !ps_row_is_none(rows, (size_t)(r - row));
    }
    if (err)
        return err;
    ps_out_write(o, stored, n * ps_dtype_size(type));
    let_go(a, (size_t)(from - (const char *)a->map.data) + n * ps_dtype_size(a->dtype));
    return PS_OK;
}

static int copy_rows(ps_import_job *job, const ps_npy *a, const char *path, ps_out *o,
                     const char *stage, uint64_t *filled)
{
    size_t row_size = (size_t)a->cols * ps_dtype_size(a->dtype);
    uint64_t step = PIECE / row_size + 1;
    float *room = NULL;
    int err = PS_OK;
    if (a->dtype == PS_F64 && !(room = malloc(step * a->cols * sizeof *room)))
        return ps_fail(job->why, PS_ENOMEM, path, 0, "no memory to convert it");
    for (uint64_t row = 0; row < a->rows && !err;) {
        uint64_t end = a->rows - row < step ? a->rows : row + step;
        err = copy_piece(job, a, row, end, path, o, room, filled);
        row = end;
        if (!err)
            err = ps_progress_at(job->progress, stage, row * row_size, a->rows * row_size,
                                 "bytes");
    }
    free(room);
    return err;
}

static int copy_array(ps_import_job *job, const char *name, const ps_npy *a,
                      const char *path, uint64_t *filled)
{
    ps_out *o;
    int err = ps_draft_create(job->draft, name, &o, job->why);
    if (err)
        return err;
    ps_npy_header(o, stored_type(a), a->rows, a->cols);
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
    *found =
        (ps_import_array_found){.dim = a.cols, .dtype = ps_dtype_name(stored_type(&a))};
    if (a.rows != job->ids.n)
        err = ps_fail(job->why, PS_EFORMAT, path, 0,
                      "it has %" PRIu64 " rows, there are %" PRIu32 " pins", a.rows,
                      job->ids.n);
    if (!err)
        err = copy_array(job, name, &a, path, &found->filled);
    ps_npy_close(&a);
    return err;
}
