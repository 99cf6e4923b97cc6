/* test_compact_data.c - a compaction of real articles and libraries, with text and
 * structure.
 *
 * Live pins are copies of articles of the set, under other ids: what they bring is known.
 * Skipped, in words, without ../shared/data/citeulike-t.
 *
 * Threads: one, and the writer's; steps start their own.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/ann.h"
#include "pinsage/annotate.h"
#include "pinsage/embed.h"
#include "pinsage/rng.h"
#include "pinsage/structure.h"
#include "server/cli/steps.h"
#include "server/compact/compact.h"
#include "server/engine/engine_inside.h"
#include "tests/support/changes.h"
#include "tests/support/lives.h"
#include "tests/support/models.h"
#include "tests/support/scratch.h"

enum { LIVE = 300, GONE = 100, SAVES = 150, E = 32 };

/* ------------------------------ A catalog ---------------------------------- */

static void import_set(const char *pins, const char *edges)
{
    ps_why why = {0};
    ps_import_report imported;
    ps_annotate_report annotated;
    ps_structure_report structured;
    ps_import_opts import = {.pins = pins, .edges = edges};
    ps_annotate_opts annotate = ps_cli_annotate_defaults();
    ps_structure_opts structure = ps_cli_structure_defaults();
    use("citeulike-t");
    must(ps_import(catalog, &import, &imported, NULL, &why), &why);
    annotate.dim = 24;
    annotate.epochs = 1;
    must(ps_annotate(catalog, &annotate, &annotated, NULL, &why), &why);
    structure.dim = 16;
    must(ps_structure(catalog, &structure, &structured, NULL, &why), &why);
}

/* A model that was never trained embeds as much as any. */
static void embed_set(void)
{
    ps_why why = {0};
    ps_embed_report embedded;
    ps_ann_report indexed;
    ps_ann_build_opts index = ps_cli_index_defaults();
    ps_model_config c = model_config();
    snprintf(c.blocks, sizeof c.blocks, "annotation,structure");
    c.d_in = 24 + 16 + 1;
    c.m = c.d = c.e = E;
    c.neighbours = 10;
    ps_model m = model_random(&c, 5);
    model_install(&m);
    ps_model_free(&m);
    must(ps_embed(catalog, &(ps_embed_opts){0}, &embedded, NULL, &why), &why);
    must(ps_ann_build(catalog, &index, &indexed, NULL, &why), &why);
}

/* ------------------------------ Writes ------------------------------------- */

/* A copy of a row's article: its texts and its boards. */
static void post_copy(uint32_t row, uint32_t number)
{
    ps_pin pin;
    ps_text boards[64];
    char id[32];
    const ps_graph *g = ps_reader_graph(life_reader);
    uint32_t n = ps_graph_degree(g, PS_PINS, row);
    n = n < 64 ? n : 64;
    assert_int_equal(ps_reader_pin(life_reader, row, &pin), PS_OK);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(
            ps_reader_board(life_reader, ps_graph_edge(g, PS_PINS, row, i), &boards[i]),
            PS_OK);
    snprintf(id, sizeof id, "live-%u", number);
    ps_write w = {
        .kind = PS_WRITE_PUT,
        .pin = ps_text_of(id),
        .content = {
            .title = pin.title, .text = pin.text, .board = boards, .n_boards = n}};
    assert_int_equal(life_write(&w), PS_OK);
}

static void write_all(uint32_t n_pins)
{
    uint64_t rng = ps_rng_at(4, 1);
    ps_reader_begin(life_reader);
    for (uint32_t i = 0; i < LIVE; i++)
        post_copy((uint32_t)ps_rng_below(&rng, n_pins), i);
    for (uint32_t i = 0; i < GONE + SAVES; i++) {
        ps_pin pin;
        char board[32];
        uint32_t row = (uint32_t)ps_rng_below(&rng, n_pins);
        snprintf(board, sizeof board, "new board %u", i % 9);
        assert_int_equal(ps_reader_pin(life_reader, row, &pin), PS_OK);
        ps_write w = {.kind = i < GONE ? PS_WRITE_DELETE : PS_WRITE_SAVE,
                      .pin = pin.id,
                      .board = ps_text_of(board)};
        int err = life_write(&w);
        assert_true(err == PS_OK || err == PS_ENOENT); /* drawn twice */
    }
}

/* ------------------------------ Before and after --------------------------- */

/* By id: its vector as it is answered with. */
static float *look(uint32_t *n)
{
    const ps_view *v = ps_engine_view(life_engine);
    const method *m = &life_engine->methods[0];
    float *out = calloc((size_t)ps_view_rows(v) * E, sizeof *out), one[E];
    uint32_t kept = 0;
    assert_non_null(out);
    ps_reader_begin(life_reader);
    for (uint32_t row = 0; row < ps_view_rows(v); row++) /* new rows keep this order */
        if (ps_view_alive(v, &life_reader->snap, row))
            memcpy(out + E * (size_t)kept++, engine_vector(life_reader, m, row, one),
                   sizeof one);
    *n = kept;
    return out;
}

static void
a_compaction_of_real_data_is_what_was_answered_and_its_index_finds_it(void **state)
{
    (void)state;
    ps_why why = {0};
    ps_compact_report report;
    ps_compact_opts opts = {.keep = 1, .seed = 1};
    const char *pins = shared_data("citeulike-t/pins.tsv.gz");
    const char *edges = shared_data("citeulike-t/edges.tsv.gz");
    if (!pins || !edges) {
        print_message("# skipped: no ../shared/data/citeulike-t\n");
        skip();
    }
    import_set(pins, edges);
    embed_set();
    life_start();
    uint32_t before, after, n_pins = ps_engine_generation(life_engine)->n_pins;
    write_all(n_pins);
    life_settle();
    float *was = look(&before);
    must(ps_compact_engine(life_engine, catalog, &opts, &report, NULL, &why), &why);
    must(life_reload(&why), &why);
    float *is = look(&after);
    assert_int_equal(report.added, LIVE);
    assert_int_equal(report.pins, before);
    assert_int_equal(after, before);
    assert_memory_equal(is, was, (size_t)before * E * sizeof *was);
    assert_true(report.recall_at_10 >= 0.95);
    free(was);
    free(is);
    life_stop();
    ps_generation *g = planted_open();
    must(ps_generation_verify(g, NULL, NULL, NULL, &why), &why);
    assert_int_equal(g->n_pins, n_pins + LIVE - report.deleted);
    ps_generation_release(g);
    print_message("# %u pins in %.1f s, %s, recall@10 %.3f\n", report.pins,
                  report.seconds, report.index, report.recall_at_10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_compaction_of_real_data_is_what_was_answered_and_its_index_finds_it),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
