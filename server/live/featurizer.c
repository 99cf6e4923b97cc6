/* featurizer.c - opens the parts, and turns content into blocks.
 *
 * Threads: see featurizer.h.
 */
#include "server/live/featurizer.h"

#include <string.h>

#include "pinsage/layout.h"
#include "pinsage/structure.h"

static int find_block(const ps_generation *g, const char *name)
{
    for (uint32_t b = 0; b < g->n_blocks; b++)
        if (strcmp(g->blocks[b].name, name) == 0)
            return (int)b;
    return -1;
}

static int open_words(ps_featurizer *k, ps_why *why)
{
    char path[PS_PATH_MAX];
    k->annotation = find_block(k->g, "annotation");
    if (k->annotation < 0 || !ps_generation_file(k->g, PS_FILE_WORDS, path))
        return PS_OK;
    int err = ps_words_open(&k->words, path, why);
    uint32_t dim = (uint32_t)k->g->blocks[k->annotation].array.cols;
    if (!err && ps_words_dim(k->words) != dim)
        err = ps_fail(why, PS_EMISMATCH, path, 0,
                      "its vectors have %u numbers, the block %u", ps_words_dim(k->words),
                      dim);
    return err;
}

static int open_boards(ps_featurizer *k, ps_why *why)
{
    char path[PS_PATH_MAX];
    k->structure = find_block(k->g, "structure");
    if (k->structure < 0 || !ps_generation_file(k->g, PS_FILE_STRUCTURE_BOARDS, path))
        return PS_OK;
    return ps_npy_open_as(&k->boards, path, PS_F32, k->g->n_boards,
                          k->g->blocks[k->structure].array.cols, PS_RANDOM, why);
}

static int open_model(ps_featurizer *k, ps_why *why)
{
    char path[PS_PATH_MAX];
    if (!k->g->embeddings.rows ||
        !ps_manifest_has(k->g->manifest, PS_KEY_EMBEDDINGS_MODEL) ||
        !ps_generation_file(k->g, PS_FILE_MODEL, path))
        return PS_OK;
    int err = ps_model_load(&k->model, path, why);
    k->has_model = !err;
    if (!err && k->model.config.e != k->g->embeddings.cols)
        err = ps_fail(why, PS_EMISMATCH, path, 0,
                      "makes vectors of %u numbers, the embeddings have %llu",
                      k->model.config.e, (unsigned long long)k->g->embeddings.cols);
    return err;
}

int ps_featurizer_open(ps_featurizer *k, ps_generation *g, ps_why *why)
{
    *k = (ps_featurizer){.g = g};
    for (uint32_t b = 0; b < g->n_blocks && b < PS_BLOCKS_MAX; b++)
        if (ps_manifest_own_block(g->manifest, g->blocks[b].name))
            k->own |= UINT32_C(1) << b;
    int err = open_words(k, why);
    if (!err)
        err = open_boards(k, why);
    if (!err)
        err = open_model(k, why);
    if (err)
        ps_featurizer_close(k);
    return err;
}

void ps_featurizer_close(ps_featurizer *k)
{
    ps_words_close(k->words);
    ps_npy_close(&k->boards);
    if (k->has_model)
        ps_model_free(&k->model);
    *k = (ps_featurizer){0};
}

/* ------------------------------ Content ------------------------------------ */

int ps_featurizer_check(const ps_featurizer *k, const ps_named_vector *vector, uint32_t n,
                        ps_why *why)
{
    for (uint32_t i = 0; i < n; i++) {
        if (!vector[i].dim)
            continue;
        const ps_block *block = NULL;
        int shown = (int)(vector[i].name.len < 60 ? vector[i].name.len : 60);
        for (uint32_t b = 0; b < k->g->n_blocks; b++)
            if (ps_text_is(vector[i].name, k->g->blocks[b].name))
                block = &k->g->blocks[b];
        if (!block)
            return ps_fail(why, PS_EINVAL, NULL, 0,
                           "features.%.*s: the catalog has no such block", shown,
                           vector[i].name.data);
        if (block->array.cols != vector[i].dim)
            return ps_fail(why, PS_EINVAL, NULL, 0,
                           "features.%.*s: %u numbers, the block has %llu", shown,
                           vector[i].name.data, vector[i].dim,
                           (unsigned long long)block->array.cols);
    }
    return PS_OK;
}

int ps_featurizer_fits(const ps_featurizer *k, const ps_named_vector *vector)
{
    for (uint32_t b = 0; b < k->g->n_blocks && b < PS_BLOCKS_MAX; b++)
        if (ps_text_is(vector->name, k->g->blocks[b].name) &&
            k->g->blocks[b].array.cols == vector->dim)
            return (int)b;
    return -1;
}

bool ps_featurizer_block(const ps_featurizer *k, uint32_t b, const ps_content *c,
                         const uint32_t *boards, uint32_t n_boards, float *out)
{
    uint32_t dim = (uint32_t)k->g->blocks[b].array.cols;
    for (uint32_t i = 0; i < c->n_features; i++)
        if (ps_text_is(c->feature[i].name, k->g->blocks[b].name) &&
            c->feature[i].dim == dim) {
            memcpy(out, c->feature[i].value, dim * sizeof *out);
            return true;
        }
    memset(out, 0, dim * sizeof *out);
    if (k->words && (int)b == k->annotation)
        return ps_words_embed_pin(k->words, c->title, c->text, out) > 0;
    if (k->boards.rows && (int)b == k->structure)
        return ps_structure_fold_in(&k->boards, boards, n_boards, out) > 0;
    return false;
}
