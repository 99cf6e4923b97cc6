/* install.c - writes a model and its lists, trained here or made elsewhere.
 *
 * Threads: see install.h.
 */
#include "core/neighbours/install.h"

#include <stdio.h>

#include "core/base/list.h"
#include "core/neighbours/corpus_inside.h"
#include "pinsage/features.h"
#include "pinsage/layout.h"

/* ------------------------------ Files ------------------------------------- */

int ps_install_array(ps_draft *d, const ps_generation *g, const char *name, ps_dtype type,
                     uint64_t cols, const void *data, ps_why *why)
{
    ps_out *out;
    int err = ps_draft_create(d, name, &out, why);
    if (err)
        return err;
    ps_npy_header(out, type, g->n_pins, cols);
    ps_out_write(out, data, g->n_pins * cols * ps_dtype_size(type));
    return ps_draft_close(d, name, out, why);
}

int ps_install_sign(ps_draft *d, const ps_generation *g, const char *file,
                    const char *blocks)
{
    ps_manifest *m = ps_draft_manifest(d);
    char name[96];
    int err = ps_manifest_made_from(m, file, PS_FILE_PIN_BOARDS_STARTS);
    if (!err)
        err = ps_manifest_made_from(m, file, PS_FILE_PIN_BOARDS);
    for (uint32_t b = 0; b < g->n_blocks && !err; b++) {
        snprintf(name, sizeof name, PS_FILE_BLOCK, g->blocks[b].name);
        if (ps_list_has(blocks, g->blocks[b].name))
            err = ps_manifest_made_from(m, file, name);
    }
    return err;
}

/* ------------------------------ The model --------------------------------- */

int ps_install_neighbours(ps_draft *d, ps_corpus *c, const ps_model_config *m,
                          const ps_progress *progress, ps_why *why)
{
    static const char *const rows = PS_FILE_NEAR_ROWS, *const weights =
                                                           PS_FILE_NEAR_WEIGHTS;
    const ps_table *t;
    int err = ps_corpus_table(c, ps_model_walk(m), m->neighbourhood == PS_NEIGHBOURS_KHOP,
                              &t, progress, why);
    if (!err)
        err = ps_install_array(d, c->generation, rows, PS_U32, t->T, t->row, why);
    if (!err)
        err = ps_install_array(d, c->generation, weights, PS_F32, t->T, t->weight, why);
    if (!err)
        err = ps_install_sign(d, c->generation, rows, NULL);
    return err ? err : ps_install_sign(d, c->generation, weights, NULL);
}

static void note_model(ps_manifest *m, const ps_model *model)
{
    char print[17];
    ps_model_print(model, print);
    ps_manifest_set_text(m, "model.fingerprint", print);
    ps_manifest_set_text(m, PS_KEY_MODEL_SIMILARITY,
                         ps_enum_name(ps_similarity_names, model->config.similarity));
    ps_manifest_set_text(m, PS_KEY_MODEL_BLOCKS, model->config.blocks);
    ps_manifest_set_u64(m, "model.parameters", model->n_params);
}

int ps_install_model(ps_draft *d, ps_corpus *c, const ps_model *model,
                     const ps_progress *progress, ps_why *why)
{
    char path[PS_PATH_MAX];
    uint64_t size, hash;
    int err = ps_draft_path(d, PS_FILE_MODEL, path, why);
    if (!err)
        err = ps_model_save(model, path, &size, &hash, why);
    if (err)
        return err;
    ps_draft_file(d, PS_FILE_MODEL, size, hash);
    err = ps_install_sign(d, c->generation, PS_FILE_MODEL, model->config.blocks);
    if (!err && model->config.layers)
        err = ps_install_neighbours(d, c, &model->config, progress, why);
    if (!err)
        note_model(ps_draft_manifest(d), model);
    return err;
}

/* ------------------------------ Made elsewhere ---------------------------- */

/* What was said of the model before this one: its training, and a blend with it. */
static int forget(ps_draft *d, ps_why *why)
{
    ps_manifest *m = ps_draft_manifest(d);
    ps_manifest_remove(m, PS_KEY_TRAIN);
    ps_manifest_remove(m, PS_KEY_BLEND);
    int err = ps_draft_drop(d, PS_FILE_NEAR_ROWS, why);
    return err ? err : ps_draft_drop(d, PS_FILE_NEAR_WEIGHTS, why);
}

int ps_model_import(const char *catalog, const char *path, ps_model_import_opts o,
                    const ps_progress *progress, ps_why *why)
{
    ps_draft *d = NULL;
    ps_generation *g = NULL;
    ps_corpus *c = NULL;
    ps_features f;
    ps_model model = {0};
    int err = ps_draft_begin(&d, catalog, (ps_draft_opts){.step = "model"}, why);
    if (!err)
        err = ps_draft_open(d, &g, why);
    if (!err)
        err = ps_model_load(&model, path, why);
    if (!err)
        err = ps_features_for(&f, g, &model.config, why);
    if (!err)
        err = ps_corpus_new(&c, g, &g->graph, model.config.seed, o.threads, why);
    if (!err)
        err = forget(d, why);
    if (!err)
        err = ps_install_model(d, c, &model, progress, why);
    ps_corpus_free(c);
    ps_model_free(&model);
    ps_generation_release(g);
    if (!err)
        return ps_draft_commit(d, o.keep, NULL, why);
    ps_draft_abort(d);
    return err;
}
