/* loss.c - scores of all pairs against all shared negatives as one product.
 *
 * Row b of the score matrix becomes, in place, the gradient of the loss with respect to
 * each score; two more products turn it into gradients of the vectors. Pairs are cut
 * among workers, then negatives are.
 *
 * Threads: see loss.h.
 */
#include "core/model/loss.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/model/dense.h"
#include "pinsage/gemm.h"

#define NONE UINT32_MAX

typedef struct scratch {
    float *q, *n;         /* (B, e), (negatives, e) gathered */
    float *score;         /* (B, negatives), then its gradient */
    float *own;           /* (B, hard), then its gradient */
    float *positive;      /* (B), then its gradient */
    float *dq, *dn;       /* like q and n */
    float *block;         /* owns all of the above */
    ps_loss_value *value; /* owned (B) */
} scratch;

static void scratch_done(scratch *s)
{
    free(s->block);
    free(s->value);
}

static int scratch_new(scratch *s, const ps_loss_batch *b)
{
    size_t B = b->pairs, n = b->negatives, e = b->e;
    size_t all = 2 * (B + n) * e + B * n + B * b->hard + B;
    float *at = s->block = malloc((all + 1) * sizeof *at);
    s->value = malloc((B + 1) * sizeof *s->value);
    if (!at || !s->value) {
        scratch_done(s);
        return PS_ENOMEM;
    }
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
                 .own_row = b->hard ? b->own + p * b->hard : NULL,
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
    clear_unused(r);
    *violated += n ? (double)wrong / n : 0;
    return n ? loss / n : 0;
}

/* Slots that do not count get the score of what can never be related, so that the loops
 * below have no branch; the exponential makes it no gradient. */
static void hide(const row *r)
{
    for (uint32_t j = 0; j < r->n; j++)
        r->shared[j] = r->masked[j] ? -INFINITY : r->shared[j];
    for (uint32_t j = 0; j < r->hard; j++)
        r->own[j] = r->own_row[j] == NONE ? -INFINITY : r->own[j];
}

static float highest(const float *x, uint32_t n, float top)
{
    for (uint32_t j = 0; j < n; j++)
        top = x[j] > top ? x[j] : top;
    return top;
}

static uint32_t count_above(const float *x, uint32_t n, float limit)
{
    uint32_t above = 0;
    for (uint32_t j = 0; j < n; j++)
        above += x[j] > limit;
    return above;
}

/* x becomes exp((x - top) inverse); returns the sum. */
static double exponentials(float *x, uint32_t n, float top, float inverse)
{
    double sum = 0;
    for (uint32_t j = 0; j < n; j++)
        sum += (double)(x[j] = expf((x[j] - top) * inverse));
    return sum;
}

static void scale_all(float *x, uint32_t n, float by)
{
    for (uint32_t j = 0; j < n; j++)
        x[j] *= by;
}

static double xent_row(const row *r, float *positive, const ps_loss_opts *o, float scale,
                       double *violated)
{
    uint32_t n = count_slots(r), hard = r->hard;
    float inverse = 1.0f / o->temperature;
    hide(r);
    float top = highest(r->own, hard, highest(r->shared, r->n, *positive));
    uint32_t wrong =
        count_above(r->shared, r->n, *positive) + count_above(r->own, hard, *positive);
    double ahead = (double)((*positive - top) * inverse), own = exp(ahead), sum = own;
    sum += exponentials(r->shared, r->n, top, inverse);
    sum += exponentials(r->own, hard, top, inverse);
    float each = scale * inverse / (float)sum;
    scale_all(r->shared, r->n, each);
    scale_all(r->own, hard, each);
    *positive = scale * inverse * (float)(own / sum - 1.0);
    *violated += n ? (double)wrong / n : 0;
    return log(sum) - (own > 0 ? log(own) : ahead); /* which may be too small for exp */
}

/* ------------------------------ Pieces ------------------------------------ */

enum { PAIRS = 64, NEGATIVES = 128 }; /* a worker's piece: fixed, so sums are the same */

typedef struct job {
    const ps_loss_batch *b;
    const ps_loss_opts *o;
    const float *z;
    scratch *s;
} job;

static void score(const job *k, size_t begin, size_t end)
{
    const ps_loss_batch *b = k->b;
    scratch *s = k->s;
    size_t e = b->e, n = b->negatives;
    gather(k->z, b->query + begin, end - begin, e, s->q + begin * e);
    ps_gemm_nt(end - begin, n, e, s->q + begin * e, e, s->n, e, 0.0f,
               s->score + begin * n, n);
    for (size_t p = begin; p < end; p++) {
        const float *q = s->q + p * e;
        s->positive[p] = dot(q, k->z + b->related[p] * e, e);
        for (size_t h = p * b->hard; h < (p + 1) * b->hard; h++)
            s->own[h] = b->own[h] == NONE ? 0.0f : dot(q, k->z + b->own[h] * e, e);
    }
}

static void differentiate(const job *k, size_t begin, size_t end)
{
    const ps_loss_batch *b = k->b;
    scratch *s = k->s;
    float scale = 1.0f / (float)b->pairs;
    for (size_t p = begin; p < end; p++) {
        row r = row_of(b, s, p);
        ps_loss_value *v = &s->value[p];
        *v = (ps_loss_value){0};
        v->loss = k->o->kind == PS_LOSS_XENT
                      ? xent_row(&r, &s->positive[p], k->o, scale, &v->violated)
                      : margin_row(&r, &s->positive[p], k->o, scale, &v->violated);
    }
}

/* Scores of some pairs, their gradients, and through them those of the queries. */
static int pairs_piece(void *cls, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    const job *k = cls;
    size_t e = k->b->e, n = k->b->negatives;
    score(k, begin, end);
    differentiate(k, begin, end);
    ps_gemm_nn(end - begin, e, n, k->s->score + begin * n, n, k->s->n, e, 0.0f,
               k->s->dq + begin * e, e);
    return PS_OK;
}

static int negatives_piece(void *cls, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    const job *k = cls;
    size_t e = k->b->e;
    ps_gemm_tn(end - begin, e, k->b->pairs, k->s->score + begin, k->b->negatives, k->s->q,
               e, 0.0f, k->s->dn + begin * e, e);
    return PS_OK;
}

/* ------------------------------ The whole --------------------------------- */

/* Gradients of scores -> gradients of vectors, added in a fixed order. */
static void scatter(const job *k, float *dz)
{
    const ps_loss_batch *b = k->b;
    const scratch *s = k->s;
    const float *z = k->z;
    size_t e = b->e, n = b->negatives;
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

static void sum_up(const job *k, ps_loss_value *value)
{
    *value = (ps_loss_value){0};
    for (size_t p = 0; p < k->b->pairs; p++) {
        value->loss += k->s->value[p].loss;
        value->violated += k->s->value[p].violated;
    }
    value->loss /= k->b->pairs;
    value->violated /= k->b->pairs;
}

int ps_loss_backward(ps_workers *workers, const ps_loss_batch *b, const ps_loss_opts *o,
                     const float *z, float *dz, ps_loss_value *value)
{
    scratch s;
    job k = {b, o, z, &s};
    int err = scratch_new(&s, b);
    if (err)
        return err;
    gather(z, b->negative, b->negatives, b->e, s.n);
    err = ps_for_rows(workers, b->pairs, PAIRS, pairs_piece, &k);
    if (!err)
        err = ps_for_rows(workers, b->negatives, NEGATIVES, negatives_piece, &k);
    if (!err) {
        sum_up(&k, value);
        scatter(&k, dz);
    }
    scratch_done(&s);
    return err;
}
