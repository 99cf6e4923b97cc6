/* test_labels.c - what is held out is gone, and what is chosen by was never learnt from.
 *
 * Threads: one.
 */
#include "core/train/labels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/rng.h"
#include "tests/support/changes.h"
#include "tests/support/graphs.h"

static void rest_is_sound(const ps_graph *rest)
{
    ps_why why = {0};
    must(ps_graph_check(rest, &why), &why);
}

/* Each board is whole in the rest or gone from it; pins keep exactly the whole ones. */
static uint32_t count_gone(const ps_graph *g, const ps_graph *rest)
{
    uint32_t gone = 0;
    for (uint32_t b = 0; b < g->board_pins.rows; b++) {
        uint32_t size = ps_csr_degree(&g->board_pins, b);
        uint32_t left = ps_csr_degree(&rest->board_pins, b);
        assert_true(left == 0 || left == size);
        gone += size > 0 && left == 0;
        for (uint32_t i = 0; i < left; i++)
            assert_int_equal(ps_csr_row(&rest->board_pins, b)[i],
                             ps_csr_row(&g->board_pins, b)[i]);
    }
    for (uint32_t p = 0; p < g->pin_boards.rows; p++)
        for (uint32_t i = 0; i < ps_csr_degree(&g->pin_boards, p); i++) {
            uint32_t b = ps_csr_row(&g->pin_boards, p)[i];
            bool stays = ps_csr_degree(&rest->board_pins, b) > 0;
            assert_int_equal(ps_csr_has(&rest->pin_boards, p, b), stays);
        }
    return gone;
}

static bool on_a_gone_board(const ps_graph *g, const ps_graph *rest, uint32_t q,
                            uint32_t r)
{
    for (uint32_t i = 0; i < ps_csr_degree(&g->pin_boards, q); i++) {
        uint32_t b = ps_csr_row(&g->pin_boards, q)[i];
        if (!ps_csr_degree(&rest->board_pins, b) && ps_csr_has(&g->board_pins, b, r))
            return true;
    }
    return false;
}

static void held_out_boards_leave_both_matrices(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        ps_graph g = random_graph(seed, 400, 300, 1500, 1), rest;
        ps_pairs pairs;
        uint32_t boards;
        assert_int_equal(ps_labels_hold_out(&g, 0.2, seed, &pairs, &rest, &boards),
                         PS_OK);
        rest_is_sound(&rest);
        assert_int_equal(count_gone(&g, &rest), boards);
        assert_in_range(boards, 20, 100);
        assert_true(pairs.n > 0);
        for (size_t i = 0; i < pairs.n; i++) {
            assert_true(pairs.pair[i][0] != pairs.pair[i][1]);
            assert_true(on_a_gone_board(&g, &rest, pairs.pair[i][0], pairs.pair[i][1]));
        }
        ps_pairs_free(&pairs);
        ps_graph_free(&rest);
        ps_graph_free(&g);
    }
}

static void a_small_board_gives_all_its_ordered_pairs(void **state)
{
    (void)state;
    static const uint32_t edges[][2] = {{3, 0}, {5, 0}, {8, 0}, {1, 1}};
    ps_graph g, rest;
    ps_pairs pairs;
    uint32_t boards, seen = 0;
    assert_int_equal(ps_graph_from_pairs(&g, 10, 2, edges, 4), PS_OK);
    assert_int_equal(ps_labels_hold_out(&g, 1.0, 1, &pairs, &rest, &boards), PS_OK);
    assert_int_equal(boards, 1); /* one pin makes no pair: it stays in the graph */
    assert_int_equal(pairs.n, 6);
    for (size_t i = 0; i < 6; i++) {
        uint32_t q = pairs.pair[i][0], r = pairs.pair[i][1];
        assert_true(q != r && ps_csr_has(&g.board_pins, 0, q) &&
                    ps_csr_has(&g.board_pins, 0, r));
        seen |= 1u << ((q == 3 ? 0 : q == 5 ? 1 : 2) * 3 + (r == 3 ? 0 : r == 5 ? 1 : 2));
    }
    assert_int_equal(seen, 0xee); /* all but the diagonal: bits 1 2 3 5 6 7 */
    assert_int_equal(ps_csr_degree(&rest.board_pins, 1), 1);
    ps_pairs_free(&pairs);
    ps_graph_free(&rest);
    ps_graph_free(&g);
}

static void large_boards_give_few_pairs_and_huge_ones_none(void **state)
{
    (void)state;
    enum { LARGE = 100, HUGE = PS_LABEL_CAP + 1 };
    static uint32_t edges[LARGE + HUGE][2];
    for (uint32_t i = 0; i < LARGE; i++)
        edges[i][0] = 3 * i;
    for (uint32_t i = 0; i < HUGE; i++)
        edges[LARGE + i][0] = i, edges[LARGE + i][1] = 1;
    ps_graph g, rest;
    ps_pairs pairs;
    uint32_t boards;
    assert_int_equal(
        ps_graph_from_pairs(&g, HUGE, 2, (const uint32_t(*)[2])edges, LARGE + HUGE),
        PS_OK);
    assert_int_equal(ps_labels_hold_out(&g, 1.0, 1, &pairs, &rest, &boards), PS_OK);
    assert_int_equal(boards, 1);
    assert_int_equal(pairs.n, PS_LABEL_PAIRS);
    for (size_t i = 0; i < pairs.n; i++)
        assert_true(pairs.pair[i][0] % 3 == 0 && pairs.pair[i][1] % 3 == 0 &&
                    pairs.pair[i][0] != pairs.pair[i][1]);
    rest_is_sound(&rest);
    ps_pairs_free(&pairs);
    ps_graph_free(&rest);
    ps_graph_free(&g);
}

static void no_share_holds_nothing_out(void **state)
{
    (void)state;
    ps_graph g = random_graph(3, 100, 50, 300, 1), rest;
    ps_pairs pairs;
    uint32_t boards;
    assert_int_equal(ps_labels_hold_out(&g, 0, 1, &pairs, &rest, &boards), PS_OK);
    assert_true(boards == 0 && pairs.n == 0);
    assert_int_equal(count_gone(&g, &rest), 0);
    ps_pairs_free(&pairs);
    ps_graph_free(&rest);
    ps_graph_free(&g);
}

/* ------------------------------ Slices ------------------------------------ */

static ps_pairs random_pairs(size_t n, uint32_t pins)
{
    ps_pairs p = {.pair = malloc(n * sizeof *p.pair), .n = n};
    uint64_t rng = 12;
    assert_non_null(p.pair);
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < 2; k++)
            p.pair[i][k] = (uint32_t)ps_rng_below(&rng, pins);
    return p;
}

static void no_query_of_valid_is_learnt_from_in_either_direction(void **state)
{
    (void)state;
    enum { PINS = 500, PAIRS = 5000 };
    ps_pairs pairs = random_pairs(PAIRS, PINS), all = random_pairs(PAIRS, PINS), valid;
    uint8_t is_query[PINS] = {0};
    ps_cut cut;
    assert_int_equal(ps_labels_slice(&pairs, &valid, PINS, 0.1, 7, &cut), PS_OK);
    assert_int_equal(cut, PS_CUT_QUERIES);
    assert_in_range(valid.n, 250, 900);
    for (size_t i = 0; i < valid.n; i++)
        is_query[valid.pair[i][0]] = 1;
    for (size_t i = 0; i < pairs.n; i++)
        assert_false(is_query[pairs.pair[i][0]] || is_query[pairs.pair[i][1]]);
    size_t kept = 0,
           moved = 0; /* order is kept, and nothing is lost but the mixed ones */
    for (size_t i = 0; i < PAIRS; i++) {
        bool query = is_query[all.pair[i][0]], other = is_query[all.pair[i][1]];
        if (query)
            assert_memory_equal(valid.pair[moved++], all.pair[i], 8);
        else if (!other)
            assert_memory_equal(pairs.pair[kept++], all.pair[i], 8);
    }
    assert_true(kept == pairs.n && moved == valid.n);
    ps_pairs_free(&pairs);
    ps_pairs_free(&all);
    ps_pairs_free(&valid);
}

static void a_slice_depends_on_the_seed_alone(void **state)
{
    (void)state;
    ps_pairs a = random_pairs(1000, 300), b = random_pairs(1000, 300);
    ps_pairs c = random_pairs(1000, 300), va, vb, vc;
    ps_cut cut;
    assert_int_equal(ps_labels_slice(&a, &va, 300, 0.2, 1, &cut), PS_OK);
    assert_int_equal(ps_labels_slice(&b, &vb, 300, 0.2, 1, &cut), PS_OK);
    assert_int_equal(ps_labels_slice(&c, &vc, 300, 0.2, 2, &cut), PS_OK);
    assert_int_equal(va.n, vb.n);
    assert_memory_equal(va.pair, vb.pair, va.n * sizeof *va.pair);
    assert_true(va.n != vc.n || memcmp(va.pair, vc.pair, va.n * sizeof *va.pair) != 0);
    ps_pairs *each[] = {&a, &b, &c, &va, &vb, &vc};
    for (int i = 0; i < 6; i++)
        ps_pairs_free(each[i]);
}

/* Rooms of six things: all pairs inside of each, now and then one between two. */
static void pairs_that_come_in_groups_are_set_aside_by_groups(void **state)
{
    (void)state;
    enum { ROOMS = 200, THINGS = 6, PINS = ROOMS * THINGS };
    static uint8_t learned[PINS];
    ps_pairs pairs = {0}, valid;
    size_t room = 0, within = 0;
    ps_cut cut;
    for (uint32_t r = 0; r < ROOMS; r++)
        for (uint32_t a = 0; a < THINGS; a++)
            for (uint32_t b = 0; b < THINGS; b++)
                if (a != b)
                    assert_int_equal(
                        ps_pairs_add(&pairs, &room, r * THINGS + a, r * THINGS + b),
                        PS_OK);
    for (uint32_t r = 0; r + 1 < ROOMS; r += 3)
        assert_int_equal(ps_pairs_add(&pairs, &room, r * THINGS, (r + 1) * THINGS),
                         PS_OK);
    size_t all = pairs.n;
    assert_int_equal(ps_labels_slice(&pairs, &valid, PINS, 0.1, 3, &cut), PS_OK);
    assert_int_equal(cut, PS_CUT_COMMUNITIES);
    assert_in_range(valid.n, all / 25, all / 4);
    for (size_t i = 0; i < pairs.n; i++)
        learned[pairs.pair[i][0]] = learned[pairs.pair[i][1]] = 1;
    for (size_t i = 0; i < valid.n; i++) {
        assert_false(learned[valid.pair[i][0]] || learned[valid.pair[i][1]]);
        within += valid.pair[i][0] / THINGS == valid.pair[i][1] / THINGS;
    }
    assert_true(within >= valid.n - 3);
    assert_true(pairs.n + valid.n + ROOMS / 3 >= all); /* hardly any pair is lost */
    ps_pairs_free(&pairs);
    ps_pairs_free(&valid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(held_out_boards_leave_both_matrices),
        cmocka_unit_test(a_small_board_gives_all_its_ordered_pairs),
        cmocka_unit_test(large_boards_give_few_pairs_and_huge_ones_none),
        cmocka_unit_test(no_share_holds_nothing_out),
        cmocka_unit_test(no_query_of_valid_is_learnt_from_in_either_direction),
        cmocka_unit_test(a_slice_depends_on_the_seed_alone),
        cmocka_unit_test(pairs_that_come_in_groups_are_set_aside_by_groups),
    };
    return cmocka_run_group_tests_name("labels", tests, NULL, NULL);
}
