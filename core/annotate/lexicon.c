/* lexicon.c - an open-addressing table of numbers over one block of text.
 *
 * A slot holds four bytes; the word itself is compared where it lies in the block.
 *
 * Threads: see lexicon.h.
 */
#include "core/annotate/lexicon.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/hash.h"

void ps_lexicon_done(ps_lexicon *x)
{
    free(x->text);
    free(x->begin);
    free(x->slot);
    *x = (ps_lexicon){0};
}

ps_text ps_lexicon_word(const ps_lexicon *x, uint32_t number)
{
    size_t begin = x->begin[number];
    return (ps_text){x->text + begin, x->begin[number + 1] - begin - 1};
}

/* The slot of a word: where it is, or where it would go. */
static size_t place(const ps_lexicon *x, const char *word, size_t len)
{
    size_t i = ps_hash(word, len) & x->mask;
    while (x->slot[i] != PS_NO_WORD &&
           !ps_text_same(ps_lexicon_word(x, x->slot[i]), (ps_text){word, len}))
        i = (i + 1) & x->mask;
    return i;
}

uint32_t ps_lexicon_find(const ps_lexicon *x, const char *word, size_t len)
{
    return x->n ? x->slot[place(x, word, len)] : PS_NO_WORD;
}

/* ------------------------------ Growing ----------------------------------- */

static bool grow_table(ps_lexicon *x)
{
    if (x->slot && 2 * (size_t)x->n <= x->mask)
        return true;
    size_t size = x->slot ? 2 * (x->mask + 1) : 1024;
    uint32_t *slot = malloc(size * sizeof *slot);
    if (!slot)
        return false;
    memset(slot, 0xff, size * sizeof *slot);
    free(x->slot);
    x->slot = slot;
    x->mask = size - 1;
    for (uint32_t i = 0; i < x->n; i++) {
        ps_text w = ps_lexicon_word(x, i);
        x->slot[place(x, w.data, w.len)] = i;
    }
    return true;
}

static bool grow_words(ps_lexicon *x)
{
    if (x->begin && x->n < x->room_n)
        return true;
    if (x->n >= PS_NO_WORD / 2)
        return false;
    uint32_t room = x->room_n ? 2 * x->room_n : 512;
    size_t *begin = realloc(x->begin, ((size_t)room + 1) * sizeof *begin);
    if (!begin)
        return false;
    x->begin = begin;
    x->room_n = room;
    return true;
}

static bool grow_text(ps_lexicon *x, size_t len)
{
    if (x->room - x->size > len)
        return true;
    size_t room = 2 * x->room + len + 4096;
    char *text = realloc(x->text, room);
    if (!text)
        return false;
    x->text = text;
    x->room = room;
    return true;
}

uint32_t ps_lexicon_add(ps_lexicon *x, const char *word, size_t len)
{
    if (!grow_table(x))
        return PS_NO_WORD;
    size_t at = place(x, word, len);
    if (x->slot[at] != PS_NO_WORD)
        return x->slot[at];
    if (!grow_words(x) || !grow_text(x, len))
        return PS_NO_WORD;
    memcpy(x->text + x->size, word, len);
    x->text[x->size + len] = '\n';
    x->begin[x->n] = x->size;
    x->size += len + 1;
    x->begin[x->n + 1] = x->size;
    return x->slot[at] = x->n++;
}
