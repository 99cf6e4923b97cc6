/* tokenizer.c - a cursor over text that stops at each word.
 *
 * What a character is comes from a small table of ranges, looked up by bisection: letters
 * are whatever is not listed, since scripts outnumber punctuation.
 *
 * Threads: see tokenizer.h.
 */
#include "core/annotate/tokenizer.h"

/* ------------------------------ Kinds ------------------------------------- */

typedef enum kind { LETTER, SEPARATOR, JOINER, DENSE, PICTURE } kind;

typedef struct range {
    uint32_t first, last;
    kind kind;
} range;

/* Ascending. DENSE: scripts that write words without blanks between them. */
static const range kinds[] = {
    {0x00, 0x26, SEPARATOR},     {0x27, 0x27, JOINER},        {0x28, 0x2f, SEPARATOR},
    {0x3a, 0x40, SEPARATOR},     {0x5b, 0x60, SEPARATOR},     {0x7b, 0xa9, SEPARATOR},
    {0xab, 0xac, SEPARATOR},     {0xad, 0xad, JOINER},        {0xae, 0xb4, SEPARATOR},
    {0xb6, 0xb9, SEPARATOR},     {0xbb, 0xbf, SEPARATOR},     {0xd7, 0xd7, SEPARATOR},
    {0xf7, 0xf7, SEPARATOR},     {0x2bc, 0x2bc, JOINER},      {0x37e, 0x37e, SEPARATOR},
    {0x387, 0x387, SEPARATOR},   {0x55a, 0x55f, SEPARATOR},   {0x589, 0x58a, SEPARATOR},
    {0x5be, 0x5be, SEPARATOR},   {0x5c0, 0x5c0, SEPARATOR},   {0x5c3, 0x5c3, SEPARATOR},
    {0x5f3, 0x5f4, JOINER},      {0x600, 0x60f, SEPARATOR},   {0x61b, 0x61f, SEPARATOR},
    {0x640, 0x640, JOINER},      {0x66a, 0x66d, SEPARATOR},   {0x6d4, 0x6d4, SEPARATOR},
    {0x964, 0x965, SEPARATOR},   {0xe01, 0xe3a, DENSE},       {0xe3f, 0xe3f, SEPARATOR},
    {0xe40, 0xe4e, DENSE},       {0xe4f, 0xe4f, SEPARATOR},   {0xe5a, 0xe5b, SEPARATOR},
    {0xe81, 0xecd, DENSE},       {0x1000, 0x103f, DENSE},     {0x104a, 0x104f, SEPARATOR},
    {0x1780, 0x17d3, DENSE},     {0x17d4, 0x17db, SEPARATOR}, {0x2000, 0x200a, SEPARATOR},
    {0x200b, 0x200f, JOINER},    {0x2010, 0x2018, SEPARATOR}, {0x2019, 0x2019, JOINER},
    {0x201a, 0x205f, SEPARATOR}, {0x2060, 0x206f, JOINER},    {0x20a0, 0x20cf, SEPARATOR},
    {0x2100, 0x25ff, SEPARATOR}, {0x2600, 0x27bf, PICTURE},   {0x27c0, 0x2bff, SEPARATOR},
    {0x2e00, 0x2e7f, SEPARATOR}, {0x3000, 0x3004, SEPARATOR}, {0x3005, 0x3007, DENSE},
    {0x3008, 0x3020, SEPARATOR}, {0x3030, 0x303f, SEPARATOR}, {0x3040, 0x30fa, DENSE},
    {0x30fb, 0x30fb, SEPARATOR}, {0x30fc, 0x31ff, DENSE},     {0x3200, 0x33ff, SEPARATOR},
    {0x3400, 0x4dbf, DENSE},     {0x4e00, 0x9fff, DENSE},     {0xd800, 0xf8ff, SEPARATOR},
    {0xf900, 0xfaff, DENSE},     {0xfe00, 0xfe0f, JOINER},    {0xfe10, 0xfe6f, SEPARATOR},
    {0xfeff, 0xfeff, JOINER},    {0xff00, 0xff0f, SEPARATOR}, {0xff1a, 0xff20, SEPARATOR},
    {0xff3b, 0xff40, SEPARATOR}, {0xff5b, 0xff65, SEPARATOR}, {0xff66, 0xff9f, DENSE},
    {0xfff0, 0xffff, SEPARATOR}, {0x1f000, 0x1f3fa, PICTURE}, {0x1f3fb, 0x1f3ff, JOINER},
    {0x1f400, 0x1faff, PICTURE}, {0x20000, 0x3ffff, DENSE},   {0xe0000, 0xe01ef, JOINER},
};

#define N_KINDS (sizeof kinds / sizeof *kinds)

static kind kind_of(int32_t character)
{
    uint32_t c = (uint32_t)character;
    size_t low = 0, high = N_KINDS;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (kinds[middle].last < c)
            low = middle + 1;
        else
            high = middle;
    }
    return low < N_KINDS && kinds[low].first <= c ? kinds[low].kind : LETTER;
}

/* ------------------------------ The cursor -------------------------------- */

void ps_tokenizer_init(ps_tokenizer *t, const char *text, size_t len)
{
    ps_normal_init(&t->text, (ps_text){text, len});
    t->paired = false;
    t->len = 0;
}

static void append(ps_tokenizer *t, int32_t c)
{
    if (t->len <= PS_WORD_MAX) /* one too many marks the word as too long */
        t->len += ps_normal_encode(c, t->word + t->len);
}

/* The run of letters that begins here; false if it is too long to be a word. */
static bool take_run(ps_tokenizer *t)
{
    for (int32_t c; (c = ps_normal_peek(&t->text)) >= 0; ps_normal_skip(&t->text)) {
        kind k = kind_of(c);
        if (k != LETTER && k != JOINER)
            break;
        if (k == LETTER)
            append(t, c);
    }
    return t->len <= PS_WORD_MAX;
}

/* A dense character and the next; alone only if it has no neighbour on either side. */
static bool take_pair(ps_tokenizer *t, int32_t c)
{
    append(t, c);
    ps_normal_skip(&t->text);
    c = ps_normal_peek(&t->text);
    bool alone = !t->paired;
    t->paired = c >= 0 && kind_of(c) == DENSE;
    if (t->paired)
        append(t, c);
    return t->paired || alone;
}

bool ps_tokenizer_next(ps_tokenizer *t)
{
    for (int32_t c; (c = ps_normal_peek(&t->text)) >= 0;) {
        kind k = kind_of(c);
        t->len = 0;
        if (k == DENSE) {
            if (take_pair(t, c))
                return true;
            continue;
        }
        if (k == LETTER) {
            if (take_run(t))
                return true;
            continue;
        }
        ps_normal_skip(&t->text);
        if (k == PICTURE) {
            append(t, c);
            return true;
        }
    }
    return false;
}
