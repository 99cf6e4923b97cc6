/* test_train.c - training learns what was planted, gives the same weights whatever is
 * done to it, and stops with the cause.
 *
 * Threads: teams of one and two. Not here: kills (test_train_kills.c).
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/embed.h"
#include "tests/support/changes.h"
#include "tests/support/runs.h"
#include "tests/support/scratch.h"

/* ------------------------------ Learning ---------------------------------- */

/* 30 pins of a group: knowing the group and no more gives 10 / 29 at 10. Chance gives
 * 10 / 239. */
static void learns(ps_train_opts o)
{
    o.epochs = o.patience = 10;
    o.rate = 5e-3f;
    o.model.neighbours = 10;
    o.temperature *= 4;
    run *r = run_trained(&o);
    const ps_train_epoch *first = &r->result.epoch[0], *last = &r->result.epoch[9];
    const ps_train_epoch *best = &r->result.epoch[r->result.best - 1];
    print_message("# hit@10 %.3f -> %.3f, loss %.4f -> %.4f\n", first->hit_10,
                  best->hit_10, (double)first->loss, (double)last->loss);
    assert_int_equal(r->result.n_epochs, 10);
    assert_true(last->loss < 0.9f * first->loss);
    assert_true(last->violated < first->violated);
    assert_true(best->hit_10 > 4 * 10.0 / (RUN_PINS - 1));
    run_done(r);
}

static void both_losses_learn_what_was_planted(void **state)
{
    (void)state;
    ps_train_opts o = run_small();
    learns(o);
    o.loss = PS_LOSS_MARGIN;
    learns(o);
}

static void every_variant_learns(void **state)
{
    (void)state;
    ps_train_opts o = run_small();
    o.hard = true;
    o.walk_pairs = 0.3f;
    o.average = 0.9f;
    learns(o);
    o = run_small();
    o.model.similarity = PS_SIMILARITY_IP;
    o.model.skip = false;
    o.temperature = 1;
    learns(o);
    for (size_t i = 0; ps_variant_at(i); i++) {
        if (ps_variant_at(i)->baseline == PS_BASELINE_COMBINED_STRUCTURE)
            continue; /* there is no such block here */
        o = run_small();
        ps_variant_at(i)->change(&o);
        if (o.model.layers) /* content hardly shows the groups: that is the point */
            learns(o);
    }
}

/* The kept weights are those of the epoch that validated best. */
static void the_kept_weights_give_the_best_figures(void **state)
{
    (void)state;
    ps_train_opts o = run_small();
    ps_corpus *corpus;
    ps_why why = {0};
    o.epochs = o.patience = 6;
    o.rate = 0.05f; /* restless, so that the last is seldom the best */
    run *r = run_trained(&o);
    float *z = malloc((size_t)RUN_PINS * 16 * sizeof *z);
    must(ps_corpus_new(&corpus, run_catalog, &run_catalog->graph, 1, 2, &why), &why);
    must(ps_corpus_embed(corpus, &r->model, z, NULL, &why), &why);
    double hits = 0;
    for (size_t i = 0; i < run_valid.n; i++) {
        const uint32_t *p = run_valid.pair[i];
        double above = 0, mine = 0;
        for (uint32_t v = 0; v < RUN_PINS; v++) {
            double s = 0;
            for (int j = 0; j < 16; j++)
                s += (double)z[p[0] * 16 + (uint32_t)j] * (double)z[v * 16 + (uint32_t)j];
            mine = v == p[1] ? s : mine;
        }
        for (uint32_t v = 0; v < RUN_PINS; v++) {
            double s = 0;
            for (int j = 0; j < 16; j++)
                s += (double)z[p[0] * 16 + (uint32_t)j] * (double)z[v * 16 + (uint32_t)j];
            above += v != p[0] && v != p[1] && s > mine;
        }
        hits += above < 10;
    }
    /* Ties and rounding may move a rank or two across the line. */
    double told = r->result.epoch[r->result.best - 1].hit_10 * (double)run_valid.n;
    assert_true(fabs(hits - told) <= 2);
    free(z);
    ps_corpus_free(corpus);
    run_done(r);
}

/* ------------------------------ Same weights ------------------------------ */

static void same_seed_and_any_threads_give_the_same_weights(void **state)
{
    (void)state;
    ps_train_opts o = run_everything();
    run *a = run_trained(&o), *b = run_trained(&o);
    run_same(a, b);
    o.threads = 2;
    run *two = run_trained(&o);
    run_same(a, two);
    o.seed = 2;
    run *other = run_trained(&o);
    assert_memory_not_equal(a->model.params, other->model.params,
                            a->model.n_params * sizeof(float));
    run_done(a), run_done(b), run_done(two), run_done(other);
}

/* ------------------------------ Stopping ---------------------------------- */

static void a_run_that_gets_no_better_stops_early(void **state)
{
    (void)state;
    ps_train_opts o = run_small();
    o.epochs = 40;
    o.patience = 2;
    o.rate = 0; /* nothing moves: the first epoch stays the best */
    run *r = run_trained(&o);
    assert_int_equal(r->result.n_epochs, 3);
    assert_int_equal(r->result.best, 1);
    run_done(r);
}

static void a_huge_rate_stops_with_the_cause(void **state)
{
    (void)state;
    static const float rates[] = {1e18f, 1e38f, INFINITY, NAN};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        ps_train_opts o = run_small();
        o.rate = rates[i];
        o.warmup = 0;
        run *r = run_train(&o, NULL, NULL);
        assert_int_equal(r->err, PS_EFORMAT);
        assert_non_null(strstr(r->why.text, "no number any more in epoch"));
        assert_non_null(strstr(r->why.text, "lower --rate"));
        run_done(r);
    }
}

/* Import refuses such input; memory that went bad later must still not go unnoticed. */
static void input_that_is_no_number_stops_with_the_cause(void **state)
{
    (void)state;
    ps_train_opts o = run_small();
    float *broken = malloc((size_t)RUN_PINS * PLANTED_VISUAL * sizeof *broken);
    ps_block *visual = (ps_block *)ps_generation_block(run_catalog, "visual");
    const void *sound = visual->array.data;
    memcpy(broken, sound, (size_t)RUN_PINS * PLANTED_VISUAL * sizeof *broken);
    for (size_t i = 0; i < (size_t)RUN_PINS * PLANTED_VISUAL; i += 3)
        broken[i] = NAN;
    visual->array.data = broken;
    run *r = run_train(&o, NULL, NULL);
    assert_int_equal(r->err, PS_EFORMAT);
    assert_non_null(strstr(r->why.text, "no number any more"));
    visual->array.data = sound;
    free(broken);
    run_done(r);
}

static uint64_t stop_at;

static int on_progress_stop(void *cls, const char *stage, uint64_t done_so_far,
                            uint64_t total, const char *unit, const char *note)
{
    (void)total, (void)unit, (void)note;
    return strcmp(stage, cls) == 0 && done_so_far >= stop_at ? PS_ECANCELLED : PS_OK;
}

static void a_listener_may_stop_it(void **state)
{
    (void)state;
    static const struct {
        const char *stage;
        uint64_t at;
    } moment[] = {{"walks", 1}, {"hard", 1}, {"memory", 1}, {"train", 1}, {"train", 30}};
    for (size_t i = 0; i < sizeof moment / sizeof moment[0]; i++) {
        ps_train_opts o = run_small();
        o.hard = true;
        stop_at = moment[i].at;
        ps_progress progress = {.at = on_progress_stop, .cls = (void *)moment[i].stage};
        run *r = run_train(&o, NULL, &progress);
        assert_int_equal(r->err, PS_ECANCELLED);
        run_done(r);
    }
}

static void what_cannot_be_trained_is_refused_in_words(void **state)
{
    (void)state;
    ps_train_opts o = run_small();
    ps_pairs none = {0};
    run *r = run_train(&o, &none, NULL);
    assert_int_equal(r->err, PS_EFORMAT);
    assert_non_null(strstr(r->why.text, "no pair to train on"));
    run_done(r);
    o.negatives = 0;
    r = run_train(&o, NULL, NULL);
    assert_int_equal(r->err, PS_EINVAL);
    run_done(r);
    o = run_small();
    o.temperature = 0;
    r = run_train(&o, NULL, NULL);
    assert_int_equal(r->err, PS_EINVAL);
    run_done(r);
    o = run_small();
    snprintf(o.model.blocks, sizeof o.model.blocks, "visual,smell");
    r = run_train(&o, NULL, NULL);
    assert_int_equal(r->err, PS_EMISMATCH);
    assert_non_null(strstr(r->why.text, "smell"));
    run_done(r);
    o = run_small();
    o.model.d = 70000;
    r = run_train(&o, NULL, NULL);
    assert_int_equal(r->err, PS_EINVAL);
    run_done(r);
    o = run_small();
    o.model.neighbours = 0;
    r = run_train(&o, NULL, NULL);
    assert_true(r->err < 0);
    run_done(r);
    o = run_small();
    o.hard = true;
    o.hard_low = 100;
    o.hard_high = 50;
    r = run_train(&o, NULL, NULL);
    assert_int_equal(r->err, PS_EINVAL);
    assert_non_null(strstr(r->why.text, "at rank 50"));
    run_done(r);
}

/* That there was nothing to go on from is not why a later failure came. */
static void a_missing_checkpoint_is_not_told_as_the_cause_of_another_failure(void **state)
{
    (void)state;
    ps_train_opts o = run_small();
    const ps_progress progress = {.at = on_progress_stop, .cls = (void *)"train"};
    stop_at = 1;
    o.checkpoint = scratch("not.there");
    o.resume = true;
    run *r = run_train(&o, NULL, &progress);
    assert_int_equal(r->err, PS_ECANCELLED);
    assert_null(strstr(r->why.text, "No such file"));
    run_done(r);
}

/* ------------------------------ The log ----------------------------------- */

static uint32_t count_lines(const char *path, const char *with)
{
    char *text = slurp(path, NULL);
    uint32_t n = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        n += line[0] == '{' && line[strlen(line) - 1] == '}' && strstr(line, with);
    free(text);
    return n;
}

static void the_log_has_a_line_an_epoch(void **state)
{
    (void)state;
    ps_train_opts o = run_small();
    o.log = scratch("log.jsonl");
    run_done(run_trained(&o));
    assert_int_equal(count_lines(o.log, "\"epoch\":"), 4);
    assert_int_equal(count_lines(o.log, "\"stage\":\"train\",\"epoch\":3,\"loss\":"), 1);
    o.stage = "again";
    run_done(run_trained(&o)); /* appended */
    assert_int_equal(count_lines(o.log, "\"valid_hit_10\":"), 8);
    o.log = "/nowhere/log.jsonl";
    run *r = run_train(&o, NULL, NULL);
    assert_int_equal(r->err, PS_ENOENT);
    assert_non_null(strstr(r->why.where, "/nowhere"));
    run_done(r);
}

static int on_progress_note(void *cls, const char *stage, uint64_t done_so_far,
                            uint64_t total, const char *unit, const char *note)
{
    (void)done_so_far, (void)total, (void)unit;
    if (strcmp(stage, "memory") == 0 && strstr(note, " parameters, up to "))
        (*(int *)cls) |= 1;
    if (strcmp(stage, "walks") == 0 && *(int *)cls == 0)
        (*(int *)cls) |= 4; /* tables come after */
    if (strcmp(stage, "train") == 0 && strstr(note, "valid hit@10"))
        (*(int *)cls) |= 2;
    return PS_OK;
}

static void memory_is_stated_before_and_figures_on_the_way(void **state)
{
    (void)state;
    ps_train_opts o = run_small();
    int told = 0;
    ps_progress progress = {.at = on_progress_note, .cls = &told};
    run *r = run_train(&o, NULL, &progress);
    must(r->err, &r->why);
    assert_int_equal(told, 3);
    assert_true(r->result.bytes > r->model.n_params * 4 * 6);
    run_done(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_losses_learn_what_was_planted),
        cmocka_unit_test(every_variant_learns),
        cmocka_unit_test(the_kept_weights_give_the_best_figures),
        cmocka_unit_test(same_seed_and_any_threads_give_the_same_weights),
        cmocka_unit_test(a_run_that_gets_no_better_stops_early),
        cmocka_unit_test(a_huge_rate_stops_with_the_cause),
        cmocka_unit_test(input_that_is_no_number_stops_with_the_cause),
        cmocka_unit_test(a_listener_may_stop_it),
        cmocka_unit_test(what_cannot_be_trained_is_refused_in_words),
        cmocka_unit_test(
            a_missing_checkpoint_is_not_told_as_the_cause_of_another_failure),
        cmocka_unit_test(the_log_has_a_line_an_epoch),
        cmocka_unit_test(memory_is_stated_before_and_figures_on_the_way),
    };
    return cmocka_run_group_tests_name("train", tests, runs_open, runs_close);
}
