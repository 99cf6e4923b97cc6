/* features.h - what a pin brings by itself: x, the input of the first convolution.
 *
 * x is the feature blocks in sorted order of name, each L2-normalised (zeros where a pin
 * has none), then 0.1 log(1 + degree). One place decides this, for training, batch
 * inference and requests alike.
 *
 * Threads: read by all once open.
 */
#ifndef PINSAGE_FEATURES_H
#define PINSAGE_FEATURES_H

#include <stdint.h>

#include "pinsage/err.h"
#include "pinsage/generation.h"
#include "pinsage/model.h"

#define PS_BLOCKS_MAX 16

typedef struct ps_features {
    const ps_generation *generation; /* borrowed */
    uint32_t n_blocks, dim;          /* dim D = sum of the blocks' + 1 */
    const ps_block *block[PS_BLOCKS_MAX];
    uint32_t at[PS_BLOCKS_MAX]; /* column where each block begins */
} ps_features;

/* names: comma-separated blocks to use, NULL for all of the generation.
 * PS_EMISMATCH in words when one is missing. */
int ps_features_open(ps_features *f, const ps_generation *g, const char *names,
                     ps_why *why);
/* Those that a model was trained with; PS_EMISMATCH in words when it wants another D. */
int ps_features_for(ps_features *f, const ps_generation *g, const ps_model_config *c,
                    ps_why *why);
/* x of one stored pin into out (D). */
void ps_features_row(const ps_features *f, uint32_t row, float *out);
/* x of n pins into out (n, D). */
void ps_features_rows(const ps_features *f, const uint32_t *rows, uint32_t n, float *out);
/* x of a pin that is not stored: content[b] is block b's raw vector or NULL. */
void ps_features_make(const ps_features *f, const float *const *content, uint32_t degree,
                      float *out);

#endif
