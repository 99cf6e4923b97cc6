/* structure.c - `pinsage structure`: the graph becomes a feature block of its own.
 *
 * Threads: main thread; the decomposition starts its own.
 */
#include "pinsage/structure.h"

#include <stdio.h>

#include "server/cli/commands.h"
#include "server/cli/steps.h"

typedef struct settings {
    ps_common common;
    ps_structure_opts opts;
} settings;

#define AT(member) offsetof(settings, opts.member)
static const ps_option options[] = {
    {"dim", 'd', PS_OPT_U32, "N", AT(dim), "128", 2, 1024, NULL, "Numbers a vector"},
    {"iterations", 0, PS_OPT_U32, "N", AT(iterations), "6", 0, 100, NULL,
     "Rounds through the graph and back that sharpen the directions"},
    {"keep", 0, PS_OPT_U32, "N", AT(keep), "1", 1, 1000, NULL,
     "Older generations to keep"},
    {"replace", 0, PS_OPT_FLAG, NULL, AT(replace), NULL, 0, 0, NULL,
     "Also a block of that name that was imported"},
    PS_COMMON_OPTIONS,
    {0},
};

ps_structure_opts ps_cli_structure_defaults(void)
{
    settings s = {0};
    ps_options_default(options, &s);
    s.opts.seed = s.common.seed;
    return s.opts;
}

int ps_cli_structure(const char *catalog, const ps_structure_opts *opts,
                     const ps_common *common, ps_why *why)
{
    ps_structure_report r;
    ps_progress progress = ps_cli_progress(common);
    int err = ps_structure(catalog, opts, &r, &progress, why);
    ps_cli_progress_end();
    if (err)
        return err;
    ps_cli_generation(catalog, r.generation);
    printf("  structure        %u numbers for %s pins in %.1f s; singular values %.3f "
           "(dropped), %.3f .. %.3f\n",
           r.dim, ps_cli_count(r.filled), r.seconds, r.first, r.second, r.last);
    return PS_OK;
}

static int run(const ps_parsed *words, void *cls, ps_why *why)
{
    settings *s = cls;
    ps_structure_opts opts = s->opts;
    opts.threads = s->common.threads;
    opts.seed = s->common.seed;
    return ps_cli_structure(words->word[0], &opts, &s->common, why);
}

const ps_command ps_command_structure = {
    .name = "structure",
    .words = "CATALOG",
    .n_words = 1,
    .summary = "Turn the graph into the feature block `structure`",
    .options = options,
    .settings_size = sizeof(settings),
    .run = run,
};
