/* ann_build.c - from vectors on disk to index.faiss and its page in the manifest.
 *
 * Rows are streamed to FAISS in blocks, so that memory holds the index, a block and the
 * training sample, never a second copy of the vectors. Rows searched by cosine are
 * brought to length 1 on the way.
 *
 * "auto", by tests/bench/bench_index.c: exact search while it is fast; then an inverted
 * file whose codes are 4 bits for each two numbers, looked up sixteen at a time in
 * registers. With the exact re-ranking it was searched two to four times faster than the
 * same lists with 8-bit codes, in a third of the memory, and about as fast as a graph
 * (HNSW32_SQ8) in a ninth; and unlike a graph it is the same on every run.
 *
 * Threads: one build at a time for each catalog (the draft's lock).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index/ann_inside.h"
#include "pinsage/catalog.h"
#include "pinsage/clock.h"
#include "pinsage/generation.h"
#include "pinsage/layout.h"
#include "pinsage/rng.h"

enum { BLOCK_BYTES = 32 << 20, EXACT_ROWS = 20000 };

/* ------------------------------ Which kind --------------------------------- */

uint32_t factory_lists(const char *factory)
{
    const char *at = strstr(factory, "IVF");
    unsigned long n = at ? strtoul(at + 3, NULL, 10) : 0;
    return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

void factory_auto(uint64_t rows, uint64_t filled, uint64_t dim, char out[128])
{
    /* Two square roots of lists balance the centres a query is compared with and the
     * rows of the lists it then looks through. */
    unsigned long long lists = (unsigned long long)(2 * sqrt((double)filled)) + !filled;
    if (rows < EXACT_ROWS)
        snprintf(out, 128, "Flat");
    else if (dim >= 16 && dim % 2 == 0)
        snprintf(out, 128, "IVF%llu,PQ%llux4fs", lists, (unsigned long long)dim / 2);
    else
        snprintf(out, 128, "IVF%llu,SQ8", lists);
}

/* FAISS divides by such a number. */
static bool has_zero(const char *factory)
{
    for (const char *p = factory; *p; p++)
        if (*p == '0' && (p == factory || p[-1] < '0' || p[-1] > '9') &&
            (p[1] < '0' || p[1] > '9'))
            return 1;
    return 0;
}

static int check_options(const ps_ann_build_opts *o, size_t rows, const char *factory,
                         ps_why *why)
{
    if (!(o->recall >= .5 && o->recall <= 1))
        return ps_fail(why, PS_EINVAL, "recall", 0, "%g is not between 0.5 and 1",
                       o->recall);
    if (o->sample < 1)
        return ps_fail(why, PS_EINVAL, "sample", 0, "at least 1 query");
    if (has_zero(factory) || strlen(factory) >= 128)
        return ps_fail(why, PS_EINVAL, "factory", 0, "\"%.80s\" is no index", factory);
    if (strstr(factory, "NSG") && rows < 1000)
        return ps_fail(why, PS_EINVAL, "factory", 0,
                       "NSG needs 1000 rows or more, and there are %zu", rows);
    return PS_OK;
}

/* ------------------------------ Rows --------------------------------------- */

typedef struct source {
    const ps_ann *a;
    int unit;     /* bring rows to length 1 */
    float *block; /* (height, dim) */
    size_t height;
} source;

static void load_row(const source *s, size_t row, float *out)
{
    ps_npy_row_f32(s->a->array, row, out);
    if (s->unit)
        ps_direction(out, s->a->space.rows.dim, out);
}

static int source_init(source *s, const ps_ann *a)
{
    size_t line = a->space.rows.dim * sizeof *s->block;
    s->a = a;
    s->unit = a->space.cosine || ps_faiss_unit(a->faiss);
    s->height = BLOCK_BYTES / line ? BLOCK_BYTES / line : 1;
    s->height = s->height < a->space.n ? s->height : a->space.n;
    s->block = malloc(s->height * line);
    return s->block ? PS_OK : PS_ENOMEM;
}

/* A graph that several threads add to is another one each time. The graph of an inverted
 * file's centres is made while training, which is one thread's work in any case: its
 * products are BLAS's, and its many small loops gain nothing from more. */
static unsigned add_threads(const char *factory, unsigned threads)
{
    int graph = strstr(factory, "HNSW") || strstr(factory, "NSG");
    return graph && !factory_lists(factory) ? 1 : threads;
}

/* Rows that FAISS learns from: 64 for each list's centre is what its clustering is happy
 * with, and enough for any code book. Rows without a vector teach nothing; they are taken
 * in only where FAISS would refuse to learn from so few. */
static size_t draw_lessons(const ps_ann *a, const char *factory, uint64_t seed,
                           uint32_t *rows, size_t n)
{
    uint64_t lists = factory_lists(factory), least = lists > 256 ? lists : 256;
    if (a->filled >= least)
        return ann_draw(&a->space, a->filled, n, ps_rng_at(seed, 1), rows);
    for (size_t i = 0; i < n; i++)
        rows[i] = (uint32_t)(i * a->space.n / n);
    return n;
}

static int train(ps_ann *a, const source *s, const char *factory, uint64_t seed,
                 ps_why *why)
{
    size_t rows = a->space.n, n = (size_t)64 * factory_lists(factory);
    n = n < 32768 ? 32768 : n;
    n = n < rows ? n : rows;
    float *sample = malloc(n * a->space.rows.dim * sizeof *sample);
    uint32_t *row = malloc(n * sizeof *row);
    int err = sample && row
                  ? PS_OK
                  : ps_fail(why, PS_ENOMEM, NULL, 0, "no memory to train on %zu rows", n);
    if (!err) {
        n = draw_lessons(a, factory, seed, row, n);
        for (size_t i = 0; i < n; i++)
            load_row(s, row[i], sample + i * a->space.rows.dim);
        err = ps_faiss_train(a->faiss, sample, n, 1, why);
    }
    free(sample);
    free(row);
    return err;
}

static int add_all(ps_ann *a, const source *s, unsigned threads,
                   const ps_progress *progress, ps_why *why)
{
    size_t dim = a->space.rows.dim;
    for (size_t first = 0; first < a->space.n; first += s->height) {
        size_t left = a->space.n - first, n = left < s->height ? left : s->height;
        for (size_t i = 0; i < n; i++)
            load_row(s, first + i, s->block + i * dim);
        int err = ps_faiss_add(a->faiss, s->block, n, threads, why);
        if (!err)
            err = ps_progress_at(progress, "index", first + n, a->space.n, "pins");
        if (err)
            return err;
    }
    return PS_OK;
}

/* ------------------------------ In memory ---------------------------------- */

static int fill(ps_ann *a, const char *factory, const ps_ann_build_opts *opts,
                const ps_progress *progress, ps_why *why)
{
    source s = {0};
    unsigned threads = opts->threads ? opts->threads : ps_cores();
    int err = ps_faiss_new(&a->faiss, (uint32_t)a->space.rows.dim, factory, why);
    if (err)
        return err;
    ann_widen_by(a, factory);
    err = source_init(&s, a);
    if (err)
        return ps_fail(why, err, NULL, 0, "no memory for a block of rows");
    err = train(a, &s, factory, opts->seed, why);
    if (!err)
        err = add_all(a, &s, add_threads(factory, threads), progress, why);
    ps_faiss_alone();
    free(s.block);
    return err;
}

/* Inner products must be numbers. */
static int check_lengths(const ps_npy *vectors, ps_why *why)
{
    ps_rows rows = ps_rows_of(vectors);
    for (size_t row = 0; row < vectors->rows; row++)
        if (!ps_length_fits(ps_row_squares(rows, row)))
            return ps_fail(
                why, PS_EINVAL, "embeddings", 0,
                "row %zu (from 0) is of length %.3g; inner products need 0, or "
                "%g to %g",
                row, sqrt(ps_row_squares(rows, row)), PS_LENGTH_LEAST, PS_LENGTH_MOST);
    return PS_OK;
}

int ann_make(ps_ann **out, const ps_npy *vectors, const char *name,
             const ps_ann_build_opts *opts, ps_ann_report *report,
             const ps_progress *progress, ps_why *why)
{
    int err = check_options(opts, vectors->rows, opts->factory, why);
    if (!err && !vectors_cosine(name))
        err = check_lengths(vectors, why);
    if (err)
        return err;
    ps_ann *a = calloc(1, sizeof *a);
    if (!a)
        return ps_fail(why, PS_ENOMEM, NULL, 0, "no memory for an index");
    strncpy(a->vectors, name, sizeof a->vectors - 1);
    memcpy(report->vectors, a->vectors, sizeof report->vectors);
    a->array = vectors;
    a->space = space_of(vectors, vectors_cosine(name));
    a->filled = ann_count_filled(&a->space);
    a->overfetch = 1;
    if (!strcmp(opts->factory, "auto"))
        factory_auto(vectors->rows, a->filled, vectors->cols, report->factory);
    else
        strncpy(report->factory, opts->factory, sizeof report->factory - 1);
    double begin = ps_now();
    err = fill(a, report->factory, opts, progress, why);
    report->build_s = ps_now() - begin;
    if (!err)
        err = ann_tune(a, report->factory, opts, report, progress, why);
    if (err)
        ps_ann_close(a);
    else
        *out = a;
    return err;
}

/* ------------------------------ On disk ------------------------------------ */

/* Share of a sample's rows that hold a vector: the best-filled block is the one to
 * search. */
static double filled(const ps_npy *m)
{
    ps_rows rows = ps_rows_of(m);
    size_t n = m->rows < 1000 ? m->rows : 1000, full = 0;
    for (size_t i = 0; i < n; i++)
        full += !ps_row_is_none(rows, i * m->rows / n);
    return n ? (double)full / (double)n : 0;
}

static const char *default_vectors(const ps_generation *g)
{
    const char *best = NULL;
    double most = -1;
    if (g->embeddings.rows)
        return "embeddings";
    for (uint32_t b = 0; b < g->n_blocks; b++) {
        double share = filled(&g->blocks[b].array);
        if (share > most) {
            most = share;
            best = g->blocks[b].name;
        }
    }
    return best;
}

static int choose_vectors(const ps_generation *g, const ps_ann_build_opts *opts,
                          const char **name, ps_why *why)
{
    *name = opts->vectors ? opts->vectors : default_vectors(g);
    if (!*name)
        return ps_fail(why, PS_ENOENT, "vectors", 0,
                       "the catalog has neither embeddings nor a feature block to index");
    if (!vectors_find(g, *name))
        return ps_fail(why, PS_ENOENT, "vectors", 0, "the catalog has no \"%s\"", *name);
    if (strlen(*name) >= sizeof((ps_ann_report *)0)->vectors)
        return ps_fail(why, PS_EINVAL, "vectors", 0, "the name is too long");
    return PS_OK;
}

static void describe(ps_manifest *m, const ps_ann *a, const ps_ann_build_opts *opts,
                     const ps_ann_report *r)
{
    char file[64], of[17];
    uint64_t hash = 0;
    vectors_file(a->vectors, file, sizeof file);
    ps_manifest_file(m, file, NULL, &hash);
    snprintf(of, sizeof of, "%016llx", (unsigned long long)hash);
    ps_manifest_remove(m, PS_KEY_INDEX);
    ps_manifest_set_text(m, PS_KEY_INDEX_VECTORS, a->vectors);
    ps_manifest_set_text(m, PS_KEY_INDEX_OF, of);
    ps_manifest_set_text(m, "index.asked", opts->factory);
    ps_manifest_set_text(m, PS_KEY_INDEX_FACTORY, r->factory);
    ps_manifest_set_text(m, "index.similarity",
                         a->space.cosine ? "cosine" : "inner product");
    ps_manifest_set_text(m, PS_KEY_INDEX_KNOB, r->knob);
    ps_manifest_set_u64(m, PS_KEY_INDEX_WIDER, r->overfetch);
    ps_manifest_set_real(m, PS_KEY_INDEX_RECALL, r->recall_at_10);
    ps_manifest_set_u64(m, "index.recall_queries", r->queries);
    ps_manifest_set_real(m, "index.recall_target", opts->recall);
    ps_manifest_set_u64(m, "index.reached", (uint64_t)r->reached);
    ps_manifest_set_real(m, "index.search_us", r->search_us);
    ps_manifest_set_real(m, "index.exact_us", r->exact_us);
    ps_manifest_set_real(m, "index.build_s", r->build_s);
    ps_manifest_set_u64(m, "index.rows", a->space.n);
    ps_manifest_set_u64(m, "index.dim", a->space.rows.dim);
    ps_manifest_set_u64(m, "index.bytes", r->bytes);
}

static int save(ps_draft *d, const ps_ann *a, const ps_ann_build_opts *opts,
                ps_ann_report *report, ps_why *why)
{
    char path[PS_PATH_MAX], file[64];
    ps_manifest *m = ps_draft_manifest(d);
    int err = ps_draft_path(d, PS_FILE_INDEX, path, why);
    if (!err)
        err = ps_faiss_write(a->faiss, path, why);
    if (!err)
        err = ps_draft_file_read(d, PS_FILE_INDEX, why);
    if (err)
        return err;
    ps_manifest_file(m, PS_FILE_INDEX, &report->bytes, NULL);
    describe(m, a, opts, report);
    vectors_file(a->vectors, file, sizeof file);
    ps_manifest_made_from(m, PS_FILE_INDEX, file);
    return PS_OK;
}

ps_ann_build_opts ps_ann_asked(const ps_generation *g)
{
    const ps_manifest *m = g->manifest;
    return (ps_ann_build_opts){
        .factory = ps_manifest_text(m, "index.asked", PS_ANN_FACTORY),
        .vectors = ps_manifest_text(m, PS_KEY_INDEX_VECTORS, NULL),
        .recall = ps_manifest_real(m, "index.recall_target", PS_ANN_RECALL),
        .sample = PS_ANN_SAMPLE,
        .seed = 1,
        .keep = 1};
}

int ps_ann_build_in(ps_draft *draft, const ps_npy *vectors, const char *name,
                    const ps_ann_build_opts *opts, ps_ann_report *report,
                    const ps_progress *progress, ps_why *why)
{
    ps_ann *a = NULL;
    *report = (ps_ann_report){0};
    int err = ann_make(&a, vectors, name, opts, report, progress, why);
    if (!err)
        err = save(draft, a, opts, report, why);
    ps_ann_close(a);
    return err;
}

int ps_ann_build(const char *catalog, const ps_ann_build_opts *opts,
                 ps_ann_report *report, const ps_progress *progress, ps_why *why)
{
    ps_draft *draft = NULL;
    ps_generation *g = NULL;
    const char *name;
    *report = (ps_ann_report){0};
    /* The draft first: its lock keeps the generation where it is. */
    int err = ps_ann_cpu_check(why);
    if (!err)
        err = ps_draft_begin(&draft, catalog, (ps_draft_opts){.step = "index"}, why);
    if (!err)
        err = ps_draft_open(draft, &g, why);
    if (!err)
        err = choose_vectors(g, opts, &name, why);
    if (!err)
        err = ps_ann_build_in(draft, vectors_find(g, name), name, opts, report, progress,
                              why);
    if (err) {
        ps_draft_abort(draft);
        goto out;
    }
    err = ps_draft_commit(draft, opts->keep, report->generation, why);
out:
    ps_generation_release(g);
    return err;
}
