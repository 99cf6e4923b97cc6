/* test_baselines.c - baselines/NAME.npy of a real catalog as methods, and the report
 * that holds them against the model: order, differences, cosines. */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/eval.h"
#include "server/cli/steps.h"
#include "tests/support/changes.h"
#include "tests/support/tiny.h"

/* Four pairs from p0 and p1. The embeddings of tiny.h put p3 first for both. */
static uint32_t pair[4][2] = {{0, 3}, {1, 3}, {1, 2}, {0, 1}};
static const ps_pairs pairs = {.pair = pair, .n = 4};

static void add_baselines(void)
{
    static const float good[TINY_PINS][2] = {{1, 0}, {0, 1}, {0, .5f}, {1, 1}, {-1, -1}};
    static const uint16_t half[TINY_PINS][2] = {{0x3c00, 0}, {0x3c00, 0}};
    char dir[PS_PATH_MAX];
    ps_why why = {0};
    ps_draft *d = tiny_begin(false);
    ps_path_join(dir, sizeof dir, ps_draft_dir(d), "baselines");
    must(ps_dir_make(dir, &why), &why);
    tiny_array(d, "baselines/zz-top.npy", PS_F32, TINY_PINS, 2, good);
    tiny_array(d, "baselines/khop.npy", PS_F16, TINY_PINS, 2, half);
    tiny_array(d, "baselines/combined.npy", PS_F32, TINY_PINS, 2, good);
    ps_manifest_set_text(ps_draft_manifest(d), "embeddings.model", "0123456789abcdef");
    tiny_commit(d);
}

static ps_generation *open_tiny(const char *name)
{
    ps_generation *g = NULL;
    ps_why why = {0};
    use(name);
    tiny_import();
    tiny_embed();
    add_baselines();
    must(ps_generation_open_base(&g, catalog, &why), &why);
    return g;
}

static void evaluate(ps_generation *g, const char *methods, ps_eval_report *r)
{
    ps_eval_opts opts = ps_cli_eval_defaults();
    ps_why why = {0};
    opts.methods = methods;
    must(ps_eval(g, &pairs, &opts, r, NULL, &why), &why);
}

static void methods_come_model_baselines_content_walks_popularity(void **state)
{
    (void)state;
    static const char *const want[] = {"pinsage", "combined",        "khop",
                                       "zz-top",  "visual",          "annotation",
                                       "pixie",   "pixie-corrected", "popular"};
    ps_generation *g = open_tiny("order");
    ps_eval_report r;
    evaluate(g, NULL, &r);
    assert_int_equal(r.n, sizeof want / sizeof *want);
    for (size_t i = 0; i < r.n; i++)
        assert_string_equal(r.result[i].method, want[i]);
    ps_eval_report_done(&r);
    ps_generation_release(g);
}

static void a_baseline_ranks_by_its_inner_products(void **state)
{
    (void)state;
    ps_generation *g = open_tiny("ranks");
    ps_eval_report r;
    evaluate(g, "combined,khop", &r);
    /* p0: p3 1 > p1 p2 0 > p4 -1;  p1: p3 1 > p2 .5 > p0 0 > p4 -1 */
    const float combined[4] = {1, 1, 2, 2.5f};
    assert_memory_equal(r.result[0].rank, combined, sizeof combined);
    /* p0 and p1 are the only rows that are not zero */
    const float khop[4] = {3, 3, 3, 1};
    assert_memory_equal(r.result[1].rank, khop, sizeof khop);
    ps_eval_report_done(&r);
    ps_generation_release(g);
}

static void the_sign_of_a_difference_is_first_minus_other(void **state)
{
    (void)state;
    ps_generation *g = open_tiny("signs");
    ps_eval_report r, back;
    evaluate(g, "combined,khop", &r);
    evaluate(g, "khop,combined", &back);
    double d = r.result[1].paired.mrr.mean;
    assert_true(fabs(d - (1 + 1 + .5 + .4 - 3 / 3. - 1) / 4) < 1e-6);
    assert_true(fabs(d + back.result[1].paired.mrr.mean) < 1e-12);
    assert_true(r.result[0].paired.pairs == 0);
    ps_eval_report_done(&r);
    ps_eval_report_done(&back);
    ps_generation_release(g);
}

static void vectors_have_cosines_and_walks_have_none(void **state)
{
    (void)state;
    ps_generation *g = open_tiny("cosines");
    ps_eval_report r;
    evaluate(g, "combined,visual,popular", &r);
    assert_int_equal(r.result[0].cosines.pairs, PS_EVAL_COSINES);
    assert_in_range(r.result[1].cosines.pairs, 1, PS_EVAL_COSINES - 1);
    assert_int_equal(r.result[2].cosines.pairs, 0);
    ps_eval_report_done(&r);
    ps_generation_release(g);
}

static void json_tells_differences_cosines_labels_and_warnings(void **state)
{
    (void)state;
    ps_generation *g = open_tiny("json");
    ps_eval_report r;
    ps_buf text = {0};
    const char *minuend;
    double d, low, high, kurtosis, shared;
    json_t *warnings;
    evaluate(g, "combined,khop", &r);
    r.bias.n = 1;
    strcpy(r.bias.warning[0], "a \"sentence\"");
    ps_eval_json(&r, NULL, &text);
    json_t *j = json_loadb(text.data, text.size, 0, NULL);
    assert_non_null(j);
    int err = json_unpack(
        j, "{s:{s:F}, s:o, s:[{s:{s:F}}, {s:{s:s, s:{s:F}, s:{s:{s:[FF]}}}}]}", "labels",
        "common_board", &shared, "warnings", &warnings, "methods", "cosines", "kurtosis",
        &kurtosis, "paired", "minuend", &minuend, "hit_rate", "10", &d, "ci", "hit_rate",
        "10", &low, &high);
    assert_int_equal(err, 0);
    assert_string_equal(minuend, "combined");
    assert_true(d == 0 && low == 0 && high == 0); /* five pins: all are hits */
    assert_true(fabs(shared - .75) < 1e-9);
    assert_string_equal(json_string_value(json_array_get(warnings, 0)), "a \"sentence\"");
    assert_true(fabs(kurtosis - r.result[0].cosines.kurtosis) < 1e-4);
    json_decref(j);
    ps_buf_done(&text);
    ps_eval_report_done(&r);
    ps_generation_release(g);
}

static void a_baseline_of_another_type_is_refused_in_words(void **state)
{
    (void)state;
    static const uint32_t numbers[TINY_PINS][2] = {{1, 2}};
    ps_generation *g = NULL;
    ps_why why = {0};
    ps_eval_opts opts = ps_cli_eval_defaults();
    ps_eval_report r;
    ps_generation_release(open_tiny("type"));
    ps_draft *d = tiny_begin(false);
    tiny_array(d, "baselines/khop.npy", PS_U32, TINY_PINS, 2, numbers);
    tiny_commit(d);
    must(ps_generation_open_base(&g, catalog, &why), &why);
    opts.methods = "khop";
    assert_int_equal(ps_eval(g, &pairs, &opts, &r, NULL, &why), PS_EMISMATCH);
    assert_non_null(strstr(why.text, "<u4"));
    ps_eval_report_done(&r);
    ps_generation_release(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(methods_come_model_baselines_content_walks_popularity),
        cmocka_unit_test(a_baseline_ranks_by_its_inner_products),
        cmocka_unit_test(the_sign_of_a_difference_is_first_minus_other),
        cmocka_unit_test(vectors_have_cosines_and_walks_have_none),
        cmocka_unit_test(json_tells_differences_cosines_labels_and_warnings),
        cmocka_unit_test(a_baseline_of_another_type_is_refused_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
