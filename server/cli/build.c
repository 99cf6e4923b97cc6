/* build.c - `pinsage build`: all the steps between an import and a server.
 *
 *     annotate -> structure -> train -> embed -> index
 *
 * A catalog without text has no words to learn, a tiny one no spectrum: those steps are
 * left out, and said to be. Options are those of `train`; the other steps take their
 * defaults, and are commands of their own for who wants more.
 *
 * Threads: main thread; the steps start their own.
 */
#include <stdio.h>
#include <string.h>

#include "pinsage/generation.h"
#include "server/cli/commands.h"
#include "server/cli/steps.h"

enum { DIM_LEAST = 8, DIM_MOST = 128 };

/* Numbers of the structure block that the graph has room for, 0 for none. */
static int structure_dim(const char *catalog, uint32_t *dim, ps_why *why)
{
    ps_generation *g;
    int err = ps_generation_open(&g, catalog, why);
    if (err)
        return err;
    uint32_t side = g->n_pins < g->n_boards ? g->n_pins : g->n_boards;
    *dim = side / 2 < DIM_MOST ? side / 2 : DIM_MOST;
    *dim = *dim < DIM_LEAST ? 0 : *dim;
    ps_generation_release(g);
    return PS_OK;
}

static int annotate(const char *catalog, const ps_cli_train *s, ps_why *why)
{
    ps_annotate_opts opts = PS_ANNOTATE_DEFAULTS;
    opts.threads = s->common.threads;
    opts.seed = s->common.seed;
    opts.keep = s->keep;
    int err = ps_cli_annotate(catalog, &opts, &s->common, why);
    if (err != PS_ENOENT)
        return err;
    printf("%s: no pin has text: no annotation block\n", catalog);
    *why = (ps_why){0};
    return PS_OK;
}

static int structure(const char *catalog, const ps_cli_train *s, ps_why *why)
{
    ps_structure_opts opts = PS_STRUCTURE_DEFAULTS;
    opts.threads = s->common.threads;
    opts.seed = s->common.seed;
    opts.keep = s->keep;
    int err = structure_dim(catalog, &opts.dim, why);
    if (err)
        return err;
    if (opts.dim)
        return ps_cli_structure(catalog, &opts, &s->common, why);
    printf("%s: the graph is too small for a structure block\n", catalog);
    return PS_OK;
}

static int run(const ps_parsed *words, void *cls, ps_why *why)
{
    const ps_cli_train *s = cls;
    const char *catalog = words->word[0];
    bool paper = strcmp(s->preset, "paper") == 0;
    ps_embed_opts embed = {.threads = s->common.threads, .keep = s->keep};
    ps_ann_build_opts index = PS_ANN_BUILD_DEFAULTS;
    index.threads = s->common.threads;
    index.seed = s->common.seed;
    index.keep = s->keep;
    int err = annotate(catalog, s, why);
    if (!err && !paper) /* the paper has no such block */
        err = structure(catalog, s, why);
    if (!err)
        err = ps_cli_train_run(catalog, s, why);
    if (!err)
        err = ps_cli_embed(catalog, &embed, &s->common, why);
    if (!err)
        err = ps_cli_index(catalog, &index, &s->common, why);
    return err;
}

const ps_command ps_command_build = {
    .name = "build",
    .words = "CATALOG",
    .n_words = 1,
    .summary = "All of annotate, structure, train, embed, index",
    .options = ps_cli_train_options,
    .settings_size = sizeof(ps_cli_train),
    .run = run,
};
