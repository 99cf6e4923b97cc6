/* embed.c - `pinsage embed`: every pin's vector, by map, join, reduce.
 *
 * Threads: main thread; the stages start their own.
 */
#include "pinsage/embed.h"

#include <stdio.h>

#include "pinsage/train.h"
#include "server/cli/commands.h"
#include "server/cli/steps.h"

typedef struct settings {
    ps_common common;
    uint32_t keep;
    bool half;
    const char *model;
} settings;

#define AT(member) offsetof(settings, member)
static const ps_option options[] = {
    {"model", 0, PS_OPT_TEXT, "FILE.safetensors", AT(model), NULL, 0, 0, NULL,
     "Use this model, made here or elsewhere, instead of the catalog's; its walks give "
     "the neighbours"},
    {"half", 0, PS_OPT_FLAG, NULL, AT(half), NULL, 0, 0, NULL,
     "Embeddings in half precision: half the bytes, the same ranks but for near ties"},
    {"keep", 0, PS_OPT_U32, "N", AT(keep), "1", 1, 1000, NULL,
     "Older generations to keep"},
    PS_COMMON_OPTIONS,
    {0},
};

int ps_cli_embed(const char *catalog, const ps_embed_opts *opts, const ps_common *common,
                 ps_why *why)
{
    ps_embed_report r;
    ps_progress progress = ps_cli_progress(common);
    int err = ps_embed(catalog, opts, &r, &progress, why);
    ps_cli_progress_end();
    if (err)
        return err;
    ps_cli_generation(catalog, r.generation);
    printf("  embeddings       %s pins in %.1f s; %u of %u stages were there already\n",
           ps_cli_count(r.pins), r.seconds, r.reused, r.stages);
    return PS_OK;
}

static int run(const ps_parsed *words, void *cls, ps_why *why)
{
    settings *s = cls;
    ps_embed_opts opts = {.threads = s->common.threads, .keep = s->keep, .half = s->half};
    ps_model_import_opts import = {s->common.threads, s->keep};
    ps_progress progress = ps_cli_progress(&s->common);
    int err =
        s->model ? ps_model_import(words->word[0], s->model, import, &progress, why) : 0;
    ps_cli_progress_end();
    return err ? err : ps_cli_embed(words->word[0], &opts, &s->common, why);
}

const ps_command ps_command_embed = {
    .name = "embed",
    .words = "CATALOG",
    .n_words = 1,
    .summary = "Compute every pin's vector and the messages that requests pool over",
    .options = options,
    .settings_size = sizeof(settings),
    .run = run,
};
