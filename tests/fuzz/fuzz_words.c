/* fuzz_words.c - word vectors from a file, and its own bytes as a text embedded by them.
 */
#include <math.h>
#include <string.h>

#include "pinsage/annotate.h"
#include "tests/fuzz/fuzz.h"

const unsigned fuzz_rounds = 20000;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_words *w;
    ps_why why = {0};
    int err = ps_words_open(&w, fuzz_file(data, size), &why);
    fuzz_must(!err || why.text[0]);
    if (err)
        return 0;
    float *out = calloc(ps_words_dim(w), sizeof *out);
    fuzz_must(out != NULL);
    static const char text[] = "The red cat, d\xc3\xa9j\xc3\xa0 vu 42 \xff\xfe x";
    ps_words_embed(w, text, sizeof text - 1, out);
    ps_words_embed(w, (const char *)data, size, out);
    ps_words_embed_pin(w, (ps_text){text, 11}, (ps_text){text, sizeof text - 1}, out);
    for (uint32_t i = 0; i < ps_words_dim(w); i++)
        fuzz_must(isfinite(out[i]));
    free(out);
    ps_words_close(w);
    return 0;
}
