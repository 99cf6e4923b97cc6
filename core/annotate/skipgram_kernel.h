/* skipgram_kernel.h - one step of skip-gram: a word, its context word and the negatives.
 *
 * Dots of the word with every target, the sigmoid's error of each, then one pass that
 * moves targets and word together, so that each vector is read twice and written once.
 *
 * Threads: writes the vectors it is given.
 */
#ifndef PINSAGE_CORE_ANNOTATE_SKIPGRAM_KERNEL_H
#define PINSAGE_CORE_ANNOTATE_SKIPGRAM_KERNEL_H

#include <stddef.h>

#define PS_TARGETS_MAX 64

typedef struct ps_targets {
    size_t n; /* target 0 is the context word, the others negatives */
    float *vector[PS_TARGETS_MAX]; /* (stride) each */
} ps_targets;

/* word (stride), stride a multiple of 8, padding zero. Returns the step's loss. */
float ps_skipgram_step(float *word, const ps_targets *targets, size_t stride, float rate);
/* The plainest code: the oracle of the tests. */
float ps_skipgram_step_plain(float *word, const ps_targets *targets, size_t stride,
                             float rate);

#endif
