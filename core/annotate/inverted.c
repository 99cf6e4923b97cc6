/* inverted.c - texts transposed once, words found by hash, scores added up densely.
 *
 * Scores lie in one array of all pins beside a list of those touched: four bytes a pin
 * and thread buy a search without a heap in its inner loop.
 *
 * Threads: see inverted.h.
 */
#include "pinsage/inverted.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/annotate/texts.h"
#include "core/annotate/tokenizer.h"
#include "pinsage/hash.h"
#include "pinsage/layout.h"
#include "pinsage/topk.h"

#define K1 1.2
#define B  0.75
enum { WORDS_MAX = 1024 }; /* different words of a query */

static const char *const files[4] = {"text.hashes.npy", "text.indptr.npy",
                                     "text.rows.npy", "text.weights.npy"};
static const ps_dtype types[4] = {PS_U64, PS_U64, PS_U32, PS_F32};

static double idf_of(double pins, double with)
{
    return log(1 + (pins - with + .5) / (with + .5));
}

/* BM25's share of how often a word is used, in a text of `words` words. */
static double use_of(double used, double words, double mean)
{
    return used * (K1 + 1) / (used + K1 * (1 - B + B * words / mean));
}

/* ------------------------------ Writing ------------------------------------ */

typedef struct hashed {
    uint64_t hash;
    uint32_t word;
} hashed;

static int by_hash(const void *a, const void *b)
{
    uint64_t x = ((const hashed *)a)->hash, y = ((const hashed *)b)->hash;
    return (x > y) - (x < y);
}

static int by_word(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The texts the other way round: pins of a word, in the order of the hashes. */
typedef struct transposed {
    uint32_t n; /* words */
    uint64_t *hash, *indptr;
    uint32_t *rows;
    float *weights;
    uint32_t *place; /* (words) number in the order of hashes */
    uint64_t *next;  /* (n) where the next pin goes */
    uint32_t *own;   /* (longest text) words of one pin */
} transposed;

static void let_go(transposed *x)
{
    free(x->hash);
    free(x->indptr);
    free(x->rows);
    free(x->weights);
    free(x->place);
    free(x->next);
    free(x->own);
}

static uint64_t longest(const ps_texts *t)
{
    uint64_t most = 0;
    for (uint32_t p = 0; p < t->n_pins; p++)
        most =
            t->begin[p + 1] - t->begin[p] > most ? t->begin[p + 1] - t->begin[p] : most;
    return most;
}

static int make_room(transposed *x, const ps_texts *t)
{
    size_t n = t->n_words;
    uint64_t uses = 0;
    hashed *order = malloc((n + 1) * sizeof *order);
    x->hash = malloc((n + 1) * sizeof *x->hash);
    x->indptr = malloc((n + 1) * sizeof *x->indptr);
    x->place = malloc((n + 1) * sizeof *x->place);
    x->next = malloc((n + 1) * sizeof *x->next);
    x->own = malloc((longest(t) + 1) * sizeof *x->own);
    if (!order || !x->hash || !x->indptr || !x->place || !x->next || !x->own) {
        free(order);
        return PS_ENOMEM;
    }
    for (uint32_t i = 0; i < n; i++) {
        ps_text w = ps_lexicon_word(&t->lexicon, i);
        order[i] = (hashed){ps_hash(w.data, w.len), i};
    }
    qsort(order, n, sizeof *order, by_hash);
    for (uint32_t i = 0; i < n; i++) {
        x->hash[i] = order[i].hash;
        x->place[order[i].word] = i;
        x->indptr[i] = x->next[i] = uses;
        uses += t->pins[order[i].word];
    }
    x->indptr[n] = uses;
    x->n = t->n_words;
    free(order);
    x->rows = malloc((uses + 1) * sizeof *x->rows);
    x->weights = malloc((uses + 1) * sizeof *x->weights);
    return x->rows && x->weights ? PS_OK : PS_ENOMEM;
}

static double mean_words(const ps_texts *t)
{
    uint64_t with = 0;
    for (uint32_t p = 0; p < t->n_pins; p++)
        with += t->begin[p + 1] > t->begin[p];
    return with ? (double)t->n_tokens / (double)with : 1;
}

static void transpose(transposed *x, const ps_texts *t)
{
    double mean = mean_words(t);
    for (uint32_t p = 0; p < t->n_pins; p++) {
        uint64_t n = t->begin[p + 1] - t->begin[p];
        memcpy(x->own, t->token + t->begin[p], n * sizeof *x->own);
        qsort(x->own, n, sizeof *x->own, by_word);
        for (uint64_t i = 0, used; i < n; i += used) {
            for (used = 1; i + used < n && x->own[i + used] == x->own[i]; used++)
                ;
            uint64_t at = x->next[x->place[x->own[i]]]++;
            x->rows[at] = p;
            x->weights[at] = (float)(idf_of(t->n_pins, t->pins[x->own[i]]) *
                                     use_of((double)used, (double)n, mean));
        }
    }
}

int ps_inverted_write(ps_draft *d, const ps_texts *t, ps_why *why)
{
    transposed x = {0};
    int err = make_room(&x, t);
    if (err) {
        let_go(&x);
        return ps_fail(why, err, files[0], 0, "no memory for the words of all pins");
    }
    transpose(&x, t);
    const void *data[4] = {x.hash, x.indptr, x.rows, x.weights};
    uint64_t uses = x.indptr[x.n], n[4] = {x.n, (uint64_t)x.n + 1, uses, uses};
    for (int i = 0; i < 4 && !err; i++) {
        ps_out *out;
        err = ps_draft_create(d, files[i], &out, why);
        if (err)
            break;
        ps_npy_header(out, types[i], n[i], 0);
        ps_out_write(out, data[i], n[i] * ps_dtype_size(types[i]));
        err = ps_draft_close(d, files[i], out, why);
    }
    ps_manifest *m = ps_draft_manifest(d);
    ps_manifest_set_real(m, "text.mean_words", mean_words(t));
    for (int i = 0; i < 4 && !err; i++)
        err = ps_manifest_made_from(m, files[i], PS_FILE_PINS);
    let_go(&x);
    return err;
}

int ps_inverted_make(ps_draft *d, ps_why *why)
{
    char path[PS_PATH_MAX];
    ps_pins *pins = NULL;
    ps_pins_reader *reader = NULL;
    ps_texts texts = {0};
    int err = ps_path_in(path, ps_draft_dir(d), PS_FILE_PINS, why);
    if (!err)
        err = ps_pins_open(&pins, path, why);
    if (!err)
        err = ps_pins_reader_new(&reader, pins);
    for (uint32_t r = 0; !err && r < ps_pins_count(pins); r++) {
        ps_pin pin;
        err = ps_pins_get(reader, r, &pin);
        if (!err)
            err = ps_texts_add_pin(&texts, pin.title, pin.text);
    }
    if (!err)
        err = ps_inverted_write(d, &texts, why);
    ps_texts_done(&texts);
    ps_pins_reader_free(reader);
    ps_pins_close(pins);
    return err;
}

/* ------------------------------ Reading ------------------------------------ */

bool ps_inverted_has(const ps_generation *g)
{
    return ps_generation_file(g, files[0], NULL);
}

static int check(const ps_inverted *v, const char *dir, ps_why *why)
{
    const uint64_t *indptr = v->indptr.data;
    if (v->indptr.rows != v->hashes.rows + 1)
        return ps_fail(why, PS_EFORMAT, dir, 0, "%s: has not %llu entries", files[1],
                       (unsigned long long)v->hashes.rows + 1);
    for (uint64_t w = 0; w < v->hashes.rows; w++)
        if (indptr[w] > indptr[w + 1])
            return ps_fail(why, PS_EFORMAT, dir, 0, "%s: word %llu ends before it begins",
                           files[1], (unsigned long long)w);
    if (indptr[v->hashes.rows] != v->rows.rows || v->rows.rows != v->weights.rows)
        return ps_fail(why, PS_EFORMAT, dir, 0, "%s: has not the entries of %s", files[2],
                       files[1]);
    return PS_OK;
}

int ps_inverted_open(ps_inverted *v, const ps_generation *g, ps_why *why)
{
    ps_npy *array[4] = {&v->hashes, &v->indptr, &v->rows, &v->weights};
    char path[PS_PATH_MAX];
    int err = PS_OK;
    *v = (ps_inverted){.n_pins = g->n_pins};
    for (int i = 0; i < 4 && !err; i++) {
        if (!ps_generation_file(g, files[i], path))
            return PS_OK;
        err = ps_npy_open_as(array[i], path, types[i], UINT64_MAX, 1, PS_RANDOM, why);
    }
    if (!err)
        err = check(v, g->dir, why);
    if (err) {
        ps_inverted_close(v);
        return err;
    }
    v->n_words = (uint32_t)v->hashes.rows;
    v->mean_words = ps_manifest_real(g->manifest, "text.mean_words", 1);
    return PS_OK;
}

void ps_inverted_close(ps_inverted *v)
{
    ps_npy_close(&v->hashes);
    ps_npy_close(&v->indptr);
    ps_npy_close(&v->rows);
    ps_npy_close(&v->weights);
    *v = (ps_inverted){0};
}

/* ------------------------------ Searching ---------------------------------- */

/* A word of the query that pins use. */
typedef struct term {
    uint32_t word, used;
} term;

struct ps_text_search {
    const ps_inverted *v; /* borrowed */
    uint32_t budget;
    float *score;      /* owned, (N) */
    uint32_t *touched; /* owned, (N) */
    uint64_t *key;     /* owned, (N) scratch */
    uint32_t n_touched, n_terms, n_words;
    term term[WORDS_MAX];
};

int ps_text_search_new(ps_text_search **out, const ps_inverted *v, uint32_t budget)
{
    ps_text_search *s = calloc(1, sizeof *s);
    if (!s)
        return PS_ENOMEM;
    s->v = v;
    s->budget = budget;
    s->score = calloc((size_t)v->n_pins + 1, sizeof *s->score);
    s->touched = malloc(((size_t)v->n_pins + 1) * sizeof *s->touched);
    s->key = malloc(((size_t)v->n_pins + 1) * sizeof *s->key);
    if (!s->score || !s->touched || !s->key) {
        ps_text_search_free(s);
        return PS_ENOMEM;
    }
    *out = s;
    return PS_OK;
}

void ps_text_search_free(ps_text_search *s)
{
    if (!s)
        return;
    free(s->score);
    free(s->touched);
    free(s->key);
    free(s);
}

static uint32_t find_word(const ps_inverted *v, uint64_t hash)
{
    const uint64_t *h = v->hashes.data;
    uint32_t low = 0, high = v->n_words;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (h[middle] < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low < v->n_words && h[low] == hash ? low : UINT32_MAX;
}

static uint64_t pins_of(const ps_inverted *v, uint32_t word)
{
    const uint64_t *indptr = v->indptr.data;
    return indptr[word + 1] - indptr[word];
}

static void take_words(ps_text_search *s, ps_text text)
{
    ps_tokenizer t;
    ps_tokenizer_init(&t, text.data, text.len);
    while (ps_tokenizer_next(&t)) {
        uint32_t word = find_word(s->v, ps_hash(t.word, t.len)), i = 0;
        s->n_words++;
        if (word == UINT32_MAX)
            continue;
        while (i < s->n_terms && s->term[i].word != word)
            i++;
        if (i < s->n_terms)
            s->term[i].used++;
        else if (s->n_terms < WORDS_MAX)
            s->term[s->n_terms++] = (term){word, 1};
    }
}

/* Rarest words first. */
static int by_pins(const void *a, const void *b, void *cls)
{
    const term *x = a, *y = b;
    uint64_t p = pins_of(cls, x->word), q = pins_of(cls, y->word);
    return p != q ? (p > q ? 1 : -1) : (x->word > y->word) - (x->word < y->word);
}

static void add_word(ps_text_search *s, uint32_t word, float worth)
{
    const uint64_t *indptr = s->v->indptr.data;
    const uint32_t *rows = s->v->rows.data;
    const float *weights = s->v->weights.data;
    for (uint64_t i = indptr[word]; i < indptr[word + 1]; i++) {
        uint32_t row = rows[i];
        if (row >= s->v->n_pins)
            continue;
        if (s->score[row] == 0)
            s->touched[s->n_touched++] = row;
        s->score[row] += worth * weights[i];
    }
}

uint32_t ps_text_search_run(ps_text_search *s, ps_text title, ps_text text)
{
    const ps_inverted *v = s->v;
    double self = 0;
    uint64_t looked = 0;
    for (uint32_t i = 0; i < s->n_touched; i++)
        s->score[s->touched[i]] = 0;
    s->n_touched = s->n_terms = s->n_words = 0;
    if (!v->n_words)
        return 0;
    take_words(s, title);
    take_words(s, ps_text_after_title(title, text));
    qsort_r(s->term, s->n_terms, sizeof *s->term, by_pins, (void *)(uintptr_t)v);
    for (uint32_t i = 0; i < s->n_terms; i++) {
        double pins = (double)pins_of(v, s->term[i].word), used = s->term[i].used;
        double asked = used * (K1 + 1) / (used + K1);
        self += asked * idf_of(v->n_pins, pins) *
                use_of(used, (double)s->n_words, v->mean_words);
        looked += (uint64_t)pins;
        if (looked <= s->budget || i == 0)
            add_word(s, s->term[i].word, (float)asked);
    }
    for (uint32_t i = 0; i < s->n_touched; i++)
        s->score[s->touched[i]] /= (float)(self > 1e-3 ? self : 1e-3);
    return s->n_terms;
}

float ps_text_search_score(const ps_text_search *s, uint32_t row)
{
    return row < s->v->n_pins ? s->score[row] : 0;
}

uint32_t ps_text_search_best(ps_text_search *s, uint32_t not, uint32_t k, ps_scored *out)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->n_touched; i++)
        if (s->touched[i] != not )
            s->key[kept++] = ps_key_score(s->score[s->touched[i]], s->touched[i]);
    uint32_t n = (uint32_t)ps_top(s->key, kept, k);
    for (uint32_t i = 0; i < n; i++)
        out[i] = (ps_scored){ps_key_row(s->key[i]), ps_key_as_score(s->key[i])};
    return n;
}
