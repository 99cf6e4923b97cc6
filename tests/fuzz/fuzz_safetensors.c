/* fuzz_safetensors.c - tensors of a file that was accepted lie inside it, side by side.
 */
#include <string.h>

#include "pinsage/safetensors.h"
#include "tests/fuzz/fuzz.h"

const unsigned fuzz_rounds = 20000;

static size_t touch_tensor(const ps_safetensors *s, const ps_tensor *t)
{
    size_t n = (size_t)(t->shape[0] * t->shape[1]), bytes = n * ps_tensor_size(t->type);
    fuzz_touch(t->data, bytes);
    fuzz_must(ps_safetensors_find(s, t->name) == t);
    float *out = calloc(n + 1, sizeof *out);
    fuzz_must(out != NULL);
    int err = ps_safetensors_read_f32(s, t->name, t->shape[0],
                                      t->ndim == 2 ? t->shape[1] : 0, out, NULL);
    /* A width of 0 stands for "one dimension", which this one has not. */
    fuzz_must(!err == (t->type != PS_TENSOR_U8) || (t->ndim == 2 && !t->shape[1]));
    free(out);
    return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_safetensors *s;
    ps_why why = {0};
    const ps_tensor *t;
    int err = ps_safetensors_open(&s, fuzz_file(data, size), &why);
    fuzz_must(!err || why.text[0]);
    if (err)
        return 0;
    size_t bytes = 0;
    for (size_t i = 0; (t = ps_safetensors_at(s, i)); i++)
        bytes += touch_tensor(s, t);
    fuzz_must(bytes < size);
    ps_safetensors_meta(s, "kind");
    ps_safetensors_close(s);
    return 0;
}
