/* build.c - `pinsage build`: all the steps between an import and a server.
 *
 *     (import ->) annotate -> structure -> train -> embed -> index
 *
 * Each step makes a generation, and what is served stays in use until the last one is at
 * least as complete: with --from the import is one of them, and an update one switch.
 *
 * A catalog without text has no words to learn, a tiny one no spectrum, and a block of
 * those names that came with the import is the user's: those steps are left out, and said
 * to be. What `train` will need is looked at before the first step. Options are those of
 * `train`; the other steps take their defaults, and are commands of their own for who
 * wants more.
 *
 * Threads: main thread; the steps start their own.
 */
#include <stdio.h>
#include <string.h>

#include "pinsage/generation.h"
#include "server/cli/commands.h"
#include "server/cli/steps.h"

enum { DIM_LEAST = 8, DIM_MOST = 128 };

/* What the catalog has, as far as it decides which steps there are. */
typedef struct findings {
    uint32_t dim; /* of the structure block that the graph has room for, 0 for none */
    bool own_annotation, own_structure;
} findings;

static int look(const char *catalog, findings *f, ps_why *why)
{
    ps_generation *g;
    int err = ps_generation_open_base(&g, catalog, why);
    if (err)
        return err;
    uint32_t side = g->n_pins < g->n_boards ? g->n_pins : g->n_boards;
    f->dim = side / 2 < DIM_MOST ? side / 2 : DIM_MOST;
    f->dim = f->dim < DIM_LEAST ? 0 : f->dim;
    f->own_annotation = ps_manifest_own_block(g->manifest, "annotation");
    f->own_structure = ps_manifest_own_block(g->manifest, "structure");
    ps_generation_release(g);
    return PS_OK;
}

static int keep_own(const char *catalog, const char *step, const char *block)
{
    printf(
        "%s: the block `%s` is your own and stays (`pinsage %s %s --replace` puts ours "
        "in its place)\n",
        catalog, block, step, catalog);
    return PS_OK;
}

static int annotate(const char *catalog, const ps_cli_train *s, const findings *f,
                    ps_why *why)
{
    ps_annotate_opts opts = ps_cli_annotate_defaults();
    opts.threads = s->common.threads;
    opts.seed = s->common.seed;
    opts.keep = s->step.keep;
    if (f->own_annotation)
        return keep_own(catalog, "annotate", "annotation");
    int err = ps_cli_annotate(catalog, &opts, &s->common, why);
    if (err != PS_ENOENT)
        return err;
    printf("%s: no annotation block: %s\n", catalog, why->text);
    *why = (ps_why){0};
    return PS_OK;
}

static int structure(const char *catalog, const ps_cli_train *s, const findings *f,
                     ps_why *why)
{
    ps_structure_opts opts = ps_cli_structure_defaults();
    opts.threads = s->common.threads;
    opts.seed = s->common.seed;
    opts.keep = s->step.keep;
    opts.dim = f->dim;
    if (f->own_structure)
        return keep_own(catalog, "structure", "structure");
    if (opts.dim)
        return ps_cli_structure(catalog, &opts, &s->common, why);
    printf("%s: the graph is too small for a structure block\n", catalog);
    return PS_OK;
}

static int run(const ps_parsed *words, void *cls, ps_why *why)
{
    const ps_cli_train *s = cls;
    const char *catalog = words->word[0];
    bool paper = s->preset == PS_PRESET_PAPER;
    ps_embed_opts embed = {.threads = s->common.threads, .keep = s->step.keep};
    ps_ann_build_opts index = ps_cli_index_defaults();
    index.threads = s->common.threads;
    index.seed = s->common.seed;
    index.keep = s->step.keep;
    findings found = {0};
    int err = s->from ? ps_cli_import_held(catalog, s->from, &s->common, why) : PS_OK;
    if (!err)
        err = ps_cli_train_check(catalog, s, why); /* now, not when hours are spent */
    if (!err)
        err = look(catalog, &found, why);
    if (!err)
        err = annotate(catalog, s, &found, why);
    if (!err && !paper) /* the paper has no such block */
        err = structure(catalog, s, &found, why);
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
