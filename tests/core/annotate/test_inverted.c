/* test_inverted.c - words found by BM25 against the formula, word by word. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/buf.h"
#include "pinsage/import.h"
#include "pinsage/inverted.h"
#include "pinsage/rng.h"
#include "tests/support/changes.h"
#include "tests/support/scratch.h"
#include "tests/support/tiny.h"

enum { PINS = 200, WORDS = 60, LONGEST = 14 };
static uint32_t word[PINS][LONGEST], length[PINS]; /* what the text of a pin is */
static ps_generation *g;
static ps_inverted inverted;

static void import_words(void)
{
    ps_buf pins = {0}, edges = {0};
    uint64_t rng = 9;
    ps_import_report r;
    ps_why why = {0};
    ps_buf_text(&pins, "pin\ttitle\ttext\n");
    ps_buf_text(&edges, "pin\tboard\n");
    for (uint32_t p = 0; p < PINS; p++) {
        ps_buf_printf(&pins, "p%u\t", p);
        length[p] = p == 3 ? 0 : 1 + (uint32_t)ps_rng_below(&rng, LONGEST);
        for (uint32_t i = 0; i < length[p]; i++) {
            /* A few words are everywhere, most are rare. */
            uint64_t a = ps_rng_below(&rng, WORDS), b = ps_rng_below(&rng, WORDS);
            word[p][i] = (uint32_t)(a * b / WORDS);
            ps_buf_printf(&pins, "%sw%u", i ? " " : "", word[p][i]);
        }
        ps_buf_text(&pins, "\t\n");
        ps_buf_printf(&edges, "p%u\tb%u\n", p, p % 10);
    }
    ps_import_opts o = {.pins = scratch_text("pins.tsv", pins.data),
                        .edges = scratch_text("edges.tsv", edges.data),
                        .threads = 1,
                        .keep = 1};
    must(ps_import(catalog, &o, &r, NULL, &why), &why);
    ps_buf_done(&pins);
    ps_buf_done(&edges);
}

static int make_catalog(void **state)
{
    (void)state;
    ps_why why = {0};
    use("inverted");
    import_words();
    ps_draft *d = tiny_begin(false);
    must(ps_inverted_make(d, &why), &why);
    tiny_commit(d);
    must(ps_generation_open(&g, catalog, &why), &why);
    must(ps_inverted_open(&inverted, g, &why), &why);
    return 0;
}

static int drop_catalog(void **state)
{
    (void)state;
    ps_inverted_close(&inverted);
    ps_generation_release(g);
    return 0;
}

/* ------------------------------ The formula -------------------------------- */

static double used(uint32_t p, uint32_t w)
{
    double n = 0;
    for (uint32_t i = 0; i < length[p]; i++)
        n += word[p][i] == w;
    return n;
}

static double slow_bm25(uint32_t query, uint32_t pin)
{
    double mean = 0, texts = 0, sum = 0;
    for (uint32_t p = 0; p < PINS; p++) {
        mean += length[p];
        texts += length[p] > 0;
    }
    mean /= texts;
    for (uint32_t w = 0; w < WORDS; w++) {
        double with = 0, asked = used(query, w), has = used(pin, w);
        for (uint32_t p = 0; p < PINS; p++)
            with += used(p, w) > 0;
        if (asked > 0 && has > 0)
            sum += log(1 + (PINS - with + .5) / (with + .5)) * asked * 2.2 /
                   (asked + 1.2) * has * 2.2 /
                   (has + 1.2 * (.25 + .75 * length[pin] / mean));
    }
    return sum;
}

static uint32_t ask(ps_text_search *s, uint32_t pin)
{
    ps_pins_reader *reader;
    ps_pin p;
    assert_int_equal(ps_pins_reader_new(&reader, g->pins), PS_OK);
    assert_int_equal(ps_pins_get(reader, pin, &p), PS_OK);
    uint32_t known = ps_text_search_run(s, p.title, p.text);
    ps_pins_reader_free(reader);
    return known;
}

static void scores_are_those_of_the_formula(void **state)
{
    (void)state;
    ps_text_search *s;
    assert_int_equal(ps_text_search_new(&s, &inverted, 1000000), PS_OK);
    for (uint32_t q = 0; q < PINS; q += 7) {
        ask(s, q);
        double self = slow_bm25(q, q);
        for (uint32_t p = 0; p < PINS; p++)
            assert_true(fabs((double)ps_text_search_score(s, p) -
                             slow_bm25(q, p) / (self > 1e-3 ? self : 1e-3)) < 1e-4);
    }
    ps_text_search_free(s);
}

static void the_best_are_sorted_and_leave_the_query_out(void **state)
{
    (void)state;
    ps_text_search *s;
    ps_scored best[20];
    assert_int_equal(ps_text_search_new(&s, &inverted, 1000000), PS_OK);
    ask(s, 11);
    uint32_t n = ps_text_search_best(s, 11, 20, best);
    assert_int_equal(n, 20);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_not_equal(best[i].row, 11);
        assert_true(i == 0 || best[i - 1].score >= best[i].score);
    }
    uint32_t better = 0;
    for (uint32_t p = 0; p < PINS; p++)
        better += p != 11 && ps_text_search_score(s, p) > best[19].score;
    assert_true(better < 20);
    ps_text_search_free(s);
}

static void a_pin_without_words_finds_nothing_and_is_not_found(void **state)
{
    (void)state;
    ps_text_search *s;
    ps_scored best[PINS];
    assert_int_equal(ps_text_search_new(&s, &inverted, 1000000), PS_OK);
    assert_int_equal(ask(s, 3), 0);
    assert_int_equal(ps_text_search_best(s, 3, PINS, best), 0);
    assert_int_equal(ps_text_search_run(s, ps_text_of("zebra"), ps_text_of("")), 0);
    ask(s, 4);
    assert_true(ps_text_search_score(s, 3) == 0);
    ps_text_search_free(s);
}

static void a_small_budget_leaves_the_commonest_words_out(void **state)
{
    (void)state;
    ps_text_search *all, *few;
    assert_int_equal(ps_text_search_new(&all, &inverted, 1000000), PS_OK);
    assert_int_equal(ps_text_search_new(&few, &inverted, 30), PS_OK);
    for (uint32_t q = 0; q < PINS; q += 9) {
        ask(all, q);
        ask(few, q);
        for (uint32_t p = 0; p < PINS; p++)
            assert_true(ps_text_search_score(few, p) <=
                        ps_text_search_score(all, p) + 1e-6f);
    }
    ps_text_search_free(all);
    ps_text_search_free(few);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_those_of_the_formula),
        cmocka_unit_test(the_best_are_sorted_and_leave_the_query_out),
        cmocka_unit_test(a_pin_without_words_finds_nothing_and_is_not_found),
        cmocka_unit_test(a_small_budget_leaves_the_commonest_words_out),
    };
    return cmocka_run_group_tests(tests, make_catalog, drop_catalog);
}
