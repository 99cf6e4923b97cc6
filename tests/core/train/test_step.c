/* test_step.c - from a catalog and pairs to a catalog with a model, or to no change.
 *
 * Threads: teams of one; a child that is killed.
 */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/embed.h"
#include "pinsage/structure.h"
#include "pinsage/train.h"
#include "server/cli/steps.h"
#include "tests/support/changes.h"
#include "tests/support/kills.h"
#include "tests/support/planted.h"
#include "tests/support/scratch.h"
#include "tests/support/tiny.h"

enum { PINS = 120, GROUPS = 6 };

static planted world;
static const char *pairs_file, *valid_file;
static ps_train_report report;
static ps_why why;

static int open_world(void **state)
{
    (void)state;
    planted_make(&world, PINS, GROUPS, 3);
    use("template");
    planted_import(&world);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    planted_free(&world);
    return 0;
}

static void begin(const char *name)
{
    use_copy(name, "template");
    pairs_file = planted_pairs_file(&world, "pairs.tsv", 400, 1);
    valid_file = planted_pairs_file(&world, "valid.tsv", 100, 2);
}

static ps_train_step_opts small(void)
{
    ps_train_opts o = ps_cli_train_defaults().train;
    o.model.m = o.model.d = o.model.e = 8;
    o.model.neighbours = 5;
    o.model.n_walks = 40;
    o.batch = 64;
    o.negatives = 30;
    o.epochs = o.patience = 2;
    o.threads = 1;
    return (ps_train_step_opts){.train = o,
                                .pairs = pairs_file,
                                .valid = valid_file,
                                .label_boards = 0.2,
                                .valid_share = 0.2};
}

static int step(const ps_train_step_opts *o, const ps_progress *progress)
{
    why = (ps_why){0};
    return ps_train_step(catalog, o, &report, progress, &why);
}

static bool has(const char *name)
{
    ps_generation *g = planted_open();
    bool listed = ps_generation_file(g, name, NULL);
    ps_generation_release(g);
    return listed;
}

static bool made_from(const char *file, const char *input)
{
    ps_generation *g = planted_open();
    uint64_t hash;
    bool recorded = ps_manifest_fingerprint(g->manifest, file, input, &hash);
    ps_generation_release(g);
    return recorded;
}

/* ------------------------------ What it writes ---------------------------- */

static void a_model_lists_and_figures_are_written(void **state)
{
    (void)state;
    begin("plain");
    ps_train_step_opts o = small();
    must(step(&o, NULL), &why);
    ps_generation *g = planted_open();
    ps_model m;
    char path[PS_PATH_MAX], print[24];
    assert_string_equal(g->name, report.generation);
    assert_true(ps_generation_file(g, "model.safetensors", path));
    must(ps_model_load(&m, path, &why), &why);
    assert_string_equal(m.config.blocks, "annotation,visual");
    assert_true(g->nbr_rows.cols == 5 && g->nbr_weights.cols == 5);
    snprintf(print, sizeof print, "%016" PRIx64, ps_model_fingerprint(&m));
    assert_string_equal(ps_manifest_text(g->manifest, "model.fingerprint", ""), print);
    assert_int_equal(ps_manifest_u64(g->manifest, "train.pairs", 0), report.pairs);
    assert_int_equal(ps_manifest_u64(g->manifest, "train.valid_pairs", 0), report.valid);
    assert_int_equal(ps_manifest_u64(g->manifest, "train.epochs", 0), 2);
    assert_int_equal(ps_manifest_u64(g->manifest, "train.label_boards", 9), 0);
    double told = report.result.epoch[report.result.best - 1].hit_10;
    assert_true(fabs(ps_manifest_real(g->manifest, "train.valid.hit_10", -1) - told) <
                1e-9); /* 12 digits are written */
    assert_int_equal(ps_manifest_length(g->manifest, "train.curve"), 2);
    assert_true(ps_manifest_real(g->manifest, "train.curve.1.loss", -1) > 0);
    assert_true(ps_manifest_has(g->manifest, "blend.weights.log_visits"));
    assert_string_equal(ps_manifest_text(g->manifest, "blend.model", ""), print);
    assert_int_equal(report.pairs + report.pairs_left_out.repeated, 400);
    assert_int_equal(report.valid + report.valid_left_out.repeated, 100);
    must(ps_generation_verify(g, NULL, NULL, NULL, &why), &why);
    assert_false(ps_file_exists(scratch("plain/train.checkpoint")));
    ps_model_free(&m);
    ps_generation_release(g);
}

/* What training wrote, a request walks to again: the seeds are of the pins' ids. */
static void what_was_trained_embeds_and_agrees_on_request(void **state)
{
    (void)state;
    begin("parity");
    ps_train_step_opts o = small();
    ps_embed_report embedded;
    ps_parity p;
    o.train.seed = 5;
    must(step(&o, NULL), &why);
    must(ps_embed(catalog, &(ps_embed_opts){.threads = 1}, &embedded, NULL, &why), &why);
    ps_generation *g = planted_open();
    must(ps_embed_parity(g, PINS, &p, &why), &why);
    assert_true(p.least_cosine > 0.999 && p.largest_difference < 1e-3);
    ps_generation_release(g);
}

static void parts_that_a_changed_block_made_stale_are_dropped(void **state)
{
    (void)state;
    begin("stale");
    ps_train_step_opts o = small();
    ps_embed_report embedded;
    o.variants = "combined,meanpool";
    must(step(&o, NULL), &why);
    must(ps_embed(catalog, &(ps_embed_opts){.threads = 1}, &embedded, NULL, &why), &why);
    static const char *const made[] = {"model.safetensors", "embeddings.npy",
                                       "baselines/combined.npy", "baselines/meanpool.npy",
                                       "messages.1.npy"};
    for (size_t i = 0; i < 5; i++) {
        assert_true(has(made[i]));
        assert_true(made_from(made[i], "features/visual.npy"));
        assert_true(made_from(made[i], "graph/pin_boards.indices.npy"));
    }
    assert_true(has("neighbours.indices.npy"));
    ps_draft *d = tiny_begin(false);
    world.visual[0] += 1;
    tiny_array(d, "features/visual.npy", PS_F32, PINS, PLANTED_VISUAL, world.visual);
    world.visual[0] -= 1;
    tiny_commit(d);
    for (size_t i = 0; i < 5; i++)
        assert_false(has(made[i]));
    assert_true(has("neighbours.indices.npy")); /* the graph is the same */
}

static void a_block_that_is_not_used_may_change(void **state)
{
    (void)state;
    begin("unused");
    ps_train_step_opts o = small();
    snprintf(o.train.model.blocks, sizeof o.train.model.blocks, "visual");
    must(step(&o, NULL), &why);
    assert_true(made_from("model.safetensors", "features/visual.npy"));
    assert_false(made_from("model.safetensors", "features/annotation.npy"));
    ps_draft *d = tiny_begin(false);
    world.annotation[0] ^= 1;
    tiny_array(d, "features/annotation.npy", PS_F16, PINS, PLANTED_ANNOTATION,
               world.annotation);
    world.annotation[0] ^= 1;
    tiny_commit(d);
    assert_true(has("model.safetensors"));
}

static void baselines_are_arrays_of_a_row_a_pin(void **state)
{
    (void)state;
    begin("baselines");
    ps_train_step_opts o = small();
    /* The twin with the structure block cannot be made here: it is passed over. */
    o.variants = "combined,combined-structure,khop,maxpool";
    must(step(&o, NULL), &why);
    static const char *const made[] = {"baselines/combined.npy", "baselines/khop.npy",
                                       "baselines/maxpool.npy"};
    ps_generation *g = planted_open();
    for (int i = 0; i < 3; i++) {
        ps_npy a;
        must(ps_generation_array(g, made[i], &a, &why), &why);
        assert_true(a.dtype == PS_F32 && a.rows == PINS && a.cols == 8);
        ps_npy_close(&a);
    }
    assert_false(ps_generation_file(g, "baselines/meanpool.npy", NULL));
    assert_false(ps_generation_file(g, "baselines/combined-structure.npy", NULL));
    ps_generation_release(g);
}

/* ------------------------------ Without files ----------------------------- */

static void without_pairs_boards_are_held_out_and_come_back(void **state)
{
    (void)state;
    begin("labels");
    ps_train_step_opts o = small();
    o.pairs = o.valid = NULL;
    must(step(&o, NULL), &why);
    assert_true(report.label_boards > 0 && report.pairs > 0 && report.valid > 0);
    ps_generation *g = planted_open();
    assert_int_equal(ps_manifest_u64(g->manifest, "train.label_boards", 0),
                     report.label_boards);
    /* Nothing is taken from the catalog's own graph, and its lists are of all of it. */
    must(ps_graph_check(&g->graph, &why), &why);
    assert_int_equal(g->graph.pin_boards.edges, world.graph.pin_boards.edges);
    ps_embed_report embedded;
    ps_parity p;
    ps_generation_release(g);
    must(ps_embed(catalog, &(ps_embed_opts){.threads = 1}, &embedded, NULL, &why), &why);
    g = planted_open();
    must(ps_embed_parity(g, PINS, &p, &why), &why);
    assert_true(p.least_cosine > 0.999);
    ps_generation_release(g);
}

static void without_valid_a_slice_of_the_queries_is_set_aside(void **state)
{
    (void)state;
    begin("slice");
    ps_train_step_opts o = small();
    o.valid = NULL;
    must(step(&o, NULL), &why);
    assert_true(report.pairs > 200 && report.valid > 20);
    assert_true(report.pairs + report.valid <= 400);
    assert_int_equal(report.label_boards, 0);
}

/* ------------------------------ Trials ------------------------------------ */

static void trials_are_told_and_written_to_the_manifest(void **state)
{
    (void)state;
    begin("trials");
    ps_train_step_opts o = small();
    o.trials = true;
    must(step(&o, NULL), &why);
    assert_in_range(report.n_trials, 2, PS_TRIALS_MAX);
    uint32_t chosen = 0, which = 0;
    double best = -1;
    for (uint32_t i = 0; i < report.n_trials; i++) {
        const ps_trial *t = &report.trial[i];
        assert_true(t->what[0] != '\0');
        if (t->chosen)
            chosen++, which = i;
        if (t->score > best)
            best = t->score;
    }
    const ps_trial *t = &report.trial[which];
    assert_int_equal(chosen, 1);
    assert_true(t->score > best - 0.0051); /* what walk pairs may cost */
    assert_int_equal(report.used.model.similarity == PS_SIMILARITY_COSINE,
                     strstr(t->what, "cosine") != NULL);
    ps_generation *g = planted_open();
    char *json = ps_manifest_json(g->manifest, "train.trials");
    assert_non_null(json);
    assert_non_null(strstr(json, t->what));
    assert_non_null(strstr(json, "true"));
    assert_string_equal(ps_manifest_text(g->manifest, "model.similarity", ""),
                        ps_enum_name(ps_similarity_names, report.used.model.similarity));
    free(json);
    ps_generation_release(g);
}

static void walks_of_one_hop_are_tried_where_longer_ones_are_asked_for(void **state)
{
    (void)state;
    for (uint32_t length = 1; length <= 2; length++) {
        bool one = false, two = false;
        begin("hops");
        ps_train_step_opts o = small();
        o.trials = true;
        o.train.model.length = length;
        must(step(&o, NULL), &why);
        for (uint32_t i = 0; i < report.n_trials; i++) {
            one |= strstr(report.trial[i].what, "walks of 1") != NULL;
            two |= strstr(report.trial[i].what, "walks of 2") != NULL;
        }
        assert_true(one && two == (length == 2));
        assert_true(report.used.model.length <= length);
    }
}

/* ------------------------------ The paper's ------------------------------- */

static void the_papers_preset_keeps_epochs_that_are_given(void **state)
{
    (void)state;
    ps_train_opts o = ps_cli_train_defaults().train;
    ps_train_paper(&o);
    assert_true(o.epochs == 7 && o.model.m == 2048 && o.model.e == 1024 && o.hard);
    o.epochs = 1;
    ps_train_paper(&o);
    assert_int_equal(o.epochs, 1);
}

static void the_structure_block_is_left_out_when_asked_unless_named(void **state)
{
    (void)state;
    ps_structure_opts structure = ps_cli_structure_defaults();
    ps_structure_report made;
    begin("bare");
    structure.dim = 4;
    structure.threads = 1;
    must(ps_structure(catalog, &structure, &made, NULL, &why), &why);
    ps_train_step_opts o = small();
    must(step(&o, NULL), &why);
    assert_string_equal(report.used.model.blocks, "annotation,structure,visual");
    o.no_structure = true;
    must(step(&o, NULL), &why);
    assert_string_equal(report.used.model.blocks, "annotation,visual");
    snprintf(o.train.model.blocks, sizeof o.train.model.blocks, "structure");
    must(step(&o, NULL), &why);
    assert_string_equal(report.used.model.blocks, "structure");
}

/* ------------------------------ No change --------------------------------- */

static void nothing_changes(const ps_train_step_opts *o, int err, const char *word)
{
    char before[512];
    snprintf(before, sizeof before, "%s", listing());
    assert_int_equal(step(o, NULL), err);
    if (!strstr(why.text, word))
        fail_msg("\"%s\" does not say %s", why.text, word);
    assert_string_equal(listing(), before);
    assert_string_equal(report.generation, "");
}

static void bad_input_leaves_the_old_generation(void **state)
{
    (void)state;
    begin("bad");
    ps_train_step_opts o = small();
    o.pairs = scratch_text("bad.tsv", "query\trelated\np1\tp2\np1\tnobody\n");
    nothing_changes(&o, PS_EFORMAT, "nobody");
    assert_int_equal(why.line, 3);
    o.pairs = scratch("missing.tsv");
    nothing_changes(&o, PS_ENOENT, "");
    o = small();
    o.valid = scratch_text("empty.tsv", "query\trelated\n");
    nothing_changes(&o, PS_EFORMAT, "no pairs");
    o = small();
    o.variants = "combined,meanpol";
    nothing_changes(&o, PS_EINVAL, "meanpol");
    o = small();
    snprintf(o.train.model.blocks, sizeof o.train.model.blocks, "smell");
    nothing_changes(&o, PS_EMISMATCH, "smell");
    o = small();
    o.pairs = o.valid = NULL;
    o.label_boards = 0;
    nothing_changes(&o, PS_EFORMAT, "no pair to train on");
}

/* A pin is its own best candidate: such pairs would make any model look good. */
static void a_pin_with_itself_is_neither_learned_from_nor_chosen_by(void **state)
{
    (void)state;
    begin("itself");
    ps_train_step_opts o = small();
    o.valid = scratch_text("mixed.tsv", "query\trelated\np1\tp1\np1\tp7\np1\tp7\n");
    must(step(&o, NULL), &why);
    assert_int_equal(report.valid, 1);
    assert_int_equal(report.valid_left_out.self, 1);
    assert_int_equal(report.valid_left_out.repeated, 1);
    ps_generation *g = planted_open();
    assert_int_equal(ps_manifest_u64(g->manifest, "train.left_out.valid.self", 9), 1);
    assert_int_equal(ps_manifest_u64(g->manifest, "train.left_out.pairs.unknown", 9), 0);
    ps_generation_release(g);
    o.valid = scratch_text("self.tsv", "query\trelated\np1\tp1\np2\tp2\n");
    nothing_changes(&o, PS_EFORMAT, "no pair is left: 2 of a pin with itself");
}

static void what_it_needs_can_be_looked_at_before(void **state)
{
    (void)state;
    begin("check");
    ps_train_step_opts o = small();
    must(ps_train_step_check(catalog, &o, &why), &why);
    o.pairs = scratch_text("one.tsv", "query\trelated\np1\tp2\n");
    o.valid = NULL;
    o.valid_share = 0.01;
    assert_int_equal(ps_train_step_check(catalog, &o, &why), PS_EFORMAT);
    assert_string_equal(why.text, "there is no pair to validate with");
    o.variants = "meanpol";
    assert_int_equal(ps_train_step_check(catalog, &o, &why), PS_EINVAL);
    o = small();
    assert_int_equal(ps_train_step_check(scratch("nowhere"), &o, &why), PS_ENOENT);
    assert_string_equal(listing(), "current gen-000001 lock");
}

static void unknown_pins_are_skipped_when_asked(void **state)
{
    (void)state;
    begin("unknown");
    ps_train_step_opts o = small();
    o.skip_unknown = true;
    o.pairs =
        scratch_text("some.tsv", "query\trelated\np1\tp7\np1\tnobody\np2\tp8\np3\tp9\n");
    must(step(&o, NULL), &why);
    assert_int_equal(report.pairs, 3);
}

static void a_second_writer_is_refused_at_once(void **state)
{
    (void)state;
    begin("busy");
    ps_train_step_opts o = small();
    ps_draft *d = tiny_begin(false);
    assert_int_equal(step(&o, NULL), PS_EBUSY);
    ps_draft_abort(d);
}

/* ------------------------------ Kills ------------------------------------- */

static uint64_t trained_checksum(void)
{
    uint64_t hash, size;
    must(ps_file_hash(tiny_path("model.safetensors"), &hash, &size, &why), &why);
    return hash;
}

static int step_in_child(void *cls)
{
    ps_train_step_opts o = small();
    o.train.epochs = o.train.patience = 4;
    return step(&o, cls);
}

static void a_killed_step_resumes_to_the_same_model(void **state)
{
    (void)state;
    begin("undisturbed");
    ps_train_step_opts o = small();
    o.train.epochs = o.train.patience = 4;
    must(step(&o, NULL), &why);
    uint64_t want = trained_checksum();
    moment last = {.stage = "train", .done = 17, .nth = 1}; /* 7 minibatches an epoch */
    ps_progress progress = kill_at(&last);
    begin("killed");
    assert_false(survives(step_in_child, &progress));
    assert_false(ps_file_exists(tiny_path("model.safetensors")));
    assert_true(ps_file_exists(scratch("killed/train.checkpoint")));
    o.train.resume = true;
    must(step(&o, NULL), &why);
    assert_true(trained_checksum() == want);
    assert_int_equal(report.result.n_epochs, 4);
    assert_false(ps_file_exists(scratch("killed/train.checkpoint")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_lists_and_figures_are_written),
        cmocka_unit_test(what_was_trained_embeds_and_agrees_on_request),
        cmocka_unit_test(parts_that_a_changed_block_made_stale_are_dropped),
        cmocka_unit_test(a_block_that_is_not_used_may_change),
        cmocka_unit_test(baselines_are_arrays_of_a_row_a_pin),
        cmocka_unit_test(without_pairs_boards_are_held_out_and_come_back),
        cmocka_unit_test(without_valid_a_slice_of_the_queries_is_set_aside),
        cmocka_unit_test(trials_are_told_and_written_to_the_manifest),
        cmocka_unit_test(walks_of_one_hop_are_tried_where_longer_ones_are_asked_for),
        cmocka_unit_test(the_papers_preset_keeps_epochs_that_are_given),
        cmocka_unit_test(the_structure_block_is_left_out_when_asked_unless_named),
        cmocka_unit_test(bad_input_leaves_the_old_generation),
        cmocka_unit_test(a_pin_with_itself_is_neither_learned_from_nor_chosen_by),
        cmocka_unit_test(what_it_needs_can_be_looked_at_before),
        cmocka_unit_test(unknown_pins_are_skipped_when_asked),
        cmocka_unit_test(a_second_writer_is_refused_at_once),
        cmocka_unit_test(a_killed_step_resumes_to_the_same_model),
    };
    return cmocka_run_group_tests_name("train step", tests, open_world, close_world);
}
