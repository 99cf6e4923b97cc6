/* npy_header.h - the Python dictionary at the beginning of an .npy file.
 *
 *     "\x93NUMPY" 1 0 u16 length   or   "\x93NUMPY" 2|3 0 u32 length
 *     {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }  spaces  newline
 *
 * Threads: pure functions.
 */
#ifndef PINSAGE_CORE_DATA_NPY_HEADER_H
#define PINSAGE_CORE_DATA_NPY_HEADER_H

#include <stddef.h>

#include "pinsage/npy.h"

/* Fill dtype, ndim, rows and cols from the first size bytes of a file; *offset is where
 * the data begins. PS_EFORMAT when it is not an .npy header, PS_EUNSUPPORTED when it is
 * one of an array that we do not read. */
int ps_npy_header_read(ps_npy *a, size_t *offset, const char *data, size_t size,
                       const char *path, ps_why *why);

/* The header we write is always this long, for any shape. */
#define PS_NPY_HEADER 128
/* Bytes of a version 1 header into out; cols 0 makes one dimension. */
void ps_npy_header_write(char out[PS_NPY_HEADER], ps_dtype dtype, uint64_t rows,
                         uint64_t cols);

#endif
