/* safetensors.h - named tensors in one file, as PyTorch and others read and write them.
 *
 * u64 little-endian header length, JSON header {"name":{"dtype","shape","data_offsets"}},
 * then the bytes. Reading maps the file and refuses wrong types, offsets that overlap,
 * leave gaps or run past the end, and headers beyond 100 MB, in words.
 *
 * Threads: read by all once open.
 */
#ifndef PINSAGE_SAFETENSORS_H
#define PINSAGE_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "pinsage/err.h"

typedef enum ps_tensor_type {
    PS_TENSOR_F32,
    PS_TENSOR_F16,
    PS_TENSOR_BF16
} ps_tensor_type;

typedef struct ps_tensor {
    const char *name;
    ps_tensor_type type;
    uint32_t ndim;     /* 1 or 2 */
    uint64_t shape[2]; /* shape[1] is 1 when ndim is 1 */
    const void *data;  /* reading: borrowed from the map; writing: borrowed from caller */
} ps_tensor;

typedef struct ps_safetensors ps_safetensors;
int ps_safetensors_open(ps_safetensors **s, const char *path, ps_why *why);
void ps_safetensors_close(ps_safetensors *s);
/* i-th tensor in file order, NULL past the end. */
const ps_tensor *ps_safetensors_at(const ps_safetensors *s, size_t i);
const ps_tensor *ps_safetensors_find(const ps_safetensors *s, const char *name);
/* Value of a "__metadata__" entry, NULL when there is none. Borrowed. */
const char *ps_safetensors_meta(const ps_safetensors *s, const char *key);
/* Tensor `name` of exactly this shape (cols 0: one-dimensional) as float32 into out. */
int ps_safetensors_read_f32(const ps_safetensors *s, const char *name, uint64_t rows,
                            uint64_t cols, float *out, ps_why *why);

/* meta: n_meta pairs key, value (strings). Fsynced; hash and size may be NULL. */
int ps_safetensors_write(const char *path, const ps_tensor *tensors, size_t n,
                         const char *const (*meta)[2], size_t n_meta, uint64_t *size,
                         uint64_t *hash, ps_why *why);

#endif
