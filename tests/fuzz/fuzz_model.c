/* fuzz_model.c - models from a file: a configuration that was accepted has its numbers.
 */
#include <string.h>

#include "pinsage/model.h"
#include "tests/fuzz/fuzz.h"

const unsigned fuzz_rounds = 20000;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_model m;
    ps_why why = {0};
    int err = ps_model_load(&m, fuzz_file(data, size), &why);
    fuzz_must(!err || why.text[0]);
    if (err)
        return 0;
    fuzz_must(m.n_params == ps_model_count(&m.config));
    fuzz_must(m.n_params * 2 <= size);
    fuzz_touch(m.params, m.n_params * sizeof *m.params);
    ps_model_fingerprint(&m);
    ps_model_free(&m);
    return 0;
}
