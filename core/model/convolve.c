/* convolve.c - the convolution forward: of a minibatch, and stage by stage over rows.
 *
 *     x --Q1--> messages --pool--> n --+
 *     |                                W1 --ReLU, norm--> h1 --Q2--> ...
 *     +--------------------------------+
 *
 * The concatenation [h, n] is never made: W's columns are cut in two and the product
 * with n is added to the product with h. Backward stands in backward.c, line by line
 * beside this.
 *
 * Threads: see convolve.h.
 */
#include "pinsage/convolve.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/model/dense.h"
#include "core/model/tape.h"
#include "pinsage/half.h"
#include "pinsage/length.h"
#include "pinsage/npy.h"

/* Length of each row into norm (may be NULL), rows divided by it; a row shorter than this
 * is left as it is, with norm 0. */
#define TINY 1e-12f

typedef struct rows {
    float *y, *norm;
    size_t width;
} rows;

static int normalise_piece(void *cls, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    const rows *r = cls;
    for (size_t i = begin; i < end; i++) {
        float *y = r->y + i * r->width, sum = 0.0f;
        for (size_t j = 0; j < r->width; j++)
            sum += y[j] * y[j];
        float norm = sqrtf(sum);
        if (r->norm)
            r->norm[i] = norm > TINY ? norm : 0.0f;
        for (size_t j = 0; norm > TINY && j < r->width; j++)
            y[j] /= norm;
    }
    return PS_OK;
}

static int normalise(ps_workers *workers, float *y, float *norm, size_t n, size_t width)
{
    rows r = {.y = y, .norm = norm, .width = width};
    return ps_for_rows(workers, n, 512, normalise_piece, &r);
}

/* ------------------------------ The steps --------------------------------- */

static int messages(ps_workers *workers, const ps_model *m, uint32_t k, const float *h,
                    size_t n, float *out)
{
    const ps_conv *c = &m->conv[k - 1];
    size_t in = ps_model_width(&m->config, k - 1);
    ps_dense l = {.n = n,
                  .in = in,
                  .out = m->config.m,
                  .x = h,
                  .ldx = in,
                  .w = c->Q,
                  .ldw = in,
                  .b = c->q,
                  .y = out,
                  .relu = true};
    return ps_dense_forward(workers, &l);
}

static int update(ps_workers *workers, const ps_model *m, uint32_t k, const float *h,
                  const float *pooled, size_t n, float *out, float *norm)
{
    const ps_conv *c = &m->conv[k - 1];
    size_t in = ps_model_width(&m->config, k - 1), ldw = in + m->config.m;
    ps_dense self = {.n = n,
                     .in = in,
                     .out = m->config.d,
                     .x = h,
                     .ldx = in,
                     .w = c->W,
                     .ldw = ldw,
                     .y = out};
    ps_dense nbr = self;
    nbr.in = nbr.ldx = m->config.m;
    nbr.x = pooled;
    nbr.w = c->W + in;
    nbr.b = c->w;
    nbr.beta = 1.0f;
    nbr.relu = true;
    int err = ps_dense_forward(workers, &self);
    if (!err)
        err = ps_dense_forward(workers, &nbr);
    return err ? err : normalise(workers, out, norm, n, m->config.d);
}

static int head(ps_workers *workers, const ps_model *m, const float *h, const float *x,
                size_t n, float *hidden, float *z, float *norm)
{
    const ps_model_config *c = &m->config;
    size_t in = ps_model_width(c, c->layers);
    ps_dense first = {.n = n,
                      .in = in,
                      .out = c->d,
                      .x = h,
                      .ldx = in,
                      .w = m->G1,
                      .ldw = in,
                      .b = m->g,
                      .y = hidden,
                      .relu = true};
    ps_dense second = {.n = n,
                       .in = c->d,
                       .out = c->e,
                       .x = hidden,
                       .ldx = c->d,
                       .w = m->G2,
                       .ldw = c->d,
                       .y = z};
    ps_dense skip = {.n = n,
                     .in = c->d_in,
                     .out = c->e,
                     .x = x,
                     .ldx = c->d_in,
                     .w = m->S,
                     .ldw = c->d_in,
                     .y = z,
                     .beta = 1.0f};
    int err = ps_dense_forward(workers, &first);
    if (!err)
        err = ps_dense_forward(workers, &second);
    if (!err && m->S)
        err = ps_dense_forward(workers, &skip);
    if (!err && c->similarity == PS_SIMILARITY_COSINE)
        err = normalise(workers, z, norm, n, c->e);
    return err;
}

/* ------------------------------ A minibatch ------------------------------- */

int ps_forward(ps_tape *t, const ps_model *m, const ps_subgraph *s, const float *x,
               const float **z)
{
    const float *h = x;
    int err = ps_tape_fit(t, s);
    if (!err && s->layers)
        ps_pool_weights(t->config.pooling, s->weight, s->n[1], s->T, t->weight);
    for (uint32_t k = 1; k <= s->layers && !err; k++) {
        ps_tape_layer *l = &t->layer[k - 1];
        ps_pool pool = ps_tape_pool(t, s, k);
        err = messages(t->workers, m, k, h, s->n[k - 1], l->message);
        if (!err)
            err = ps_pool_forward(t->workers, &pool, l->message, l->pooled);
        if (!err)
            err = update(t->workers, m, k, h, l->pooled, s->n[k], l->h, l->norm);
        h = l->h;
    }
    if (!err)
        err = head(t->workers, m, h, x, s->n[s->layers], t->hidden, t->z, t->z_norm);
    *z = t->z;
    return err;
}

/* ------------------------------ Stages over rows -------------------------- */

enum { MAP_ROWS = 1024 }; /* rows between product and conversion: stays in cache */

int ps_stage_map(const ps_model *m, uint32_t k, const float *h, uint32_t n, uint16_t *p)
{
    size_t width = m->config.m, in = ps_model_width(&m->config, k - 1);
    float *block = malloc(MAP_ROWS * width * sizeof *block);
    if (!block)
        return PS_ENOMEM;
    int err = PS_OK;
    for (size_t at = 0; at < n && !err; at += MAP_ROWS) {
        size_t some = n - at < MAP_ROWS ? n - at : MAP_ROWS;
        err = messages(NULL, m, k, h + at * in, some, block);
        ps_f32_to_f16(block, p + at * width, some * width);
    }
    free(block);
    return err;
}

enum { MEAN_ROWS = 64, MEAN_T = 1000 };

/* Mean pooling counts each neighbour alike: weights are made anew, some rows at a time.
 * A function of its own, because locals are zeroed and these are large. */
static void reduce_mean(ps_pool pool, const uint16_t *message, float *pooled)
{
    float counted[MEAN_ROWS * MEAN_T];
    uint32_t n = pool.n;
    const float *weight = pool.weight;
    for (uint32_t at = 0; at < n; at += MEAN_ROWS) {
        pool.n = n - at < MEAN_ROWS ? n - at : MEAN_ROWS;
        ps_pool_weights(PS_POOL_MEAN, weight + (size_t)at * pool.T, pool.n, pool.T,
                        counted);
        pool.weight = counted;
        ps_pool_forward_half(NULL, &pool, message, pooled + (size_t)at * pool.m);
        pool.nbr += (size_t)pool.n * pool.T;
    }
}

void ps_stage_reduce(const ps_model *m, const uint32_t *nbr, const float *weight,
                     uint32_t n, uint32_t T, const uint16_t *message, float *pooled)
{
    ps_pool pool = {.n = n,
                    .T = T,
                    .m = m->config.m,
                    .nbr = nbr,
                    .weight = weight,
                    .how = m->config.pooling};
    if (pool.how == PS_POOL_MEAN)
        reduce_mean(pool, message, pooled);
    else
        ps_pool_forward_half(NULL, &pool, message, pooled);
}

int ps_stage_update(const ps_model *m, uint32_t k, const float *h, const float *pooled,
                    uint32_t n, float *out)
{
    return update(NULL, m, k, h, pooled, n, out, NULL);
}

/* Where x is zero nothing is known of the pin, neither content nor a board: what comes
 * out would be the biases alone, the same for all such pins. They have no vector. */
static void clear_unknown(const ps_model *m, const float *x, uint32_t n, float *z)
{
    ps_rows known = {x, m->config.d_in, 0};
    for (uint32_t i = 0; i < n; i++)
        if (ps_row_is_none(known, i))
            memset(z + (size_t)i * m->config.e, 0, m->config.e * sizeof *z);
}

int ps_stage_head(const ps_model *m, const float *h, const float *x, uint32_t n, float *z)
{
    float *hidden = malloc((size_t)n * m->config.d * sizeof *hidden + 1);
    if (!hidden)
        return PS_ENOMEM;
    int err = head(NULL, m, h, x, n, hidden, z, NULL);
    free(hidden);
    if (!err)
        clear_unknown(m, x, n, z);
    return err;
}
