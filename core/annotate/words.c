/* words.c - words.safetensors written, read, and text embedded by it.
 *
 * Text is embedded here and nowhere else, for the block and for a request alike, so the
 * two cannot differ. The sum runs over words as they come: a word used twice counts
 * twice, which is what the block was measured with.
 *
 * A common direction: texts of one collection share much, and their sums all lean the
 * same way. Removing that direction from a sum is linear, so it is removed from the
 * word vectors once and never again (after Arora et al. 2017, who remove it from
 * sentences).
 *
 * Threads: see annotate.h.
 */
#include "core/annotate/words.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/annotate/tokenizer.h"
#include "pinsage/annotate.h"
#include "pinsage/safetensors.h"

enum {
    DIM_MAX = 65536,
    SAMPLE = 1 << 16, /* pins that tell the common direction */
};

#define LARGEST 1e6f

/* The rules by which text is cut into words; a file made by other rules is refused. */
#define RULES "2"

struct ps_words {
    ps_lexicon lexicon;
    uint32_t dim;
    float *vectors; /* owned, (n, dim) */
    float *weights; /* owned, (n) */
};

/* ------------------------------ Sums -------------------------------------- */

static void add_scaled(float *sum, float scale, const float *vector, size_t dim)
{
    for (size_t d = 0; d < dim; d++)
        sum[d] += scale * vector[d];
}

static void normalise(float *x, size_t dim)
{
    double square = 0;
    for (size_t d = 0; d < dim; d++)
        square += (double)x[d] * (double)x[d];
    /* Less than this is nothing: its inverse would not fit. */
    float scale = square > 1e-60 ? (float)(1 / sqrt(square)) : 0;
    for (size_t d = 0; d < dim; d++)
        x[d] *= scale;
}

/* ------------------------------ Making ------------------------------------ */

void ps_words_weigh(const ps_texts *t, float *out)
{
    for (uint32_t w = 0; w < t->n_words; w++)
        out[w] = (float)log1p((double)t->n_pins / (double)t->pins[w] - 1);
}

/* Mean of the pins' unit vectors: of all pins, or of every so many in a large catalog. */
static void common_direction(const ps_texts *t, const float *weights, uint32_t dim,
                             const float *vectors, float *pin, float *mean)
{
    uint32_t step = t->n_pins / SAMPLE + 1;
    memset(mean, 0, dim * sizeof *mean);
    for (uint32_t p = 0; p < t->n_pins; p += step) {
        memset(pin, 0, dim * sizeof *pin);
        for (uint64_t i = t->begin[p]; i < t->begin[p + 1]; i++) {
            size_t w = t->token[i];
            add_scaled(pin, weights[w], vectors + w * dim, dim);
        }
        normalise(pin, dim);
        add_scaled(mean, 1, pin, dim);
    }
    normalise(mean, dim);
}

int ps_words_centre(const ps_texts *t, const float *weights, uint32_t dim, float *vectors)
{
    float *mean = calloc(2 * (size_t)dim, sizeof *mean);
    if (!mean)
        return PS_ENOMEM;
    common_direction(t, weights, dim, vectors, mean + dim, mean);
    for (size_t w = 0; w < t->n_words; w++) {
        float along = 0;
        for (size_t d = 0; d < dim; d++)
            along += mean[d] * vectors[w * dim + d];
        add_scaled(vectors + w * dim, -along, mean, dim);
    }
    free(mean);
    return PS_OK;
}

int ps_words_write(const char *path, const ps_texts *t, const float *weights,
                   const float *vectors, uint32_t dim, uint64_t *size, uint64_t *hash,
                   ps_why *why)
{
    static const char *const meta[][2] = {{"kind", "pinsage words"}, {"rules", RULES}};
    const ps_lexicon *x = &t->lexicon;
    const ps_tensor tensors[] = {
        {"words.vectors", PS_TENSOR_F32, 2, {x->n, dim}, vectors},
        {"words.weights", PS_TENSOR_F32, 1, {x->n, 1}, weights},
        {"words.text", PS_TENSOR_U8, 1, {x->size, 1}, x->text},
    };
    return ps_safetensors_write(path, tensors, 3, meta, 2, size, hash, why);
}

/* ------------------------------ Opening ----------------------------------- */

static int check_rules(const ps_safetensors *s, const char *path, ps_why *why)
{
    const char *rules = ps_safetensors_meta(s, "rules");
    if (!rules || strcmp(rules, RULES) == 0)
        return PS_OK;
    return ps_fail(why, PS_EUNSUPPORTED, path, 0,
                   "its words were cut by rules \"%.20s\", this program has \"" RULES
                   "\": run `pinsage annotate` again",
                   rules);
}

/* The words of the text, numbered in its order. */
static int read_text(ps_words *w, const ps_tensor *t, const char *path, ps_why *why)
{
    const char *at = t->data, *end = at + t->shape[0];
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline || newline == at)
            return ps_fail(why, PS_EFORMAT, path, 0,
                           "word %u of words.text is empty or has no end", w->lexicon.n);
        uint32_t before = w->lexicon.n;
        uint32_t number = ps_lexicon_add(&w->lexicon, at, (size_t)(newline - at));
        if (number == PS_NO_WORD)
            return PS_ENOMEM;
        if (number < before)
            return ps_fail(why, PS_EFORMAT, path, 0,
                           "words %u and %u of words.text are the same", number, before);
        at = newline + 1;
    }
    return PS_OK;
}

/* Numbers so large that a long text's sum would not be one are refused as well. */
static int check_finite(const float *x, size_t n, const char *path, const char *name,
                        ps_why *why)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(x[i]) <= LARGEST))
            return ps_fail(why, PS_EFORMAT, path, 0,
                           "%s holds a number that is none, or beyond 1e6", name);
    return PS_OK;
}

static int read_numbers(ps_words *w, const ps_safetensors *s, const char *path,
                        ps_why *why)
{
    size_t n = w->lexicon.n, all = n * w->dim;
    w->vectors = malloc(all * sizeof *w->vectors + 1);
    w->weights = malloc(n * sizeof *w->weights + 1);
    if (!w->vectors || !w->weights)
        return PS_ENOMEM;
    int err = ps_safetensors_read_f32(s, "words.vectors", n, w->dim, w->vectors, why);
    if (!err)
        err = ps_safetensors_read_f32(s, "words.weights", n, 0, w->weights, why);
    if (!err)
        err = check_finite(w->vectors, all, path, "words.vectors", why);
    if (!err)
        err = check_finite(w->weights, n, path, "words.weights", why);
    return err;
}

static int read_words(ps_words *w, const ps_safetensors *s, const char *path, ps_why *why)
{
    const ps_tensor *text = ps_safetensors_find(s, "words.text");
    const ps_tensor *vectors = ps_safetensors_find(s, "words.vectors");
    if (!text || text->type != PS_TENSOR_U8 || text->ndim != 1 || !vectors ||
        vectors->ndim != 2)
        return ps_fail(why, PS_EFORMAT, path, 0,
                       "it has no words.vectors (V, D) or no words.text (bytes)");
    if (vectors->shape[1] < 1 || vectors->shape[1] > DIM_MAX)
        return ps_fail(why, PS_EFORMAT, path, 0, "its vectors have no usable dimension");
    w->dim = (uint32_t)vectors->shape[1];
    int err = check_rules(s, path, why);
    if (!err)
        err = read_text(w, text, path, why);
    return err ? err : read_numbers(w, s, path, why);
}

int ps_words_open(ps_words **out, const char *path, ps_why *why)
{
    ps_safetensors *s = NULL;
    ps_words *w = calloc(1, sizeof *w);
    *out = NULL;
    int err = w ? ps_safetensors_open(&s, path, why) : PS_ENOMEM;
    if (!err)
        err = read_words(w, s, path, why);
    ps_safetensors_close(s);
    if (err)
        ps_words_close(w);
    else
        *out = w;
    return err;
}

void ps_words_close(ps_words *w)
{
    if (!w)
        return;
    ps_lexicon_done(&w->lexicon);
    free(w->vectors);
    free(w->weights);
    free(w);
}

uint32_t ps_words_dim(const ps_words *w)
{
    return w->dim;
}

/* ------------------------------ Embedding --------------------------------- */

static uint32_t add_text(const ps_words *w, ps_text text, float *sum)
{
    ps_tokenizer t;
    uint32_t known = 0;
    ps_tokenizer_init(&t, text.data, text.len);
    while (ps_tokenizer_next(&t)) {
        size_t i = ps_lexicon_find(&w->lexicon, t.word, t.len);
        if (i == PS_NO_WORD)
            continue;
        add_scaled(sum, w->weights[i], w->vectors + i * w->dim, w->dim);
        known++;
    }
    return known;
}

uint32_t ps_words_embed_pin(const ps_words *w, ps_text title, ps_text text, float *out)
{
    memset(out, 0, w->dim * sizeof *out);
    uint32_t known = add_text(w, title, out);
    known += add_text(w, ps_text_after_title(title, text), out);
    normalise(out, w->dim);
    return known;
}

uint32_t ps_words_embed(const ps_words *w, const char *text, size_t len, float *out)
{
    return ps_words_embed_pin(w, (ps_text){text, len}, (ps_text){NULL, 0}, out);
}
