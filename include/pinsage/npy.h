/* npy.h - NumPy's .npy files: read by mapping, written as a stream or as a map.
 *
 * Version 1 to 3 headers, C order, little endian, one or two dimensions. Anything
 * else is refused in words. What we write opens in NumPy, and NumPy's own files here.
 *
 * Threads: a handle belongs to one thread; mapped data may be read by all.
 * Not here: what the numbers mean (catalog.h lists the arrays of a generation).
 */
#ifndef PINSAGE_NPY_H
#define PINSAGE_NPY_H

#include <stdint.h>

#include "pinsage/err.h"
#include "pinsage/file.h"

typedef enum ps_dtype { PS_F32, PS_F16, PS_U32, PS_U64, PS_F64 } ps_dtype;

size_t ps_dtype_size(ps_dtype t);
const char *ps_dtype_name(ps_dtype t); /* "<f4" "<f2" "<u4" "<u8" "<f8" */

typedef struct ps_npy {
    ps_dtype dtype;
    uint32_t ndim;    /* 1 or 2 */
    uint64_t rows;    /* shape[0] */
    uint64_t cols;    /* shape[1]; 1 when ndim is 1 */
    const void *data; /* (rows, cols), 64-byte aligned in the file */
    ps_map map;
} ps_npy;

/* Map a file. The size on disk must be exactly what the header promises. */
int ps_npy_open(ps_npy *a, const char *path, ps_access how, ps_why *why);
/* The same, and refuse another type or shape. cols 0 = any, rows UINT64_MAX = any. */
int ps_npy_open_as(ps_npy *a, const char *path, ps_dtype dtype, uint64_t rows,
                   uint64_t cols, ps_access how, ps_why *why);
void ps_npy_close(ps_npy *a);

/* Write the header of a (rows, cols) array into o; the caller then writes the data.
 * cols 0 makes a one-dimensional array. */
void ps_npy_header(ps_out *o, ps_dtype dtype, uint64_t rows, uint64_t cols);
/* A new array on disk, mapped for writing at *data; the map starts at a->map.data. */
int ps_npy_create(ps_npy *a, void **data, const char *path, ps_dtype dtype, uint64_t rows,
                  uint64_t cols, ps_why *why);

/* Row r as float32 into out (cols); F32 and F16 arrays only. */
void ps_npy_row_f32(const ps_npy *a, uint64_t r, float *out);

#endif
