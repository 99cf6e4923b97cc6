/* annotate.c - `pinsage annotate`: from the pins' text to the block, step by step.
 *
 *     pins.mdb -> texts (numbers of words) -> skip-gram -> words.safetensors
 *     words.safetensors + pins.mdb -> features/annotation.npy
 *
 * The block is made with the words file just written, opened as a server opens it.
 * Files that were made from an older block are dropped when the draft is committed, by
 * their fingerprints.
 *
 * Threads: see annotate.h. Not here: words out of text (tokenizer.c), vectors of words
 * (skipgram.c), vectors of text (words.c).
 */
#include "pinsage/annotate.h"
#include "pinsage/clock.h"
#include "pinsage/layout.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/annotate/skipgram.h"
#include "core/annotate/words.h"
#include "pinsage/catalog.h"
#include "pinsage/generation.h"
#include "pinsage/inverted.h"

#define BLOCK PS_DIR_BLOCKS "/annotation.npy"
#define WORDS PS_FILE_WORDS

/* What did best on valid pairs of several sets, see annotate's options. */
enum {
    CONTEXTS = 5,
    EPOCHS_MIN = 3,
    EPOCHS_MAX = 20,
    ROWS = 4096, /* rows of the block that are held at once */
    GRAIN = 128, /* and that a thread takes at a time */
    TELL = 4096, /* pins read between two reports */
};
#define TOKENS_READ 2e7 /* words read in all epochs together, more or less */
#define RATE        0.1f

typedef struct annotation {
    const ps_annotate_opts *opts;
    ps_annotate_report *report;
    const ps_progress *progress;
    ps_why *why;
    ps_draft *draft;
    ps_generation *g;
    ps_workers *workers;
    ps_texts texts;
    ps_words *words;
    ps_pins_reader **readers; /* owned, one a thread */
    /* the block */
    uint32_t first; /* row of the first that is held */
    float *rows;    /* owned, (ROWS, dim) */
    uint8_t known[ROWS];
} annotation;

/* ------------------------------ Reading ----------------------------------- */

static int check_opts(const ps_annotate_opts *o, ps_why *why)
{
    if (o->dim < 8 || o->dim > 1024)
        return ps_fail(why, PS_EINVAL, "--dim", 0, "%u is not in 8..1024", o->dim);
    if (o->negatives < 1 || o->negatives > 50)
        return ps_fail(why, PS_EINVAL, "--negatives", 0, "%u is not in 1..50",
                       o->negatives);
    if (o->epochs > 1000)
        return ps_fail(why, PS_EINVAL, "--epochs", 0, "%u is not in 0..1000", o->epochs);
    if (!(o->subsample > 0 && o->subsample <= 1))
        return ps_fail(why, PS_EINVAL, "--subsample", 0, "%g is not in (0, 1]",
                       (double)o->subsample);
    return PS_OK;
}

static int begin(annotation *a, const char *catalog)
{
    int err = check_opts(a->opts, a->why);
    if (!err)
        err = ps_draft_begin(&a->draft, catalog, (ps_draft_opts){.step = "annotate"},
                             a->why);
    if (!err)
        err = ps_draft_open(a->draft, &a->g, a->why);
    if (!err && !a->opts->replace)
        err = ps_generation_may_replace(a->g, "annotation", a->why);
    if (!err)
        err = ps_workers_new(&a->workers, a->opts->threads);
    if (err)
        return err;
    unsigned threads = ps_workers_count(a->workers);
    a->rows = malloc((size_t)ROWS * a->opts->dim * sizeof *a->rows);
    a->readers = calloc(threads, sizeof *a->readers);
    err = a->rows && a->readers ? PS_OK : PS_ENOMEM;
    for (unsigned i = 0; i < threads && !err; i++)
        err = ps_pins_reader_new(&a->readers[i], a->g->pins);
    return err;
}

static int read_pin(annotation *a, uint32_t row)
{
    ps_pin pin;
    int err = ps_pins_get(a->readers[0], row, &pin);
    return err ? err : ps_texts_add_pin(&a->texts, pin.title, pin.text);
}

static int check_words(const annotation *a, uint64_t words_before)
{
    if (words_before == 0)
        return ps_fail(a->why, PS_ENOENT, a->g->name, 0,
                       "no pin has text: there is nothing to annotate");
    if (a->texts.n_words == 0)
        return ps_fail(a->why, PS_ENOENT, a->g->name, 0,
                       "none of its %" PRIu64 " words stands in %u pins: the text is too "
                       "little to learn from",
                       words_before, a->opts->min_count);
    return PS_OK;
}

static int read_texts(annotation *a)
{
    int err = PS_OK;
    uint32_t n = a->g->n_pins;
    for (uint32_t row = 0; row < n && !err; row++) {
        err = read_pin(a, row);
        if (!err && (row % TELL == 0 || row + 1 == n))
            err = ps_progress_at(a->progress, "text", row + 1, n, "pins");
    }
    if (err)
        return err;
    uint64_t words = a->texts.n_words;
    err = words ? ps_inverted_write(a->draft, &a->texts, a->why) : PS_OK;
    if (err)
        return err;
    err = ps_texts_finish(&a->texts, a->opts->min_count);
    return err ? err : check_words(a, words);
}

/* ------------------------------ Words ------------------------------------- */

static uint32_t epochs_of(const annotation *a)
{
    if (a->opts->epochs)
        return a->opts->epochs;
    double epochs = TOKENS_READ / (double)a->texts.n_tokens;
    return epochs < EPOCHS_MIN   ? EPOCHS_MIN
           : epochs > EPOCHS_MAX ? EPOCHS_MAX
                                 : (uint32_t)epochs;
}

static int learn(annotation *a, float *vectors, float *weights)
{
    const ps_annotate_opts *o = a->opts;
    ps_skipgram_opts s = {.dim = o->dim,
                          .epochs = epochs_of(a),
                          .negatives = o->negatives,
                          .contexts = CONTEXTS,
                          .subsample = o->subsample,
                          .rate = RATE,
                          .seed = o->seed};
    int err =
        ps_skipgram(&a->texts, &s, a->workers, vectors, &a->report->loss, a->progress);
    if (err)
        return err;
    a->report->words = a->texts.n_words;
    a->report->tokens = a->texts.n_tokens;
    a->report->epochs = s.epochs;
    ps_words_weigh(&a->texts, weights);
    return ps_words_centre(&a->texts, weights, o->dim, vectors);
}

static int write_words(annotation *a)
{
    char path[PS_PATH_MAX];
    uint64_t size, hash;
    size_t n = a->texts.n_words;
    float *vectors = malloc(n * a->opts->dim * sizeof *vectors);
    float *weights = malloc(n * sizeof *weights);
    int err = vectors && weights ? learn(a, vectors, weights) : PS_ENOMEM;
    if (!err)
        err = ps_draft_path(a->draft, WORDS, path, a->why);
    if (!err)
        err = ps_words_write(path, &a->texts, weights, vectors, a->opts->dim, &size,
                             &hash, a->why);
    if (!err) {
        ps_draft_file(a->draft, WORDS, size, hash);
        err = ps_words_open(&a->words, path, a->why);
    }
    free(vectors);
    free(weights);
    ps_texts_done(&a->texts);
    return err;
}

/* ------------------------------ The block --------------------------------- */

static int embed_rows(void *cls, size_t begin, size_t end, unsigned worker)
{
    annotation *a = cls;
    ps_pin pin;
    for (size_t i = begin; i < end; i++) {
        float *out = a->rows + i * a->opts->dim;
        int err = ps_pins_get(a->readers[worker], a->first + (uint32_t)i, &pin);
        if (err)
            return err;
        a->known[i] = ps_words_embed_pin(a->words, pin.title, pin.text, out) > 0;
    }
    return PS_OK;
}

static int write_rows(annotation *a, ps_out *o)
{
    uint32_t N = a->g->n_pins;
    ps_npy_header(o, PS_F32, N, a->opts->dim);
    int err = PS_OK;
    for (a->first = 0; a->first < N && !err; a->first += ROWS) {
        uint32_t n = N - a->first < ROWS ? N - a->first : ROWS;
        err = ps_workers_run(a->workers, n, GRAIN, embed_rows, a);
        for (uint32_t i = 0; i < n; i++)
            a->report->pins_with_text += a->known[i];
        ps_out_write(o, a->rows, (size_t)n * a->opts->dim * sizeof *a->rows);
        if (!err)
            err = ps_progress_at(a->progress, "block", a->first + n, N, "pins");
    }
    return err;
}

static int write_block(annotation *a)
{
    ps_out *o = NULL;
    int err = ps_draft_create(a->draft, BLOCK, &o, a->why);
    if (!err)
        err = write_rows(a, o);
    if (!err)
        return ps_draft_close(a->draft, BLOCK, o, a->why);
    ps_out_abort(o);
    return err;
}

static int note_manifest(annotation *a)
{
    ps_manifest *m = ps_draft_manifest(a->draft);
    const ps_annotate_opts *o = a->opts;
    const ps_annotate_report *r = a->report;
    ps_manifest_set_u64(m, "blocks.annotation.dim", o->dim);
    ps_manifest_set_text(m, "blocks.annotation.dtype", ps_dtype_name(PS_F32));
    ps_manifest_set_u64(m, "blocks.annotation.filled", r->pins_with_text);
    ps_manifest_set_text(m, "blocks.annotation.of", "annotate");
    ps_manifest_set_u64(m, "annotate.words", r->words);
    ps_manifest_set_u64(m, "annotate.tokens", r->tokens);
    ps_manifest_set_real(m, "annotate.loss", (double)r->loss);
    ps_manifest_set_u64(m, "options.annotate.dim", o->dim);
    ps_manifest_set_u64(m, "options.annotate.min_count", o->min_count);
    ps_manifest_set_u64(m, "options.annotate.epochs", r->epochs);
    ps_manifest_set_u64(m, "options.annotate.negatives", o->negatives);
    ps_manifest_set_real(m, "options.annotate.subsample", (double)o->subsample);
    ps_manifest_set_u64(m, "options.annotate.seed", o->seed);
    ps_manifest_remove(m, "options.import.features.annotation");
    int err = ps_manifest_made_from(m, WORDS, PS_FILE_PINS);
    if (!err)
        err = ps_manifest_made_from(m, BLOCK, PS_FILE_PINS);
    return err ? err : ps_manifest_made_from(m, BLOCK, WORDS);
}

/* ------------------------------ The step ---------------------------------- */

static void finish(annotation *a)
{
    for (unsigned i = 0; a->readers && i < ps_workers_count(a->workers); i++)
        ps_pins_reader_free(a->readers[i]);
    free(a->readers);
    free(a->rows);
    ps_words_close(a->words);
    ps_texts_done(&a->texts);
    if (a->workers)
        ps_workers_free(a->workers);
    ps_generation_release(a->g);
}

int ps_annotate(const char *catalog, const ps_annotate_opts *opts,
                ps_annotate_report *report, const ps_progress *progress, ps_why *why)
{
    double began = ps_now();
    *report = (ps_annotate_report){0};
    annotation *a = calloc(1, sizeof *a);
    if (!a)
        return PS_ENOMEM;
    *a = (annotation){.opts = opts, .report = report, .progress = progress, .why = why};
    int err = begin(a, catalog);
    if (!err)
        err = read_texts(a);
    if (!err)
        err = write_words(a);
    if (!err)
        err = write_block(a);
    if (!err)
        err = note_manifest(a);
    finish(a);
    if (!err)
        err = ps_draft_commit(a->draft, opts->keep, report->generation, why);
    else
        ps_draft_abort(a->draft);
    report->seconds = ps_now() - began;
    free(a);
    return err;
}
