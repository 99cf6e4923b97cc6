/* test_train.c - training learns what was planted, gives the same weights whatever is
 * done to it, and stops with the cause.
 *
 * Threads: teams of one and two; children that are killed.
 */
#include "pinsage/train.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/file.h"
#include "pinsage/rng.h"
#include "tests/support/changes.h"
#include "tests/support/planted.h"
#include "tests/support/scratch.h"

enum { PINS = 240, GROUPS = 8, PAIRS = 1200, VALID = 300 };

static planted world;
static ps_generation *g;
static ps_pairs pairs, valid;

static int open_world(void **state)
{
    (void)state;
    use("world");
    planted_make(&world, PINS, GROUPS, 3);
    planted_import(&world);
    g = planted_open();
    pairs = planted_pairs(&world, PAIRS, 1);
    valid = planted_pairs(&world, VALID, 2);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    ps_pairs_free(&pairs);
    ps_pairs_free(&valid);
    ps_generation_release(g);
    planted_free(&world);
    return 0;
}

static ps_train_opts small(void)
{
    ps_train_opts o = PS_TRAIN_DEFAULTS;
    o.model.m = o.model.d = o.model.e = 16;
    o.model.neighbours = 5;
    o.model.n_walks = 60;
    o.batch = 64;
    o.negatives = 60;
    o.epochs = o.patience = 4;
    o.threads = 1;
    return o;
}

typedef struct run {
    ps_model model;
    ps_train_result result;
    ps_why why;
    int err;
} run;

/* A whole run, of the planted pairs unless others are given. */
static run *train(const ps_train_opts *o, const ps_pairs *learn,
                  const ps_progress *progress)
{
    run *r = calloc(1, sizeof *r);
    ps_corpus *corpus;
    assert_non_null(r);
    must(ps_corpus_new(&corpus, g, &g->graph, o->seed, o->threads, NULL, &r->why),
         &r->why);
    r->err = ps_train(&r->model, corpus, learn ? learn : &pairs, &valid, o, &r->result,
                      progress, &r->why);
    ps_corpus_free(corpus);
    return r;
}

static run *trained(const ps_train_opts *o)
{
    run *r = train(o, NULL, NULL);
    must(r->err, &r->why);
    return r;
}

static void done(run *r)
{
    ps_model_free(&r->model);
    free(r);
}

static void same_weights(const run *a, const run *b)
{
    assert_true(a->model.n_params == b->model.n_params);
    assert_memory_equal(a->model.params, b->model.params,
                        a->model.n_params * sizeof(float));
    assert_int_equal(a->result.n_epochs, b->result.n_epochs);
    assert_int_equal(a->result.best, b->result.best);
    for (uint32_t i = 0; i < a->result.n_epochs; i++) {
        const ps_epoch *x = &a->result.epoch[i], *y = &b->result.epoch[i];
        assert_true(x->loss == y->loss && x->violated == y->violated);
        assert_true(x->hit_10 == y->hit_10 && x->mrr == y->mrr);
    }
}

/* ------------------------------ Learning ---------------------------------- */

/* 30 pins of a group: knowing the group and no more gives 10 / 29 at 10. Chance gives
 * 10 / 239. */
static void learns(ps_train_opts o)
{
    o.epochs = o.patience = 10;
    o.rate = 5e-3f;
    o.model.neighbours = 10;
    o.temperature *= 4;
    run *r = trained(&o);
    const ps_epoch *first = &r->result.epoch[0], *last = &r->result.epoch[9];
    const ps_epoch *best = &r->result.epoch[r->result.best - 1];
    print_message("# hit@10 %.3f -> %.3f, loss %.4f -> %.4f\n", first->hit_10,
                  best->hit_10, (double)first->loss, (double)last->loss);
    assert_int_equal(r->result.n_epochs, 10);
    assert_true(last->loss < 0.9f * first->loss);
    assert_true(last->violated < first->violated);
    assert_true(best->hit_10 > 4 * 10.0 / (PINS - 1));
    done(r);
}

static void both_losses_learn_what_was_planted(void **state)
{
    (void)state;
    ps_train_opts o = small();
    learns(o);
    o.loss = PS_LOSS_MARGIN;
    learns(o);
}

static void every_variant_learns(void **state)
{
    (void)state;
    ps_train_opts o = small();
    o.hard = true;
    o.walk_pairs = 0.3f;
    o.average = 0.9f;
    learns(o);
    o = small();
    o.model.cosine = o.model.skip = false;
    o.temperature = 1;
    learns(o);
    for (size_t i = 0; ps_variant_at(i); i++) {
        if (strcmp(ps_variant_at(i)->name, "combined-structure") == 0)
            continue; /* there is no such block here */
        o = small();
        ps_variant_at(i)->change(&o);
        if (o.model.layers) /* content hardly shows the groups: that is the point */
            learns(o);
    }
}

/* The kept weights are those of the epoch that validated best. */
static void the_kept_weights_give_the_best_figures(void **state)
{
    (void)state;
    ps_train_opts o = small();
    ps_corpus *corpus;
    ps_why why = {0};
    o.epochs = o.patience = 6;
    o.rate = 0.05f; /* restless, so that the last is seldom the best */
    run *r = trained(&o);
    float *z = malloc((size_t)PINS * 16 * sizeof *z);
    must(ps_corpus_new(&corpus, g, &g->graph, 1, 2, NULL, &why), &why);
    must(ps_corpus_embed(corpus, &r->model, z, NULL, &why), &why);
    double hits = 0;
    for (size_t i = 0; i < valid.n; i++) {
        const uint32_t *p = valid.pair[i];
        double above = 0, mine = 0;
        for (uint32_t v = 0; v < PINS; v++) {
            double s = 0;
            for (int j = 0; j < 16; j++)
                s += (double)z[p[0] * 16 + (uint32_t)j] * (double)z[v * 16 + (uint32_t)j];
            mine = v == p[1] ? s : mine;
        }
        for (uint32_t v = 0; v < PINS; v++) {
            double s = 0;
            for (int j = 0; j < 16; j++)
                s += (double)z[p[0] * 16 + (uint32_t)j] * (double)z[v * 16 + (uint32_t)j];
            above += v != p[0] && v != p[1] && s > mine;
        }
        hits += above < 10;
    }
    /* Ties and rounding may move a rank or two across the line. */
    double told = r->result.epoch[r->result.best - 1].hit_10 * (double)valid.n;
    assert_true(fabs(hits - told) <= 2);
    free(z);
    ps_corpus_free(corpus);
    done(r);
}

/* ------------------------------ Same weights ------------------------------ */

static ps_train_opts everything(void)
{
    ps_train_opts o = small();
    o.hard = true;
    o.walk_pairs = 0.2f;
    o.average = 0.98f;
    return o;
}

static void same_seed_and_any_threads_give_the_same_weights(void **state)
{
    (void)state;
    ps_train_opts o = everything();
    run *a = trained(&o), *b = trained(&o);
    same_weights(a, b);
    o.threads = 2;
    run *two = trained(&o);
    same_weights(a, two);
    o.seed = 2;
    run *other = trained(&o);
    assert_memory_not_equal(a->model.params, other->model.params,
                            a->model.n_params * sizeof(float));
    done(a), done(b), done(two), done(other);
}

/* ------------------------------ Stopping ---------------------------------- */

static void a_run_that_gets_no_better_stops_early(void **state)
{
    (void)state;
    ps_train_opts o = small();
    o.epochs = 40;
    o.patience = 2;
    o.rate = 0; /* nothing moves: the first epoch stays the best */
    run *r = trained(&o);
    assert_int_equal(r->result.n_epochs, 3);
    assert_int_equal(r->result.best, 1);
    done(r);
}

static void a_huge_rate_stops_with_the_cause(void **state)
{
    (void)state;
    static const float rates[] = {1e18f, 1e38f, INFINITY, NAN};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        ps_train_opts o = small();
        o.rate = rates[i];
        o.warmup = 0;
        run *r = train(&o, NULL, NULL);
        assert_int_equal(r->err, PS_EFORMAT);
        assert_non_null(strstr(r->why.text, "no number any more in epoch"));
        assert_non_null(strstr(r->why.text, "lower --rate"));
        done(r);
    }
}

/* Import refuses such input; memory that went bad later must still not go unnoticed. */
static void input_that_is_no_number_stops_with_the_cause(void **state)
{
    (void)state;
    ps_train_opts o = small();
    float *broken = malloc((size_t)PINS * PLANTED_VISUAL * sizeof *broken);
    ps_block *visual = (ps_block *)ps_generation_block(g, "visual");
    const void *sound = visual->array.data;
    memcpy(broken, sound, (size_t)PINS * PLANTED_VISUAL * sizeof *broken);
    for (size_t i = 0; i < (size_t)PINS * PLANTED_VISUAL; i += 3)
        broken[i] = NAN;
    visual->array.data = broken;
    run *r = train(&o, NULL, NULL);
    assert_int_equal(r->err, PS_EFORMAT);
    assert_non_null(strstr(r->why.text, "no number any more"));
    visual->array.data = sound;
    free(broken);
    done(r);
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
        ps_train_opts o = small();
        o.hard = true;
        stop_at = moment[i].at;
        ps_progress progress = {.at = on_progress_stop, .cls = (void *)moment[i].stage};
        run *r = train(&o, NULL, &progress);
        assert_int_equal(r->err, PS_ECANCELLED);
        done(r);
    }
}

static void what_cannot_be_trained_is_refused_in_words(void **state)
{
    (void)state;
    ps_train_opts o = small();
    ps_pairs none = {0};
    run *r = train(&o, &none, NULL);
    assert_int_equal(r->err, PS_EFORMAT);
    assert_non_null(strstr(r->why.text, "no pair to train on"));
    done(r);
    o.negatives = 0;
    r = train(&o, NULL, NULL);
    assert_int_equal(r->err, PS_EINVAL);
    done(r);
    o = small();
    o.temperature = 0;
    r = train(&o, NULL, NULL);
    assert_int_equal(r->err, PS_EINVAL);
    done(r);
    o = small();
    snprintf(o.model.blocks, sizeof o.model.blocks, "visual,smell");
    r = train(&o, NULL, NULL);
    assert_int_equal(r->err, PS_EMISMATCH);
    assert_non_null(strstr(r->why.text, "smell"));
    done(r);
    o = small();
    o.model.d = 70000;
    r = train(&o, NULL, NULL);
    assert_int_equal(r->err, PS_EINVAL);
    done(r);
    o = small();
    o.model.neighbours = 0;
    r = train(&o, NULL, NULL);
    assert_true(r->err < 0);
    done(r);
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
    ps_train_opts o = small();
    o.log = scratch("log.jsonl");
    done(trained(&o));
    assert_int_equal(count_lines(o.log, "\"epoch\":"), 4);
    assert_int_equal(count_lines(o.log, "\"stage\":\"train\",\"epoch\":3,\"loss\":"), 1);
    o.stage = "again";
    done(trained(&o)); /* appended */
    assert_int_equal(count_lines(o.log, "\"valid_hit_10\":"), 8);
    o.log = "/nowhere/log.jsonl";
    run *r = train(&o, NULL, NULL);
    assert_int_equal(r->err, PS_ENOENT);
    assert_non_null(strstr(r->why.where, "/nowhere"));
    done(r);
}

static int on_progress_note(void *cls, const char *stage, uint64_t done_so_far,
                            uint64_t total, const char *unit, const char *note)
{
    (void)done_so_far, (void)total, (void)unit;
    if (strcmp(stage, "memory") == 0 && strstr(note, " parameters, up to "))
        (*(int *)cls) |= 1;
    if (strcmp(stage, "train") == 0 && strstr(note, "valid hit@10"))
        (*(int *)cls) |= 2;
    return PS_OK;
}

static void memory_is_stated_before_and_figures_on_the_way(void **state)
{
    (void)state;
    ps_train_opts o = small();
    int told = 0;
    ps_progress progress = {.at = on_progress_note, .cls = &told};
    run *r = train(&o, NULL, &progress);
    must(r->err, &r->why);
    assert_int_equal(told, 3);
    assert_true(r->result.bytes > r->model.n_params * 4 * 6);
    done(r);
}

/* ------------------------------ Kills ------------------------------------- */

static int on_progress_die(void *cls, const char *stage, uint64_t done_so_far,
                           uint64_t total, const char *unit, const char *note)
{
    (void)total, (void)unit, (void)note;
    if (strcmp(stage, "train") == 0 && done_so_far == *(uint64_t *)cls)
        kill(getpid(), SIGKILL);
    return PS_OK;
}

/* Killed in a child after this many minibatches; before its end in any case. */
static void train_and_die(const ps_train_opts *o, uint64_t after)
{
    ps_progress progress = {.at = on_progress_die, .cls = &after};
    int status;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        train(o, NULL, &progress);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void a_run_killed_at_any_moment_resumes_to_the_same_weights(void **state)
{
    (void)state;
    /* 19 minibatches an epoch, four epochs. */
    static const uint64_t moments[] = {1, 18, 19, 20, 38, 50, 57, 75, 76};
    ps_train_opts o = everything();
    run *whole = trained(&o);
    o.checkpoint = scratch("resume.checkpoint");
    o.resume = true;
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
        unlink(o.checkpoint);
        train_and_die(&o, moments[i]);
        assert_int_equal(ps_file_exists(o.checkpoint), moments[i] > 19);
        run *r = trained(&o);
        same_weights(whole, r);
        done(r);
    }
    done(whole);
}

static void a_run_killed_again_and_again_resumes_to_the_same_weights(void **state)
{
    (void)state;
    static const uint64_t moments[] = {5, 25, 30, 45, 70};
    ps_train_opts o = everything();
    run *whole = trained(&o);
    o.checkpoint = scratch("again.checkpoint");
    o.resume = true;
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++)
        train_and_die(&o, moments[i]);
    run *r = trained(&o);
    same_weights(whole, r);
    done(r);
    r = trained(&o); /* it is finished: nothing is left to do */
    same_weights(whole, r);
    done(r);
    done(whole);
}

static void a_checkpoint_of_other_options_is_not_taken_up(void **state)
{
    (void)state;
    ps_train_opts o = everything();
    o.checkpoint = scratch("foreign.checkpoint");
    done(trained(&o));
    o.resume = true;
    o.rate *= 2;
    run *r = train(&o, NULL, NULL);
    assert_int_equal(r->err, PS_EMISMATCH);
    done(r);
    o.rate /= 2;
    ps_pairs fewer = {.pair = pairs.pair, .n = pairs.n - 1};
    r = train(&o, &fewer, NULL);
    assert_int_equal(r->err, PS_EMISMATCH);
    done(r);
    o.resume = false; /* not asked to go on: begins anew and writes over it */
    o.rate *= 2;
    done(trained(&o));
}

/* The same options and pairs over other features: the old weights do not fit them. */
static void a_checkpoint_of_other_features_is_not_taken_up(void **state)
{
    (void)state;
    ps_train_opts o = everything();
    ps_generation *before = g;
    planted other;
    o.checkpoint = scratch("features.checkpoint");
    done(trained(&o));
    o.resume = true;
    use("other");
    planted_make(&other, PINS, GROUPS, 3);
    other.visual[5] += 0.25f;
    planted_import(&other);
    g = planted_open();
    run *r = train(&o, NULL, NULL);
    assert_int_equal(r->err, PS_EMISMATCH);
    done(r);
    ps_generation_release(g);
    planted_free(&other);
    g = before;
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
        cmocka_unit_test(the_log_has_a_line_an_epoch),
        cmocka_unit_test(memory_is_stated_before_and_figures_on_the_way),
        cmocka_unit_test(a_run_killed_at_any_moment_resumes_to_the_same_weights),
        cmocka_unit_test(a_run_killed_again_and_again_resumes_to_the_same_weights),
        cmocka_unit_test(a_checkpoint_of_other_options_is_not_taken_up),
        cmocka_unit_test(a_checkpoint_of_other_features_is_not_taken_up),
    };
    return cmocka_run_group_tests_name("train", tests, open_world, close_world);
}
