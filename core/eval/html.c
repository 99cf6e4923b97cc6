/* html.c - an evaluation as one page that can be mailed, kept and printed.
 *
 * No script, no font, no picture from elsewhere: text, two tables and drawings in SVG.
 * Tables come first, and bars carry their figures and names, so that nothing that
 * matters is told by a shape or a colour alone.
 *
 * Threads: none. Not here: the drawings (html_charts.c), the colours (html_style.h).
 */
#include <stdio.h>
#include <string.h>

#include "core/eval/html_charts.h"
#include "core/eval/html_style.h"
#include "core/eval/inside.h"
#include "core/eval/svg.h"
#include "pinsage/file.h"

/* ------------------------------ The head ----------------------------------- */

static void write_model(ps_buf *o, const ps_manifest *m)
{
    unsigned long long epochs = ps_manifest_u64(m, "train.epochs", 0);
    if (!epochs)
        return;
    ps_buf_text(o, "<p class=\"soft\">The model compares by ");
    html_text(o, !strcmp(ps_manifest_text(m, "model.similarity", ""), "cosine")
                     ? "cosine"
                     : "inner product");
    ps_buf_text(o, ", from blocks ");
    html_text(o, ps_manifest_text(m, "model.blocks", "(none)"));
    ps_buf_printf(o,
                  "; trained on %llu pairs, chosen by %llu valid pairs: epoch %llu of "
                  "%llu.</p>\n",
                  (unsigned long long)ps_manifest_u64(m, "train.pairs", 0),
                  (unsigned long long)ps_manifest_u64(m, "train.valid_pairs", 0),
                  (unsigned long long)ps_manifest_u64(m, "train.best_epoch", 0), epochs);
}

static void write_blend(ps_buf *o, const ps_manifest *m)
{
    double x[3]; /* mean, low, high */
    if (!ps_manifest_length(m, "blend.valid.ahead.hit_100"))
        return;
    for (size_t i = 0; i < 3; i++) {
        char path[48];
        snprintf(path, sizeof path, "blend.valid.ahead.hit_100.%zu", i);
        x[i] = 100 * ps_manifest_real(m, path, 0);
    }
    ps_buf_printf(
        o,
        "<p class=\"soft\">The blend of embedding, walk and content gained %+.1f "
        "points of hit rate @100 over the model alone on %llu valid pairs "
        "[%+.1f, %+.1f].</p>\n",
        x[0], (unsigned long long)ps_manifest_u64(m, "blend.valid.pairs", 0), x[1], x[2]);
}

static void write_head(ps_buf *o, const ps_eval_report *r, const ps_generation *g)
{
    ps_buf_text(o,
                "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                "<meta name=\"viewport\" content=\"width=device-width, "
                "initial-scale=1\">\n<title>PinSage evaluation, ");
    html_text(o, g->name);
    ps_buf_text(o, "</title>\n<style>\n" HTML_STYLE "</style>\n</head>\n<body>\n<main>\n"
                   "<h1>How well related pins are found</h1>\n<p class=\"soft\">");
    html_text(o, g->name);
    ps_buf_printf(o,
                  ": %u pins, %u boards, %llu edges; %llu test pairs of %llu queries, "
                  "each ranked among all other pins.</p>\n",
                  g->n_pins, g->n_boards, (unsigned long long)g->graph.pin_boards.edges,
                  (unsigned long long)r->pairs, (unsigned long long)r->queries);
    if (r->left_out.self || r->left_out.repeated || r->left_out.unknown) {
        ps_buf_text(o, "<p class=\"soft\">Pairs left out: ");
        ps_left_out_print(&r->left_out, o);
        ps_buf_text(o, ".</p>\n");
    }
    write_model(o, g->manifest);
    write_blend(o, g->manifest);
}

static void write_warnings(ps_buf *o, const ps_eval_bias *b)
{
    if (!b->n)
        return;
    ps_buf_text(o,
                "<div class=\"warn\" role=\"note\">\n<p><strong>These labels may favour "
                "a method.</strong></p>\n");
    for (size_t i = 0; i < b->n; i++) {
        ps_buf_text(o, "<p>");
        html_text(o, b->warning[i]);
        ps_buf_text(o, ".</p>\n");
    }
    ps_buf_text(o, "</div>\n");
}

/* ------------------------------ Tables ------------------------------------- */

static void table_begin(ps_buf *o, const ps_eval_report *r, const char *caption,
                        const char *more)
{
    ps_buf_text(o, "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"");
    html_text(o, caption);
    ps_buf_text(o, "\"><table>\n<caption>");
    html_text(o, caption);
    ps_buf_text(o, "</caption>\n<thead><tr><th scope=\"col\">method</th>");
    for (uint32_t c = 0; c < r->n_cuts; c++)
        ps_buf_printf(o, "<th scope=\"col\">hit@%u</th>", r->cut[c]);
    ps_buf_printf(o, "<th scope=\"col\">MRR</th>%s</tr></thead>\n<tbody>\n", more);
}

static void table_end(ps_buf *o)
{
    ps_buf_text(o, "</tbody></table></div>\n");
}

static void row_begin(ps_buf *o, const char *method, bool first)
{
    ps_buf_printf(o, "<tr%s><th scope=\"row\">", first ? " class=\"first\"" : "");
    html_text(o, method);
    ps_buf_text(o, "</th>");
}

static void cell(ps_buf *o, ps_interval x, double unit, int digits)
{
    ps_buf_printf(o, "<td>%.*f <small>±%.*f</small></td>", digits, unit * x.mean, digits,
                  unit * (x.high - x.low) / 2);
}

static void write_table(ps_buf *o, const ps_eval_report *r)
{
    table_begin(o, r, "Hit rates in percent, ± half of the 95 % interval over queries",
                "<th scope=\"col\">scaled MRR</th><th scope=\"col\">kurtosis</th>");
    for (size_t i = 0; i < r->n; i++) {
        const ps_eval_result *m = &r->result[i];
        row_begin(o, m->method, i == 0);
        for (uint32_t c = 0; c < r->n_cuts; c++)
            cell(o, m->all.hit_rate[c], 100, 1);
        cell(o, m->all.mrr, 1, 3);
        cell(o, m->all.mrr_scaled, 1, 3);
        if (m->cosines.pairs)
            ps_buf_printf(o, "<td>%.2f</td></tr>\n", m->cosines.kurtosis);
        else
            ps_buf_text(o, "<td></td></tr>\n");
    }
    table_end(o);
}

static void difference_cell(ps_buf *o, ps_interval x, double unit, int digits)
{
    const char *class = x.low > 0 ? "ahead" : x.high < 0 ? "behind" : "";
    ps_buf_printf(o, "<td class=\"%s\">%+.*f%s <small>[%+.*f, %+.*f]</small></td>", class,
                  digits, unit * x.mean, *class ? "*" : "", digits, unit * x.low, digits,
                  unit * x.high);
}

static void write_paired(ps_buf *o, const ps_eval_report *r)
{
    char caption[160];
    if (r->n < 2)
        return;
    ps_buf_text(o, "<h2>Is the difference real?</h2>\n");
    snprintf(caption, sizeof caption,
             "%.40s minus each other method, in points, with the 95 %% interval of a "
             "paired bootstrap; * where it excludes 0",
             r->result[0].method);
    table_begin(o, r, caption, "");
    for (size_t i = 1; i < r->n; i++) {
        const ps_measures *d = &r->result[i].paired;
        row_begin(o, r->result[i].method, false);
        for (uint32_t c = 0; c < r->n_cuts; c++)
            difference_cell(o, d->hit_rate[c], 100, 1);
        difference_cell(o, d->mrr, 1, 3);
        ps_buf_text(o, "</tr>\n");
    }
    table_end(o);
}

/* ------------------------------ Drawings ----------------------------------- */

static void write_bars(ps_buf *o, const ps_eval_report *r)
{
    char title[64];
    ps_buf_text(o, "<h2>Hit rates with their intervals</h2>\n<div class=\"charts\">\n");
    for (uint32_t c = 0; c < r->n_cuts; c++) {
        snprintf(title, sizeof title, "Hit rate @%u, %%", r->cut[c]);
        chart_bars(o, r, c, CHART_ALL, title);
    }
    ps_buf_text(o, "</div>\n");
}

static void write_curves(ps_buf *o, const ps_eval_report *r, uint32_t n_pins)
{
    ps_buf_text(o,
                "<h2>Hit rate over K</h2>\n<p class=\"soft\">The share of test pairs, in "
                "percent, whose related pin is among the first K.</p>\n"
                "<div class=\"charts\">\n");
    chart_curves(o, r, n_pins);
    ps_buf_text(o, "</div>\n");
}

static void write_buckets(ps_buf *o, const ps_eval_report *r)
{
    static const char *const names[3] = {"Cold", "Warm", "Hub"};
    char title[120];
    uint32_t c = r->n_cuts / 2;
    ps_buf_printf(
        o,
        "<h2>By how often the query was saved</h2>\n<p class=\"soft\">Cold: on "
        "fewer than %u boards; hub: on %u or more.</p>\n<div class=\"charts\">\n",
        r->bucket_edge[0], r->bucket_edge[1]);
    for (size_t b = 0; b < 3; b++) {
        const ps_measures *s = &r->result[0].bucket[b];
        if (!s->queries)
            continue;
        snprintf(title, sizeof title, "%s queries (%llu pairs): hit rate @%u, %%",
                 names[b], (unsigned long long)s->pairs, r->cut[c]);
        chart_bars(o, r, c, b, title);
    }
    ps_buf_text(o, "</div>\n");
}

static void write_cosines(ps_buf *o, const ps_eval_report *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++)
        n += r->result[i].cosines.pairs > 0;
    if (!n)
        return;
    ps_buf_printf(
        o,
        "<h2>How vectors spread</h2>\n<p class=\"soft\">Cosines of %d pairs of "
        "pins taken at random. Vectors that tell pins apart make a wide hill; a "
        "narrow peak with long tails has a high kurtosis. The paper reports 0.43 "
        "for PinSage, 1.20 for visual and 2.49 for annotation vectors.</p>\n"
        "<div class=\"charts\">\n",
        PS_EVAL_COSINES);
    for (size_t i = 0; i < r->n; i++)
        chart_cosines(o, r, i);
    ps_buf_text(o, "</div>\n");
}

static void write_training(ps_buf *o, const ps_manifest *m)
{
    if (ps_manifest_length(m, "train.curve") < 2)
        return;
    ps_buf_text(o,
                "<h2>How the model was trained</h2>\n<p class=\"soft\">The dashed line "
                "is the epoch whose weights were kept.</p>\n<div class=\"charts\">\n");
    chart_training(o, m);
    ps_buf_text(o, "</div>\n");
}

static void write_labels(ps_buf *o, const ps_eval_bias *b)
{
    if (!b->pairs)
        return;
    ps_buf_printf(
        o,
        "<h2>About the labels</h2>\n<p>%.1f %% of the test pairs lie on a common "
        "board; %.1f %% would if queries and related pins were matched at random. "
        "Labels that stem from saves, or from lists that a recommender had shown, "
        "favour what made them: the paper left Pixie out of its table for that "
        "reason.</p>\n",
        100 * b->shared, 100 * b->chance);
}

/* ------------------------------ The page ----------------------------------- */

void html_page(ps_buf *o, const ps_eval_report *r, const ps_generation *g)
{
    write_head(o, r, g);
    write_warnings(o, &r->bias);
    if (r->n) {
        write_table(o, r);
        write_paired(o, r);
        write_bars(o, r);
        write_curves(o, r, g->n_pins);
        write_buckets(o, r);
        write_cosines(o, r);
    }
    write_training(o, g->manifest);
    write_labels(o, &r->bias);
    ps_buf_text(o, "</main>\n</body>\n</html>\n");
}

int ps_eval_html(const ps_eval_report *r, const ps_generation *g, const char *path,
                 ps_why *why)
{
    ps_buf page = {0};
    html_page(&page, r, g);
    int err = page.failed ? ps_fail(why, PS_ENOMEM, path, 0, "no memory for the page")
                          : ps_file_put(path, page.data, page.size, why);
    ps_buf_done(&page);
    return err;
}
