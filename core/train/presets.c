/* presets.c - the paper's configuration, and the baselines as changes of one.
 *
 * Threads: constant.
 */
#include <string.h>

#include "core/base/list.h"
#include "pinsage/scorer.h"
#include "pinsage/train.h"

static const char *const presets[] = {"default", "paper"};
const ps_enum ps_preset_names = PS_ENUM(presets);

void ps_train_paper(ps_train_opts *o)
{
    o->model.layers = 2;
    o->model.m = 2048;
    o->model.d = o->model.e = 1024;
    o->model.neighbours = 50;
    o->model.pooling = PS_POOL_IMPORTANCE;
    o->model.neighbourhood = PS_NEIGHBOURS_WALK;
    o->model.similarity = PS_SIMILARITY_IP;
    o->model.skip = false;
    o->loss = PS_LOSS_MARGIN;
    o->batch = 2048;
    o->negatives = 500;
    o->hard = true;
    o->walk_pairs = o->dropout = o->average = 0;
    o->temperature = 1;
    if (!o->epochs)
        o->epochs = 7; /* six hard negatives a pair in the last one */
}

static void to_combined(ps_train_opts *o)
{
    o->model.layers = 0;
    o->walk_pairs = 0;
    o->hard = false;
}

static void to_khop(ps_train_opts *o)
{
    o->model.neighbourhood = PS_NEIGHBOURS_KHOP;
    o->model.pooling = PS_POOL_MEAN;
}

static void to_mean(ps_train_opts *o)
{
    o->model.pooling = PS_POOL_MEAN;
}

static void to_max(ps_train_opts *o)
{
    o->model.pooling = PS_POOL_MAX;
}

/* The content alone: the block of the graph is struck from the list. */
static void to_content(ps_train_opts *o)
{
    char all[sizeof o->model.blocks], *rest = all, *name;
    to_combined(o);
    memcpy(all, o->model.blocks, sizeof all);
    o->model.blocks[0] = '\0';
    while ((name = strsep(&rest, ",")))
        if (strcmp(name, "structure") != 0)
            ps_list_add(o->model.blocks, sizeof all, name); /* it was in there before */
}

/* With the block of the graph, also where the model was found to do without it. */
static void to_structure(ps_train_opts *o)
{
    char *blocks = o->model.blocks;
    to_combined(o);
    if (*blocks && !ps_list_has(blocks, "structure"))
        ps_list_add(blocks, sizeof o->model.blocks, "structure");
}

static const ps_variant variants[] = {
    {PS_BASELINE_COMBINED, "two-layer MLP over the content blocks, same pairs and loss",
     to_content},
    {PS_BASELINE_COMBINED_STRUCTURE, "the same with the structure block", to_structure},
    {PS_BASELINE_KHOP,
     "same network, uniform neighbours that share a board, mean pooling", to_khop},
    {PS_BASELINE_MEANPOOL, "walk neighbours, mean instead of importance pooling",
     to_mean},
    {PS_BASELINE_MAXPOOL, "walk neighbours, max pooling", to_max},
};

const ps_variant *ps_variant_at(size_t i)
{
    return i < sizeof variants / sizeof variants[0] ? &variants[i] : NULL;
}
