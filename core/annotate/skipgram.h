/* skipgram.h - word vectors by skip-gram with negative sampling (Mikolov et al., 2013).
 *
 * The context of a word is the other words of the same pin, near or far: annotations
 * have no order. Each use of a word is paired with up to `contexts` of them.
 *
 * Threads: ps_skipgram owns none; the workers given to it runs the loops. Any number of
 * threads gives the same vectors.
 */
#ifndef PINSAGE_CORE_ANNOTATE_SKIPGRAM_H
#define PINSAGE_CORE_ANNOTATE_SKIPGRAM_H

#include <stdint.h>

#include "core/annotate/texts.h"
#include "pinsage/progress.h"
#include "pinsage/workers.h"

typedef struct ps_skipgram_opts {
    uint32_t dim, epochs, negatives, contexts;
    float subsample; /* share of all uses above which a word is thinned */
    float rate;      /* learning rate, falling linearly to a hundredth */
    uint64_t seed;
} ps_skipgram_opts;

/* Vectors (n_words, dim) into out. loss: mean of the last epoch, per pair. */
int ps_skipgram(const ps_texts *c, const ps_skipgram_opts *opts, ps_workers *workers,
                float *out, float *loss, const ps_progress *progress);

#endif
