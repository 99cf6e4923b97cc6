/* model.h - the tensors of PinSage and what they mean; load, save, initialise.
 *
 * Layer k (KDD 2018, algorithm 1), h of width d_in for k = 1 and d after:
 *     message  p_v = ReLU(Q_k h_v + q_k)                            (m)
 *     pooled   n_u = sum_v a_uv p_v     (importance; or mean, max)  (m)
 *     update   h_u = normalise(ReLU(W_k [h_u, n_u] + w_k))          (d)
 * Head: z_u = G2 ReLU(G1 h_u + g) + S x_u, then normalised if similarity is cosine.
 * K = 0 is the `combined` baseline: a two-layer MLP over x, by the same code.
 *
 * All tensors are one block of floats, in the order of the structs below; gradients and
 * Adam's moments are blocks of the same layout. On disk: model.safetensors with the names
 * conv.1.Q.weight (m, d_in), conv.1.Q.bias, conv.1.W.weight (d, d_in + m), conv.1.W.bias,
 * conv.2..., head.G1.weight, head.G1.bias, head.G2.weight, skip.weight (e, d_in); the
 * rest of the configuration stands in the file's metadata.
 *
 * Threads: a model is read by all, changed by the trainer alone.
 */
#ifndef PINSAGE_MODEL_H
#define PINSAGE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pinsage/enum.h"
#include "pinsage/err.h"
#include "pinsage/walk.h"

#define PS_LAYERS_MAX 8

/* Kinds, and their names wherever they are written: command line, model file, manifest
 * (model.c). */
typedef enum ps_loss { PS_LOSS_MARGIN, PS_LOSS_XENT } ps_loss;
typedef enum ps_pooling { PS_POOL_IMPORTANCE, PS_POOL_MEAN, PS_POOL_MAX } ps_pooling;
typedef enum ps_similarity { PS_SIMILARITY_IP, PS_SIMILARITY_COSINE } ps_similarity;
typedef enum ps_neighbourhood { PS_NEIGHBOURS_WALK, PS_NEIGHBOURS_KHOP } ps_neighbourhood;
extern const ps_enum ps_loss_names, ps_pooling_names, ps_similarity_names,
    ps_neighbourhood_names;

typedef struct ps_model_config {
    uint32_t layers;                      /* K, 0..8 */
    uint32_t d_in;                        /* width of x */
    uint32_t m, d, e;                     /* message, hidden and embedding width */
    uint32_t neighbours, n_walks, length; /* T and the walks that choose them */
    ps_pooling pooling;
    ps_neighbourhood neighbourhood; /* visits of walks, or uniform k-hop neighbours */
    ps_similarity similarity;       /* cosine: z is normalised */
    bool skip;                      /* S is there */
    float temperature;              /* of the softmax loss; informative once trained */
    uint64_t seed;                  /* of the walks */
    char blocks[512];               /* comma-separated feature blocks, sorted */
} ps_model_config;

typedef struct ps_conv { /* shapes above; borrowed from the model's block */
    float *Q, *q, *W, *w;
} ps_conv;

typedef struct ps_model {
    ps_model_config config;
    size_t n_params;
    float *params; /* (n_params), owned unless a view */
    ps_conv conv[PS_LAYERS_MAX];
    float *G1, *g, *G2, *S; /* (d,d) (d) (e,d) (e,d_in); S NULL without skip; for K = 0
                               G1 is (d, d_in) */
} ps_model;

/* Width of h after k layers: d_in for 0. */
static inline uint32_t ps_model_width(const ps_model_config *c, uint32_t k)
{
    return k ? c->d : c->d_in;
}

/* The walks that its neighbours come from. */
static inline ps_walk_opts ps_model_walk(const ps_model_config *c)
{
    return (ps_walk_opts){
        .n_walks = c->n_walks, .length = c->length, .top = c->neighbours};
}

size_t ps_model_count(const ps_model_config *c);
/* Zeroed tensors. PS_EINVAL for sizes of 0 or beyond 65536. */
int ps_model_new(ps_model *m, const ps_model_config *c, ps_why *why);
/* The same tensors over the caller's block: for gradients. */
void ps_model_view(ps_model *m, const ps_model_config *c, float *params);
/* He-uniform by fan-in for ReLU layers, Glorot for G2 and S; biases 0. */
void ps_model_init(ps_model *m, uint64_t seed);
void ps_model_free(ps_model *m);

int ps_model_load(ps_model *m, const char *path, ps_why *why);
int ps_model_save(const ps_model *m, const char *path, uint64_t *size, uint64_t *hash,
                  ps_why *why);
/* XXH3 over configuration and tensors: ties messages and embeddings to a model. */
uint64_t ps_model_fingerprint(const ps_model *m);
/* The same as the sixteen digits that manifests hold. */
void ps_model_print(const ps_model *m, char out[17]);

#endif
