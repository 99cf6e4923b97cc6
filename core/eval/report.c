/* report.c - an evaluation as JSON for programs and as a table for people.
 *
 * JSON holds shares of 1, the table percent. Both say where the buckets end and how
 * wide the intervals are; neither hides that a bucket is small.
 *
 * Threads: none. Not here: printing (server/cli).
 */
#include <stdio.h>
#include <string.h>

#include "pinsage/buf.h"
#include "pinsage/eval.h"

static const char *const buckets[3] = {"cold", "warm", "hub"};

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

static void json_scores(ps_buf *o, const ps_eval_report *r, const ps_eval_scores *s)
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

static void json_result(ps_buf *o, const ps_eval_report *r, const ps_eval_result *m)
{
    ps_buf_text(o, "{\"method\":");
    ps_buf_json(o, m->method, strlen(m->method));
    ps_buf_char(o, ',');
    json_scores(o, r, &m->all);
    ps_buf_text(o, ",\"buckets\":{");
    for (size_t b = 0; b < 3; b++) {
        const ps_eval_scores *s = &m->bucket[b];
        ps_buf_printf(o, "%s\"%s\":{\"pairs\":%llu,\"queries\":%llu", b ? "," : "",
                      buckets[b], (unsigned long long)s->pairs,
                      (unsigned long long)s->queries);
        if (s->queries) {
            ps_buf_char(o, ',');
            json_scores(o, r, s);
        }
        ps_buf_char(o, '}');
    }
    ps_buf_text(o, "},\"seconds\":");
    ps_buf_real(o, m->seconds, 4);
    ps_buf_char(o, '}');
}

void ps_eval_json(const ps_eval_report *r, ps_buf *o)
{
    ps_buf_printf(o,
                  "{\"pairs\":%llu,\"queries\":%llu,\"self_pairs\":%llu,"
                  "\"bucket_edges\":[%u,%u],\"methods\":[",
                  (unsigned long long)r->pairs, (unsigned long long)r->queries,
                  (unsigned long long)r->self_pairs, r->bucket_edge[0],
                  r->bucket_edge[1]);
    for (size_t i = 0; i < r->n; i++) {
        if (i)
            ps_buf_char(o, ',');
        json_result(o, r, &r->result[i]);
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
                       const ps_eval_scores *s)
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
    const ps_eval_scores *any = &r->result[0].bucket[b];
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

void ps_eval_table(const ps_eval_report *r, ps_buf *o)
{
    if (!r->n)
        return;
    int width = name_width(r);
    ps_buf_printf(o,
                  "%llu pairs, %llu queries; hit rates in percent, ± half of the 95 %% "
                  "interval over queries\n\n",
                  (unsigned long long)r->pairs, (unsigned long long)r->queries);
    if (r->self_pairs)
        ps_buf_printf(o, "%llu pairs of a pin with itself are left out\n\n",
                      (unsigned long long)r->self_pairs);
    table_head(o, r, width, "method");
    for (size_t i = 0; i < r->n; i++)
        table_line(o, r, width, r->result[i].method, &r->result[i].all);
    for (size_t b = 0; b < 3; b++)
        table_bucket(o, r, width, b);
}
