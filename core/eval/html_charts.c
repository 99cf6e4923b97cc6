/* html_charts.c - bars, curves and distributions, drawn for reading off, not for show.
 *
 * Bars stand in the order of the table, start at 0 and carry their figure; curves are
 * named at their ends, so that no legend has to be matched by colour; distributions
 * share one axis, so that two can be compared by eye.
 *
 * Threads: see html_charts.h.
 */
#include "core/eval/html_charts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/eval/svg.h"

const char *chart_class(size_t i)
{
    static const char *const names[CHART_COLOURS] = {
        "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11"};
    return names[i % CHART_COLOURS];
}

/* A class made of words: "line s3". */
static const char *classes(char out[40], const char *word, const char *other)
{
    snprintf(out, 40, "%s %s", word, other);
    return out;
}

/* ------------------------------ Bars --------------------------------------- */

enum { BAR_WIDTH = 533, BAR_LEFT = 150, BAR_RIGHT = 78, BAR_ROW = 24, BAR_TOP = 30 };

static const ps_interval *rate_of(const ps_eval_result *m, size_t bucket, uint32_t c)
{
    return &(bucket == CHART_ALL ? &m->all : &m->bucket[bucket])->hit_rate[c];
}

static void draw_bar(ps_buf *o, const svg_scale *x, double y, const char *class,
                     const char *name, ps_interval rate)
{
    char both[40];
    double low = svg_at(x, rate.low), high = svg_at(x, rate.high), middle = y + 8;
    svg_text(o, "end", BAR_LEFT - 8, y + 13, name);
    svg_rect(o, classes(both, "bar", class), x->begin, y, svg_at(x, rate.mean) - x->begin,
             16);
    svg_line(o, "whisker", low, middle, high, middle);
    svg_line(o, "whisker", low, middle - 4, low, middle + 4);
    svg_line(o, "whisker", high, middle - 4, high, middle + 4);
    svg_textf(o, "figure", high + 7, y + 13, "%.1f", 100 * rate.mean);
}

void chart_bars(ps_buf *o, const ps_eval_report *r, uint32_t c, size_t bucket,
                const char *title)
{
    double most = 0.001;
    for (size_t i = 0; i < r->n; i++)
        most = fmax(most, rate_of(&r->result[i], bucket, c)->high);
    svg_scale x = {0, most, BAR_LEFT, BAR_WIDTH - BAR_RIGHT, false};
    int height = BAR_TOP + BAR_ROW * (int)r->n + 4;
    svg_begin(o, BAR_WIDTH, height, title);
    svg_text(o, "title", BAR_LEFT, 16, title);
    svg_line(o, "axis", BAR_LEFT, BAR_TOP - 6, BAR_LEFT, height - 4);
    for (size_t i = 0; i < r->n; i++)
        draw_bar(o, &x, BAR_TOP + BAR_ROW * (double)i, chart_class(i),
                 r->result[i].method, *rate_of(&r->result[i], bucket, c));
    svg_end(o);
}

/* ------------------------------ Axes --------------------------------------- */

/* Horizontal lines with figures at round values from 0 up, in `unit`s. */
static void draw_y(ps_buf *o, const svg_scale *y, double left, double right, double unit)
{
    double step = svg_step((y->to - y->from) * unit, 5) / unit;
    int digits = step * unit < 0.1 ? 2 : step * unit < 1 ? 1 : 0;
    for (double v = ceil(y->from / step - 1e-9) * step; v <= y->to + step * 1e-6;
         v += step) {
        svg_line(o, "grid", left, svg_at(y, v), right, svg_at(y, v));
        svg_textf(o, "tick end", left - 6, svg_at(y, v) + 4, "%.*f", digits,
                  v * unit + 1e-12);
    }
}

static void draw_x_log(ps_buf *o, const svg_scale *x, double bottom)
{
    for (double v = x->from; v <= x->to * 1.0001; v *= 10)
        for (int t = 1; t <= 5 && v * t <= x->to * 1.0001; t += t == 1 ? 1 : 3) {
            svg_line(o, "axis", svg_at(x, v * t), bottom, svg_at(x, v * t), bottom + 4);
            svg_textf(o, "tick middle", svg_at(x, v * t), bottom + 18, "%.0f", v * t);
        }
}

/* ------------------------------ Curves ------------------------------------- */

enum { CURVE_WIDTH = 1080, CURVE_HEIGHT = 440, CURVE_RIGHT = 150, CURVE_POINTS = 61 };

double chart_hit_rate(const ps_eval_report *r, const ps_eval_result *m, double k)
{
    size_t hits = 0;
    for (size_t i = 0; i < r->n_ranks; i++)
        hits += m->rank[i] > 0 && (double)m->rank[i] <= k;
    return r->pairs ? (double)hits / (double)r->pairs : 0;
}

static void draw_curve(ps_buf *o, const ps_eval_report *r, size_t i, const svg_scale *x,
                       const svg_scale *y)
{
    char both[40];
    svg_path_begin(o, classes(both, i ? "line" : "line strong", chart_class(i)));
    for (int p = 0; p < CURVE_POINTS; p++) {
        double k = pow(x->to, p / (CURVE_POINTS - 1.0));
        double rate = chart_hit_rate(r, &r->result[i], k);
        svg_path_to(o, p == 0, svg_at(x, k), svg_at(y, rate));
    }
    svg_path_end(o, false);
}

/* Where names stand at the ends of their curves: at the curve's height, but at least a
 * line apart, and on the drawing. */
static void place_names(double *at, size_t n, double line, double top, double bottom)
{
    size_t order[PS_EVAL_METHODS_MAX];
    for (size_t i = 0; i < n; i++) {
        size_t j = i;
        for (; j > 0 && at[order[j - 1]] > at[i]; j--)
            order[j] = order[j - 1];
        order[j] = i;
    }
    for (size_t i = 0; i < n; i++) {
        double least = i ? at[order[i - 1]] + line : top;
        at[order[i]] = fmax(at[order[i]], least);
    }
    for (size_t i = n; i-- > 0;) {
        double most = i + 1 < n ? at[order[i + 1]] - line : bottom;
        at[order[i]] = fmin(at[order[i]], most);
    }
}

static void draw_names(ps_buf *o, const ps_eval_report *r, const svg_scale *x,
                       const svg_scale *y)
{
    char both[40];
    double at[PS_EVAL_METHODS_MAX], end[PS_EVAL_METHODS_MAX];
    for (size_t i = 0; i < r->n; i++)
        at[i] = end[i] = svg_at(y, chart_hit_rate(r, &r->result[i], x->to));
    place_names(at, r->n, 15, y->end, y->begin);
    for (size_t i = 0; i < r->n; i++) {
        const char *class = chart_class(i);
        svg_line(o, classes(both, "lead", class), x->end + 2, end[i], x->end + 14, at[i]);
        svg_text(o, classes(both, "name", class), x->end + 18, at[i] + 4,
                 r->result[i].method);
    }
}

void chart_curves(ps_buf *o, const ps_eval_report *r, uint32_t n_pins)
{
    double most = 0.001, last = n_pins > 1000 ? 1000 : n_pins > 2 ? n_pins - 1 : 2;
    for (size_t i = 0; i < r->n; i++)
        most = fmax(most, chart_hit_rate(r, &r->result[i], last));
    svg_scale x = {1, last, 52, CURVE_WIDTH - CURVE_RIGHT, true};
    svg_scale y = {0, most, CURVE_HEIGHT - 44, 14, false};
    svg_begin(o, CURVE_WIDTH, CURVE_HEIGHT, "Hit rate of each method over K");
    draw_y(o, &y, x.begin, x.end, 100);
    draw_x_log(o, &x, y.begin);
    for (size_t i = r->n; i-- > 0;)
        draw_curve(o, r, i, &x, &y);
    draw_names(o, r, &x, &y);
    svg_text(o, "tick middle", (x.begin + x.end) / 2, CURVE_HEIGHT - 6, "K");
    svg_end(o);
}

/* ------------------------------ Cosines ------------------------------------ */

enum { COSINE_WIDTH = 350, COSINE_HEIGHT = 150 };

void chart_cosines(ps_buf *o, const ps_eval_report *r, size_t i)
{
    char both[40], label[120];
    const ps_eval_cosines *c = &r->result[i].cosines;
    uint32_t most = 1;
    if (!c->pairs)
        return;
    for (size_t b = 0; b < PS_EVAL_BINS; b++)
        most = c->bin[b] > most ? c->bin[b] : most;
    svg_scale x = {-1, 1, 12, COSINE_WIDTH - 12, false};
    svg_scale y = {0, most, COSINE_HEIGHT - 24, 38, false};
    snprintf(label, sizeof label, "Cosines of %.40s: kurtosis %.2f", r->result[i].method,
             c->kurtosis);
    svg_begin(o, COSINE_WIDTH, COSINE_HEIGHT, label);
    svg_textf(o, "title", 12, 16, "%s", r->result[i].method);
    svg_textf(o, "figure", 12, 32, "kurtosis %.2f, mean %.2f", c->kurtosis, c->mean);
    svg_path_begin(o, classes(both, "area", chart_class(i)));
    svg_path_to(o, true, x.begin, y.begin);
    for (int b = 0; b < PS_EVAL_BINS; b++)
        svg_path_to(o, false, svg_at(&x, -1 + (b + .5) * 2 / PS_EVAL_BINS),
                    svg_at(&y, c->bin[b]));
    svg_path_to(o, false, x.end, y.begin);
    svg_path_end(o, true);
    svg_line(o, "axis", x.begin, y.begin, x.end, y.begin);
    for (int t = -2; t <= 2; t++)
        svg_textf(o, "tick middle", svg_at(&x, t / 2.0), COSINE_HEIGHT - 8, "%g",
                  t / 2.0);
    svg_end(o);
}

/* ------------------------------ Training ----------------------------------- */

enum { TRAIN_WIDTH = 350, TRAIN_HEIGHT = 240 };

typedef struct training {
    const ps_manifest *manifest;
    size_t n;
} training;

static double value_at(const training *t, size_t epoch, const char *what)
{
    char path[64];
    snprintf(path, sizeof path, "train.curve.%zu.%s", epoch, what);
    return ps_manifest_real(t->manifest, path, 0);
}

/* Widen [*least, *most] to hold every epoch's value. */
static void widen(const training *t, const char *what, double *least, double *most)
{
    for (size_t i = 0; i < t->n; i++) {
        *least = fmin(*least, value_at(t, i, what));
        *most = fmax(*most, value_at(t, i, what));
    }
}

static void draw_series(ps_buf *o, const training *t, const char *what, const char *class,
                        const svg_scale *x, const svg_scale *y)
{
    char both[40];
    svg_path_begin(o, classes(both, "line strong", class));
    for (size_t i = 0; i < t->n; i++)
        svg_path_to(o, i == 0, svg_at(x, (double)i + 1), svg_at(y, value_at(t, i, what)));
    svg_path_end(o, false);
}

static void draw_epochs(ps_buf *o, const training *t, const svg_scale *x, double bottom)
{
    double step = fmax(1, svg_step((double)t->n, 8));
    for (double e = step; e <= (double)t->n; e += step)
        svg_textf(o, "tick middle", svg_at(x, e), bottom + 18, "%.0f", e);
    uint64_t best = ps_manifest_u64(t->manifest, "train.best_epoch", 0);
    if (best >= 1 && best <= t->n)
        svg_line(o, "best", svg_at(x, (double)best), 30, svg_at(x, (double)best), bottom);
}

/* One panel: up to two series on one axis, which begins at 0 unless `free`. */
typedef struct panel {
    const char *title, *what[2], *class[2];
    double unit;
    bool free;
} panel;

static void draw_panel(ps_buf *o, const training *t, const panel *p)
{
    double least = p->free ? INFINITY : 0, most = 1e-6;
    for (int i = 0; i < 2 && p->what[i]; i++)
        widen(t, p->what[i], &least, &most);
    least -= p->free ? (most - least) / 10 : 0;
    svg_scale x = {1, (double)t->n, 56, TRAIN_WIDTH - 14, false};
    svg_scale y = {least, most, TRAIN_HEIGHT - 34, 32, false};
    svg_begin(o, TRAIN_WIDTH, TRAIN_HEIGHT, p->title);
    svg_text(o, "title", 12, 16, p->title);
    draw_y(o, &y, x.begin, x.end, p->unit);
    draw_epochs(o, t, &x, y.begin);
    for (int s = 0; s < 2 && p->what[s]; s++)
        draw_series(o, t, p->what[s], p->class[s], &x, &y);
    svg_end(o);
}

void chart_training(ps_buf *o, const ps_manifest *m)
{
    static const panel panels[] = {
        {"Loss by epoch", {"loss", NULL}, {"s1", NULL}, 1, true},
        {"Violated by negatives, %", {"violated", NULL}, {"s3", NULL}, 100, false},
        {"Valid hit rate @10 (red), @100 (blue), %",
         {"valid_hit_10", "valid_hit_100"},
         {"s0", "s1"},
         100,
         false},
    };
    training t = {m, ps_manifest_length(m, "train.curve")};
    if (t.n < 2)
        return;
    for (size_t i = 0; i < sizeof panels / sizeof *panels; i++)
        draw_panel(o, &t, &panels[i]);
}
