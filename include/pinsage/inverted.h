/* inverted.h - which pins use a word: text found by BM25.
 *
 * A vector of 128 numbers remembers what a text is about and forgets its rarest words,
 * which are just those that tell near-duplicates apart. The inverted file keeps them.
 *
 *     text.hashes.npy   u64 (V)      XXH3 of the words, ascending
 *     text.indptr.npy   u64 (V + 1)  where a word's pins begin
 *     text.rows.npy     u32 (P)      pins that use it, ascending
 *     text.weights.npy  f32 (P)      idf and the pin's share of BM25, k1 1.2, b 0.75
 *
 * The score of a pin is divided by what the query would give itself, so that 1 is the
 * same text and scores of different queries can be compared.
 *
 * Source: Robertson and Zaragoza, The Probabilistic Relevance Framework (2009).
 * Threads: a ps_inverted is read by all, a ps_text_search is scratch for one thread.
 * Not here: words out of text (tokenizer.h), texts as vectors (pinsage/annotate.h).
 */
#ifndef PINSAGE_INVERTED_H
#define PINSAGE_INVERTED_H

#include <stdbool.h>
#include <stdint.h>

#include "pinsage/catalog.h"
#include "pinsage/generation.h"
#include "pinsage/topk.h"

/* Write the four files from all pins' texts, before rare words are dropped. Memory: 16
 * bytes a word and 8 a use. */
struct ps_texts;
int ps_inverted_write(ps_draft *d, const struct ps_texts *t, ps_why *why);
/* The same from the draft's pins.mdb. */
int ps_inverted_make(ps_draft *d, ps_why *why);

/* The files are there. */
bool ps_inverted_has(const ps_generation *g);

typedef struct ps_inverted {
    uint32_t n_words, n_pins;
    double mean_words; /* of the pins that have any */
    ps_npy hashes, indptr, rows, weights;
} ps_inverted; /* zero-initialised: no text */

/* Map a generation's; one that has none gives an empty one. */
int ps_inverted_open(ps_inverted *v, const ps_generation *g, ps_why *why);
void ps_inverted_close(ps_inverted *v);

typedef struct ps_text_search ps_text_search;
/* budget: pins of all words looked at for one query; the commonest words are left out
 * when there are more. Borrows v. */
int ps_text_search_new(ps_text_search **s, const ps_inverted *v, uint32_t budget);
void ps_text_search_free(ps_text_search *s); /* NULL is fine */
/* Score every pin that shares a word with title and text; returns how many words of it
 * any pin uses. Scores stay until the next call. */
uint32_t ps_text_search_run(ps_text_search *s, ps_text title, ps_text text);
/* 0 for a pin that shares no word. */
float ps_text_search_score(const ps_text_search *s, uint32_t row);
/* The k best, without row `not`, best first, ties by row; returns how many. */
uint32_t ps_text_search_best(ps_text_search *s, uint32_t not, uint32_t k, ps_scored *out);

#endif
