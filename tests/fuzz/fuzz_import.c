/* fuzz_import.c - pins and edges imported: refused in words, or a catalog that opens.
 * The input is pins.tsv, a zero byte, edges.tsv. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pinsage/file.h"
#include "pinsage/generation.h"
#include "pinsage/import.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/scratch.h"

const unsigned fuzz_rounds = 200;

static void open_it(const char *catalog, const ps_import_report *report)
{
    ps_why why = {0};
    ps_generation *g;
    fuzz_must(ps_generation_open(&g, catalog, &why) == 0);
    fuzz_must(g->n_pins == report->pins && g->n_boards == report->boards);
    ps_pins_reader *r;
    fuzz_must(ps_pins_reader_new(&r, g->pins) == 0);
    for (uint32_t i = 0; i < g->n_pins; i++) {
        ps_pin pin;
        fuzz_must(ps_pins_get(r, i, &pin) == 0);
        fuzz_must(ps_pins_row(r, pin.id.data, pin.id.len) == i);
    }
    ps_pins_reader_free(r);
    ps_generation_release(g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    size_t n_pins = zero ? (size_t)(zero - data) : size;
    size_t n_edges = zero ? size - n_pins - 1 : 0;
    char pins[PS_PATH_MAX], edges[PS_PATH_MAX], catalog[PS_PATH_MAX];
    snprintf(pins, sizeof pins, "%s", scratch_file("pins.tsv", data, n_pins));
    snprintf(edges, sizeof edges, "%s",
             scratch_file("edges.tsv", zero ? zero + 1 : data, n_edges));
    snprintf(catalog, sizeof catalog, "%s", scratch("catalog"));
    ps_import_opts o = {.pins = pins, .edges = edges, .threads = 1, .keep = 1};
    o.skip_unknown = size % 2;
    ps_import_report report = {0};
    ps_why why = {0};
    int err = ps_import(catalog, &o, &report, NULL, &why);
    fuzz_must(!err || why.text[0]);
    if (!err)
        open_it(catalog, &report);
    fuzz_must(!err || !ps_file_exists(catalog));
    ps_dir_remove(catalog, NULL);
    return 0;
}
