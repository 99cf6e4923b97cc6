/* safetensors.h - named tensors in one file, as PyTorch and others read and write them.
 *
 *     u64     length of the header, little-endian
 *     header  {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...,
 *              "__metadata__": {"key": "text", ...}}, UTF-8, blanks at its end
 *     data    the tensors' numbers, little-endian, row-major, without gaps
 *
 * Reading maps the file and takes nothing on trust: types and shapes we do not know,
 * offsets that overlap, leave gaps or run past the end, names that stand twice, text
 * that is not UTF-8 and headers beyond 100 MB are refused in words.
 *
 * Threads: read by all once open.
 */
#ifndef PINSAGE_SAFETENSORS_H
#define PINSAGE_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "pinsage/err.h"

/* The format's names are "F32" and so on; U8 holds text and other bytes. */
typedef enum ps_tensor_type {
    PS_TENSOR_F32,
    PS_TENSOR_F16,
    PS_TENSOR_BF16,
    PS_TENSOR_U8
} ps_tensor_type;

size_t ps_tensor_size(ps_tensor_type type); /* bytes of one number */
const char *ps_tensor_name(ps_tensor_type type);

typedef struct ps_tensor {
    const char *name;
    ps_tensor_type type;
    uint32_t ndim;     /* 1 or 2 */
    uint64_t shape[2]; /* shape[1] is 1 when ndim is 1 */
    const void *data;  /* reading: borrowed from the map; writing: borrowed from caller.
                          Aligned to its type in files of ours; a file made elsewhere
                          promises nothing, ps_safetensors_read_f32 reads any. */
} ps_tensor;

typedef struct ps_safetensors ps_safetensors;
int ps_safetensors_open(ps_safetensors **s, const char *path, ps_why *why);
void ps_safetensors_close(ps_safetensors *s); /* NULL is fine */
/* i-th tensor in the order of the data, NULL past the end. Borrowed. */
const ps_tensor *ps_safetensors_at(const ps_safetensors *s, size_t i);
const ps_tensor *ps_safetensors_find(const ps_safetensors *s, const char *name);
/* Value of a "__metadata__" entry, NULL when there is none. Borrowed. */
const char *ps_safetensors_meta(const ps_safetensors *s, const char *key);
/* Tensor `name` of exactly this shape (cols 0: one-dimensional) as float32 into out.
 * F32, F16 and BF16 are taken; PS_EMISMATCH in words for a missing tensor, another shape
 * or bytes. */
int ps_safetensors_read_f32(const ps_safetensors *s, const char *name, uint64_t rows,
                            uint64_t cols, float *out, ps_why *why);

/* Write the tensors, wider types first and else in the given order, the data aligned to
 * 64 bytes in the file. meta: n_meta pairs key, value (strings). Fsynced; hash (XXH3)
 * and size may be NULL. PS_EINVAL for names or text a reader would refuse. */
int ps_safetensors_write(const char *path, const ps_tensor *tensors, size_t n,
                         const char *const (*meta)[2], size_t n_meta, uint64_t *size,
                         uint64_t *hash, ps_why *why);

#endif
