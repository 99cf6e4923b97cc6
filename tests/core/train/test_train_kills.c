/* test_train_kills.c - a training that is killed goes on as if nothing had happened, and
 * never from what is another run's.
 *
 * Threads: one; children that are killed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "pinsage/file.h"
#include "tests/support/changes.h"
#include "tests/support/kills.h"
#include "tests/support/runs.h"
#include "tests/support/scratch.h"

typedef struct training {
    const ps_train_opts *opts;
    ps_progress progress;
} training;

static int train_in_child(void *cls)
{
    training *t = cls;
    return run_train(t->opts, NULL, &t->progress)->err;
}

/* Killed in a child after this many minibatches; before its end in any case. */
static void train_and_die(const ps_train_opts *o, uint64_t after)
{
    moment last = {.stage = "train", .done = after, .nth = 1};
    training t = {o, kill_at(&last)};
    assert_false(survives(train_in_child, &t));
}

static void a_run_killed_at_any_moment_resumes_to_the_same_weights(void **state)
{
    (void)state;
    /* 19 minibatches an epoch, four epochs. */
    static const uint64_t moments[] = {1, 19, 20, 50, 75, 76};
    ps_train_opts o = run_everything();
    run *whole = run_trained(&o);
    o.checkpoint = scratch("resume.checkpoint");
    o.resume = true;
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
        unlink(o.checkpoint);
        train_and_die(&o, moments[i]);
        assert_int_equal(ps_file_exists(o.checkpoint), moments[i] > 19);
        run *r = run_trained(&o);
        run_same(whole, r);
        run_done(r);
    }
    run_done(whole);
}

static void a_run_killed_again_and_again_resumes_to_the_same_weights(void **state)
{
    (void)state;
    static const uint64_t moments[] = {5, 25, 30, 45, 70};
    ps_train_opts o = run_everything();
    run *whole = run_trained(&o);
    o.checkpoint = scratch("again.checkpoint");
    o.resume = true;
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++)
        train_and_die(&o, moments[i]);
    run *r = run_trained(&o);
    run_same(whole, r);
    run_done(r);
    r = run_trained(&o); /* it is finished: nothing is left to do */
    run_same(whole, r);
    run_done(r);
    run_done(whole);
}

static void a_checkpoint_of_other_options_is_not_taken_up(void **state)
{
    (void)state;
    ps_train_opts o = run_everything();
    o.checkpoint = scratch("foreign.checkpoint");
    run_done(run_trained(&o));
    o.resume = true;
    o.rate *= 2;
    run *r = run_train(&o, NULL, NULL);
    assert_int_equal(r->err, PS_EMISMATCH);
    run_done(r);
    o.rate /= 2;
    ps_pairs fewer = {.pair = run_pairs.pair, .n = run_pairs.n - 1};
    r = run_train(&o, &fewer, NULL);
    assert_int_equal(r->err, PS_EMISMATCH);
    run_done(r);
    o.resume = false; /* not asked to go on: begins anew and writes over it */
    o.rate *= 2;
    run_done(run_trained(&o));
}

/* The same options and pairs over other features: the old weights do not fit them. */
static void a_checkpoint_of_other_features_is_not_taken_up(void **state)
{
    (void)state;
    ps_train_opts o = run_everything();
    ps_generation *before = run_catalog;
    planted other;
    o.checkpoint = scratch("features.checkpoint");
    run_done(run_trained(&o));
    o.resume = true;
    use("other");
    planted_make(&other, RUN_PINS, RUN_GROUPS, 3);
    other.visual[5] += 0.25f;
    planted_import(&other);
    run_catalog = planted_open();
    run *r = run_train(&o, NULL, NULL);
    assert_int_equal(r->err, PS_EMISMATCH);
    run_done(r);
    ps_generation_release(run_catalog);
    planted_free(&other);
    run_catalog = before;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_killed_at_any_moment_resumes_to_the_same_weights),
        cmocka_unit_test(a_run_killed_again_and_again_resumes_to_the_same_weights),
        cmocka_unit_test(a_checkpoint_of_other_options_is_not_taken_up),
        cmocka_unit_test(a_checkpoint_of_other_features_is_not_taken_up),
    };
    return cmocka_run_group_tests_name("train kills", tests, runs_open, runs_close);
}
