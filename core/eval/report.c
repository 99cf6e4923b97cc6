/* report.c - an evaluation as JSON for programs and as a table for people.
 *
 * JSON holds shares of 1, the table percent. Both say where the buckets end and how
 * wide the intervals are; neither hides that a bucket is small.
 *
 * Threads: none. Not here: printing (server/cli).
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/buf.h"
#include "pinsage/eval.h"
#include "pinsage/layout.h"

static const char *const buckets[3] = {"cold", "warm", "hub"};
static const char *const cosine_at[5] = {"1", "25", "50", "75", "99"};

/* ------------------------------ JSON --------------------------------------- */

static void json_interval(ps_buf *o, ps_interval x)
{
    ps_buf_char(o, '[');
    ps_buf_real(o, x.low, 6);
    ps_buf_char(o, ',');
    ps_buf_real(o, x.high, 6);
    ps_buf_char(o, ']');
}

/* "name":{"10":x,...}: means, or intervals. */
static void json_cuts(ps_buf *o, const ps_eval_report *r, const char *name,
                      const ps_interval *x, int intervals)
{
    ps_buf_printf(o, "\"%s\":{", name);
    for (uint32_t c = 0; c < r->n_cuts; c++) {
        ps_buf_printf(o, "%s\"%u\":", c ? "," : "", r->cut[c]);
        if (intervals)
            json_interval(o, x[c]);
        else
            ps_buf_real(o, x[c].mean, 6);
    }
    ps_buf_char(o, '}');
}

static void json_scores(ps_buf *o, const ps_eval_report *r, const ps_measures *s)
{
    json_cuts(o, r, "hit_rate", s->hit_rate, 0);
    ps_buf_char(o, ',');
    json_cuts(o, r, "recall", s->recall, 0);
    ps_buf_text(o, ",\"mrr\":");
    ps_buf_real(o, s->mrr.mean, 6);
    ps_buf_text(o, ",\"mrr_scaled\":");
    ps_buf_real(o, s->mrr_scaled.mean, 6);
    ps_buf_text(o, ",\"ci\":{");
    json_cuts(o, r, "hit_rate", s->hit_rate, 1);
    ps_buf_char(o, ',');
    json_cuts(o, r, "recall", s->recall, 1);
    ps_buf_text(o, ",\"mrr\":");
    json_interval(o, s->mrr);
    ps_buf_text(o, ",\"mrr_scaled\":");
    json_interval(o, s->mrr_scaled);
    ps_buf_char(o, '}');
}

/* "paired": the first method minus this one. */
static void json_paired(ps_buf *o, const ps_eval_report *r, const ps_eval_result *m)
{
    const char *first = r->result[0].method;
    ps_buf_text(o, ",\"paired\":{\"minuend\":");
    ps_buf_json(o, first, strlen(first));
    ps_buf_char(o, ',');
    json_scores(o, r, &m->paired);
    ps_buf_char(o, '}');
}

static void json_cosines(ps_buf *o, const ps_eval_cosines *c)
{
    ps_buf_printf(o, ",\"cosines\":{\"pairs\":%u,\"mean\":", c->pairs);
    ps_buf_real(o, c->mean, 6);
    ps_buf_text(o, ",\"deviation\":");
    ps_buf_real(o, c->deviation, 6);
    ps_buf_text(o, ",\"kurtosis\":");
    ps_buf_real(o, c->kurtosis, 6);
    for (size_t q = 0; q < 5; q++) {
        ps_buf_printf(o, "%s\"%s\":", q ? "," : ",\"quantiles\":{", cosine_at[q]);
        ps_buf_real(o, c->quantile[q], 6);
    }
    for (size_t b = 0; b < PS_EVAL_BINS; b++)
        ps_buf_printf(o, "%s%u", b ? "," : "},\"bins\":[", c->bin[b]);
    ps_buf_text(o, "]}");
}

static void json_bias(ps_buf *o, const ps_eval_bias *b)
{
    ps_buf_printf(o, "\"labels\":{\"pairs\":%u,\"common_board\":", b->pairs);
    ps_buf_real(o, b->shared, 6);
    ps_buf_text(o, ",\"common_board_by_chance\":");
    ps_buf_real(o, b->chance, 6);
    ps_buf_text(o, "},\"warnings\":[");
    for (size_t i = 0; i < b->n; i++) {
        ps_buf_text(o, i ? "," : "");
        ps_buf_json(o, b->warning[i], strlen(b->warning[i]));
    }
    ps_buf_text(o, "],");
}

/* Share of the pairs with rank k or better. */
static double hit_rate_at(const ps_eval_report *r, const ps_eval_result *m, uint64_t k)
{
    size_t hits = 0;
    for (size_t i = 0; i < r->n_ranks; i++)
        hits += m->rank[i] > 0 && (double)m->rank[i] <= (double)k;
    return r->pairs ? (double)hits / (double)r->pairs : 0;
}

enum { CURVE_POINTS = 61, CURVE_LAST = 1000 };

/* "curve":[[K,share],..]: K from 1 on, evenly in their logarithms. */
static void json_curve(ps_buf *o, const ps_eval_report *r, const ps_eval_result *m,
                       uint32_t n_pins)
{
    double last = n_pins > CURVE_LAST ? CURVE_LAST : n_pins > 2 ? n_pins - 1 : 2;
    uint64_t before = 0;
    ps_buf_text(o, ",\"curve\":[");
    for (int p = 0; p < CURVE_POINTS; p++) {
        uint64_t k = (uint64_t)(pow(last, p / (CURVE_POINTS - 1.0)) + .5);
        if (k == before)
            continue;
        ps_buf_printf(o, "%s[%llu,", before ? "," : "", (unsigned long long)k);
        ps_buf_real(o, hit_rate_at(r, m, k), 4);
        ps_buf_char(o, ']');
        before = k;
    }
    ps_buf_char(o, ']');
}

static void json_result(ps_buf *o, const ps_eval_report *r, const ps_eval_result *m,
                        const ps_generation *g)
{
    ps_buf_text(o, "{\"method\":");
    ps_buf_json(o, m->method, strlen(m->method));
    ps_buf_char(o, ',');
    json_scores(o, r, &m->all);
    ps_buf_text(o, ",\"buckets\":{");
    for (size_t b = 0; b < 3; b++) {
        const ps_measures *s = &m->bucket[b];
        ps_buf_printf(o, "%s\"%s\":{\"pairs\":%llu,\"queries\":%llu", b ? "," : "",
                      buckets[b], (unsigned long long)s->pairs,
                      (unsigned long long)s->queries);
        if (s->queries) {
            ps_buf_char(o, ',');
            json_scores(o, r, s);
        }
        ps_buf_char(o, '}');
    }
    ps_buf_char(o, '}');
    if (m != r->result)
        json_paired(o, r, m);
    if (m->cosines.pairs)
        json_cosines(o, &m->cosines);
    if (g)
        json_curve(o, r, m, g->n_pins);
    ps_buf_text(o, ",\"seconds\":");
    ps_buf_real(o, m->seconds, 4);
    ps_buf_char(o, '}');
}

/* A part of the manifest, "null" when it is missing. */
static void json_part(ps_buf *o, const ps_manifest *m, const char *path)
{
    char *text = ps_manifest_json(m, path);
    ps_buf_text(o, text ? text : "null");
    free(text);
}

static void json_generation(ps_buf *o, const ps_generation *g)
{
    const ps_manifest *m = g->manifest;
    ps_buf_text(o, "\"catalog\":{\"generation\":");
    ps_buf_json(o, g->name, strlen(g->name));
    ps_buf_printf(o, ",\"pins\":%u,\"boards\":%u,\"edges\":%llu},\"training\":{",
                  g->n_pins, g->n_boards, (unsigned long long)g->graph.pin_boards.edges);
    static const char *const numbers[] = {"epochs", "best_epoch", "pairs", "valid_pairs"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char path[40];
        snprintf(path, sizeof path, "train.%s", numbers[i]);
        ps_buf_printf(o, "\"%s\":%llu,", numbers[i],
                      (unsigned long long)ps_manifest_u64(m, path, 0));
    }
    bool cosine = !strcmp(ps_manifest_text(m, PS_KEY_MODEL_SIMILARITY, ""), "cosine");
    const char *blocks = ps_manifest_text(m, PS_KEY_MODEL_BLOCKS, "");
    ps_buf_printf(
        o, "\"similarity\":\"%s\",\"blocks\":", cosine ? "cosine" : "inner product");
    ps_buf_json(o, blocks, strlen(blocks));
    ps_buf_text(o, ",\"curve\":");
    json_part(o, m, PS_KEY_TRAIN_CURVE);
    ps_buf_text(o, "},");
    if (!ps_manifest_length(m, "blend.valid.ahead.hit_100"))
        return;
    ps_buf_printf(o, "\"blend\":{\"pairs\":%llu,\"ahead\":",
                  (unsigned long long)ps_manifest_u64(m, PS_KEY_BLEND_PAIRS, 0));
    json_part(o, m, "blend.valid.ahead.hit_100");
    ps_buf_text(o, "},");
}

void ps_eval_json(const ps_eval_report *r, const ps_generation *g, ps_buf *o)
{
    ps_buf_printf(
        o,
        "{\"pairs\":%llu,\"queries\":%llu,\"self_pairs\":%llu,"
        "\"repeated_pairs\":%llu,\"unknown_pairs\":%llu,"
        "\"bucket_edges\":[%u,%u],",
        (unsigned long long)r->pairs, (unsigned long long)r->queries,
        (unsigned long long)r->left_out.self, (unsigned long long)r->left_out.repeated,
        (unsigned long long)r->left_out.unknown, r->bucket_edge[0], r->bucket_edge[1]);
    json_bias(o, &r->bias);
    if (g)
        json_generation(o, g);
    ps_buf_text(o, "\"methods\":[");
    for (size_t i = 0; i < r->n; i++) {
        if (i)
            ps_buf_char(o, ',');
        json_result(o, r, &r->result[i], g);
    }
    ps_buf_text(o, "]}\n");
}

/* ------------------------------ Table -------------------------------------- */

/* Half the width of an interval: what people read after +-. */
static double half_width(ps_interval x)
{
    return (x.high - x.low) / 2;
}

static int name_width(const ps_eval_report *r)
{
    size_t width = 10;
    for (size_t i = 0; i < r->n; i++) {
        size_t n = strlen(r->result[i].method);
        width = n > width ? n : width;
    }
    return (int)width;
}

static void table_head(ps_buf *o, const ps_eval_report *r, int width, const char *first)
{
    char cut[24];
    ps_buf_printf(o, "%-*s", width, first);
    for (uint32_t c = 0; c < r->n_cuts; c++) {
        snprintf(cut, sizeof cut, "hr@%u", r->cut[c]);
        ps_buf_printf(o, "  %11s", cut);
    }
    ps_buf_printf(o, "  %11s  %13s\n", "MRR", "scaled MRR");
}

static void table_line(ps_buf *o, const ps_eval_report *r, int width, const char *name,
                       const ps_measures *s)
{
    ps_buf_printf(o, "%-*s", width, name);
    for (uint32_t c = 0; c < r->n_cuts; c++)
        ps_buf_printf(o, "  %5.1f ±%4.1f", 100 * s->hit_rate[c].mean,
                      100 * half_width(s->hit_rate[c]));
    ps_buf_printf(o, "  %5.3f ±%.3f", s->mrr.mean, half_width(s->mrr));
    ps_buf_printf(o, "  %6.3f ±%.3f\n", s->mrr_scaled.mean, half_width(s->mrr_scaled));
}

static void table_bucket(ps_buf *o, const ps_eval_report *r, int width, size_t b)
{
    const ps_measures *any = &r->result[0].bucket[b];
    const uint32_t *edge = r->bucket_edge;
    ps_buf_printf(o, "\n%s: queries on ", buckets[b]);
    if (b == 0)
        ps_buf_printf(o, "fewer than %u boards", edge[0]);
    else if (b == 1)
        ps_buf_printf(o, "%u to %u boards", edge[0], edge[1] - 1);
    else
        ps_buf_printf(o, "%u boards or more", edge[1]);
    ps_buf_printf(o, " (%llu pairs, %llu queries)\n", (unsigned long long)any->pairs,
                  (unsigned long long)any->queries);
    for (size_t i = 0; any->queries && i < r->n; i++)
        table_line(o, r, width, r->result[i].method, &r->result[i].bucket[b]);
}

static int excludes_zero(ps_interval x)
{
    return x.low > 0 || x.high < 0;
}

static void table_difference(ps_buf *o, ps_interval x, double unit, int digits)
{
    char text[48];
    snprintf(text, sizeof text, "%+.*f [%+.*f, %+.*f]", digits, unit * x.mean, digits,
             unit * x.low, digits, unit * x.high);
    ps_buf_printf(o, "  %23s%c", text, excludes_zero(x) ? '*' : ' ');
}

static void table_paired(ps_buf *o, const ps_eval_report *r, int width)
{
    char cut[24];
    if (r->n < 2)
        return;
    ps_buf_printf(o,
                  "\n%s minus each other method, in points, with the 95 %% interval; "
                  "* where it excludes 0\n%-*s",
                  r->result[0].method, width, "");
    for (uint32_t c = 0; c < r->n_cuts; c++) {
        snprintf(cut, sizeof cut, "hr@%u", r->cut[c]);
        ps_buf_printf(o, "  %23s ", cut);
    }
    ps_buf_printf(o, "  %23s\n", "MRR");
    for (size_t i = 1; i < r->n; i++) {
        const ps_measures *d = &r->result[i].paired;
        ps_buf_printf(o, "%-*s", width, r->result[i].method);
        for (uint32_t c = 0; c < r->n_cuts; c++)
            table_difference(o, d->hit_rate[c], 100, 1);
        table_difference(o, d->mrr, 1, 3);
        ps_buf_char(o, '\n');
    }
}

static void table_cosines(ps_buf *o, const ps_eval_report *r, int width)
{
    int first = 1;
    for (size_t i = 0; i < r->n; i++) {
        const ps_eval_cosines *c = &r->result[i].cosines;
        if (!c->pairs)
            continue;
        if (first)
            ps_buf_printf(o,
                          "\ncosine of random pairs; a low kurtosis means that vectors "
                          "spread\n%-*s  kurtosis    mean     1 %%    50 %%    99 %%\n",
                          width, "");
        first = 0;
        ps_buf_printf(o, "%-*s  %8.2f  %6.3f  %6.3f  %6.3f  %6.3f\n", width,
                      r->result[i].method, c->kurtosis, c->mean, c->quantile[0],
                      c->quantile[2], c->quantile[4]);
    }
}

static void table_bias(ps_buf *o, const ps_eval_bias *b)
{
    if (b->pairs)
        ps_buf_printf(
            o,
            "\nlabels: %.1f %% of the pairs lie on a common board, %.1f %% when "
            "matched at random\n",
            100 * b->shared, 100 * b->chance);
    for (size_t i = 0; i < b->n; i++)
        ps_buf_printf(o, "warning: %s\n", b->warning[i]);
}

static void table_left_out(ps_buf *o, const ps_left_out *l)
{
    if (!(l->self || l->repeated || l->unknown))
        return;
    ps_buf_text(o, "pairs left out: ");
    ps_left_out_print(l, o);
    ps_buf_text(o, "\n\n");
}

void ps_eval_table(const ps_eval_report *r, ps_buf *o)
{
    if (!r->n)
        return;
    int width = name_width(r);
    ps_buf_printf(o,
                  "%llu pairs, %llu queries; hit rates in percent, ± half of the 95 %% "
                  "interval over queries\n\n",
                  (unsigned long long)r->pairs, (unsigned long long)r->queries);
    table_left_out(o, &r->left_out);
    table_head(o, r, width, "method");
    for (size_t i = 0; i < r->n; i++)
        table_line(o, r, width, r->result[i].method, &r->result[i].all);
    table_paired(o, r, width);
    for (size_t b = 0; b < 3; b++)
        table_bucket(o, r, width, b);
    table_cosines(o, r, width);
    table_bias(o, &r->bias);
}
