/* tape.h - what a forward pass leaves for the backward pass.
 *
 * Private to convolve.c and backward.c. Buffers grow to the largest minibatch seen and
 * are kept. Activations are stored after ReLU and normalisation: signs tell the ReLU's
 * mask, and the norm is kept beside.
 *
 * Threads: one tape, one thread of control.
 */
#ifndef PINSAGE_CORE_MODEL_TAPE_H
#define PINSAGE_CORE_MODEL_TAPE_H

#include "core/model/pool.h"
#include "pinsage/convolve.h"

typedef struct ps_tape_layer {
    float *message; /* (n[k-1], m) after ReLU */
    float *pooled;  /* (n[k], m) */
    float *h;       /* (n[k], d) normalised */
    float *norm;    /* (n[k]) before normalising */
    uint16_t *best; /* (n[k], m), max pooling */
} ps_tape_layer;

struct ps_tape {
    ps_model_config config;
    ps_workers *workers; /* borrowed, NULL for none */
    size_t room[PS_LAYERS_MAX + 1];
    uint32_t T;
    ps_tape_layer layer[PS_LAYERS_MAX];
    float *weight;     /* (n[1], T) as pooling counts them */
    float *hidden;     /* (n[K], d) head after ReLU */
    float *z, *z_norm; /* (n[K], e), (n[K]) */
    /* backward */
    float *dz, *dhidden; /* (n[K], e), (n[K], d) */
    float *dh[2];        /* (n[k], d), turn about */
    float *dpooled, *dmessage;
    uint32_t *start, *entry; /* lists transposed */
};

/* The pool of layer k (1-based) over the tape's buffers. */
ps_pool ps_tape_pool(const ps_tape *t, const ps_subgraph *s, uint32_t k);
/* Make room for a sub-graph. */
int ps_tape_fit(ps_tape *t, const ps_subgraph *s);

#endif
