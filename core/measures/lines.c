/* lines.c - sums a query, and the bootstrap over them.
 *
 * A resample draws as many queries as there are, with replacement, and takes the means
 * anew; the 2.5th and 97.5th percentiles of the resampled means are the interval
 * (Efron's percentile method). Queries are drawn, not pairs: the pairs of one query
 * succeed and fail together, and intervals over pairs would be too narrow.
 *
 * Resample b has its own random stream, so threads may take them in any order.
 *
 * Threads: resamples are cut among the workers; nothing is shared but the lines.
 */
#include "core/measures/lines.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/rng.h"

/* ------------------------------ Groups ------------------------------------- */

typedef struct keyed {
    uint32_t query;
    size_t pair;
} keyed;

static int by_query(const void *a, const void *b)
{
    const keyed *x = a, *y = b;
    if (x->query != y->query)
        return x->query < y->query ? -1 : 1;
    return x->pair < y->pair ? -1 : x->pair > y->pair;
}

static size_t sort_pairs(keyed *out, const ps_pairs *pairs)
{
    size_t n = 0;
    for (size_t i = 0; i < pairs->n; i++)
        if (pairs->pair[i][0] != pairs->pair[i][1])
            out[n++] = (keyed){pairs->pair[i][0], i};
    qsort(out, n, sizeof *out, by_query);
    return n;
}

int groups_make(groups *g, const ps_pairs *pairs)
{
    size_t room = pairs->n + 1;
    keyed *sorted = malloc(room * sizeof *sorted);
    *g = (groups){.query = malloc(room * sizeof *g->query),
                  .start = malloc(room * sizeof *g->start),
                  .order = malloc(room * sizeof *g->order)};
    if (!sorted || !g->query || !g->start || !g->order) {
        free(sorted);
        groups_done(g);
        return PS_ENOMEM;
    }
    size_t n = sort_pairs(sorted, pairs);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || sorted[i].query != sorted[i - 1].query) {
            g->query[g->n] = sorted[i].query;
            g->start[g->n++] = i;
        }
        g->order[i] = sorted[i].pair;
    }
    g->start[g->n] = n;
    free(sorted);
    return PS_OK;
}

void groups_done(groups *g)
{
    free(g->query);
    free(g->start);
    free(g->order);
    *g = (groups){0};
}

/* ------------------------------ Lines -------------------------------------- */

static void add_rank(double *line, double rank, const uint32_t *cut, uint32_t n_cuts)
{
    line[LINE_PAIRS] += 1;
    line[LINE_MRR] += 1 / rank;
    line[LINE_SCALED] += 1 / ceil(rank / 100);
    for (uint32_t c = 0; c < n_cuts; c++)
        line[LINE_CUTS + c] += rank <= (double)cut[c];
}

void lines_of_ranks(const groups *g, const float *rank, const uint32_t *cut,
                    uint32_t n_cuts, double *lines)
{
    size_t width = line_width(n_cuts);
    memset(lines, 0, g->n * width * sizeof *lines);
    for (size_t q = 0; q < g->n; q++) {
        double *line = lines + q * width;
        for (size_t i = g->start[q]; i < g->start[q + 1]; i++)
            add_rank(line, (double)rank[g->order[i]], cut, n_cuts);
        for (uint32_t c = 0; c < n_cuts; c++)
            line[LINE_CUTS + n_cuts + c] = line[LINE_CUTS + c] / line[LINE_PAIRS];
    }
}

/* Sums become means: over pairs, and for recall over queries. */
static void means_of_sums(double *sum, size_t queries, uint32_t n_cuts)
{
    double pairs = sum[LINE_PAIRS] > 0 ? sum[LINE_PAIRS] : 1;
    for (size_t i = LINE_MRR; i < LINE_CUTS + (size_t)n_cuts; i++)
        sum[i] /= pairs;
    for (size_t i = 0; i < n_cuts; i++)
        sum[LINE_CUTS + n_cuts + i] /= queries ? (double)queries : 1;
}

static void add_line(double *restrict sum, const double *restrict line, size_t width)
{
    for (size_t i = 0; i < width; i++)
        sum[i] += line[i];
}

static const double *line_at(line_set s, size_t i)
{
    return s.lines + (s.pick ? s.pick[i] : i) * line_width(s.n_cuts);
}

/* ------------------------------ Bootstrap ---------------------------------- */

typedef struct resampling {
    line_set set;
    uint64_t seed;
    double *means; /* (bootstraps, width) */
} resampling;

static int on_resample(void *cls, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    resampling *r = cls;
    size_t width = line_width(r->set.n_cuts);
    for (size_t b = begin; b < end; b++) {
        double sum[LINE_MAX] = {0};
        uint64_t rng = ps_rng_at(r->seed, b);
        for (size_t i = 0; i < r->set.n; i++)
            add_line(sum, line_at(r->set, ps_rng_below(&rng, r->set.n)), width);
        means_of_sums(sum, r->set.n, r->set.n_cuts);
        memcpy(r->means + b * width, sum, width * sizeof *sum);
    }
    return PS_OK;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Linear between the two nearest order statistics. */
static double quantile(const double *sorted, size_t n, double q)
{
    double at = q * (double)(n - 1);
    size_t low = (size_t)at, high = low + 1 < n ? low + 1 : low;
    return sorted[low] + (at - (double)low) * (sorted[high] - sorted[low]);
}

/* The interval of one column; column is scratch (n). */
static ps_interval interval(const resampling *r, size_t n, size_t at, double mean,
                            double *column)
{
    if (n == 0)
        return (ps_interval){mean, mean, mean};
    size_t width = line_width(r->set.n_cuts);
    for (size_t b = 0; b < n; b++)
        column[b] = r->means[b * width + at];
    qsort(column, n, sizeof *column, ascending);
    return (ps_interval){mean, quantile(column, n, .025), quantile(column, n, .975)};
}

static void fill_scores(const resampling *r, size_t n, double *column, ps_measures *out)
{
    double sum[LINE_MAX] = {0};
    uint32_t n_cuts = r->set.n_cuts;
    for (size_t i = 0; i < r->set.n; i++)
        add_line(sum, line_at(r->set, i), line_width(n_cuts));
    means_of_sums(sum, r->set.n, n_cuts);

    *out = (ps_measures){.pairs = (uint64_t)sum[LINE_PAIRS], .queries = r->set.n};
    out->mrr = interval(r, n, LINE_MRR, sum[LINE_MRR], column);
    out->mrr_scaled = interval(r, n, LINE_SCALED, sum[LINE_SCALED], column);
    for (size_t c = 0; c < n_cuts; c++) {
        size_t hit = LINE_CUTS + c, recall = LINE_CUTS + n_cuts + c;
        out->hit_rate[c] = interval(r, n, hit, sum[hit], column);
        out->recall[c] = interval(r, n, recall, sum[recall], column);
    }
}

int lines_scores(line_set set, uint32_t bootstraps, uint64_t seed, ps_workers *workers,
                 ps_measures *out)
{
    size_t n = set.n ? bootstraps : 0, width = line_width(set.n_cuts);
    resampling r = {.set = set, .seed = seed, .means = malloc((n * width + 1) * 8)};
    double *column = malloc((n + 1) * sizeof *column);
    int err = r.means && column ? PS_OK : PS_ENOMEM;
    if (!err)
        err = ps_workers_run(workers, n, 16, on_resample, &r);
    if (!err)
        fill_scores(&r, n, column, out);
    free(r.means);
    free(column);
    return err;
}
