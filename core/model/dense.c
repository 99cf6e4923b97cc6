/* dense.c - matrix products by pieces of rows, bias and ReLU while the piece is in cache.
 *
 * Threads: see dense.h.
 */
#include "core/model/dense.h"

#include "pinsage/err.h"
#include "pinsage/gemm.h"

enum { ROWS = 512, COLUMNS = 64 }; /* pieces: of n, and of the weights' rows */

int ps_for_rows(ps_workers *workers, size_t n, size_t grain, ps_work fn, void *cls)
{
    if (workers)
        return ps_workers_run(workers, n, grain, fn, cls);
    int err = PS_OK;
    for (size_t at = 0; at < n && !err; at += grain)
        err = fn(cls, at, n - at > grain ? at + grain : n, 0);
    return err;
}

static void finish_row(float *restrict y, const float *restrict b, size_t n, bool relu)
{
    if (b && relu) { /* the usual case, in one pass */
        for (size_t j = 0; j < n; j++) {
            float s = y[j] + b[j];
            y[j] = s > 0.0f ? s : 0.0f;
        }
        return;
    }
    for (size_t j = 0; b && j < n; j++)
        y[j] += b[j];
    for (size_t j = 0; relu && j < n; j++)
        y[j] = y[j] > 0.0f ? y[j] : 0.0f;
}

static int forward_piece(void *cls, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    const ps_dense *l = cls;
    float *y = l->y + begin * l->out;
    ps_gemm_nt(end - begin, l->out, l->in, l->x + begin * l->ldx, l->ldx, l->w, l->ldw,
               l->beta, y, l->out);
    if (l->b || l->relu)
        for (size_t i = begin; i < end; i++)
            finish_row(l->y + i * l->out, l->b, l->out, l->relu);
    return PS_OK;
}

int ps_dense_forward(ps_workers *workers, const ps_dense *l)
{
    return ps_for_rows(workers, l->n, ROWS, forward_piece, (void *)l);
}

typedef struct back {
    const ps_dense *l;
    float *dx, *dw, *db;
    size_t lddx;
    float beta;
} back;

static int data_piece(void *cls, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    const back *b = cls;
    const ps_dense *l = b->l;
    ps_gemm_nn(end - begin, l->in, l->out, l->y + begin * l->out, l->out, l->w, l->ldw,
               b->beta, b->dx + begin * b->lddx, b->lddx);
    return PS_OK;
}

int ps_dense_backward_data(ps_workers *workers, const ps_dense *l, float *dx, size_t lddx,
                           float beta)
{
    back b = {.l = l, .dx = dx, .lddx = lddx, .beta = beta};
    return ps_for_rows(workers, l->n, ROWS, data_piece, &b);
}

static int weights_piece(void *cls, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    const back *b = cls;
    const ps_dense *l = b->l;
    ps_gemm_tn(end - begin, l->in, l->n, l->y + begin, l->out, l->x, l->ldx, 1.0f,
               b->dw + begin * l->ldw, l->ldw);
    if (b->db)
        for (size_t i = 0; i < l->n; i++)
            for (size_t j = begin; j < end; j++)
                b->db[j] += l->y[i * l->out + j];
    return PS_OK;
}

int ps_dense_backward_weights(ps_workers *workers, const ps_dense *l, float *dw,
                              float *db)
{
    back b = {.l = l, .dw = dw, .db = db};
    return ps_for_rows(workers, l->out, COLUMNS, weights_piece, &b);
}
