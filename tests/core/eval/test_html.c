/* test_html.c - the page is well-formed, needs nothing from elsewhere, holds the
 * figures, escapes what it did not make, and is put in place whole. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "core/eval/html_charts.h"
#include "core/eval/inside.h"
#include "core/eval/svg.h"
#include "pinsage/file.h"
#include "tests/support/scratch.h"

/* ------------------------------ A reader of tags --------------------------- */

typedef struct reader {
    char open[64][24];
    size_t depth, elements;
    char fault[200];
} reader;

static void close_element(reader *r, const char *name, const char *at)
{
    if (!r->depth || strcmp(r->open[r->depth - 1], name) != 0)
        snprintf(r->fault, sizeof r->fault, "</%s> closes %s near %.60s", name,
                 r->depth ? r->open[r->depth - 1] : "nothing", at);
    else
        r->depth--;
}

static void open_element(reader *r, const char *name, const char *at)
{
    if (r->depth == 64)
        snprintf(r->fault, sizeof r->fault, "too deep at %.60s", at);
    else
        snprintf(r->open[r->depth++], sizeof r->open[0], "%s", name);
    r->elements++;
}

/* One tag from its < on; returns what follows its >. Quotes must pair. */
static const char *read_tag(reader *r, const char *at)
{
    char name[24] = "";
    bool closes = at[1] == '/', quoted = false;
    const char *end = at + 1 + closes;
    sscanf(end, "%23[a-z0-9]", name);
    for (; *end && (quoted || *end != '>'); end++) {
        quoted ^= *end == '"';
        if (*end == '<')
            snprintf(r->fault, sizeof r->fault, "< inside of %.60s", at);
    }
    if (!*end || !*name)
        snprintf(r->fault, sizeof r->fault, "no tag: %.60s", at);
    else if (closes)
        close_element(r, name, at);
    else if (end[-1] != '/' && strcmp(name, "meta") != 0)
        open_element(r, name, at);
    return *end ? end + 1 : end;
}

static reader read_page(const char *page)
{
    static const char head[] = "<!DOCTYPE html>";
    reader r = {0};
    assert_memory_equal(page, head, sizeof head - 1);
    for (const char *at = page + sizeof head - 1; *at && !r.fault[0];)
        at = *at == '<' ? read_tag(&r, at) : at + 1;
    if (!r.fault[0] && r.depth)
        snprintf(r.fault, sizeof r.fault, "<%s> is never closed", r.open[r.depth - 1]);
    return r;
}

static size_t times(const char *page, const char *what)
{
    size_t n = 0;
    for (; (page = strstr(page, what)); page++)
        n++;
    return n;
}

/* ------------------------------ A report ----------------------------------- */

enum { PAIRS = 40 };
static float rank[3][PAIRS];

static ps_measures scores(double at)
{
    ps_measures s = {.pairs = PAIRS, .queries = 20};
    for (size_t c = 0; c < 4; c++)
        s.hit_rate[c] = (ps_interval){at, at - .1, at + .1};
    s.mrr = s.mrr_scaled = (ps_interval){at / 2, at / 3, at};
    return s;
}

static ps_eval_report make_report(void)
{
    static const char *const names[3] = {"pinsage", "a<b>&\"c'", "popular"};
    ps_eval_report r = {.pairs = PAIRS,
                        .queries = 20,
                        .cut = {10, 50, 100, 500},
                        .n_cuts = 4,
                        .bucket_edge = {3, 9},
                        .n_ranks = PAIRS,
                        .n = 3};
    for (size_t i = 0; i < 3; i++) {
        ps_eval_result *m = &r.result[i];
        strcpy(m->method, names[i]);
        m->all = m->paired = scores(.5 - .1 * (double)i);
        m->bucket[0] = m->bucket[2] = m->all;
        m->rank = rank[i];
        for (size_t p = 0; p < PAIRS; p++)
            rank[i][p] = (float)(1 + p * (i + 1));
    }
    r.result[0].cosines = (ps_eval_cosines){.pairs = 9, .kurtosis = .434, .bin = {4, 5}};
    r.bias = (ps_eval_bias){.pairs = PAIRS, .shared = .9, .chance = .1, .n = 1};
    strcpy(r.bias.warning[0], "labels <favour> walks");
    return r;
}

static ps_generation make_generation(void)
{
    ps_generation g = {.name = "gen-000007", .n_pins = 5000, .n_boards = 70};
    g.manifest = ps_manifest_new();
    ps_manifest_set_u64(g.manifest, "train.epochs", 3);
    ps_manifest_set_u64(g.manifest, "train.best_epoch", 2);
    assert_int_equal(
        ps_manifest_set_json(
            g.manifest, "train.curve",
            "[{\"loss\":3,\"violated\":0.5,\"valid_hit_10\":0.1,\"valid_hit_100\":0.2},"
            "{\"loss\":2,\"violated\":0.4,\"valid_hit_10\":0.2,\"valid_hit_100\":0.5},"
            "{\"loss\":1,\"violated\":0.3,\"valid_hit_10\":0.2,\"valid_hit_100\":0.4}]"),
        PS_OK);
    ps_manifest_set_json(g.manifest, "blend.valid.ahead.hit_100", "[0.021,0.01,0.03]");
    return g;
}

static ps_buf make_page(const ps_eval_report *r)
{
    ps_generation g = make_generation();
    ps_buf page = {0};
    html_page(&page, r, &g);
    assert_false(page.failed);
    ps_manifest_free(g.manifest);
    return page;
}

/* ------------------------------ The page ----------------------------------- */

static void every_element_is_closed_where_it_was_opened(void **state)
{
    (void)state;
    ps_eval_report r = make_report();
    ps_buf page = make_page(&r);
    reader tags = read_page(page.data);
    assert_string_equal(tags.fault, "");
    assert_true(tags.elements > 100);
    assert_int_equal(times(page.data, "<svg "), 4 + 1 + 2 + 1 + 3);
    assert_int_equal(times(page.data, "aria-label="), 11 + 2);
    assert_int_equal(times(page.data, "<h1>"), 1);
    ps_buf_done(&page);
}

static void an_empty_report_is_a_page_too(void **state)
{
    (void)state;
    ps_eval_report r = {.n_cuts = 1, .cut = {10}};
    ps_buf page = make_page(&r);
    assert_string_equal(read_page(page.data).fault, "");
    ps_buf_done(&page);
}

static void nothing_is_fetched_from_elsewhere(void **state)
{
    (void)state;
    static const char *const ways[] = {"src=", "href=",   "url(",  "@import",
                                       "http", "<script", "<link", "<iframe"};
    ps_eval_report r = make_report();
    ps_buf page = make_page(&r);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        assert_null(strstr(page.data, ways[i]));
    ps_buf_done(&page);
}

static void names_and_warnings_are_escaped(void **state)
{
    (void)state;
    ps_eval_report r = make_report();
    ps_buf page = make_page(&r);
    assert_null(strstr(page.data, "a<b>"));
    assert_non_null(strstr(page.data, "a&lt;b&gt;&amp;&quot;c&#39;"));
    assert_non_null(strstr(page.data, "labels &lt;favour&gt; walks"));
    ps_buf_done(&page);
}

static void figures_stand_in_the_tables(void **state)
{
    (void)state;
    ps_eval_report r = make_report();
    r.result[2].paired.hit_rate[0] = (ps_interval){-.02, -.05, .01};
    ps_buf page = make_page(&r);
    assert_non_null(strstr(page.data, "<td>50.0 <small>±10.0</small></td>"));
    assert_non_null(strstr(page.data, "+40.0* <small>[+30.0, +50.0]</small>"));
    assert_non_null(strstr(page.data, "-2.0 <small>[-5.0, +1.0]</small>"));
    assert_non_null(strstr(page.data, "<td>0.43</td>"));
    assert_non_null(strstr(page.data, "90.0 % of the test pairs"));
    assert_non_null(strstr(page.data, "gained +2.1 points"));
    ps_buf_done(&page);
}

static void no_number_is_missing_or_endless(void **state)
{
    (void)state;
    ps_eval_report r = make_report();
    for (size_t i = 0; i < 3; i++) /* a method that finds nothing at all */
        r.result[i].all = r.result[i].bucket[0] = r.result[i].bucket[2] =
            (ps_measures){.pairs = PAIRS, .queries = 20};
    ps_buf page = make_page(&r);
    assert_null(strstr(page.data, "nan"));
    assert_null(strstr(page.data, "\"inf"));
    ps_buf_done(&page);
}

static void a_curve_counts_ranks(void **state)
{
    (void)state;
    ps_eval_report r = make_report();
    assert_true(chart_hit_rate(&r, &r.result[0], 10) == 10 / 40.0);
    assert_true(chart_hit_rate(&r, &r.result[1], 10) == 5 / 40.0);
    rank[0][3] = 0; /* a pin with itself */
    assert_true(chart_hit_rate(&r, &r.result[0], 10) == 9 / 40.0);
}

static void steps_are_round(void **state)
{
    (void)state;
    assert_true(fabs(svg_step(80, 5) - 20) < 1e-9);
    assert_true(fabs(svg_step(.9, 5) - .2) < 1e-9);
    assert_true(fabs(svg_step(5, 5) - 1) < 1e-9);
    assert_true(svg_step(0, 5) > 0);
}

/* ------------------------------ The file ----------------------------------- */

static void the_page_is_put_in_place_whole_or_not_at_all(void **state)
{
    (void)state;
    ps_eval_report r = make_report();
    ps_generation g = make_generation();
    ps_why why = {0};
    const char *path = scratch_text("page.html", "the old one");
    const char *beside = scratch("page.html.new");
    assert_int_equal(mkdir(beside, 0755), 0); /* in the way */
    assert_int_not_equal(ps_eval_html(&r, &g, path, &why), PS_OK);
    assert_non_null(strstr(why.where, "page.html"));
    char *text = slurp(path, NULL);
    assert_string_equal(text, "the old one");
    free(text);
    assert_int_equal(ps_dir_remove(beside, NULL), PS_OK);
    assert_int_equal(ps_eval_html(&r, &g, path, &why), PS_OK);
    text = slurp(path, NULL);
    assert_string_equal(read_page(text).fault, "");
    assert_false(ps_file_exists(beside));
    free(text);
    assert_int_equal(ps_eval_html(&r, &g, scratch("no/such/page"), &why), PS_ENOENT);
    ps_manifest_free(g.manifest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_element_is_closed_where_it_was_opened),
        cmocka_unit_test(an_empty_report_is_a_page_too),
        cmocka_unit_test(nothing_is_fetched_from_elsewhere),
        cmocka_unit_test(names_and_warnings_are_escaped),
        cmocka_unit_test(figures_stand_in_the_tables),
        cmocka_unit_test(no_number_is_missing_or_endless),
        cmocka_unit_test(a_curve_counts_ranks),
        cmocka_unit_test(steps_are_round),
        cmocka_unit_test(the_page_is_put_in_place_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
