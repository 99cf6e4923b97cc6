/* lexicon.h - words and their numbers, both ways.
 *
 * Numbers are dense and in order of arrival. All words lie in one block of text, each
 * ended by a newline, which is also how they are stored on disk.
 *
 * Threads: read by all; added to by one.
 */
#ifndef PINSAGE_CORE_ANNOTATE_LEXICON_H
#define PINSAGE_CORE_ANNOTATE_LEXICON_H

#include <stddef.h>
#include <stdint.h>

#include "pinsage/text.h"

#define PS_NO_WORD UINT32_MAX

typedef struct ps_lexicon {
    uint32_t n;
    char *text; /* owned: the words, a newline after each */
    size_t size, room;
    size_t *begin; /* owned, (room_n + 1): where each word begins; begin[n] == size */
    uint32_t room_n;
    uint32_t *slot; /* owned, (mask + 1): number, or PS_NO_WORD; at most half full */
    size_t mask;
} ps_lexicon; /* zero-initialised is ready */

void ps_lexicon_done(ps_lexicon *x);
/* Number of a word; PS_NO_WORD when it is not there. */
uint32_t ps_lexicon_find(const ps_lexicon *x, const char *word, size_t len);
/* The same, adding it; PS_NO_WORD when memory is exhausted. */
uint32_t ps_lexicon_add(ps_lexicon *x, const char *word, size_t len);
/* The word of a number < n. Borrowed until the next addition. */
ps_text ps_lexicon_word(const ps_lexicon *x, uint32_t number);

#endif
