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
static const double RIDGE = 1;

typedef struct sums {
    double value, gradient[NEWTON_WIDTH], hessian[NEWTON_WIDTH * NEWTON_WIDTH];
} sums;

typedef struct problem {
    const newton_query *query;
    size_t n, n_blocks;
    uint32_t width, fold;
    double scale[NEWTON_WIDTH];  /* 1 / deviation; 0 for an input that never varies */
    double weight[NEWTON_WIDTH]; /* of the raw inputs, for the sums at hand */
    sums *block;                 /* (n_blocks) */
} problem;

static bool counts(const problem *p, const newton_query *q)
{
    return q->n_hits && (p->fold == NEWTON_ALL || q->fold == p->fold);
}

/* ------------------------------ One query ---------------------------------- */

/* The largest w x of the candidates: taken off before exp, nothing overflows. */
static double find_top(const problem *p, const newton_query *q)
{
    double top = -INFINITY;
    for (uint32_t c = 0; c < q->n; c++)
        top = fmax(top, newton_dot(p->weight, q->x + (size_t)c * p->width, p->width));
    return top;
}

/* Adds share * x and share * x x' of a candidate, of scaled inputs. */
static void add_moments(const problem *p, const float *x, double share, double *mean,
                        double *square)
{
    double v[NEWTON_WIDTH];
    for (uint32_t i = 0; i < p->width; i++) {
        v[i] = (double)x[i] * p->scale[i];
        mean[i] += share * v[i];
        for (uint32_t j = 0; j <= i; j++)
            square[i * NEWTON_WIDTH + j] += share * v[i] * v[j];
    }
}

static void add_query(const problem *p, const newton_query *q, sums *s)
{
    double mean[NEWTON_WIDTH] = {0}, square[NEWTON_WIDTH * NEWTON_WIDTH] = {0};
    double top = find_top(p, q), total = 0, hits = q->n_hits;
    for (uint32_t c = 0; c < q->n; c++) {
        const float *x = q->x + (size_t)c * p->width;
        double e = exp(newton_dot(p->weight, x, p->width) - top);
        total += e;
        if (e > 1e-12)
            add_moments(p, x, e, mean, square);
    }
    s->value -= hits * (top + log(total));
    for (uint32_t h = 0; h < q->n_hits; h++) {
        const float *x = q->x + (size_t)q->hit[h] * p->width;
        s->value += newton_dot(p->weight, x, p->width);
        for (uint32_t i = 0; i < p->width; i++)
            s->gradient[i] += (double)x[i] * p->scale[i];
    }
    for (uint32_t i = 0; i < p->width; i++) {
        s->gradient[i] -= hits * mean[i] / total;
        for (uint32_t j = 0; j <= i; j++)
            s->hessian[i * NEWTON_WIDTH + j] +=
                hits * (square[i * NEWTON_WIDTH + j] / total -
                        mean[i] / total * mean[j] / total);
    }
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
    for (uint32_t i = 0; i < p->width; i++)
        p->weight[i] = w[i] * p->scale[i];
    int err = ps_workers_run(workers, p->n_blocks, 1, on_block, p);
    *out = (sums){0};
    for (size_t b = 0; b < p->n_blocks; b++) {
        out->value += p->block[b].value;
        for (uint32_t i = 0; i < p->width; i++)
            out->gradient[i] += p->block[b].gradient[i];
        for (uint32_t i = 0; i < NEWTON_WIDTH * p->width; i++)
            out->hessian[i] += p->block[b].hessian[i];
    }
    for (uint32_t i = 0; i < p->width; i++) {
        out->value -= RIDGE / 2 * w[i] * w[i];
        out->gradient[i] -= RIDGE * w[i];
        out->hessian[i * NEWTON_WIDTH + i] += RIDGE;
    }
    return err;
}

static void find_scale(problem *p)
{
    double n = 0, sum[NEWTON_WIDTH] = {0}, square[NEWTON_WIDTH] = {0};
    for (size_t q = 0; q < p->n; q++)
        for (uint32_t c = 0; counts(p, &p->query[q]) && c < p->query[q].n; c++) {
            n++;
            for (uint32_t i = 0; i < p->width; i++) {
                double v = (double)p->query[q].x[(size_t)c * p->width + i];
                sum[i] += v;
                square[i] += v * v;
            }
        }
    for (uint32_t i = 0; i < p->width; i++) {
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
    solve(at->hessian, step, p->width);
    *moved = 0;
    double gain = 0; /* twice what the step promises */
    for (uint32_t i = 0; i < p->width; i++)
        gain += step[i] * at->gradient[i];
    if (gain < 1e-9 * (1 + fabs(at->value)))
        return PS_OK;
    for (int turn = 0; turn < HALVINGS; turn++) {
        double length = 0;
        for (uint32_t i = 0; i < p->width; i++) {
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
        memcpy(w, to, p->width * sizeof *w);
        return PS_OK;
    }
    return PS_OK;
}

int newton_fit(const newton_query *query, size_t n, uint32_t width, uint32_t fold,
               ps_workers *workers, double *weight)
{
    double w[NEWTON_WIDTH] = {0}, moved = 1;
    sums at;
    problem p = {.query = query,
                 .n = n,
                 .n_blocks = (n + BLOCK - 1) / BLOCK,
                 .width = width,
                 .fold = fold};
    p.block = malloc((p.n_blocks + 1) * sizeof *p.block);
    if (!p.block)
        return PS_ENOMEM;
    find_scale(&p);
    int err = sum_up(&p, w, workers, &at);
    for (int turn = 0; turn < TURNS && moved > 1e-7 && !err; turn++)
        err = take_step(&p, w, &at, workers, &moved);
    for (uint32_t i = 0; i < width; i++)
        weight[i] = w[i] * p.scale[i];
    free(p.block);
    return err;
}
