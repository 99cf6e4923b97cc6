/* cosines.c - how a method's vectors lie to each other: the cosines of random pairs.
 *
 * Section 4.1 of the paper looks at this distribution instead of at examples: one that
 * is wide and flat can tell pins apart, one with a peak and long tails calls most pins
 * equal. Its figure is the excess kurtosis, fourth moment / variance^2 - 3.
 *
 * Sample i has its own random stream and its own place, so threads change nothing.
 *
 * Threads: samples are cut among the workers; moments are summed by one, in sorted order.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/eval/inside.h"
#include "pinsage/rng.h"

typedef struct sampling {
    const ps_npy *v;
    uint64_t seed;
    float *value; /* (PS_EVAL_COSINES) NaN: one of the two is zero */
    float *row;   /* (workers, 2, D) scratch */
} sampling;

static float cosine(const float *a, const float *b, size_t n)
{
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    if (!(aa > 0 && bb > 0))
        return NAN;
    double x = ab / sqrt(aa * bb);
    return (float)(x > 1 ? 1 : x < -1 ? -1 : x);
}

static int on_samples(void *cls, size_t begin, size_t end, unsigned worker)
{
    sampling *s = cls;
    size_t dim = s->v->cols;
    float *a = s->row + (size_t)worker * 2 * dim, *b = a + dim;
    for (size_t i = begin; i < end; i++) {
        uint64_t rng = ps_rng_at(s->seed, i);
        uint64_t first = ps_rng_below(&rng, s->v->rows);
        uint64_t other = ps_rng_below(&rng, s->v->rows - 1);
        ps_npy_row_f32(s->v, first, a);
        ps_npy_row_f32(s->v, other + (other >= first), b);
        s->value[i] = cosine(a, b, dim);
    }
    return PS_OK;
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

static void fill_moments(const float *value, uint32_t n, ps_eval_cosines *out)
{
    double sum = 0, square = 0, fourth = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += (double)value[i];
    out->mean = sum / n;
    for (uint32_t i = 0; i < n; i++) {
        double d = (double)value[i] - out->mean;
        square += d * d;
        fourth += d * d * d * d;
    }
    double variance = square / n;
    out->deviation = sqrt(variance);
    out->kurtosis = variance > 0 ? fourth / n / (variance * variance) - 3 : 0;
}

static void fill_bins(const float *value, uint32_t n, uint32_t *bin)
{
    for (uint32_t i = 0; i < n; i++) {
        int b = (int)(((double)value[i] + 1) / 2 * PS_EVAL_BINS);
        bin[b < 0 ? 0 : b >= PS_EVAL_BINS ? PS_EVAL_BINS - 1 : b]++;
    }
}

void cosines_describe(float *value, uint32_t n, ps_eval_cosines *out)
{
    static const double at[5] = {.01, .25, .5, .75, .99};
    *out = (ps_eval_cosines){.pairs = n};
    if (!n)
        return;
    qsort(value, n, sizeof *value, ascending);
    fill_moments(value, n, out);
    fill_bins(value, n, out->bin);
    for (size_t q = 0; q < 5; q++) {
        double place = at[q] * (n - 1.0);
        uint32_t low = (uint32_t)place, high = low + 1 < n ? low + 1 : low;
        double part = place - low;
        out->quantile[q] = (1 - part) * (double)value[low] + part * (double)value[high];
    }
}

/* Those that are numbers move to the front; how many. */
static uint32_t keep_numbers(float *value, size_t n)
{
    uint32_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(value[i]))
            value[kept++] = value[i];
    return kept;
}

int cosines_measure(const ps_npy *v, uint64_t seed, ps_workers *workers,
                    ps_eval_cosines *out)
{
    *out = (ps_eval_cosines){0};
    if (v->rows < 2)
        return PS_OK;
    sampling s = {.v = v,
                  .seed = seed,
                  .value = malloc(PS_EVAL_COSINES * sizeof *s.value),
                  .row = malloc(ps_workers_count(workers) * 2 * v->cols * sizeof *s.row)};
    int err = s.value && s.row ? PS_OK : PS_ENOMEM;
    if (!err)
        err = ps_workers_run(workers, PS_EVAL_COSINES, 1024, on_samples, &s);
    if (!err)
        cosines_describe(s.value, keep_numbers(s.value, PS_EVAL_COSINES), out);
    free(s.value);
    free(s.row);
    return err;
}
