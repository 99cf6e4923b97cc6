/* words.h - writing words.safetensors; reading it is annotate.h's.
 *
 * Threads: pure functions.
 */
#ifndef PINSAGE_CORE_ANNOTATE_WORDS_H
#define PINSAGE_CORE_ANNOTATE_WORDS_H

#include "core/annotate/texts.h"

/* Weight of each word, the logarithm of pins / pins with it, into out (n_words). */
void ps_words_weigh(const ps_texts *t, float *out);
/* Take the direction that all pins share out of the vectors (n_words, dim). PS_ENOMEM. */
int ps_words_centre(const ps_texts *t, const float *weights, uint32_t dim,
                    float *vectors);
int ps_words_write(const char *path, const ps_texts *t, const float *weights,
                   const float *vectors, uint32_t dim, uint64_t *size, uint64_t *hash,
                   ps_why *why);

#endif
