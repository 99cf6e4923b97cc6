/* test_featurizer.c - content to blocks: what came with a pin, what its text and boards
 * give, or nothing; and vectors that do not fit, refused by name.
 *
 * Threads: one.
 */
#include "server/live/featurizer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/file.h"
#include "pinsage/structure.h"
#include "server/cli/steps.h"
#include "tests/support/changes.h"
#include "tests/support/lives.h"

enum { DIM = 5 };

static life known;
static ps_generation *g;
static ps_featurizer featurizer;

/* The planted catalog with a structure block, so with vectors of its boards. */
static int make(void **state)
{
    ps_why why = {0};
    ps_structure_opts opts = ps_cli_structure_defaults();
    ps_structure_report report;
    (void)state;
    life_make("featurizer", &known);
    opts.dim = DIM;
    opts.threads = 1;
    must(ps_structure(catalog, &opts, &report, NULL, &why), &why);
    g = planted_open();
    must(ps_featurizer_open(&featurizer, g, &why), &why);
    return 0;
}

static int end(void **state)
{
    (void)state;
    ps_featurizer_close(&featurizer);
    ps_generation_release(g);
    return 0;
}

static uint32_t block(const char *name)
{
    return (uint32_t)(ps_generation_block(g, name) - g->blocks);
}

static void vectors_that_do_not_fit_are_refused_by_name(void **state)
{
    (void)state;
    ps_why why = {0};
    float v[PLANTED_VISUAL] = {1};
    ps_named_vector good = {ps_text_of("visual"), v, PLANTED_VISUAL}, bad = good;
    assert_int_equal(ps_featurizer_check(&featurizer, &good, 1, &why), PS_OK);
    assert_int_equal(ps_featurizer_check(&featurizer, NULL, 0, &why), PS_OK);
    bad.dim = 3;
    ps_named_vector two[] = {good, bad};
    assert_int_equal(ps_featurizer_check(&featurizer, two, 2, &why), PS_EINVAL);
    assert_string_equal(why.text, "features.visual: 3 numbers, the block has 8");
    bad.name = ps_text_of("visua");
    assert_int_equal(ps_featurizer_check(&featurizer, &bad, 1, &why), PS_EINVAL);
    assert_string_equal(why.text, "features.visua: the catalog has no such block");
}

static void what_came_with_the_pin_is_its_block(void **state)
{
    (void)state;
    float v[PLANTED_VISUAL] = {.5f, -2, 0, 7}, out[PLANTED_VISUAL];
    ps_named_vector visual = {ps_text_of("visual"), v, PLANTED_VISUAL};
    ps_content c = {.feature = &visual, .n_features = 1};
    assert_true(ps_featurizer_block(&featurizer, block("visual"), &c, NULL, 0, out));
    assert_memory_equal(out, v, sizeof v);
    /* Of another width, as it was written for another generation, it is left out. */
    visual.dim = 3;
    assert_false(ps_featurizer_block(&featurizer, block("visual"), &c, NULL, 0, out));
    for (int i = 0; i < PLANTED_VISUAL; i++)
        assert_true(out[i] == 0);
}

static void text_without_word_vectors_gives_nothing(void **state)
{
    (void)state;
    float out[PLANTED_ANNOTATION] = {1, 1, 1, 1};
    ps_content c = {.title = ps_text_of("a title"), .text = ps_text_of("words")};
    assert_null(featurizer.words);
    assert_false(ps_featurizer_block(&featurizer, block("annotation"), &c, NULL, 0, out));
    for (int i = 0; i < PLANTED_ANNOTATION; i++)
        assert_true(out[i] == 0);
}

static void boards_that_the_generation_knows_give_the_structure(void **state)
{
    (void)state;
    float out[DIM], want[DIM], length = 0;
    uint32_t some[] = {2, 4, 7}, mixed[] = {2, g->n_boards + 3, 4, 7, UINT32_MAX - 1};
    ps_content none = {0};
    assert_int_equal(featurizer.boards.rows, g->n_boards);
    ps_structure_fold_in(&featurizer.boards, some, 3, want);
    assert_true(
        ps_featurizer_block(&featurizer, block("structure"), &none, some, 3, out));
    assert_memory_equal(out, want, sizeof want);
    for (int i = 0; i < DIM; i++)
        length += out[i] * out[i];
    assert_true(fabsf(length - 1) < 1e-4f);
    assert_true(
        ps_featurizer_block(&featurizer, block("structure"), &none, mixed, 5, out));
    assert_memory_equal(out, want, sizeof want);
    assert_false(
        ps_featurizer_block(&featurizer, block("structure"), &none, mixed + 1, 1, out));
    assert_false(
        ps_featurizer_block(&featurizer, block("structure"), &none, NULL, 0, out));
    for (int i = 0; i < DIM; i++)
        assert_true(out[i] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_that_do_not_fit_are_refused_by_name),
        cmocka_unit_test(what_came_with_the_pin_is_its_block),
        cmocka_unit_test(text_without_word_vectors_gives_nothing),
        cmocka_unit_test(boards_that_the_generation_knows_give_the_structure),
    };
    return cmocka_run_group_tests(tests, make, end);
}
