/* tokenizer.h - text cut into words, the same way wherever the program runs.
 *
 * A word is a run of letters and digits, folded and composed (normal.h); apostrophes are
 * dropped ("boy's" is "boys"), everything else separates. Scripts written without
 * blanks (Chinese, Japanese, Thai and their kin) give every pair of neighbouring
 * characters; a picture character is a word by itself. No locale is asked, so that a
 * word learned on one machine is found on another.
 *
 * Threads: a ps_tokenizer is scratch for one thread. Not here: which words are worth
 * keeping (texts.h).
 */
#ifndef PINSAGE_CORE_ANNOTATE_TOKENIZER_H
#define PINSAGE_CORE_ANNOTATE_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pinsage/normal.h"

#define PS_WORD_MAX 64 /* bytes; longer runs are noise (links, keys) and are left out */

typedef struct ps_tokenizer {
    ps_normal text;             /* what is left of it */
    bool paired;                /* the last character was in a pair already */
    size_t len;                 /* of word */
    char word[PS_WORD_MAX + 8]; /* UTF-8, not NUL-terminated */
} ps_tokenizer;

void ps_tokenizer_init(ps_tokenizer *t, const char *text, size_t len);
/* Next word into t->word, t->len; false at the end. Bytes that are not UTF-8 separate. */
bool ps_tokenizer_next(ps_tokenizer *t);

#endif
