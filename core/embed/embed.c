/* embed.c - `pinsage embed`: the stages over mapped files, each done once.
 *
 *     CATALOG/embed.partial/KEY/   messages.1.npy h.1.npy messages.2.npy h.2.npy z.npy
 *
 * KEY is the fingerprint of everything the vectors depend on. A stage writes NAME.new,
 * makes it durable and renames it: the file's presence says that the stage is done, so
 * after a kill the next run begins where the last one was. At the end messages are linked
 * into the draft; the partial files stay until the draft is in use. A generation whose
 * embeddings have the same inputs is left as it is, unless a compaction has put rows
 * among them that were embedded one by one: then the neighbours are walked to anew, too.
 *
 * Threads: see embed.h. Not here: the arithmetic (stages.c, core/model).
 */
#include "pinsage/embed.h"
#include "pinsage/clock.h"
#include "pinsage/half.h"
#include "pinsage/layout.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/embed/stages.h"
#include "core/neighbours/install.h"
#include "pinsage/catalog.h"
#include "pinsage/gemm.h"
#include "pinsage/hash.h"

typedef struct embedding {
    const ps_embed_opts *opts;
    ps_embed_report *report;
    ps_draft *draft;
    ps_generation *g;
    ps_model model;
    ps_features features;
    ps_stages stages;
    ps_npy nbr[2];                            /* rows and weights, from the draft */
    char root[PS_PATH_MAX], dir[PS_PATH_MAX]; /* embed.partial, and KEY below it */
} embedding;

/* ------------------------------ The key ----------------------------------- */

static const char *const graph_files[] = {PS_FILE_PIN_BOARDS_STARTS, PS_FILE_PIN_BOARDS,
                                          PS_FILE_NEAR_ROWS, PS_FILE_NEAR_WEIGHTS};

/* The i-th file that the vectors depend on, beside the model; NULL past the end. */
static const char *input(const embedding *e, size_t i, char *name, size_t n)
{
    size_t fixed = e->model.config.layers ? 4 : 2;
    if (i < fixed)
        return graph_files[i];
    if (i - fixed >= e->features.n_blocks)
        return NULL;
    snprintf(name, n, PS_FILE_BLOCK, e->features.block[i - fixed]->name);
    return name;
}

static uint64_t key_of(const embedding *e)
{
    char name[96];
    const char *file;
    ps_hasher *h = ps_hasher_new();
    uint64_t model = ps_model_fingerprint(&e->model);
    ps_hasher_add(h, &model, sizeof model);
    ps_hasher_add(h, &e->opts->half, sizeof e->opts->half);
    for (size_t i = 0; (file = input(e, i, name, sizeof name)); i++) {
        uint64_t size = 0, hash = 0;
        ps_manifest_file(ps_draft_manifest(e->draft), file, &size, &hash);
        ps_hasher_add(h, &hash, sizeof hash);
    }
    uint64_t key = ps_hasher_value(h);
    ps_hasher_free(h);
    return key;
}

/* ------------------------------ A stage ----------------------------------- */

typedef struct array {
    ps_npy file;
    char path[PS_PATH_MAX], fresh[PS_PATH_MAX];
    void *data; /* for writing; NULL when the stage was done before */
} array;

static int array_paths(array *a, const embedding *e, const char *name, ps_why *why)
{
    char part[64];
    snprintf(part, sizeof part, "%s.new", name);
    if (ps_path_join(a->path, sizeof a->path, e->dir, name) ||
        ps_path_join(a->fresh, sizeof a->fresh, e->dir, part))
        return ps_fail(why, PS_ERANGE, e->dir, 0, "the path is too long");
    return PS_OK;
}

/* Open a stage's file: finished, or new and mapped for writing. */
static int array_open(array *a, embedding *e, const char *name, ps_dtype type,
                      uint32_t cols, ps_why *why)
{
    *a = (array){0};
    int err = array_paths(a, e, name, why);
    if (err)
        return err;
    e->report->stages++;
    if (!ps_file_exists(a->path))
        return ps_npy_create(&a->file, &a->data, a->fresh, type, e->g->n_pins, cols, why);
    e->report->reused++;
    return ps_npy_open_as(&a->file, a->path, type, e->g->n_pins, cols, PS_SEQUENTIAL,
                          why);
}

/* The stage is done: durable under its own name, mapped for reading. */
static int array_finish(array *a, embedding *e, ps_why *why)
{
    if (!a->data)
        return PS_OK;
    ps_dtype type = a->file.dtype;
    uint64_t cols = a->file.cols;
    int err = ps_map_sync(&a->file.map, a->fresh, why);
    ps_npy_close(&a->file);
    if (!err)
        err = ps_file_sync(a->fresh, why);
    if (!err && rename(a->fresh, a->path) < 0)
        err = ps_fail_errno(why, a->path, "cannot be made");
    if (!err)
        err = ps_file_sync(e->dir, why);
    a->data = NULL;
    return err ? err
               : ps_npy_open_as(&a->file, a->path, type, e->g->n_pins, cols,
                                PS_SEQUENTIAL, why);
}

static int stage_map(embedding *e, uint32_t k, const float *h, array *a, ps_why *why)
{
    char name[32];
    snprintf(name, sizeof name, PS_FILE_MESSAGES, k);
    int err = array_open(a, e, name, PS_F16, e->model.config.m, why);
    if (!err && a->data)
        err = ps_stages_map(&e->stages, k, h, a->data);
    return err ? err : array_finish(a, e, why);
}

static int stage_reduce(embedding *e, uint32_t k, const float *h, const array *messages,
                        array *a, ps_why *why)
{
    char name[32];
    snprintf(name, sizeof name, "h.%u.npy", k);
    int err = array_open(a, e, name, PS_F32, e->model.config.d, why);
    if (!err && a->data)
        err = ps_stages_reduce(&e->stages, k, h, messages->file.data, a->data);
    return err ? err : array_finish(a, e, why);
}

static int stage_head(embedding *e, const float *h, ps_why *why)
{
    array a;
    uint32_t E = e->model.config.e;
    int err = array_open(&a, e, "z.npy", PS_F32, E, why);
    if (!err && a.data)
        err = ps_stages_head(&e->stages, h, a.data);
    if (!err)
        err = array_finish(&a, e, why);
    ps_npy_close(&a.file);
    return err;
}

static int run_stages(embedding *e, ps_why *why)
{
    array h[2] = {0}, messages = {0};
    const float *below = NULL;
    int err = PS_OK;
    for (uint32_t k = 1; k <= e->model.config.layers && !err; k++) {
        ps_npy_close(&h[k % 2].file);
        err = stage_map(e, k, below, &messages, why);
        if (!err)
            err = stage_reduce(e, k, below, &messages, &h[k % 2], why);
        ps_npy_close(&messages.file);
        below = h[k % 2].file.data;
    }
    if (!err)
        err = stage_head(e, below, why);
    ps_npy_close(&h[0].file);
    ps_npy_close(&h[1].file);
    return err;
}

/* ------------------------------ Into the draft ---------------------------- */

static int sign(embedding *e, const char *file)
{
    char name[96];
    const char *in;
    ps_manifest *m = ps_draft_manifest(e->draft);
    int err = ps_manifest_made_from(m, file, PS_FILE_MODEL);
    for (size_t i = 0; !err && (in = input(e, i, name, sizeof name)); i++)
        err = ps_manifest_made_from(m, file, in);
    return err;
}

static int link_messages(embedding *e, uint32_t k, ps_why *why)
{
    char name[32], from[PS_PATH_MAX], to[PS_PATH_MAX];
    snprintf(name, sizeof name, PS_FILE_MESSAGES, k);
    int err = ps_path_join(from, sizeof from, e->dir, name);
    if (!err)
        err = ps_draft_path(e->draft, name, to, why);
    if (!err && link(from, to) < 0)
        err = ps_fail_errno(why, to, "cannot be made");
    if (!err)
        err = ps_draft_file_read(e->draft, name, why);
    return err ? err : sign(e, name);
}

static int write_rows(const ps_npy *z, bool as_half, ps_out *out)
{
    size_t E = z->cols;
    uint16_t *half = malloc(E * sizeof *half);
    if (!half)
        return PS_ENOMEM;
    ps_npy_header(out, as_half ? PS_F16 : PS_F32, z->rows, E);
    for (uint64_t r = 0; r < z->rows; r++) {
        const float *row = (const float *)z->data + r * E;
        if (as_half)
            ps_f32_to_f16(row, half, E);
        ps_out_write(out, as_half ? (const void *)half : row,
                     E * (as_half ? sizeof *half : sizeof *row));
    }
    free(half);
    return PS_OK;
}

/* z as f32 or f16; a copy, so that its checksum is made on the way. */
static int write_embeddings(embedding *e, ps_why *why)
{
    static const char *const name = PS_FILE_EMBEDDINGS;
    char from[PS_PATH_MAX];
    ps_npy z;
    ps_out *out = NULL;
    int err = ps_path_join(from, sizeof from, e->dir, "z.npy");
    if (!err)
        err = ps_npy_open_as(&z, from, PS_F32, e->g->n_pins, e->model.config.e,
                             PS_SEQUENTIAL, why);
    if (err)
        return err;
    err = ps_draft_create(e->draft, name, &out, why);
    if (!err)
        err = write_rows(&z, e->opts->half, out);
    ps_npy_close(&z);
    if (err) {
        ps_out_abort(out);
        return err;
    }
    err = ps_draft_close(e->draft, name, out, why);
    return err ? err : sign(e, name);
}

static void note_manifest(embedding *e)
{
    ps_manifest *m = ps_draft_manifest(e->draft);
    char print[17];
    ps_model_print(&e->model, print);
    ps_manifest_remove(m, PS_COMPACTIONS);
    ps_manifest_set_text(m, PS_KEY_EMBEDDINGS_SOURCE, "model");
    ps_manifest_set_text(m, PS_KEY_EMBEDDINGS_MODEL, print);
    ps_manifest_set_u64(m, PS_KEY_EMBEDDINGS_DIM, e->model.config.e);
    ps_manifest_set_text(m, PS_KEY_EMBEDDINGS_SIMILARITY,
                         ps_enum_name(ps_similarity_names, e->model.config.similarity));
}

static int write_draft(embedding *e, ps_why *why)
{
    int err = write_embeddings(e, why);
    for (uint32_t k = 1; k <= e->model.config.layers && !err; k++)
        err = link_messages(e, k, why);
    if (!err)
        note_manifest(e);
    return err;
}

/* ------------------------------ The step ---------------------------------- */

static bool is_compacted(const embedding *e)
{
    return ps_manifest_has(e->g->manifest, PS_COMPACTIONS);
}

static int walk_anew(embedding *e, const ps_progress *progress, ps_why *why)
{
    ps_corpus *c;
    int err = ps_corpus_new(&c, e->g, &e->g->graph, e->model.config.seed,
                            e->opts->threads, why);
    if (err)
        return err;
    err = ps_install_neighbours(e->draft, c, &e->model.config, progress, why);
    ps_corpus_free(c);
    return err;
}

static int open_neighbours(embedding *e, const ps_progress *progress, ps_why *why)
{
    const ps_model_config *c = &e->model.config;
    if (!c->layers)
        return PS_OK;
    if (!e->g->nbr_rows.rows || e->g->nbr_rows.cols != c->neighbours)
        return ps_fail(
            why, PS_EMISMATCH, e->g->name, 0,
            "has no lists of %u neighbours for this model: run `pinsage train`, or "
            "`pinsage embed --model FILE`",
            c->neighbours);
    int err = is_compacted(e) ? walk_anew(e, progress, why) : PS_OK;
    for (int i = 0; i < 2 && !err; i++) {
        char path[PS_PATH_MAX];
        err = ps_path_join(path, sizeof path, ps_draft_dir(e->draft), graph_files[2 + i]);
        if (!err)
            err = ps_npy_open_as(&e->nbr[i], path, i ? PS_F32 : PS_U32, e->g->n_pins,
                                 c->neighbours, PS_RANDOM, why);
    }
    e->stages.nbr = e->nbr[0].data;
    e->stages.weight = e->nbr[1].data;
    return err;
}

static int open_model(embedding *e, ps_why *why)
{
    char path[PS_PATH_MAX];
    int err = ps_path_join(path, sizeof path, e->g->dir, PS_FILE_MODEL);
    if (!err && !ps_file_exists(path))
        return ps_fail(
            why, PS_ENOENT, e->g->name, 0,
            "has no model: run `pinsage train`, or `pinsage embed --model FILE`");
    if (!err)
        err = ps_model_load(&e->model, path, why);
    if (!err)
        err = ps_features_for(&e->features, e->g, &e->model.config, why);
    return err;
}

static int begin(embedding *e, const char *catalog, const ps_progress *progress,
                 ps_why *why)
{
    char key[24];
    int err = ps_draft_begin(&e->draft, catalog, (ps_draft_opts){.step = "embed"}, why);
    if (!err)
        err = ps_draft_open(e->draft, &e->g, why);
    if (!err)
        err = open_model(e, why);
    if (err)
        return err;
    e->stages = (ps_stages){.model = &e->model,
                            .features = &e->features,
                            .n = e->g->n_pins,
                            .T = e->model.config.neighbours,
                            .progress = progress};
    err = open_neighbours(e, progress, why);
    if (!err)
        err = ps_workers_new(&e->stages.workers, e->opts->threads);
    snprintf(key, sizeof key, "%016" PRIx64, key_of(e));
    if (!err)
        err = ps_path_join(e->root, sizeof e->root, catalog, PS_DIR_EMBED_PARTIAL);
    if (!err)
        err = ps_path_join(e->dir, sizeof e->dir, e->root, key);
    return err;
}

/* Partial work of other inputs will never be finished. */
static int sweep_others(const embedding *e, ps_why *why)
{
    return ps_file_exists(e->dir) ? PS_OK : ps_dir_remove(e->root, why);
}

static bool up_to_date(const embedding *e)
{
    const ps_manifest *m = e->g->manifest;
    char print[17], name[96];
    const char *in;
    ps_model_print(&e->model, print);
    bool same = !is_compacted(e) &&
                strcmp(ps_manifest_text(m, PS_KEY_EMBEDDINGS_MODEL, ""), print) == 0 &&
                (e->g->embeddings.dtype == PS_F16) == e->opts->half;
    for (size_t i = 0; same && (in = input(e, i, name, sizeof name)); i++) {
        uint64_t size, now_hash, then;
        same = ps_manifest_file(m, in, &size, &now_hash) &&
               ps_manifest_fingerprint(m, PS_FILE_EMBEDDINGS, in, &then) &&
               then == now_hash;
    }
    return same;
}

static int finish(embedding *e, ps_why *why)
{
    int err = sweep_others(e, why);
    if (!err)
        err = ps_dir_make(e->dir, why);
    if (!err)
        err = run_stages(e, why);
    if (!err)
        err = write_draft(e, why);
    if (err)
        return err;
    err = ps_draft_commit(e->draft, e->opts->keep, e->report->generation, why);
    e->draft = NULL;
    return err ? err : ps_dir_remove(e->root, why);
}

int ps_embed(const char *catalog, const ps_embed_opts *opts, ps_embed_report *report,
             const ps_progress *progress, ps_why *why)
{
    double began = ps_now();
    *report = (ps_embed_report){0};
    embedding e = {.opts = opts, .report = report};
    ps_gemm_init();
    int err = begin(&e, catalog, progress, why);
    if (!err && up_to_date(&e)) {
        report->stages = report->reused = 2 * e.model.config.layers + 1;
        memcpy(report->generation, e.g->name, sizeof e.g->name);
        err = ps_dir_remove(e.root, why); /* a kill just before the end may leave it */
    } else if (!err) {
        err = finish(&e, why);
    }
    report->pins = e.g ? e.g->n_pins : 0;
    ps_workers_free(e.stages.workers);
    ps_model_free(&e.model);
    ps_npy_close(&e.nbr[0]);
    ps_npy_close(&e.nbr[1]);
    ps_generation_release(e.g);
    ps_draft_abort(e.draft);
    report->seconds = ps_now() - began;
    return err;
}
