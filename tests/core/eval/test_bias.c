/* test_bias.c - what is said about labels that were made by saves, or by lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/eval/inside.h"
#include "pinsage/rng.h"
#include "tests/support/graphs.h"

#define assert_near(got, want, room)                                                     \
    assert_true((got) - (want) <= (room) && (want) - (got) <= (room))

enum { PINS = 3000, PAIRS = 2000, SIZE = 10 };
static uint32_t pair[PAIRS][2];
static const ps_pairs pairs = {.pair = pair, .n = PAIRS};
static float rank[PAIRS];
static ps_generation gen;

/* Pins lie on boards of SIZE, each on one. */
static int make_graph(void **state)
{
    (void)state;
    static uint32_t edge[PINS][2];
    for (uint32_t p = 0; p < PINS; p++) {
        edge[p][0] = p;
        edge[p][1] = p / SIZE;
    }
    gen.n_pins = PINS;
    return ps_graph_from_pairs(&gen.graph, PINS, PINS / SIZE, edge, PINS);
}

static int drop_graph(void **state)
{
    (void)state;
    ps_graph_free(&gen.graph);
    return 0;
}

/* Of every 100 pairs, the first `together` lie on a common board. */
static void draw_pairs(uint32_t together)
{
    uint64_t rng = ps_rng_at(9, together);
    for (uint32_t i = 0; i < PAIRS; i++) {
        uint32_t q = (uint32_t)ps_rng_below(&rng, PINS), same = q - q % SIZE;
        pair[i][0] = q;
        pair[i][1] = i % 100 < together ? same + (q + 1) % SIZE : (same + SIZE) % PINS;
    }
}

static ps_eval_report report_of(const char *method, float all)
{
    ps_eval_report r = {.n = 1, .n_ranks = PAIRS, .pairs = PAIRS};
    for (size_t i = 0; i < PAIRS; i++)
        rank[i] = all;
    strcpy(r.result[0].method, method);
    r.result[0].rank = rank;
    bias_find(&gen, &pairs, 1, &r);
    return r;
}

static void shares_are_counted_and_chance_is_far_lower(void **state)
{
    (void)state;
    draw_pairs(60);
    ps_eval_report r = report_of("pinsage", 500);
    assert_int_equal(r.bias.pairs, PAIRS);
    assert_near(r.bias.shared, .6, 1e-9);
    assert_true(r.bias.chance < .02);
    assert_int_equal(r.bias.n, 0);
}

static void pairs_from_saves_bring_a_warning(void **state)
{
    (void)state;
    draw_pairs(80);
    ps_eval_report r = report_of("pinsage", 500);
    assert_int_equal(r.bias.n, 1);
    assert_non_null(strstr(r.bias.warning[0], "80 % of the pairs lie on a common board"));
}

static void a_graph_where_everything_is_together_brings_none(void **state)
{
    (void)state;
    static uint32_t edge[PINS][2];
    ps_generation all = {.n_pins = PINS};
    for (uint32_t p = 0; p < PINS; p++)
        edge[p][0] = p;
    assert_int_equal(ps_graph_from_pairs(&all.graph, PINS, 1, edge, PINS), PS_OK);
    ps_eval_report r = {.n_ranks = PAIRS, .pairs = PAIRS};
    draw_pairs(50);
    bias_find(&all, &pairs, 1, &r);
    assert_near(r.bias.shared, 1, 0);
    assert_near(r.bias.chance, 1, 0);
    assert_int_equal(r.bias.n, 0);
    ps_graph_free(&all.graph);
}

static void labels_from_a_methods_own_lists_bring_a_warning(void **state)
{
    (void)state;
    draw_pairs(10);
    ps_eval_report r = report_of("pixie", 30);
    assert_int_equal(r.bias.n, 1);
    assert_non_null(strstr(r.bias.warning[0], "first 30 of pixie"));
    r = report_of("pixie", 31);
    assert_int_equal(r.bias.n, 0);
    r = report_of("pinsage", 1); /* it learnt them: no sign of anything */
    assert_int_equal(r.bias.n, 0);
}

static void few_pairs_and_few_pins_say_nothing(void **state)
{
    (void)state;
    draw_pairs(100);
    ps_eval_report r = {.n_ranks = 50, .pairs = 50};
    ps_pairs few = {.pair = pair, .n = 50};
    bias_find(&gen, &few, 1, &r);
    assert_near(r.bias.shared, 1, 0);
    assert_int_equal(r.bias.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_counted_and_chance_is_far_lower),
        cmocka_unit_test(pairs_from_saves_bring_a_warning),
        cmocka_unit_test(a_graph_where_everything_is_together_brings_none),
        cmocka_unit_test(labels_from_a_methods_own_lists_bring_a_warning),
        cmocka_unit_test(few_pairs_and_few_pins_say_nothing),
    };
    return cmocka_run_group_tests(tests, make_graph, drop_graph);
}
