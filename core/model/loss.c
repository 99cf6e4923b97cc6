/* loss.c - scores of all pairs against all shared negatives as one product.
 *
 * Row b of the score matrix becomes, in place, the gradient of the loss with respect to
 * each score; two more products turn it into gradients of the vectors.
 *
 * Threads: see loss.h.
 */
#include "core/model/loss.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/gemm.h"

#define NONE UINT32_MAX

typedef struct scratch {
    float *q, *n;    /* (B, e), (negatives, e) gathered */
    float *score;    /* (B, negatives), then its gradient */
    float *own;      /* (B, hard), then its gradient */
    float *positive; /* (B), then its gradient */
    float *dq, *dn;  /* like q and n */
    float *block;    /* owns all of the above */
} scratch;

static int scratch_new(scratch *s, const ps_loss_batch *b)
{
    size_t B = b->pairs, n = b->negatives, e = b->e;
    size_t all = 2 * (B + n) * e + B * n + B * b->hard + B;
    float *at = s->block = malloc((all + 1) * sizeof *at);
    if (!at)
        return PS_ENOMEM;
    s->q = at, at += B * e;
    s->n = at, at += n * e;
    s->score = at, at += B * n;
    s->own = at, at += B * b->hard;
    s->positive = at, at += B;
    s->dq = at, at += B * e;
    s->dn = at;
    return PS_OK;
}

static void gather(const float *z, const uint32_t *rows, size_t n, size_t e, float *out)
{
    for (size_t i = 0; i < n; i++)
        memcpy(out + i * e, z + rows[i] * e, e * sizeof *out);
}

static float dot(const float *a, const float *b, size_t n)
{
    float sum = 0.0f;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void axpy(float a, const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

static void score(const ps_loss_batch *b, const float *z, scratch *s)
{
    size_t e = b->e;
    gather(z, b->query, b->pairs, e, s->q);
    gather(z, b->negative, b->negatives, e, s->n);
    ps_gemm_nt(b->pairs, b->negatives, e, s->q, e, s->n, e, 0.0f, s->score, b->negatives);
    for (size_t p = 0; p < b->pairs; p++) {
        const float *q = s->q + p * e;
        s->positive[p] = dot(q, z + b->related[p] * e, e);
        for (size_t h = p * b->hard; h < (p + 1) * b->hard; h++)
            s->own[h] = b->own[h] == NONE ? 0.0f : dot(q, z + b->own[h] * e, e);
    }
}

/* One pair's negatives, shared and own, as one list of slots. */
typedef struct row {
    float *shared, *own;
    const uint8_t *masked;
    const uint32_t *own_row;
    uint32_t n, hard;
} row;

static row row_of(const ps_loss_batch *b, const scratch *s, size_t p)
{
    return (row){.shared = s->score + p * b->negatives,
                 .own = s->own + p * b->hard,
                 .masked = b->masked + p * b->negatives,
                 .own_row = b->own + p * b->hard,
                 .n = b->negatives,
                 .hard = b->hard};
}

/* Slot j of a row, NULL when it does not count. */
static float *slot(const row *r, uint32_t j)
{
    if (j < r->n)
        return r->masked[j] ? NULL : &r->shared[j];
    return r->own_row[j - r->n] == NONE ? NULL : &r->own[j - r->n];
}

/* Slots that do not count must have no gradient. */
static void clear_unused(const row *r)
{
    for (uint32_t j = 0; j < r->n; j++)
        if (r->masked[j])
            r->shared[j] = 0.0f;
    for (uint32_t j = 0; j < r->hard; j++)
        if (r->own_row[j] == NONE)
            r->own[j] = 0.0f;
}

static uint32_t count_slots(const row *r)
{
    uint32_t n = 0;
    for (uint32_t j = 0; j < r->n + r->hard; j++)
        n += slot(r, j) != NULL;
    return n;
}

/* Turns scores into gradients; returns the pair's loss. */
static double margin_row(const row *r, float *positive, const ps_loss_opts *o,
                         float scale, double *violated)
{
    uint32_t n = count_slots(r), wrong = 0;
    float each = n ? scale / (float)n : 0.0f, limit = *positive - o->margin;
    double loss = 0;
    for (uint32_t j = 0; j < r->n + r->hard; j++) {
        float *x = slot(r, j);
        if (!x)
            continue;
        bool over = *x > limit;
        loss += over ? (double)(*x - limit) : 0;
        wrong += over;
        *x = over ? each : 0.0f;
    }
    *positive = -each * (float)wrong;
    *violated += n ? (double)wrong / n : 0;
    return n ? loss / n : 0;
}

static double xent_row(const row *r, float *positive, const ps_loss_opts *o, float scale,
                       double *violated)
{
    uint32_t n = count_slots(r), wrong = 0;
    float top = *positive, inverse = 1.0f / o->temperature;
    for (uint32_t j = 0; j < r->n + r->hard; j++) {
        const float *x = slot(r, j);
        if (x && *x > top)
            top = *x;
        wrong += x && *x > *positive;
    }
    double own = exp((double)((*positive - top) * inverse)), sum = own;
    for (uint32_t j = 0; j < r->n + r->hard; j++) {
        float *x = slot(r, j);
        if (x)
            sum += (double)(*x = expf((*x - top) * inverse));
    }
    float each = scale * inverse / (float)sum;
    for (uint32_t j = 0; j < r->n + r->hard; j++) {
        float *x = slot(r, j);
        if (x)
            *x *= each;
    }
    *positive = scale * inverse * (float)(own / sum - 1.0);
    *violated += n ? (double)wrong / n : 0;
    return log(sum) - log(own);
}

static void differentiate(const ps_loss_batch *b, const ps_loss_opts *o, scratch *s,
                          ps_loss_value *value)
{
    float scale = 1.0f / (float)b->pairs;
    *value = (ps_loss_value){0};
    for (size_t p = 0; p < b->pairs; p++) {
        row r = row_of(b, s, p);
        value->loss += o->kind == PS_LOSS_XENT
                           ? xent_row(&r, &s->positive[p], o, scale, &value->violated)
                           : margin_row(&r, &s->positive[p], o, scale, &value->violated);
        clear_unused(&r);
    }
    value->loss /= b->pairs;
    value->violated /= b->pairs;
}

/* Gradients of scores -> gradients of vectors, added in a fixed order. */
static void scatter(const ps_loss_batch *b, const float *z, scratch *s, float *dz)
{
    size_t e = b->e, n = b->negatives;
    ps_gemm_nn(b->pairs, e, n, s->score, n, s->n, e, 0.0f, s->dq, e);
    ps_gemm_tn(n, e, b->pairs, s->score, n, s->q, e, 0.0f, s->dn, e);
    memset(dz, 0, b->n * e * sizeof *dz);
    for (size_t j = 0; j < n; j++)
        axpy(1.0f, s->dn + j * e, dz + b->negative[j] * e, e);
    for (size_t p = 0; p < b->pairs; p++) {
        float *dq = s->dq + p * e;
        const float *q = s->q + p * e;
        axpy(s->positive[p], z + b->related[p] * e, dq, e);
        axpy(s->positive[p], q, dz + b->related[p] * e, e);
        for (size_t h = p * b->hard; h < (p + 1) * b->hard; h++)
            if (b->own[h] != NONE) {
                axpy(s->own[h], z + b->own[h] * e, dq, e);
                axpy(s->own[h], q, dz + b->own[h] * e, e);
            }
        axpy(1.0f, dq, dz + b->query[p] * e, e);
    }
}

int ps_loss_backward(const ps_loss_batch *b, const ps_loss_opts *o, const float *z,
                     float *dz, ps_loss_value *value)
{
    scratch s;
    int err = scratch_new(&s, b);
    if (err)
        return err;
    score(b, z, &s);
    differentiate(b, o, &s, value);
    scatter(b, z, &s, dz);
    free(s.block);
    return PS_OK;
}
