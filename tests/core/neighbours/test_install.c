/* test_install.c - a model that was made elsewhere takes the place of the catalog's.
 *
 * Threads: teams of one.
 */
#include "core/neighbours/install.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/embed.h"
#include "tests/support/changes.h"
#include "tests/support/models.h"
#include "tests/support/scratch.h"
#include "tests/support/tiny.h"

static ps_why why;

static const char *saved(const ps_model *m, const char *name)
{
    const char *path = scratch(name);
    must(ps_model_save(m, path, NULL, NULL, &why), &why);
    return path;
}

static int import_model(const char *path)
{
    why = (ps_why){0};
    return ps_model_import(catalog, path, (ps_model_import_opts){1, 1}, NULL, &why);
}

static void begin(const char *name)
{
    use(name);
    planted_import(&model_world);
}

/* ------------------------------ In its place ------------------------------ */

static void it_brings_the_lists_of_its_own_walks(void **state)
{
    (void)state;
    for (int khop = 0; khop < 2; khop++) {
        ps_model_config c = model_config();
        c.neighbourhood = khop ? PS_NEIGHBOURS_KHOP : PS_NEIGHBOURS_WALK;
        c.neighbours = 7;
        c.length = 3;
        ps_model m = model_random(&c, 1);
        begin("lists");
        must(import_model(saved(&m, "made")), &why);
        ps_generation *g = planted_open();
        ps_table t = model_table(&g->graph, &c);
        size_t cells = (size_t)MODEL_PINS * 7;
        assert_true(g->nbr_rows.cols == 7 && g->nbr_weights.cols == 7);
        assert_memory_equal(g->nbr_rows.data, t.row, cells * sizeof *t.row);
        assert_memory_equal(g->nbr_weights.data, t.weight, cells * sizeof *t.weight);
        assert_string_equal(ps_manifest_text(g->manifest, "model.blocks", ""), c.blocks);
        must(ps_generation_verify(g, NULL, NULL, NULL, &why), &why);
        ps_table_done(&t);
        ps_generation_release(g);
        ps_model_free(&m);
    }
}

static void it_embeds_in_batch_and_on_request_alike(void **state)
{
    (void)state;
    ps_model_config c = model_config();
    ps_model m = model_random(&c, 2);
    ps_embed_opts o = {.threads = 1};
    ps_embed_report report;
    ps_parity p;
    begin("embeds");
    must(import_model(saved(&m, "made")), &why);
    must(ps_embed(catalog, &o, &report, NULL, &why), &why);
    ps_generation *g = planted_open();
    must(ps_embed_parity(g, MODEL_PINS, &p, &why), &why);
    assert_true(p.pins == MODEL_PINS && p.least_cosine > 0.9999);
    ps_generation_release(g);
    ps_model_free(&m);
}

static void without_layers_it_needs_no_lists(void **state)
{
    (void)state;
    ps_model_config c = model_config();
    c.layers = 0;
    ps_model m = model_random(&c, 2);
    begin("flat");
    must(import_model(saved(&m, "made")), &why);
    assert_false(ps_file_exists(tiny_path("neighbours.indices.npy")));
    ps_model_free(&m);
}

static void what_was_said_of_the_model_before_is_forgotten(void **state)
{
    (void)state;
    ps_model_config c = model_config();
    ps_model m = model_random(&c, 2);
    begin("forgets");
    ps_draft *d = tiny_begin(false);
    ps_manifest_set_u64(ps_draft_manifest(d), "train.best_epoch", 3);
    ps_manifest_set_real(ps_draft_manifest(d), "blend.valid.ahead", 1);
    tiny_commit(d);
    must(import_model(saved(&m, "made")), &why);
    ps_generation *g = planted_open();
    assert_false(ps_manifest_has(g->manifest, "train"));
    assert_false(ps_manifest_has(g->manifest, "blend"));
    ps_generation_release(g);
    ps_model_free(&m);
}

/* ------------------------------ Refusals ---------------------------------- */

static void refused(const char *path, int err, const char *words)
{
    char before[256];
    snprintf(before, sizeof before, "%s", listing());
    assert_int_equal(import_model(path), err);
    if (!strstr(why.text, words))
        fail_msg("\"%s\" does not say %s", why.text, words);
    assert_string_equal(listing(), before);
}

static void what_does_not_fit_changes_nothing_and_is_told(void **state)
{
    (void)state;
    ps_model_config c = model_config();
    begin("refused");
    c.d_in = 14;
    ps_model m = model_random(&c, 1);
    refused(
        saved(&m, "wide"), PS_EMISMATCH,
        "wants 14 numbers a pin, the blocks annotation,visual and the degree give 13");
    snprintf(m.config.blocks, sizeof m.config.blocks, "annotation,smell");
    refused(saved(&m, "smell"), PS_EMISMATCH, "annotation,smell");
    refused(scratch("missing"), PS_ENOENT, "");
    refused(scratch_text("none", "no model at all"), PS_EFORMAT, "");
    ps_draft *d = tiny_begin(false);
    c = model_config();
    ps_model good = model_random(&c, 1);
    assert_int_equal(import_model(saved(&good, "good")), PS_EBUSY);
    ps_draft_abort(d);
    ps_model_free(&m);
    ps_model_free(&good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_brings_the_lists_of_its_own_walks),
        cmocka_unit_test(it_embeds_in_batch_and_on_request_alike),
        cmocka_unit_test(without_layers_it_needs_no_lists),
        cmocka_unit_test(what_was_said_of_the_model_before_is_forgotten),
        cmocka_unit_test(what_does_not_fit_changes_nothing_and_is_told),
    };
    return cmocka_run_group_tests_name("install", tests, models_open, models_close);
}
