/* runs.c - see runs.h. */
#include "tests/support/runs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/cli/steps.h"
#include "tests/support/changes.h"

enum { PAIRS = 1200, VALID = 300 };

planted run_world;
ps_generation *run_catalog;
ps_pairs run_pairs, run_valid;

int runs_open(void **state)
{
    (void)state;
    use("world");
    planted_make(&run_world, RUN_PINS, RUN_GROUPS, 3);
    planted_import(&run_world);
    run_catalog = planted_open();
    run_pairs = planted_pairs(&run_world, PAIRS, 1);
    run_valid = planted_pairs(&run_world, VALID, 2);
    return 0;
}

int runs_close(void **state)
{
    (void)state;
    ps_pairs_free(&run_pairs);
    ps_pairs_free(&run_valid);
    ps_generation_release(run_catalog);
    planted_free(&run_world);
    return 0;
}

ps_train_opts run_small(void)
{
    ps_train_opts o = ps_cli_train_defaults().train;
    o.model.m = o.model.d = o.model.e = 16;
    o.model.neighbours = 5;
    o.model.n_walks = 60;
    o.batch = 64;
    o.negatives = 60;
    o.epochs = o.patience = 4;
    o.threads = 1;
    return o;
}

run *run_train(const ps_train_opts *o, const ps_pairs *learn, const ps_progress *progress)
{
    run *r = calloc(1, sizeof *r);
    ps_corpus *corpus;
    assert_non_null(r);
    must(ps_corpus_new(&corpus, run_catalog, &run_catalog->graph, o->seed, o->threads,
                       &r->why),
         &r->why);
    r->err = ps_train(&r->model, corpus, learn ? learn : &run_pairs, &run_valid, o,
                      &r->result, progress, &r->why);
    ps_corpus_free(corpus);
    return r;
}

run *run_trained(const ps_train_opts *o)
{
    run *r = run_train(o, NULL, NULL);
    must(r->err, &r->why);
    return r;
}

void run_done(run *r)
{
    ps_model_free(&r->model);
    free(r);
}

void run_same(const run *a, const run *b)
{
    assert_true(a->model.n_params == b->model.n_params);
    assert_memory_equal(a->model.params, b->model.params,
                        a->model.n_params * sizeof(float));
    assert_int_equal(a->result.n_epochs, b->result.n_epochs);
    assert_int_equal(a->result.best, b->result.best);
    for (uint32_t i = 0; i < a->result.n_epochs; i++) {
        const ps_train_epoch *x = &a->result.epoch[i], *y = &b->result.epoch[i];
        assert_true(x->loss == y->loss && x->violated == y->violated);
        assert_true(x->hit_10 == y->hit_10 && x->mrr == y->mrr);
    }
}

ps_train_opts run_everything(void)
{
    ps_train_opts o = run_small();
    o.hard = true;
    o.walk_pairs = 0.2f;
    o.average = 0.98f;
    return o;
}
