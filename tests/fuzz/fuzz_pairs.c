/* fuzz_pairs.c - files of pairs: rows that were read are rows of the catalog. */
#include <string.h>

#include "pinsage/generation.h"
#include "pinsage/import.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/changes.h"
#include "tests/support/tiny.h"

const unsigned fuzz_rounds = 20000;

static ps_pins *pins;
static ps_pins_reader *reader;

static void open_pins(void)
{
    ps_why why = {0};
    use("pairs");
    tiny_import();
    must(ps_pins_open(&pins, tiny_path("pins.mdb"), &why), &why);
    must(ps_pins_reader_new(&reader, pins), &why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!pins)
        open_pins();
    ps_pairs p = {0};
    ps_why why = {0};
    int err =
        ps_pairs_load(&p, fuzz_file(data, size), reader,
                      (ps_pairs_opts){size % 2, size % 3 ? NULL : "query=related"}, &why);
    fuzz_must(!err || why.text[0]);
    for (size_t i = 0; !err && i < p.n; i++)
        fuzz_must(p.pair[i][0] < TINY_PINS && p.pair[i][1] < TINY_PINS);
    if (!err)
        ps_pairs_free(&p);
    return 0;
}
