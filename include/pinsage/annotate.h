/* annotate.h - the text of pins as vectors: the `annotation` feature block.
 *
 * Word vectors are trained by skip-gram with negative sampling where the context of a
 * word is the other words of the same pin, as the paper's annotation embeddings
 * (KDD 2018, section 4.1). A pin's vector is the sum of its words' vectors, each
 * weighted by the logarithm of how rare the word is, L2-normalised; the direction that
 * all pins share is taken out of the word vectors first.
 *
 * words.safetensors holds `words.vectors` (V, D) f32, `words.weights` (V) f32 and
 * `words.text` (bytes, u8): the V words, each ended by a newline. With it the text of a
 * new pin is embedded as the old ones were, by the same function.
 *
 * Threads: a ps_words is read by all. Training owns its own; any number of them gives
 * the same vectors for a seed.
 */
#ifndef PINSAGE_ANNOTATE_H
#define PINSAGE_ANNOTATE_H

#include <stddef.h>
#include <stdint.h>

#include "pinsage/err.h"
#include "pinsage/progress.h"
#include "pinsage/text.h"

/* Defaults and ranges: server/cli/annotate.c. */
typedef struct ps_annotate_opts {
    uint32_t dim;       /* of a vector */
    uint32_t min_count; /* pins a word must stand in */
    uint32_t epochs;    /* 0: by the amount of text, 3 to 20 */
    uint32_t negatives; /* per positive */
    float subsample;    /* words more frequent than this share are thinned */
    unsigned threads;   /* 0 = all cores */
    uint64_t seed;      /* of all random numbers */
    unsigned keep;      /* older generations kept */
    bool replace;       /* also a block `annotation` that was imported */
} ps_annotate_opts;

typedef struct ps_annotate_report {
    uint64_t words, tokens;  /* vocabulary; words of it in all pins' text */
    uint32_t pins_with_text; /* pins with at least one of these words */
    uint32_t epochs;
    float loss; /* mean of the last epoch */
    double seconds;
    char generation[32];
} ps_annotate_report;

/* Train words and write the block as a new generation. PS_ENOENT in words when the pins
 * have no text, or no word stands in min_count of them: nothing is changed then. */
int ps_annotate(const char *catalog, const ps_annotate_opts *opts,
                ps_annotate_report *report, const ps_progress *progress, ps_why *why);

/* Word vectors of a generation, to embed text that nobody has seen. */
typedef struct ps_words ps_words;
int ps_words_open(ps_words **w, const char *path, ps_why *why);
void ps_words_close(ps_words *w); /* NULL is fine */
uint32_t ps_words_dim(const ps_words *w);
/* L2-normalised weighted sum of the known words of text into out (dim); zeros when it
 * has none. Returns how many words were known. */
uint32_t ps_words_embed(const ps_words *w, const char *text, size_t len, float *out);
/* The same for a pin: its title, then its text, where a text that begins by repeating
 * the title counts it once. This fills the block. */
uint32_t ps_words_embed_pin(const ps_words *w, ps_text title, ps_text text, float *out);

#endif
