/* convolve.h - the convolution forward and backward, and its stages over rows.
 *
 * Two users: training runs a minibatch's sub-graph forward and backward; inference runs
 * each stage over a range of rows (map, reduce, update, head), from mapped arrays, with
 * no other state. Both go through the same kernels.
 *
 * A minibatch's nodes are one list in which the nodes of layer k are a prefix of those of
 * layer k-1, so a node's own row needs no index:
 *     S(0) = [ targets | their neighbours | the neighbours of those ]
 *
 * Threads: a ps_tape is scratch for one thread of control; kernels use a workers if
 * given.
 */
#ifndef PINSAGE_CONVOLVE_H
#define PINSAGE_CONVOLVE_H

#include <stdint.h>

#include "pinsage/model.h"
#include "pinsage/workers.h"

/* Sub-graph of a minibatch. n[k] nodes are needed at layer k, n[K] targets. */
typedef struct ps_subgraph {
    uint32_t layers;               /* K */
    uint32_t n[PS_LAYERS_MAX + 1]; /* n[0] >= n[1] >= ... >= n[K] */
    uint32_t T;
    const uint32_t *row; /* (n[0]) pins */
    const uint32_t *nbr; /* (n[1], T) positions in row; weight 0 = none */
    const float *weight; /* (n[1], T) */
} ps_subgraph;

typedef struct ps_tape ps_tape; /* activations of one forward pass */
int ps_tape_new(ps_tape **t, const ps_model_config *c, ps_workers *workers);
void ps_tape_free(ps_tape *t);
/* Bytes that a tape takes for a sub-graph of these sizes, told before work starts. */
size_t ps_tape_bytes(const ps_model_config *c, const uint32_t *n);

/* x (n[0], d_in) -> z (n[K], e), borrowed from the tape until the next call. */
int ps_forward(ps_tape *t, const ps_model *m, const ps_subgraph *s, const float *x,
               const float **z);
/* dz (n[K], e) -> adds to the gradients of every tensor in grad (a view). The tape must
 * hold the forward pass of the same arguments. */
int ps_backward(ps_tape *t, const ps_model *m, const ps_subgraph *s, const float *x,
                const float *dz, ps_model *grad);

/* ---- Inference stages over rows; k counts from 1 ---- */
/* map: h (n, width of layer k-1) -> messages p (n, m) f16. */
int ps_stage_map(const ps_model *m, uint32_t k, const float *h, uint32_t n, uint16_t *p);
/* join + reduce: messages of T neighbours, weighted: nbr, weight (n, T) into messages
 * (N, m) f16 -> pooled (n, m). */
void ps_stage_reduce(const ps_model *m, const uint32_t *nbr, const float *weight,
                     uint32_t n, uint32_t T, const uint16_t *messages, float *pooled);
/* update: own h (n, width k-1) and pooled (n, m) -> h of layer k (n, d). */
int ps_stage_update(const ps_model *m, uint32_t k, const float *h, const float *pooled,
                    uint32_t n, float *out);
/* head: h of layer K (n, d) and x (n, d_in) -> z (n, e); zero where x is: nothing is
 * known there. */
int ps_stage_head(const ps_model *m, const float *h, const float *x, uint32_t n,
                  float *z);

#endif
