/* blend_newton.c - Newton's method on the log-likelihood of a conditional logit.
 *
 * With p the softmax of w x over a query's candidates and h its hits,
 *
 *     log-likelihood  sum_h w x_h  -  |h| log sum_c exp(w x_c)
 *     gradient        sum_h x_h    -  |h| E_p[x]
 *     Hessian                      -  |h| Cov_p[x]
 *
 * less half a ridge on weights of standardised inputs. It is concave; a step that does
 * not improve is halved.
 *
 * Threads: blocks of queries are cut among the workers, and added up in order.
 */
#include "core/rank/blend_newton.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/err.h"

enum { BLOCK = 16, TURNS = 50, HALVINGS = 30 };
#define SMALL 1e-5 /* chances below this share are left out of the moments */

typedef struct sums {
    double value, gradient[NEWTON_WIDTH], hessian[NEWTON_WIDTH * NEWTON_WIDTH];
} sums;

typedef struct problem {
    const newton_query *query;
    const newton_opts *opts;
    size_t n, n_blocks;
    double scale[NEWTON_WIDTH];  /* 1 / deviation; 0 for an input that never varies */
    double prior[NEWTON_WIDTH];  /* of the scaled inputs */
    double weight[NEWTON_WIDTH]; /* of the raw inputs, for the sums at hand */
    sums *block;                 /* (n_blocks) */
} problem;

static bool counts(const problem *p, const newton_query *q)
{
    return q->n_hits && q->fold != p->opts->leave;
}

/* ------------------------------ One query ---------------------------------- */

static double times_of(const newton_query *q, uint32_t c)
{
    return q->sampled && c >= q->sampled ? (double)q->times : 1;
}

static double score(const newton_query *q, uint32_t c, uint32_t width, const double *w)
{
    return newton_dot(w, q->x + (size_t)c * width, width);
}

/* The largest w x of the candidates, taken off before exp so that nothing overflows, and
 * the sum of what is left. */
static double find_total(const newton_query *q, uint32_t width, const double *w,
                         double *top)
{
    double total = 0;
    *top = -INFINITY;
    for (uint32_t c = 0; c < q->n; c++)
        *top = fmax(*top, score(q, c, width, w));
    for (uint32_t c = 0; c < q->n; c++)
        total += times_of(q, c) * exp(score(q, c, width, w) - *top);
    return total;
}

/* Adds share * x and share * x x' of a candidate, of scaled inputs. */
static void add_moments(const problem *p, const float *x, double share, double *mean,
                        double *square)
{
    double v[NEWTON_WIDTH];
    for (uint32_t i = 0; i < p->opts->width; i++) {
        v[i] = (double)x[i] * p->scale[i];
        mean[i] += share * v[i];
        for (uint32_t j = 0; j <= i; j++)
            square[i * NEWTON_WIDTH + j] += share * v[i] * v[j];
    }
}

static void add_query(const problem *p, const newton_query *q, sums *s)
{
    double mean[NEWTON_WIDTH] = {0}, square[NEWTON_WIDTH * NEWTON_WIDTH] = {0};
    double top, hits = q->n_hits, seen = 0;
    uint32_t width = p->opts->width;
    double total = find_total(q, width, p->weight, &top);
    for (uint32_t c = 0; c < q->n; c++) {
        double e = times_of(q, c) * exp(score(q, c, width, p->weight) - top);
        if (e < SMALL * total)
            continue;
        seen += e;
        add_moments(p, q->x + (size_t)c * width, e, mean, square);
    }
    s->value -= hits * (top + log(total));
    for (uint32_t h = 0; h < q->n_hits; h++) {
        const float *x = q->x + (size_t)q->hit[h] * width;
        s->value += newton_dot(p->weight, x, width);
        for (uint32_t i = 0; i < width; i++)
            s->gradient[i] += (double)x[i] * p->scale[i];
    }
    for (uint32_t i = 0; i < width; i++) {
        s->gradient[i] -= hits * mean[i] / seen;
        for (uint32_t j = 0; j <= i; j++)
            s->hessian[i * NEWTON_WIDTH + j] +=
                hits *
                (square[i * NEWTON_WIDTH + j] / seen - mean[i] / seen * mean[j] / seen);
    }
}

double newton_likelihood(const newton_query *query, size_t n, uint32_t width,
                         uint32_t fold, const double *weight)
{
    double sum = 0, top;
    for (size_t i = 0; i < n; i++) {
        const newton_query *q = &query[i];
        if (q->fold != fold || !q->n_hits)
            continue;
        double total = find_total(q, width, weight, &top);
        sum -= q->n_hits * (top + log(total));
        for (uint32_t h = 0; h < q->n_hits; h++)
            sum += score(q, q->hit[h], width, weight);
    }
    return sum;
}

/* ------------------------------ All queries -------------------------------- */

static int on_block(void *cls, size_t begin, size_t end, unsigned worker)
{
    problem *p = cls;
    (void)worker;
    for (size_t b = begin; b < end; b++) {
        p->block[b] = (sums){0};
        for (size_t q = b * BLOCK; q < (b + 1) * BLOCK && q < p->n; q++)
            if (counts(p, &p->query[q]))
                add_query(p, &p->query[q], &p->block[b]);
    }
    return PS_OK;
}

/* Value, gradient and Hessian (lower half, positive) at w, of scaled inputs. */
static int sum_up(problem *p, const double *w, ps_workers *workers, sums *out)
{
    for (uint32_t i = 0; i < p->opts->width; i++)
        p->weight[i] = w[i] * p->scale[i];
    int err = ps_workers_run(workers, p->n_blocks, 1, on_block, p);
    *out = (sums){0};
    for (size_t b = 0; b < p->n_blocks; b++) {
        out->value += p->block[b].value;
        for (uint32_t i = 0; i < p->opts->width; i++)
            out->gradient[i] += p->block[b].gradient[i];
        for (uint32_t i = 0; i < NEWTON_WIDTH * p->opts->width; i++)
            out->hessian[i] += p->block[b].hessian[i];
    }
    for (uint32_t i = 0; i < p->opts->width; i++) {
        double far = w[i] - p->prior[i];
        out->value -= p->opts->ridge / 2 * far * far;
        out->gradient[i] -= p->opts->ridge * far;
        out->hessian[i * NEWTON_WIDTH + i] += p->opts->ridge;
    }
    return err;
}

static void find_scale(problem *p)
{
    double n = 0, sum[NEWTON_WIDTH] = {0}, square[NEWTON_WIDTH] = {0};
    for (size_t q = 0; q < p->n; q++)
        for (uint32_t c = 0; counts(p, &p->query[q]) && c < p->query[q].n; c++) {
            n++;
            for (uint32_t i = 0; i < p->opts->width; i++) {
                double v = (double)p->query[q].x[(size_t)c * p->opts->width + i];
                sum[i] += v;
                square[i] += v * v;
            }
        }
    for (uint32_t i = 0; i < p->opts->width; i++) {
        double mean = n > 0 ? sum[i] / n : 0;
        double variance = n > 0 ? square[i] / n - mean * mean : 0;
        p->scale[i] = variance > 1e-12 * (1 + mean * mean) ? 1 / sqrt(variance) : 0;
    }
}

/* ------------------------------ Newton ------------------------------------- */

/* Solve H x = b for a positive definite H (lower half), by Cholesky, in place. */
static void solve(double *h, double *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j <= i; j++) {
            double s = h[i * NEWTON_WIDTH + j];
            for (uint32_t k = 0; k < j; k++)
                s -= h[i * NEWTON_WIDTH + k] * h[j * NEWTON_WIDTH + k];
            h[i * NEWTON_WIDTH + j] =
                i == j ? sqrt(s > 1e-9 ? s : 1e-9) : s / h[j * NEWTON_WIDTH + j];
        }
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < i; k++)
            b[i] -= h[i * NEWTON_WIDTH + k] * b[k];
        b[i] /= h[i * NEWTON_WIDTH + i];
    }
    for (uint32_t i = n; i-- > 0;) {
        for (uint32_t k = i + 1; k < n; k++)
            b[i] -= h[k * NEWTON_WIDTH + i] * b[k];
        b[i] /= h[i * NEWTON_WIDTH + i];
    }
}

/* One step from w, halved until it improves; *moved: how far, 0 when nothing helps. */
static int take_step(problem *p, double *w, sums *at, ps_workers *workers, double *moved)
{
    double step[NEWTON_WIDTH], to[NEWTON_WIDTH];
    sums next;
    memcpy(step, at->gradient, sizeof step);
    solve(at->hessian, step, p->opts->width);
    *moved = 0;
    double gain = 0; /* twice what the step promises */
    for (uint32_t i = 0; i < p->opts->width; i++)
        gain += step[i] * at->gradient[i];
    if (gain < 1e-9 * (1 + fabs(at->value)))
        return PS_OK;
    for (int turn = 0; turn < HALVINGS; turn++) {
        double length = 0;
        for (uint32_t i = 0; i < p->opts->width; i++) {
            to[i] = w[i] + step[i];
            length = fmax(length, fabs(step[i]));
            step[i] /= 2;
        }
        int err = sum_up(p, to, workers, &next);
        if (err)
            return err;
        if (next.value <= at->value)
            continue;
        *moved = length;
        *at = next;
        memcpy(w, to, p->opts->width * sizeof *w);
        return PS_OK;
    }
    return PS_OK;
}

int newton_fit(const newton_query *query, size_t n, const newton_opts *o,
               ps_workers *workers, double *weight)
{
    double w[NEWTON_WIDTH] = {0}, moved = 1;
    sums at;
    problem p = {.query = query, .opts = o, .n = n, .n_blocks = (n + BLOCK - 1) / BLOCK};
    p.block = malloc((p.n_blocks + 1) * sizeof *p.block);
    if (!p.block)
        return PS_ENOMEM;
    find_scale(&p);
    for (uint32_t i = 0; i < o->width; i++)
        if (p.scale[i] > 0) {
            p.prior[i] = o->prior ? o->prior[i] / p.scale[i] : 0;
            w[i] = o->start ? o->start[i] / p.scale[i] : p.prior[i];
        }
    int err = sum_up(&p, w, workers, &at);
    for (int turn = 0; turn < TURNS && moved > 1e-7 && !err; turn++)
        err = take_step(&p, w, &at, workers, &moved);
    for (uint32_t i = 0; i < o->width; i++)
        weight[i] = p.scale[i] > 0 ? w[i] * p.scale[i] : o->prior ? o->prior[i] : 0;
    free(p.block);
    return err;
}
