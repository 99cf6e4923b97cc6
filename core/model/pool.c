/* pool.c - sums over random rows: prefetch, then multiply-add in registers.
 *
 * The kernels are written once in GCC's vector notation (pool_kernel.h) and compiled for
 * AVX2 with FMA and F16C, and for the plain machine; the CPU picks at run time.
 *
 * Threads: see pool.h.
 */
#include "core/model/pool.h"

#include <string.h>

#include "core/base/wide.h"
#include "core/model/dense.h"
#include "pinsage/err.h"
#include "pinsage/half.h"

enum { NODES = 64 }; /* a worker's piece */

typedef void (*sum_fn)(const ps_pool *p, size_t begin, size_t end, const void *messages,
                       float *out);
typedef void (*axpy_fn)(float a, const float *x, float *y, size_t n);

#if defined(__x86_64__)
#define TARGET PS_WIDE
#define LOAD_HALF(at)                                                                    \
    _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(at)))
#define KERNEL(name) name##_avx2
#include "core/model/pool_kernel.h"
#undef TARGET
#undef LOAD_HALF
#undef KERNEL
#endif

#define TARGET
#define KERNEL(name) name##_plain
#include "core/model/pool_kernel.h"

static bool plain_only;

void ps_pool_force_plain(bool on)
{
    plain_only = on;
}

#if defined(__x86_64__)
#define PICK(name) (!plain_only && ps_cpu_wide() ? name##_avx2 : name##_plain)
#else
#define PICK(name) (name##_plain)
#endif

/* ------------------------------ Forward ----------------------------------- */

/* Winner of each column; few use it, so it is not tuned. */
static void max_node(const ps_pool *p, size_t u, const float *messages, float *out)
{
    const uint32_t *nbr = p->nbr + u * p->T;
    float *y = out + u * p->m;
    memset(y, 0, p->m * sizeof *y);
    if (p->best)
        memset(p->best + u * p->m, 0xff, p->m * sizeof *p->best);
    for (uint32_t t = 0; t < p->T; t++) {
        if (p->weight[u * p->T + t] == 0.0f)
            continue;
        const float *x = messages + (size_t)nbr[t] * p->m;
        for (uint32_t j = 0; j < p->m; j++)
            if (x[j] > y[j]) { /* messages are not negative, so 0 is the floor */
                y[j] = x[j];
                if (p->best)
                    p->best[u * p->m + j] = (uint16_t)t;
            }
    }
}

static void max_node_half(const ps_pool *p, size_t u, const uint16_t *messages,
                          float *out)
{
    float row[1024];
    float *y = out + u * p->m;
    memset(y, 0, p->m * sizeof *y);
    for (uint32_t t = 0; t < p->T; t++) {
        if (p->weight[u * p->T + t] == 0.0f)
            continue;
        const uint16_t *x = messages + (size_t)p->nbr[u * p->T + t] * p->m;
        for (uint32_t j = 0; j < p->m; j += 1024) {
            uint32_t n = p->m - j < 1024 ? p->m - j : 1024;
            ps_f16_to_f32(x + j, row, n);
            for (uint32_t i = 0; i < n; i++)
                y[j + i] = row[i] > y[j + i] ? row[i] : y[j + i];
        }
    }
}

typedef struct job {
    const ps_pool *p;
    const void *messages;
    float *out;
    sum_fn sum;
    int half;
    /* backward */
    const uint32_t *start, *entry;
    axpy_fn axpy;
} job;

static int forward_piece(void *cls, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    const job *j = cls;
    if (j->p->how != PS_POOL_MAX) {
        j->sum(j->p, begin, end, j->messages, j->out);
        return PS_OK;
    }
    for (size_t u = begin; u < end; u++)
        if (j->half)
            max_node_half(j->p, u, j->messages, j->out);
        else
            max_node(j->p, u, j->messages, j->out);
    return PS_OK;
}

int ps_pool_forward(ps_workers *workers, const ps_pool *p, const float *messages,
                    float *out)
{
    job j = {.p = p, .messages = messages, .out = out, .sum = PICK(sum_rows)};
    return ps_for_rows(workers, p->n, NODES, forward_piece, &j);
}

int ps_pool_forward_half(ps_workers *workers, const ps_pool *p, const uint16_t *messages,
                         float *out)
{
    job j = {
        .p = p, .messages = messages, .out = out, .sum = PICK(sum_halves), .half = 1};
    return ps_for_rows(workers, p->n, NODES, forward_piece, &j);
}

/* ------------------------------ Backward ---------------------------------- */

void ps_pool_transpose(const ps_pool *p, uint32_t n_in, uint32_t *start, uint32_t *entry)
{
    size_t all = (size_t)p->n * p->T;
    memset(start, 0, ((size_t)n_in + 1) * sizeof *start);
    for (size_t i = 0; i < all; i++)
        if (p->weight[i] != 0.0f)
            start[p->nbr[i] + 1]++;
    for (uint32_t v = 0; v < n_in; v++)
        start[v + 1] += start[v];
    for (size_t i = 0; i < all; i++)
        if (p->weight[i] != 0.0f)
            entry[start[p->nbr[i]]++] = (uint32_t)i;
    memmove(start + 1, start, (size_t)n_in * sizeof *start);
    start[0] = 0;
}

static void add_where_won(const ps_pool *p, size_t i, const float *dout, float *din)
{
    size_t u = i / p->T, t = i % p->T;
    const uint16_t *best = p->best + u * p->m;
    for (uint32_t j = 0; j < p->m; j++)
        if (best[j] == t)
            din[j] += dout[u * p->m + j];
}

static int backward_piece(void *cls, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    const job *j = cls;
    const ps_pool *p = j->p;
    const float *dout = j->messages;
    for (size_t v = begin; v < end; v++) {
        float *din = j->out + v * p->m;
        memset(din, 0, p->m * sizeof *din);
        for (uint32_t at = j->start[v]; at < j->start[v + 1]; at++) {
            uint32_t i = j->entry[at];
            if (p->how == PS_POOL_MAX)
                add_where_won(p, i, dout, din);
            else
                j->axpy(p->weight[i], dout + (size_t)(i / p->T) * p->m, din, p->m);
        }
    }
    return PS_OK;
}

typedef struct mask {
    const float *messages;
    float *din;
    size_t m;
} mask;

static int mask_piece(void *cls, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    const mask *k = cls;
    for (size_t i = begin * k->m; i < end * k->m; i++)
        k->din[i] = k->messages[i] > 0.0f ? k->din[i] : 0.0f;
    return PS_OK;
}

int ps_pool_backward(ps_workers *workers, const ps_pool *p, uint32_t n_in,
                     const uint32_t *start, const uint32_t *entry, const float *dout,
                     const float *messages, float *din)
{
    job j = {.p = p,
             .messages = dout,
             .out = din,
             .start = start,
             .entry = entry,
             .axpy = PICK(axpy)};
    mask k = {.messages = messages, .din = din, .m = p->m};
    int err = ps_for_rows(workers, n_in, NODES, backward_piece, &j);
    return err ? err : ps_for_rows(workers, n_in, NODES, mask_piece, &k);
}

/* ------------------------------ Weights ----------------------------------- */

void ps_pool_weights(ps_pooling how, const float *weight, size_t n, uint32_t T,
                     float *out)
{
    for (size_t u = 0; u < n; u++) {
        float kept = 0.0f;
        for (uint32_t t = 0; t < T; t++)
            kept += weight[u * T + t] != 0.0f ? 1.0f : 0.0f;
        for (uint32_t t = 0; t < T; t++) {
            float w = weight[u * T + t];
            out[u * T + t] = how != PS_POOL_MEAN || w == 0.0f ? w : 1.0f / kept;
        }
    }
}
