/* embed.h - every pin's vector by map, join, reduce; and one pin's on request.
 *
 * Per layer: map each h to its message once, join messages to the pins that pool over
 * them, reduce to the weighted sum, update. Messages are f16 on disk, which is what
 * pooling reads in batch and on request alike. Inputs and outputs are mapped; a stage is
 * a function over a range of rows.
 *
 * Threads: ps_embed owns its own; a ps_embedder is scratch for one thread.
 */
#ifndef PINSAGE_EMBED_H
#define PINSAGE_EMBED_H

#include <stdint.h>

#include "pinsage/corpus.h"
#include "pinsage/err.h"
#include "pinsage/features.h"
#include "pinsage/generation.h"
#include "pinsage/model.h"
#include "pinsage/progress.h"
#include "pinsage/walk.h"

typedef struct ps_embed_opts {
    unsigned threads, keep;
    bool half; /* embeddings.npy as f16 */
} ps_embed_opts;

typedef struct ps_embed_report {
    uint64_t pins;
    uint32_t stages, reused; /* of stages, how many were there already */
    double seconds;
    char generation[32];
} ps_embed_report;

/* Write messages.K.npy, neighbours and embeddings.npy as a new generation. Stages whose
 * inputs have the fingerprints of the files already there are not done again. */
int ps_embed(const char *catalog, const ps_embed_opts *opts, ps_embed_report *report,
             const ps_progress *progress, ps_why *why);

/* All embeddings of a model in memory, z (N, e) into out: validation, baselines. nbr and
 * weight (N, T) may be NULL for K = 0. */
struct ps_workers;
int ps_embed_all(const ps_model *m, const ps_features *f, const uint32_t *nbr,
                 const float *weight, struct ps_workers *workers, float *out);

/* Embeddings of a model over the corpus's graph, (N, e) into out. */
int ps_corpus_embed(ps_corpus *corpus, const ps_model *model, float *out,
                    const ps_progress *progress, ps_why *why);

/* ---- One pin on request ---- */
typedef struct ps_embedder ps_embedder;
/* Borrows g and m. Needs messages; PS_EUNSUPPORTED in words without. */
int ps_embedder_new(ps_embedder **e, ps_generation *g, const ps_model *m, ps_why *why);
void ps_embedder_free(ps_embedder *e);
/* z (e) of a stored pin, computed anew: walk, pool mapped messages, update. Layer 2 needs
 * the pin's own h1, made from its features and neighbours' layer-1 messages. */
int ps_embedder_pin(ps_embedder *e, uint32_t row, float *z);
/* What makes an x of a pin's content (features.h). Borrowed. */
const ps_features *ps_embedder_features(const ps_embedder *e);
/* z of x (d_in) and a given neighbourhood (T rows, weights). */
int ps_embedder_vector(ps_embedder *e, const float *x, const uint32_t *nbr,
                       const float *weight, uint32_t T, float *z);

/* Live pins: a view of the graph that has them, and messages that rows have of their own,
 * made since the batch: (layers, m) f16, NULL for a row that has none. */
typedef struct ps_live_messages {
    const uint16_t *(*of)(void *cls, uint32_t row);
    void *cls;
} ps_live_messages;
/* What the calls below see from now on; view is borrowed until the next call. */
int ps_embedder_on(ps_embedder *e, const ps_graph *view, ps_live_messages live);
/* Message of layer k (1..K) of a row of the view into message (m): needs its neighbours'
 * messages of the layers below k. x (d_in); id_hash: XXH3 of its id. */
int ps_embedder_message(ps_embedder *e, uint32_t row, uint64_t id_hash, const float *x,
                        uint32_t k, uint16_t *message);
/* z (e) of a row of the view. */
int ps_embedder_live(ps_embedder *e, uint32_t row, uint64_t id_hash, const float *x,
                     float *z);
/* z of a pin that is in no view, on these boards of it, from n_walks walks. */
int ps_embedder_unstored(ps_embedder *e, const uint32_t *boards, uint32_t n,
                         uint32_t n_walks, uint64_t id_hash, const float *x, float *z);
/* Only walk, for ps_embedder_neighbours. */
int ps_embedder_walk(ps_embedder *e, uint32_t row, uint64_t id_hash);
/* The neighbourhood (T) that the last call walked to. Borrowed. */
uint32_t ps_embedder_neighbours(const ps_embedder *e, const uint32_t **rows,
                                const float **weights);

/* Batch and request must agree: embed n pins of a generation on request, in an even
 * sample, and compare with embeddings.npy. The difference is the largest of any number,
 * in units of the stored vector's length. */
typedef struct ps_parity {
    uint32_t pins;
    double least_cosine, largest_difference;
} ps_parity;
int ps_embed_parity(ps_generation *g, uint32_t n, ps_parity *out, ps_why *why);

#endif
