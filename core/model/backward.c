/* backward.c - the convolution backward, in the reverse order of convolve.c.
 *
 * Each step names the forward line it undoes. Gradients of the layer below need no
 * copy of the concatenation either: W's two halves give them apart. x is data, so
 * layer 1 stops at its weights.
 *
 * Threads: see convolve.h.
 */
#include <string.h>

#include "core/model/dense.h"
#include "core/model/tape.h"

/* ------------------------------ Rows -------------------------------------- */

typedef struct undo {
    const float *y, *norm; /* normalised rows and their lengths before */
    float *dy;
    size_t width;
    bool relu;
} undo;

/* y = a / |a|, a = ReLU(s): da = (dy - y (y . dy)) / |a|, ds = da where a > 0. */
static int undo_piece(void *cls, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    const undo *u = cls;
    for (size_t i = begin; i < end; i++) {
        const float *y = u->y + i * u->width;
        float *dy = u->dy + i * u->width, dot = 0.0f;
        float scale = u->norm[i] > 0.0f ? 1.0f / u->norm[i] : 0.0f;
        for (size_t j = 0; j < u->width; j++)
            dot += y[j] * dy[j];
        for (size_t j = 0; j < u->width; j++)
            dy[j] = u->relu && y[j] <= 0.0f ? 0.0f : (dy[j] - y[j] * dot) * scale;
    }
    return PS_OK;
}

static int undo_normalise(ps_workers *workers, const float *y, const float *norm,
                          float *dy, size_t n, size_t width, bool relu)
{
    undo u = {.y = y, .norm = norm, .dy = dy, .width = width, .relu = relu};
    return ps_for_rows(workers, n, 512, undo_piece, &u);
}

static void undo_relu(const float *y, float *dy, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dy[i] = y[i] > 0.0f ? dy[i] : 0.0f;
}

/* ------------------------------ The head ---------------------------------- */

/* z = G2 ReLU(G1 h + g) + S x, normalised; leaves the gradient of h in dh. */
static int backward_head(ps_tape *t, const ps_model *m, size_t n, const float *h,
                         const float *x, const float *dz, ps_model *grad, float *dh)
{
    const ps_model_config *c = &t->config;
    size_t in = ps_model_width(c, c->layers);
    memcpy(t->dz, dz, n * c->e * sizeof *dz);
    int err = c->similarity == PS_SIMILARITY_COSINE
                  ? undo_normalise(t->workers, t->z, t->z_norm, t->dz, n, c->e, false)
                  : PS_OK;
    ps_dense skip = {.n = n,
                     .in = c->d_in,
                     .out = c->e,
                     .x = x,
                     .ldx = c->d_in,
                     .ldw = c->d_in,
                     .y = t->dz};
    if (!err && m->S)
        err = ps_dense_backward_weights(t->workers, &skip, grad->S, NULL);
    ps_dense second = {.n = n,
                       .in = c->d,
                       .out = c->e,
                       .x = t->hidden,
                       .ldx = c->d,
                       .w = m->G2,
                       .ldw = c->d,
                       .y = t->dz};
    if (!err)
        err = ps_dense_backward_weights(t->workers, &second, grad->G2, NULL);
    if (!err)
        err = ps_dense_backward_data(t->workers, &second, t->dhidden, c->d, 0.0f);
    undo_relu(t->hidden, t->dhidden, n * c->d);
    ps_dense first = {.n = n,
                      .in = in,
                      .out = c->d,
                      .x = h,
                      .ldx = in,
                      .w = m->G1,
                      .ldw = in,
                      .y = t->dhidden};
    if (!err)
        err = ps_dense_backward_weights(t->workers, &first, grad->G1, grad->g);
    if (!err && dh)
        err = ps_dense_backward_data(t->workers, &first, dh, in, 0.0f);
    return err;
}

/* ------------------------------ A layer ----------------------------------- */

/* h = normalise(ReLU(W [h_in, pooled] + w)): weights, and the gradient of pooled. */
static int backward_update(ps_tape *t, const ps_model *m, uint32_t k, size_t n,
                           const float *h_in, ps_model *grad, float *dh)
{
    const ps_model_config *c = &t->config;
    const ps_tape_layer *l = &t->layer[k - 1];
    size_t in = ps_model_width(c, k - 1), ldw = in + c->m;
    int err = undo_normalise(t->workers, l->h, l->norm, dh, n, c->d, true);
    ps_dense self = {.n = n,
                     .in = in,
                     .out = c->d,
                     .x = h_in,
                     .ldx = in,
                     .w = m->conv[k - 1].W,
                     .ldw = ldw,
                     .y = dh};
    ps_dense nbr = self;
    nbr.in = nbr.ldx = c->m;
    nbr.x = l->pooled;
    nbr.w += in;
    ps_conv *g = &grad->conv[k - 1];
    if (!err)
        err = ps_dense_backward_weights(t->workers, &self, g->W, g->w);
    if (!err)
        err = ps_dense_backward_weights(t->workers, &nbr, g->W + in, NULL);
    if (!err)
        err = ps_dense_backward_data(t->workers, &nbr, t->dpooled, c->m, 0.0f);
    return err;
}

/* message = ReLU(Q h_in + q), pooled by the layer's lists: weights of Q. */
static int backward_messages(ps_tape *t, const ps_model *m, const ps_subgraph *s,
                             uint32_t k, const float *h_in, ps_model *grad,
                             ps_dense *layer)
{
    const ps_model_config *c = &t->config;
    size_t in = ps_model_width(c, k - 1);
    ps_pool pool = ps_tape_pool(t, s, k);
    ps_pool_transpose(&pool, s->n[k - 1], t->start, t->entry);
    int err = ps_pool_backward(t->workers, &pool, s->n[k - 1], t->start, t->entry,
                               t->dpooled, t->layer[k - 1].message, t->dmessage);
    *layer = (ps_dense){.n = s->n[k - 1],
                        .in = in,
                        .out = c->m,
                        .x = h_in,
                        .ldx = in,
                        .w = m->conv[k - 1].Q,
                        .ldw = in,
                        .y = t->dmessage};
    ps_conv *g = &grad->conv[k - 1];
    return err ? err : ps_dense_backward_weights(t->workers, layer, g->Q, g->q);
}

/* The gradient of h_in from both its uses: as a message (all nodes of the layer below),
 * then as the node's own vector (its prefix). */
static int backward_input(ps_tape *t, const ps_model *m, const ps_subgraph *s, uint32_t k,
                          const ps_dense *message, float *dh, float *dh_in)
{
    const ps_model_config *c = &t->config;
    size_t in = ps_model_width(c, k - 1);
    int err = ps_dense_backward_data(t->workers, message, dh_in, in, 0.0f);
    ps_dense self = {.n = s->n[k],
                     .in = in,
                     .out = c->d,
                     .w = m->conv[k - 1].W,
                     .ldw = in + c->m,
                     .y = dh};
    return err ? err : ps_dense_backward_data(t->workers, &self, dh_in, in, 1.0f);
}

int ps_backward(ps_tape *t, const ps_model *m, const ps_subgraph *s, const float *x,
                const float *dz, ps_model *grad)
{
    uint32_t K = s->layers;
    float *dh = K ? t->dh[K % 2] : NULL;
    const float *top = K ? t->layer[K - 1].h : x;
    int err = backward_head(t, m, s->n[K], top, x, dz, grad, dh);
    for (uint32_t k = K; k >= 1 && !err; k--) {
        const float *h_in = k > 1 ? t->layer[k - 2].h : x;
        ps_dense message;
        err = backward_update(t, m, k, s->n[k], h_in, grad, dh);
        if (!err)
            err = backward_messages(t, m, s, k, h_in, grad, &message);
        if (!err && k > 1)
            err = backward_input(t, m, s, k, &message, dh, t->dh[(k - 1) % 2]);
        dh = t->dh[(k - 1) % 2];
    }
    return err;
}
