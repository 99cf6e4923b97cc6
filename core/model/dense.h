/* dense.h - a dense layer forward and backward, cut among workers by fixed pieces.
 *
 *     y (n, out) = act(beta y + x (n, in) w^T (in, out) + b)
 *
 * Pieces have a fixed size, so the sums are the same for any number of workers.
 *
 * Threads: uses the workers it is given; workers NULL runs on the caller alone.
 */
#ifndef PINSAGE_CORE_MODEL_DENSE_H
#define PINSAGE_CORE_MODEL_DENSE_H

#include <stdbool.h>
#include <stddef.h>

#include "pinsage/workers.h"

typedef struct ps_dense {
    size_t n, in, out;
    const float *x; /* (n, in), row stride ldx */
    size_t ldx;
    const float *w; /* (out, in), row stride ldw */
    size_t ldw;
    const float *b; /* (out), NULL for none */
    float *y;       /* (n, out), row stride out; gradient of y when backward */
    float beta;     /* forward: what is kept of y */
    bool relu;
} ps_dense;

int ps_dense_forward(ps_workers *workers, const ps_dense *l);
/* dx (n, in; row stride lddx) = beta dx + y w. */
int ps_dense_backward_data(ps_workers *workers, const ps_dense *l, float *dx, size_t lddx,
                           float beta);
/* dw (out, in; row stride ldw) += y^T x; db (out, NULL for none) += column sums of y. */
int ps_dense_backward_weights(ps_workers *workers, const ps_dense *l, float *dw,
                              float *db);

/* Run fn over [0, n) by the workers, or on the caller when there is none. */
int ps_for_rows(ps_workers *workers, size_t n, size_t grain, ps_work fn, void *cls);

#endif
