/* fuzz_tsv.c - tab-separated lines, plain or gzip: every field is whole UTF-8, without
 * the bytes that separate unless there are quotes. */
#include <string.h>

#include "core/data/tsv.h"
#include "pinsage/buf.h"
#include "tests/fuzz/fuzz.h"

const unsigned fuzz_rounds = 20000;

/* Bytes that separate may stand in quotes alone. */
static void look_at(ps_text t, bool quotes)
{
    fuzz_must(!t.len || !memchr(t.data, 0, t.len));
    fuzz_must(quotes || !t.len ||
              (!memchr(t.data, '\t', t.len) && !memchr(t.data, '\n', t.len)));
    fuzz_must(ps_utf8_valid(t.data, t.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_tsv *t;
    ps_why why = {0};
    const ps_text *field;
    int err = ps_tsv_open(&t, fuzz_file(data, size), 1000, &why);
    fuzz_must(!err || why.text[0]);
    if (err)
        return 0;
    size_t columns = ps_tsv_columns(t);
    fuzz_must(columns > 0);
    for (size_t i = 0; i < columns; i++)
        look_at(ps_tsv_name(t, i), ps_tsv_quoted(t));
    long line = 1;
    while ((err = ps_tsv_next(t, &field, &why)) > 0) {
        fuzz_must(ps_tsv_line(t) > line);
        line = ps_tsv_line(t);
        for (size_t i = 0; i < columns; i++)
            look_at(field[i], ps_tsv_quoted(t));
    }
    fuzz_must(!err || (why.text[0] && why.line >= line));
    ps_tsv_close(t);
    return 0;
}
