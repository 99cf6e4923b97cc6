/* words.c - strings, stems, and text without the words that would give the answer away.
 *
 * A held-out board is named by a word. If that word stayed in the text of its pins, the
 * text block would hold the very label the evaluation asks for. So a word goes when its
 * stem is that of a held-out name, or one of the words of a name of several, or when it
 * and the next one written together are such a name ("road sign" for roadsign).
 *
 * A stem is the word in lower case less its English plural: flags -> flag, ponies ->
 * pony, boxes -> box. Other inflections, other languages and synonyms stay: they are
 * text about a subject, not its name.
 *
 * Threads: no state here; a sealed ban list may be read by all.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/demo/corpus.h"

/* ------------------------------ Strings ----------------------------------- */

void *must(void *memory)
{
    if (memory)
        return memory;
    fputs("openclipart: out of memory\n", stderr);
    exit(1);
}

void strings_add(strings *list, char *taken)
{
    if (list->n == list->room) {
        list->room = list->room ? 2 * list->room : 8;
        list->at = must(realloc(list->at, list->room * sizeof(*list->at)));
    }
    list->at[list->n++] = taken;
}

bool strings_have(const strings *list, const char *s)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->at[i], s) == 0)
            return true;
    return false;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void strings_sort(strings *list)
{
    if (list->n)
        qsort(list->at, list->n, sizeof(*list->at), by_text);
}

void strings_done(strings *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->at[i]);
    free(list->at);
    *list = (strings){0};
}

uint64_t hash_of(uint64_t seed, const char *s)
{
    uint64_t h = 0xcbf29ce484222325u ^ (seed * 0x9e3779b97f4a7c15u);
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
    return h ^ (h >> 31);
}

double share_of(uint64_t seed, const char *s)
{
    return (double)(hash_of(seed, s) >> 11) * 0x1p-53;
}

/* ------------------------------- Tidying ---------------------------------- */

/* C1 controls are two bytes in UTF-8, 0xc2 0x80 to 0xc2 0x9f: old files have them. */
static size_t blank_length(const unsigned char *s)
{
    if (*s <= ' ' || *s == 0x7f)
        return *s ? 1 : 0;
    return s[0] == 0xc2 && s[1] >= 0x80 && s[1] <= 0xa0 ? 2 : 0;
}

char *tidy_text(const char *s)
{
    char *out = must(malloc(strlen(s) + 1)), *w = out;
    const unsigned char *r = (const unsigned char *)s;
    while (*r) {
        size_t blank = blank_length(r);
        if (!blank)
            *w++ = (char)*r++;
        else if (w > out && w[-1] != ' ')
            *w++ = ' ';
        r += blank;
    }
    if (w > out && w[-1] == ' ')
        w--;
    *w = '\0';
    return out;
}

/* What parts the words of a name in this collection: they write south_america,
 * south-america, "south america" and signs_and_symbols/weather. */
static bool parts_words(char c)
{
    return strchr(" _-/=,;", c) != NULL;
}

char *board_word(const char *s)
{
    char *tidy = tidy_text(s), *w = tidy;
    for (const char *r = tidy; *r; r++) {
        if (!parts_words(*r))
            *w++ = (char)tolower((unsigned char)*r);
        else if (w > tidy && w[-1] != '_')
            *w++ = '_';
    }
    if (w > tidy && w[-1] == '_')
        w--;
    *w = '\0';
    return tidy;
}

/* ------------------------------- Stems ------------------------------------ */

static bool is_word_byte(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

static const char *word_start(const char *s)
{
    while (*s && !is_word_byte(*s))
        s++;
    return s;
}

static const char *word_end(const char *s)
{
    while (*s && is_word_byte(*s))
        s++;
    return s;
}

static bool ends_in(const char *word, size_t n, const char *tail)
{
    size_t m = strlen(tail);
    return n > m && memcmp(word + n - m, tail, m) == 0;
}

/* Cut the plural off the n lower-case bytes at word; returns the new length. */
static size_t cut_plural(char *word, size_t n)
{
    static const char *const es[] = {"ses", "xes", "zes", "ches", "shes"};
    if (n > 4 && ends_in(word, n, "ies")) {
        word[n - 3] = 'y';
        return n - 2;
    }
    for (size_t i = 0; i < sizeof(es) / sizeof(*es); i++)
        if (ends_in(word, n, es[i]))
            return n - 2;
    if (n > 3 && word[n - 1] == 's' && !strchr("sui", word[n - 2]))
        return n - 1;
    return n;
}

/* The stem of the bytes [from, to). */
static char *stem_of(const char *from, const char *to)
{
    size_t n = (size_t)(to - from);
    char *stem = must(strndup(from, n));
    for (size_t i = 0; i < n; i++)
        stem[i] = (char)tolower((unsigned char)stem[i]);
    stem[cut_plural(stem, n)] = '\0';
    return stem;
}

char *stems_of(const char *s)
{
    char *out = must(malloc(strlen(s) + 1)), *w = out;
    for (s = word_start(s); *s; s = word_start(s)) {
        const char *end = word_end(s);
        char *stem = stem_of(s, end);
        if (w > out)
            *w++ = ' ';
        w = stpcpy(w, stem);
        free(stem);
        s = end;
    }
    *w = '\0';
    return out;
}

/* ------------------------------ Banned words ------------------------------ */

static bool is_filler(const char *stem)
{
    static const char *const filler[] = {"and", "the", "for", "with", "from"};
    for (size_t i = 0; i < sizeof(filler) / sizeof(*filler); i++)
        if (strcmp(stem, filler[i]) == 0)
            return true;
    return strlen(stem) < 3;
}

static void ban(banned *b, char *taken)
{
    if (strings_have(&b->stems, taken))
        free(taken);
    else
        strings_add(&b->stems, taken);
}

/* An idea of several words bans each of them, and all of them written as one. */
void banned_add(banned *b, const char *name)
{
    char *joined = must(calloc(strlen(name) + 1, 1)), *w = joined;
    for (const char *s = name; *s; s = word_start(s)) {
        const char *end = word_end(s);
        char *stem = must(strndup(s, (size_t)(end - s)));
        w = stpcpy(w, stem);
        if (is_filler(stem))
            free(stem);
        else
            ban(b, stem);
        s = end;
    }
    ban(b, joined);
}

void banned_seal(banned *b)
{
    strings_sort(&b->stems);
}

void banned_done(banned *b)
{
    strings_done(&b->stems);
}

static bool is_banned(const banned *b, const char *stem)
{
    const strings *l = &b->stems;
    return l->n && bsearch(&stem, l->at, l->n, sizeof(*l->at), by_text);
}

/* The words [s, end) and [next, next_end) as one: is that a banned name? */
static bool joined_is_banned(const banned *b, const char *s, const char *end,
                             const char *next, const char *next_end)
{
    char *both = must(malloc((size_t)(end - s) + (size_t)(next_end - next) + 1));
    char *w = mempcpy(both, s, (size_t)(end - s));
    w = mempcpy(w, next, (size_t)(next_end - next));
    char *stem = stem_of(both, w);
    bool hit = is_banned(b, stem);
    free(stem);
    free(both);
    return hit;
}

/* Where the banned words that begin at s end; NULL when s begins none. */
static const char *banned_end(const banned *b, const char *s)
{
    const char *end = word_end(s), *next = word_start(end), *next_end = word_end(next);
    char *stem = stem_of(s, end);
    bool hit = is_banned(b, stem);
    free(stem);
    if (hit)
        return end;
    return *next && joined_is_banned(b, s, end, next, next_end) ? next_end : NULL;
}

char *without_banned(const banned *b, const char *s, const char *instead)
{
    char *out = NULL, *tidy;
    size_t size;
    FILE *w = must(open_memstream(&out, &size));
    while (*s) {
        const char *word = word_start(s), *end = word_end(word);
        const char *hit = *word ? banned_end(b, word) : NULL;
        fwrite(s, 1, (size_t)(word - s), w);
        if (hit)
            fputs(instead, w);
        else
            fwrite(word, 1, (size_t)(end - word), w);
        s = hit ? hit : end;
    }
    fclose(w);
    tidy = tidy_text(must(out));
    free(out);
    return tidy;
}
