/* corpus.h - small input files: matrices and gzip, in the scratch directory.
 *
 * Threads: one. Everything aborts the test when it fails.
 */
#ifndef PINSAGE_TESTS_SUPPORT_CORPUS_H
#define PINSAGE_TESTS_SUPPORT_CORPUS_H

#include <stddef.h>
#include <stdint.h>

#include "pinsage/npy.h"

/* Paths, as scratch() gives them. */
const char *npy_file(const char *name, ps_dtype dtype, uint64_t rows, uint64_t cols,
                     const void *data);
/* An .npy file with any header's dictionary, and size bytes of data. */
const char *npy_odd(const char *name, const char *dictionary, const void *data,
                    size_t size);
/* Gzip of a text, the last `cut` bytes left off. */
const char *gzip_file(const char *name, const char *text, size_t cut);

#endif
