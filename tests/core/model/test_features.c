/* test_features.c - x of a pin: which columns stand where, and what is in them.
 *
 * Threads: one.
 */
#include "pinsage/features.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/half.h"
#include "tests/support/changes.h"
#include "tests/support/planted.h"
#include "tests/support/tiny.h"

/* p0..p4 on 2, 2, 2, 1 and 0 boards; annotation (2) before visual (3). */
static ps_generation *open_tiny(void)
{
    use("features");
    tiny_import();
    return planted_open();
}

static void near_to(const float *x, const double *want, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (fabs((double)x[i] - want[i]) > 1e-6)
            fail_msg("column %zu is %g, not %g", i, (double)x[i], want[i]);
}

static void blocks_are_sorted_and_normalised_then_comes_the_degree(void **state)
{
    (void)state;
    ps_features f;
    ps_why why = {0};
    ps_generation *g = open_tiny();
    double r = 1 / sqrt(3), two = 0.1 * log(3), one = 0.1 * log(2);
    const double want[TINY_PINS][6] = {
        {1, 0, 1, 0, 0, two}, {0, 1, 0, 1, 0, two}, {0, 0, 0, 0, 1, two},
        {0, 0, 0, 0, 0, one}, {0, 0, r, r, r, 0},
    };
    must(ps_features_open(&f, g, NULL, &why), &why);
    assert_int_equal(f.n_blocks, 2);
    assert_int_equal(f.dim, 6);
    assert_string_equal(f.block[0]->name, "annotation");
    assert_string_equal(f.block[1]->name, "visual");
    assert_true(f.at[0] == 0 && f.at[1] == 2);
    float x[TINY_PINS][6];
    for (uint32_t i = 0; i < TINY_PINS; i++) {
        ps_features_row(&f, i, x[i]);
        near_to(x[i], want[i], 6);
    }
    static const uint32_t rows[] = {4, 0, 0};
    float some[3][6];
    ps_features_rows(&f, rows, 3, some[0]);
    assert_memory_equal(some[0], x[4], sizeof x[4]);
    assert_memory_equal(some[1], x[0], sizeof x[0]);
    assert_memory_equal(some[2], x[0], sizeof x[0]);
    ps_generation_release(g);
}

static void the_order_of_the_names_changes_nothing(void **state)
{
    (void)state;
    ps_features a, b, one;
    ps_why why = {0};
    ps_generation *g = open_tiny();
    float x[6], y[6], z[4];
    must(ps_features_open(&a, g, "annotation,visual", &why), &why);
    must(ps_features_open(&b, g, "visual,annotation", &why), &why);
    must(ps_features_open(&one, g, "visual", &why), &why);
    ps_features_row(&a, 4, x);
    ps_features_row(&b, 4, y);
    ps_features_row(&one, 4, z);
    assert_memory_equal(x, y, sizeof x);
    assert_int_equal(one.dim, 4);
    assert_memory_equal(z, x + 2, sizeof z);
    ps_generation_release(g);
}

static void no_block_at_all_leaves_the_degree(void **state)
{
    (void)state;
    ps_features f;
    ps_why why = {0};
    ps_generation *g = open_tiny();
    float x;
    must(ps_features_open(&f, g, "", &why), &why);
    assert_int_equal(f.dim, 1);
    ps_features_row(&f, 3, &x);
    assert_true(fabsf(x - 0.1f * logf(2)) < 1e-7f);
    ps_generation_release(g);
}

static void a_missing_block_is_refused(void **state)
{
    (void)state;
    static const char *const lists[] = {"smell",         "visual,smell", "visual,vis",
                                        "visual,visual", "visua",        "visual,"};
    ps_features f;
    ps_generation *g = open_tiny();
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        ps_why why = {0};
        assert_int_equal(ps_features_open(&f, g, lists[i], &why), PS_EMISMATCH);
        assert_non_null(strstr(why.text, lists[i]));
    }
    ps_generation_release(g);
}

static void too_many_blocks_are_refused(void **state)
{
    (void)state;
    static const float data[1];
    ps_block block[PS_BLOCKS_MAX + 1];
    ps_generation g = {.name = "many", .n_blocks = PS_BLOCKS_MAX, .blocks = block};
    ps_features f;
    ps_why why = {0};
    for (int i = 0; i <= PS_BLOCKS_MAX; i++)
        block[i] = (ps_block){"b", {.ndim = 2, .rows = 1, .cols = 1, .data = data}};
    must(ps_features_open(&f, &g, NULL, &why), &why);
    assert_int_equal(f.dim, PS_BLOCKS_MAX + 1);
    g.n_blocks++;
    assert_int_equal(ps_features_open(&f, &g, NULL, &why), PS_ERANGE);
}

/* A pin that is posted gets the x that it would have had in the catalog. */
static void x_made_from_content_is_x_of_the_stored_pin(void **state)
{
    (void)state;
    planted p;
    ps_features f;
    ps_why why = {0};
    planted_make(&p, 50, 4, 9);
    must(ps_features_open(&f, &p.generation, NULL, &why), &why);
    for (uint32_t i = 0; i < 50; i++) {
        float stored[PLANTED_VISUAL + PLANTED_ANNOTATION + 1], made[sizeof stored / 4];
        float text[PLANTED_ANNOTATION];
        ps_f16_to_f32(p.annotation + (size_t)i * PLANTED_ANNOTATION, text,
                      PLANTED_ANNOTATION);
        const float *content[] = {i % 7 == 3 ? NULL : text,
                                  p.visual + (size_t)i * PLANTED_VISUAL};
        ps_features_row(&f, i, stored);
        ps_features_make(&f, content, ps_csr_degree(&p.graph.pin_boards, i), made);
        assert_memory_equal(stored, made, sizeof stored);
    }
    planted_free(&p);
}

/* Numbers so large that their squares overflow still give no NaN. */
static void huge_and_tiny_content_stays_finite(void **state)
{
    (void)state;
    planted p;
    ps_features f;
    ps_why why = {0};
    float x[PLANTED_VISUAL + PLANTED_ANNOTATION + 1];
    static const float scales[] = {1e30f, 3e38f, 1e-30f, 1e-44f};
    planted_make(&p, 20, 4, 9);
    must(ps_features_open(&f, &p.generation, NULL, &why), &why);
    for (size_t k = 0; k < 4; k++) {
        for (int j = 0; j < PLANTED_VISUAL; j++)
            p.visual[j] = scales[k];
        ps_features_row(&f, 0, x);
        double sum = 0;
        for (size_t j = 0; j < f.dim; j++)
            assert_true(isfinite(x[j]));
        for (size_t j = PLANTED_ANNOTATION; j < f.dim - 1; j++)
            sum += (double)x[j] * (double)x[j];
        assert_true(fabs(sum - 1) < 1e-3);
    }
    planted_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_sorted_and_normalised_then_comes_the_degree),
        cmocka_unit_test(the_order_of_the_names_changes_nothing),
        cmocka_unit_test(no_block_at_all_leaves_the_degree),
        cmocka_unit_test(a_missing_block_is_refused),
        cmocka_unit_test(too_many_blocks_are_refused),
        cmocka_unit_test(x_made_from_content_is_x_of_the_stored_pin),
        cmocka_unit_test(huge_and_tiny_content_stays_finite),
    };
    return cmocka_run_group_tests_name("features", tests, NULL, NULL);
}
