/* skipgram.c - training without two threads ever touching the same vector.
 *
 * Words are dealt into P parts. A chunk of pins gives pairs (word, context); a pair falls
 * into the cell of its two parts, and in round r the cells (i, i + r mod P) of all i are
 * worked on at once:
 *
 *          contexts of part  0   1   2   3
 *     words of part 0        r0  r1  r2  r3
 *                   1        r3  r0  r1  r2      cells of one round share no row and
 *                   2        r2  r3  r0  r1      no column: no vector has two writers
 *                   3        r1  r2  r3  r0
 *
 * Negatives are drawn from the part of the context, so they stay inside the cell too
 * (the scheme of GraphVite, Zhu et al. 2019). Nothing depends on how many threads share
 * the cells, and a cell's vectors fit the cache. Parts are dealt anew each epoch, so that
 * every word meets every other as a negative.
 *
 * Threads: see skipgram.h.
 */
#include "core/annotate/skipgram.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/annotate/skipgram_kernel.h"
#include "pinsage/err.h"
#include "pinsage/rng.h"

enum {
    PARTS_MAX = 32,
    PART_WORDS = 64,        /* fewer words a part would make poor negatives */
    CHUNK_TOKENS = 1 << 18, /* words of text whose pairs are held at once */
    CHUNK_PINS = 1 << 17,
    PIECE = 64, /* pins whose pairs one thread makes at a time */
};

typedef struct pair {
    uint32_t word, context;
} pair;

/* Draws a word of one part by use^0.75: Walker's alias method. */
typedef struct alias {
    float keep;
    uint32_t word, other;
} alias;

typedef struct trainer {
    const ps_texts *texts;
    ps_skipgram_opts o;
    ps_workers *workers;
    size_t stride;
    float *in, *out; /* (n_words, stride) */
    float *thin;     /* (n_words) chance that a use is read */
    uint32_t *order; /* (n_pins) pins in the order of this epoch */
    /* the parts of this epoch */
    uint32_t parts;
    uint8_t *part;               /* (n_words) */
    alias *draw;                 /* (n_words), part by part */
    size_t first[PARTS_MAX + 1]; /* where a part's draws begin */
    double *share;               /* (n_words) scratch of the alias tables */
    uint32_t *stack;             /* (n_words) the same */
    /* the chunk */
    uint32_t epoch, begin, end; /* places in order */
    pair *pairs;
    size_t room_pairs;
    size_t *counts;                         /* (pieces + 1, parts^2) */
    size_t cell[PARTS_MAX * PARTS_MAX + 1]; /* where a cell's pairs begin */
    uint32_t longest;                       /* words of the longest pin */
    uint32_t **kept;                        /* (threads) words of a pin that are read */
    uint32_t round;
    float rate;
    double cell_loss[PARTS_MAX];
} trainer;

/* ------------------------------ Parts ------------------------------------- */

static void shuffle(uint32_t *x, size_t n, uint64_t *rng)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)ps_rng_below(rng, i);
        uint32_t t = x[i - 1];
        x[i - 1] = x[j];
        x[j] = t;
    }
}

/* Words are numbered by use: of each P in a row, every part gets one. */
static void deal_words(trainer *t, uint64_t *rng)
{
    uint32_t deck[PARTS_MAX];
    for (uint32_t p = 0; p < t->parts; p++)
        deck[p] = p;
    for (uint32_t w = 0; w < t->texts->n_words; w++) {
        if (w % t->parts == 0)
            shuffle(deck, t->parts, rng);
        t->part[w] = (uint8_t)deck[w % t->parts];
    }
}

/* Alias table of n draws: shares above 1 fill up those below. */
static void balance(alias *draw, double *share, uint32_t *stack, size_t n)
{
    size_t low = 0, high = n; /* the stack's two ends */
    for (size_t i = 0; i < n; i++)
        if (share[i] < 1)
            stack[low++] = (uint32_t)i;
        else
            stack[--high] = (uint32_t)i;
    for (size_t i = 0; i < n; i++) {
        draw[i].keep = 1;
        draw[i].other = draw[i].word;
    }
    while (low > 0 && high < n) {
        uint32_t a = stack[--low], b = stack[high];
        draw[a].keep = (float)share[a];
        draw[a].other = draw[b].word;
        share[b] -= 1 - share[a];
        if (share[b] < 1) {
            high++;
            stack[low++] = b;
        }
    }
}

static void make_draws(trainer *t)
{
    size_t at[PARTS_MAX] = {0};
    memset(t->first, 0, sizeof t->first);
    for (uint32_t w = 0; w < t->texts->n_words; w++)
        t->first[t->part[w] + 1]++;
    for (uint32_t p = 0; p < t->parts; p++)
        t->first[p + 1] += t->first[p];
    for (uint32_t w = 0; w < t->texts->n_words; w++) {
        uint32_t p = t->part[w];
        size_t i = t->first[p] + at[p]++;
        t->draw[i].word = w;
        t->share[i] = pow((double)t->texts->used[w], 0.75);
    }
    for (uint32_t p = 0; p < t->parts; p++) {
        size_t first = t->first[p], n = t->first[p + 1] - first;
        double sum = 0;
        for (size_t i = first; i < first + n; i++)
            sum += t->share[i];
        for (size_t i = first; i < first + n; i++)
            t->share[i] *= (double)n / sum;
        balance(t->draw + first, t->share + first, t->stack, n);
    }
}

static void begin_epoch(trainer *t, uint32_t epoch)
{
    uint64_t rng = ps_rng_at(t->o.seed, epoch);
    t->epoch = epoch;
    shuffle(t->order, t->texts->n_pins, &rng);
    deal_words(t, &rng);
    make_draws(t);
}

/* ------------------------------ Pairs ------------------------------------- */

/* Words of a pin that are read this time: frequent ones are thinned. */
static uint32_t thin_words(const trainer *t, uint32_t pin, uint64_t *rng, uint32_t *kept)
{
    const ps_texts *c = t->texts;
    uint32_t n = 0;
    for (uint64_t i = c->begin[pin]; i < c->begin[pin + 1]; i++) {
        uint32_t w = c->token[i];
        if (t->thin[w] >= 1 || ps_rng_unit(rng) < t->thin[w])
            kept[n++] = w;
    }
    return n;
}

/* Count the pairs of a pin, or put them where `at` says: twice the same draws. */
static void pairs_of_pin(const trainer *t, uint32_t pin, uint32_t *kept, size_t *at,
                         pair *to)
{
    uint64_t rng = ps_rng_at(t->o.seed ^ 0x736b6970, (uint64_t)t->epoch << 32 | pin);
    uint32_t n = thin_words(t, pin, &rng, kept);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t m = n - 1 < t->o.contexts ? n - 1 : t->o.contexts;
        for (uint32_t j = 0; j < m; j++) {
            /* All others when they are few, else some of them by chance. */
            uint32_t k = m == n - 1 ? j : (uint32_t)ps_rng_below(&rng, n - 1);
            pair p = {kept[i], kept[k < i ? k : k + 1]};
            if (p.word == p.context)
                continue;
            size_t cell = (size_t)t->part[p.word] * t->parts + t->part[p.context];
            if (to)
                to[at[cell]] = p;
            at[cell]++;
        }
    }
}

static int count_piece(void *cls, size_t begin, size_t end, unsigned worker)
{
    trainer *t = cls;
    size_t cells = (size_t)t->parts * t->parts;
    size_t *count = t->counts + begin / PIECE * cells;
    memset(count, 0, cells * sizeof *count);
    for (size_t i = begin; i < end; i++)
        pairs_of_pin(t, t->order[t->begin + i], t->kept[worker], count, NULL);
    return PS_OK;
}

static int fill_piece(void *cls, size_t begin, size_t end, unsigned worker)
{
    trainer *t = cls;
    size_t *at = t->counts + begin / PIECE * t->parts * t->parts;
    for (size_t i = begin; i < end; i++)
        pairs_of_pin(t, t->order[t->begin + i], t->kept[worker], at, t->pairs);
    return PS_OK;
}

/* From counts to places: cell by cell, within a cell piece by piece. */
static size_t place_pieces(trainer *t, size_t pieces)
{
    size_t cells = (size_t)t->parts * t->parts, at = 0;
    for (size_t c = 0; c < cells; c++) {
        t->cell[c] = at;
        for (size_t p = 0; p < pieces; p++) {
            size_t n = t->counts[p * cells + c];
            t->counts[p * cells + c] = at;
            at += n;
        }
    }
    return t->cell[cells] = at;
}

static int make_pairs(trainer *t)
{
    size_t pins = t->end - t->begin;
    ps_workers_run(t->workers, pins, PIECE, count_piece, t);
    size_t n = place_pieces(t, (pins + PIECE - 1) / PIECE);
    if (n > t->room_pairs) {
        free(t->pairs);
        t->room_pairs = 0;
        t->pairs = malloc(n * sizeof *t->pairs);
        if (!t->pairs)
            return PS_ENOMEM;
        t->room_pairs = n;
    }
    ps_workers_run(t->workers, pins, PIECE, fill_piece, t);
    return PS_OK;
}

/* ------------------------------ Rounds ------------------------------------ */

static uint32_t negative(const trainer *t, uint32_t part, uint64_t *rng)
{
    size_t first = t->first[part], n = t->first[part + 1] - first;
    const alias *d = &t->draw[first + ps_rng_below(rng, n)];
    return ps_rng_unit(rng) < d->keep ? d->word : d->other;
}

/* A pair made ready: its targets drawn, and all its vectors on their way to the cache. */
typedef struct ready {
    float *word;
    ps_targets targets;
} ready;

static void fetch(const float *vector, size_t stride)
{
    for (size_t d = 0; d < stride; d += 16)
        __builtin_prefetch(vector + d, 1, 3);
}

static void make_ready(const trainer *t, pair p, uint32_t part, uint64_t *rng, ready *r)
{
    r->word = t->in + p.word * t->stride;
    r->targets.n = 1;
    r->targets.vector[0] = t->out + p.context * t->stride;
    fetch(r->word, t->stride);
    fetch(r->targets.vector[0], t->stride);
    for (uint32_t k = 0; k < t->o.negatives; k++) {
        uint32_t w = negative(t, part, rng);
        if (w == p.context)
            continue;
        float *vector = t->out + w * t->stride;
        fetch(vector, t->stride);
        r->targets.vector[r->targets.n++] = vector;
    }
}

static double train_pairs(const trainer *t, size_t cell, uint32_t part)
{
    ready turn[2];
    double loss = 0;
    size_t first = t->cell[cell], n = t->cell[cell + 1] - first;
    uint64_t rng = ps_rng_at(t->o.seed ^ ((uint64_t)t->epoch << 32 | t->begin), cell);
    if (n)
        make_ready(t, t->pairs[first], part, &rng, &turn[0]);
    for (size_t k = 0; k < n; k++) {
        const ready *r = &turn[k % 2];
        if (k + 1 < n)
            make_ready(t, t->pairs[first + k + 1], part, &rng, &turn[(k + 1) % 2]);
        loss += (double)ps_skipgram_step(r->word, &r->targets, t->stride, t->rate);
    }
    return loss;
}

static int train_cell(void *cls, size_t begin, size_t end, unsigned worker)
{
    trainer *t = cls;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        uint32_t part = ((uint32_t)i + t->round) % t->parts;
        t->cell_loss[i] += train_pairs(t, i * t->parts + part, part);
    }
    return PS_OK;
}

static void train_chunk(trainer *t, double *loss)
{
    memset(t->cell_loss, 0, sizeof t->cell_loss);
    for (t->round = 0; t->round < t->parts; t->round++)
        ps_workers_run(t->workers, t->parts, 1, train_cell, t);
    for (uint32_t i = 0; i < t->parts; i++)
        *loss += t->cell_loss[i];
}

/* The next chunk ends where it holds enough words or pins. */
static void next_chunk(trainer *t)
{
    uint64_t tokens = 0;
    t->begin = t->end;
    while (t->end < t->texts->n_pins && t->end - t->begin < CHUNK_PINS &&
           tokens < CHUNK_TOKENS) {
        uint32_t pin = t->order[t->end++];
        tokens += t->texts->begin[pin + 1] - t->texts->begin[pin];
    }
}

static float rate_at(const trainer *t, uint32_t epoch, uint32_t pin)
{
    double done = (epoch + (double)pin / t->texts->n_pins) / t->o.epochs;
    return t->o.rate * (float)(1 - 0.99 * done);
}

static int train_epoch(trainer *t, uint32_t epoch, float *loss, const ps_progress *p)
{
    double sum = 0;
    uint64_t pairs = 0, pins = t->texts->n_pins;
    begin_epoch(t, epoch);
    for (t->end = 0; t->end < pins;) {
        next_chunk(t);
        t->rate = rate_at(t, epoch, t->begin);
        int err = make_pairs(t);
        if (err)
            return err;
        train_chunk(t, &sum);
        pairs += t->cell[(size_t)t->parts * t->parts];
        err =
            ps_progress_at(p, "words", epoch * pins + t->end, t->o.epochs * pins, "pins");
        if (err)
            return err;
    }
    *loss = pairs ? (float)(sum / (double)pairs) : 0;
    return PS_OK;
}

/* ------------------------------ Lifetime ---------------------------------- */

static void trainer_done(trainer *t)
{
    for (unsigned i = 0; t->kept && i < ps_workers_count(t->workers); i++)
        free(t->kept[i]);
    free(t->kept);
    free(t->in);
    free(t->out);
    free(t->thin);
    free(t->order);
    free(t->part);
    free(t->draw);
    free(t->share);
    free(t->stack);
    free(t->pairs);
    free(t->counts);
}

static bool trainer_alloc(trainer *t)
{
    size_t words = t->texts->n_words, pins = t->texts->n_pins;
    size_t pieces = (pins < CHUNK_PINS ? pins : CHUNK_PINS) / PIECE + 1;
    unsigned threads = ps_workers_count(t->workers);
    t->in = calloc(words, t->stride * sizeof *t->in);
    t->out = calloc(words, t->stride * sizeof *t->out);
    t->thin = malloc(words * sizeof *t->thin);
    t->order = malloc(pins * sizeof *t->order);
    t->part = malloc(words * sizeof *t->part);
    t->draw = malloc(words * sizeof *t->draw);
    t->share = malloc(words * sizeof *t->share);
    t->stack = malloc(words * sizeof *t->stack);
    t->counts = malloc(pieces * t->parts * t->parts * sizeof *t->counts);
    t->kept = calloc(threads, sizeof *t->kept);
    bool whole = t->in && t->out && t->thin && t->order && t->part && t->draw &&
                 t->share && t->stack && t->counts && t->kept;
    for (unsigned i = 0; whole && i < threads; i++)
        whole = (t->kept[i] = malloc((t->longest + 1) * sizeof **t->kept)) != NULL;
    return whole;
}

/* Small random word vectors, as word2vec's; contexts begin at zero. */
static void trainer_fill(trainer *t)
{
    const ps_texts *c = t->texts;
    for (uint32_t w = 0; w < c->n_words; w++) {
        uint64_t rng = ps_rng_at(t->o.seed ^ 0x696e6974, w);
        for (uint32_t d = 0; d < t->o.dim; d++)
            t->in[w * t->stride + d] = (ps_rng_unit(&rng) - 0.5f) / (float)t->o.dim;
        double share = (double)c->used[w] / (double)c->n_tokens;
        double x = (double)t->o.subsample / share;
        t->thin[w] = (float)(sqrt(x) + x);
    }
    for (uint32_t p = 0; p < c->n_pins; p++)
        t->order[p] = p;
}

static void set_shape(trainer *t)
{
    const ps_texts *c = t->texts;
    t->stride = ((size_t)t->o.dim + 7) / 8 * 8;
    t->parts = c->n_words / PART_WORDS;
    t->parts = t->parts < 1 ? 1 : t->parts > PARTS_MAX ? PARTS_MAX : t->parts;
    for (uint32_t p = 0; p < c->n_pins; p++) {
        uint64_t n = c->begin[p + 1] - c->begin[p];
        t->longest = n > t->longest ? (uint32_t)n : t->longest;
    }
}

int ps_skipgram(const ps_texts *c, const ps_skipgram_opts *opts, ps_workers *workers,
                float *out, float *loss, const ps_progress *progress)
{
    trainer t = {.texts = c, .o = *opts, .workers = workers};
    if (opts->dim == 0 || opts->negatives >= PS_TARGETS_MAX)
        return PS_EINVAL;
    set_shape(&t);
    int err = trainer_alloc(&t) ? PS_OK : PS_ENOMEM;
    if (err)
        goto out;
    trainer_fill(&t);
    for (uint32_t e = 0; e < opts->epochs && !err; e++)
        err = train_epoch(&t, e, loss, progress);
    for (size_t w = 0; w < c->n_words && !err; w++)
        memcpy(out + w * opts->dim, t.in + w * t.stride, opts->dim * sizeof *out);
out:
    trainer_done(&t);
    return err;
}
