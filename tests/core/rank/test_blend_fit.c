/* test_blend_fit.c - on a catalog whose labels are known: made by boards, by content, or
 * by chance. What the blend says about itself must be what an evaluation says. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/blend.h"
#include "pinsage/buf.h"
#include "pinsage/eval.h"
#include "pinsage/rng.h"
#include "server/cli/steps.h"
#include "tests/support/changes.h"
#include "tests/support/corpus.h"
#include "tests/support/scratch.h"
#include "tests/support/tiny.h"

#define assert_near(got, want, room) assert_true(fabs((got) - (want)) <= (room))

enum { N = 600, SIZE = 12, D = 8, PAIRS = 900 };
static float z[N * D], visual[N * D];
static uint32_t pair[PAIRS][2];
static const ps_pairs pairs = {.pair = pair, .n = PAIRS};
static ps_generation *gen;

static void unit_rows(float *m, uint64_t seed)
{
    uint64_t rng = ps_rng_at(seed, 0);
    for (size_t r = 0; r < N; r++) {
        float sum = 0;
        for (size_t i = 0; i < D; i++) {
            m[r * D + i] = ps_rng_unit(&rng) - .5f;
            sum += m[r * D + i] * m[r * D + i];
        }
        for (size_t i = 0; i < D; i++)
            m[r * D + i] /= sqrtf(sum);
    }
}

/* Boards of SIZE pins side by side, and again of pins far apart. */
static int make_catalog(void **state)
{
    (void)state;
    ps_buf pins = {0}, edges = {0};
    ps_why why = {0};
    ps_import_report report;
    unit_rows(z, 1);
    unit_rows(visual, 2);
    ps_buf_text(&pins, "pin\n");
    ps_buf_text(&edges, "pin\tboard\n");
    for (int p = 0; p < N; p++) {
        ps_buf_printf(&pins, "p%d\n", p);
        ps_buf_printf(&edges, "p%d\tnear%d\np%d\tfar%d\n", p, p / SIZE, p,
                      p % (N / SIZE));
    }
    use("blend");
    const ps_import_feature feature = {"visual",
                                       npy_file("visual.npy", PS_F32, N, D, visual)};
    const ps_import_opts opts = {.pins = scratch_text("pins.tsv", pins.data),
                                 .edges = scratch_text("edges.tsv", edges.data),
                                 .features = &feature,
                                 .n_features = 1,
                                 .embeddings = npy_file("z.npy", PS_F32, N, D, z)};
    must(ps_import(catalog, &opts, &report, NULL, &why), &why);
    must(ps_generation_open_base(&gen, catalog, &why), &why);
    ps_buf_done(&pins);
    ps_buf_done(&edges);
    return 0;
}

static int drop_catalog(void **state)
{
    (void)state;
    ps_generation_release(gen);
    return 0;
}

static ps_blend_report *fit(uint32_t candidates, unsigned threads)
{
    ps_blend_fit_opts opts = PS_BLEND_FIT_DEFAULTS;
    ps_blend_source source = {.g = gen, .z = {z, D, 0}};
    ps_blend_report *r = malloc(sizeof *r);
    ps_why why = {0};
    opts.candidates = candidates;
    opts.steps = 2000;
    opts.threads = threads;
    opts.bootstraps = 200;
    must(ps_blend_fit(&source, NULL, &pairs, &opts, r, NULL, &why), &why);
    return r;
}

static void pairs_by_boards(void)
{
    uint64_t rng = ps_rng_at(4, 4);
    for (size_t i = 0; i < PAIRS; i++) {
        uint32_t q = (uint32_t)ps_rng_below(&rng, N);
        pair[i][0] = q;
        pair[i][1] =
            q - q % SIZE + (q % SIZE + 1 + (uint32_t)ps_rng_below(&rng, SIZE - 1)) % SIZE;
    }
}

/* The pin of the largest cosine in m. */
static void pairs_by_content(const float *m)
{
    for (uint32_t i = 0; i < PAIRS; i++) {
        uint32_t q = i * 7 % N, best = q ? 0 : 1;
        for (uint32_t r = 0; r < N; r++)
            if (r != q && ps_dot_plain(m + q * D, (ps_rows){m, D, 0}, r) >
                              ps_dot_plain(m + q * D, (ps_rows){m, D, 0}, best))
                best = r;
        pair[i][0] = q;
        pair[i][1] = best;
    }
}

static void labels_of_boards_weigh_the_walk(void **state)
{
    (void)state;
    pairs_by_boards();
    ps_blend_report *r = fit(100, 2);
    const double *w = r->model.weight;
    assert_true(w[PS_BLEND_VISITS] > .5 || w[PS_BLEND_UNVISITED] < -1 ||
                w[PS_BLEND_APART] < -1 || w[PS_BLEND_WALK] > .5);
    assert_near(w[PS_BLEND_SIMILARITY], 0, .5);
    assert_near(w[PS_BLEND_COSINES], 0, .5);
    assert_true(r->similarity.hit_rate[0].mean < .05);
    assert_true(r->blend.hit_rate[0].mean > .3);
    assert_true(r->ahead.hit_rate[0].low > .2);
    assert_near(r->ahead.mrr.mean, r->blend.mrr.mean - r->similarity.mrr.mean, 1e-9);
    assert_true(r->covered > .99);
    free(r);
}

static void labels_of_content_weigh_the_cosine(void **state)
{
    (void)state;
    pairs_by_content(visual);
    ps_blend_report *r = fit(600, 2);
    assert_true(r->model.weight[PS_BLEND_COSINES] > 10);
    assert_near(r->blend.hit_rate[0].mean, 1, .02);
    free(r);
}

static void labels_of_the_embedding_leave_nothing_to_gain(void **state)
{
    (void)state;
    pairs_by_content(z);
    ps_blend_report *r = fit(100, 2);
    assert_true(r->model.weight[PS_BLEND_SIMILARITY] > 10);
    assert_true(r->similarity.hit_rate[0].mean == 1);
    assert_near(r->ahead.hit_rate[0].mean, 0, .01);
    free(r);
}

static void threads_change_nothing(void **state)
{
    (void)state;
    pairs_by_boards();
    ps_blend_report *one = fit(50, 1), *three = fit(50, 3);
    assert_memory_equal(one, three, sizeof *one);
    free(one);
    free(three);
}

static void blocks_that_are_not_listed_are_no_inputs(void **state)
{
    (void)state;
    ps_blend_fit_opts opts = PS_BLEND_FIT_DEFAULTS;
    ps_blend_source source = {.g = gen, .z = {z, D, 0}};
    static ps_blend_report r;
    ps_why why = {0};
    pairs_by_boards();
    opts.bootstraps = 10;
    opts.blocks = "visual2,vis";
    must(ps_blend_fit(&source, NULL, &pairs, &opts, &r, NULL, &why), &why);
    assert_int_equal(r.model.n, PS_BLEND_COSINES);
    opts.blocks = "annotation,visual";
    must(ps_blend_fit(&source, NULL, &pairs, &opts, &r, NULL, &why), &why);
    assert_int_equal(r.model.n, PS_BLEND_COSINES + 1);
}

static void too_few_pairs_are_refused_in_words(void **state)
{
    (void)state;
    ps_blend_fit_opts opts = PS_BLEND_FIT_DEFAULTS;
    ps_blend_source source = {.g = gen, .z = {z, D, 0}};
    static ps_blend_report r;
    ps_why why = {0};
    ps_pairs few = {.pair = pair, .n = 10};
    assert_int_equal(ps_blend_fit(&source, NULL, &few, &opts, &r, NULL, &why),
                     PS_EUNSUPPORTED);
    assert_non_null(strstr(why.text, "too few"));
    few.n = 0;
    assert_int_equal(ps_blend_fit(&source, NULL, &few, &opts, &r, NULL, &why),
                     PS_EUNSUPPORTED);
}

/* ------------------------------ In an evaluation --------------------------- */

static void evaluate(ps_generation *g, const char *methods, ps_eval_report *r)
{
    ps_eval_opts opts = ps_cli_eval_defaults();
    ps_why why = {0};
    opts.methods = methods;
    opts.bootstraps = 100;
    must(ps_eval(g, &pairs, &opts, r, NULL, &why), &why);
}

/* Ranks of pairs whose related pin is no candidate stay among the similarities. */
static void check_below(const ps_eval_report *r, uint32_t candidates, size_t *n_below)
{
    for (size_t i = 0; i < PAIRS; i++) {
        float blend = r->result[0].rank[i], alone = r->result[1].rank[i];
        if (blend <= (float)(4 * candidates + 50))
            continue;
        ++*n_below;
        assert_true(alone <= blend && blend <= alone + (float)(4 * candidates + 50));
    }
}

static void an_evaluation_finds_what_the_fit_promised(void **state)
{
    (void)state;
    enum { FEW = 10 };
    static ps_eval_report r;
    ps_generation *g = NULL;
    ps_why why = {0};
    size_t n_below = 0;
    pairs_by_boards();
    ps_blend_report *f = fit(FEW, 2);
    ps_draft *d = tiny_begin(false);
    ps_blend_note(ps_draft_manifest(d), f, "00000000000000bb");
    ps_manifest_set_text(ps_draft_manifest(d), "embeddings.model", "00000000000000bb");
    tiny_commit(d);
    must(ps_generation_open_base(&g, catalog, &why), &why);
    evaluate(g, "blend,pinsage", &r);
    assert_near(r.result[1].all.hit_rate[0].mean, f->similarity.hit_rate[0].mean, 1e-9);
    assert_near(r.result[1].all.mrr.mean, f->similarity.mrr.mean, 1e-9);
    /* the fit judges each half by the other's weights */
    assert_near(r.result[0].all.hit_rate[0].mean, f->blend.hit_rate[0].mean, .05);
    assert_true(f->covered < .95);
    check_below(&r, FEW, &n_below);
    assert_true(n_below > 20);
    ps_eval_report_done(&r);
    ps_generation_release(g);
    free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_of_boards_weigh_the_walk),
        cmocka_unit_test(labels_of_content_weigh_the_cosine),
        cmocka_unit_test(labels_of_the_embedding_leave_nothing_to_gain),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(blocks_that_are_not_listed_are_no_inputs),
        cmocka_unit_test(too_few_pairs_are_refused_in_words),
        cmocka_unit_test(an_evaluation_finds_what_the_fit_promised),
    };
    return cmocka_run_group_tests(tests, make_catalog, drop_catalog);
}
