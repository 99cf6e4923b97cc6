/* texts.h - the text of all pins as numbers of words.
 *
 * Words are numbered by how often they are used, most used first; those that stand in
 * fewer than min_count pins are left out. Memory: 4 bytes a word of text.
 *
 * Threads: filled by one, then read by all.
 */
#ifndef PINSAGE_CORE_ANNOTATE_TEXTS_H
#define PINSAGE_CORE_ANNOTATE_TEXTS_H

#include <stdint.h>

#include "core/annotate/lexicon.h"
#include "pinsage/err.h"

typedef struct ps_texts {
    ps_lexicon lexicon;
    uint32_t n_pins, room_pins;
    uint64_t n_tokens, room_tokens;
    uint64_t *begin; /* owned, (n_pins + 1): where a pin's words begin */
    uint32_t *token; /* owned, (n_tokens) */
    uint32_t n_words, room_words;
    uint64_t *used;  /* owned, (n_words): times a word is used */
    uint32_t *pins;  /* owned, (n_words): pins it stands in */
    uint32_t *last;  /* owned, (n_words): pin + 1 that used it last, while filling */
    uint32_t n_text; /* pins that have any word */
} ps_texts;          /* zero-initialised is ready */

void ps_texts_done(ps_texts *c);
/* Begin the next pin, then add its texts, any number of them. PS_ENOMEM. */
int ps_texts_pin(ps_texts *c);
int ps_texts_add(ps_texts *c, ps_text text);
/* A pin's title and text. */
int ps_texts_add_pin(ps_texts *c, ps_text title, ps_text text);
/* Drop rare words and renumber the others. */
int ps_texts_finish(ps_texts *c, uint32_t min_count);

/* What of a pin's text is read after its title: all of it, or what follows the title
 * when the text begins by repeating it. */
ps_text ps_text_after_title(ps_text title, ps_text text);

#endif
