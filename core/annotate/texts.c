/* texts.c - one pass over the text, one over the numbers.
 *
 * The first pass gives every word a number as it comes and counts; only then is known
 * which words are rare, so the second rewrites the numbers in place.
 *
 * Threads: see texts.h.
 */
#include "core/annotate/texts.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/annotate/tokenizer.h"
#include "pinsage/err.h"

void ps_texts_done(ps_texts *c)
{
    ps_lexicon_done(&c->lexicon);
    free(c->begin);
    free(c->token);
    free(c->used);
    free(c->pins);
    free(c->last);
    *c = (ps_texts){0};
}

/* ------------------------------ Filling ----------------------------------- */

int ps_texts_pin(ps_texts *c)
{
    if (c->n_pins + 1 >= c->room_pins) {
        size_t room = 2 * (size_t)c->room_pins + 1024;
        uint64_t *begin =
            room <= UINT32_MAX ? realloc(c->begin, (room + 1) * sizeof *begin) : NULL;
        if (!begin)
            return PS_ENOMEM;
        c->begin = begin;
        c->room_pins = (uint32_t)room;
    }
    c->begin[c->n_pins++] = c->n_tokens;
    c->begin[c->n_pins] = c->n_tokens;
    return PS_OK;
}

/* Room for the counts of word number n_words. */
static int grow_counts(ps_texts *c)
{
    if (c->n_words < c->room_words)
        return PS_OK;
    size_t room = 2 * (size_t)c->room_words + 1024;
    uint64_t *used = realloc(c->used, room * sizeof *used);
    if (used)
        c->used = used;
    uint32_t *pins = realloc(c->pins, room * sizeof *pins);
    if (pins)
        c->pins = pins;
    uint32_t *last = realloc(c->last, room * sizeof *last);
    if (last)
        c->last = last;
    if (!used || !pins || !last)
        return PS_ENOMEM;
    c->room_words = (uint32_t)room;
    return PS_OK;
}

static int grow_tokens(ps_texts *c)
{
    if (c->n_tokens < c->room_tokens)
        return PS_OK;
    size_t room = 2 * (size_t)c->room_tokens + 4096;
    uint32_t *token = realloc(c->token, room * sizeof *token);
    if (!token)
        return PS_ENOMEM;
    c->token = token;
    c->room_tokens = room;
    return PS_OK;
}

static int add_word(ps_texts *c, const char *word, size_t len)
{
    int err = grow_counts(c);
    if (!err)
        err = grow_tokens(c);
    if (err)
        return err;
    uint32_t number = ps_lexicon_add(&c->lexicon, word, len);
    if (number == PS_NO_WORD)
        return PS_ENOMEM;
    if (number == c->n_words) {
        c->n_words++;
        c->used[number] = c->pins[number] = c->last[number] = 0;
    }
    c->used[number]++;
    if (c->last[number] != c->n_pins) {
        c->last[number] = c->n_pins;
        c->pins[number]++;
    }
    c->token[c->n_tokens++] = number;
    c->begin[c->n_pins] = c->n_tokens;
    return PS_OK;
}

int ps_texts_add(ps_texts *c, ps_text text)
{
    ps_tokenizer t;
    ps_tokenizer_init(&t, text.data, text.len);
    int err = PS_OK;
    while (!err && ps_tokenizer_next(&t))
        err = add_word(c, t.word, t.len);
    return err;
}

/* True if a word may go on with this byte: then what stands before it is no whole word.
 */
static bool goes_on(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (unsigned char)c >= 0x80;
}

ps_text ps_text_after_title(ps_text title, ps_text text)
{
    ps_normal a, b;
    ps_text rest;
    ps_normal_init(&a, title);
    ps_normal_init(&b, text);
    for (int32_t c; (c = ps_normal_peek(&a)) >= 0; ps_normal_skip(&a), ps_normal_skip(&b))
        if (ps_normal_peek(&b) != c)
            return text;
    if (!ps_normal_rest(&b, &rest) || (rest.len && goes_on(*rest.data)))
        return text;
    return rest;
}

int ps_texts_add_pin(ps_texts *c, ps_text title, ps_text text)
{
    int err = ps_texts_pin(c);
    if (!err)
        err = ps_texts_add(c, title);
    return err ? err : ps_texts_add(c, ps_text_after_title(title, text));
}

/* ------------------------------ Renumbering ------------------------------- */

typedef struct rank {
    uint64_t used;
    uint32_t number;
} rank;

/* Most used first; words used alike stay in order of arrival. */
static int by_use(const void *a, const void *b)
{
    const rank *x = a, *y = b;
    if (x->used != y->used)
        return x->used > y->used ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* Take over the kept words in their new order; renumber[old] is set for each. */
static int renumber_words(ps_texts *c, const rank *kept, uint32_t n, uint32_t *renumber)
{
    ps_lexicon fresh = {0};
    uint32_t *pins = malloc(((size_t)n + 1) * sizeof *pins);
    int err = pins ? PS_OK : PS_ENOMEM;
    for (uint32_t i = 0; i < n && !err; i++) {
        ps_text w = ps_lexicon_word(&c->lexicon, kept[i].number);
        if (ps_lexicon_add(&fresh, w.data, w.len) == PS_NO_WORD)
            err = PS_ENOMEM;
        renumber[kept[i].number] = i;
        if (!err)
            pins[i] = c->pins[kept[i].number];
    }
    if (err) {
        ps_lexicon_done(&fresh);
        free(pins);
        return err;
    }
    for (uint32_t i = 0; i < n; i++)
        c->used[i] = kept[i].used;
    ps_lexicon_done(&c->lexicon);
    c->lexicon = fresh;
    free(c->pins);
    c->pins = pins;
    c->n_words = c->room_words = n;
    return PS_OK;
}

static void renumber_tokens(ps_texts *c, const uint32_t *renumber)
{
    uint64_t to = 0, from = 0;
    c->n_text = 0;
    for (uint32_t p = 0; p < c->n_pins; p++) {
        uint64_t end = c->begin[p + 1], first = to;
        for (; from < end; from++)
            if (renumber[c->token[from]] != PS_NO_WORD)
                c->token[to++] = renumber[c->token[from]];
        c->begin[p] = first;
        c->n_text += to > first;
    }
    if (c->n_pins)
        c->begin[c->n_pins] = to;
    c->n_tokens = to;
}

int ps_texts_finish(ps_texts *c, uint32_t min_count)
{
    size_t all = c->n_words;
    rank *kept = malloc((all + 1) * sizeof *kept);
    uint32_t *renumber = malloc((all + 1) * sizeof *renumber), n = 0;
    int err = kept && renumber ? PS_OK : PS_ENOMEM;
    if (err)
        goto out;
    memset(renumber, 0xff, (all + 1) * sizeof *renumber);
    for (uint32_t i = 0; i < all; i++)
        if (c->pins[i] >= min_count)
            kept[n++] = (rank){c->used[i], i};
    qsort(kept, n, sizeof *kept, by_use);
    err = renumber_words(c, kept, n, renumber);
    if (!err)
        renumber_tokens(c, renumber);
out:
    free(kept);
    free(renumber);
    return err;
}
