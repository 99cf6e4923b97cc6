/* featurizer.h - what it takes to embed a pin that no batch has seen.
 *
 * The generation's model, its word vectors, its boards' structure vectors: opened once an
 * engine, and used by the writer (pins posted) and by requests (pins only asked about).
 *
 * Threads: read by all once open.
 */
#ifndef PINSAGE_SERVER_LIVE_FEATURIZER_H
#define PINSAGE_SERVER_LIVE_FEATURIZER_H

#include <stdbool.h>
#include <stdint.h>

#include "pinsage/annotate.h"
#include "pinsage/embed.h"
#include "pinsage/generation.h"
#include "pinsage/model.h"
#include "server/message/questions.h"

typedef struct ps_featurizer {
    ps_generation *g; /* borrowed */
    bool has_model;   /* with messages, so that pins can be embedded on request */
    ps_model model;
    ps_words *words;           /* NULL: no text is embedded */
    ps_npy boards;             /* (boards, dim) vectors of structure; rows 0 without */
    int annotation, structure; /* which block, -1 for none */
    uint32_t own; /* bit b: block b came with an import; no other is shown to writers */
} ps_featurizer;

int ps_featurizer_open(ps_featurizer *k, ps_generation *g, ps_why *why);
void ps_featurizer_close(ps_featurizer *k);

/* Check vectors that are told against the generation's blocks: PS_EINVAL names the field
 * ("features.visual: 3 numbers, the block has 512"). */
int ps_featurizer_check(const ps_featurizer *k, const ps_named_vector *vector, uint32_t n,
                        ps_why *why);
/* The block that a vector fits, -1 when there is none of its name and width. */
int ps_featurizer_fits(const ps_featurizer *k, const ps_named_vector *vector);
/* Raw vector of block b of a pin on these boards into out (the block's width): what came
 * with it, what its text or its boards give, or zeros. False for zeros. */
bool ps_featurizer_block(const ps_featurizer *k, uint32_t b, const ps_content *c,
                         const uint32_t *boards, uint32_t n_boards, float *out);

#endif
