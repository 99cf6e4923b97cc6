/* index.c - `pinsage index`: nearest-vector search over embeddings or a block.
 *
 * Threads: main thread; the build starts its own.
 */
#include <stdio.h>

#include "pinsage/ann.h"
#include "server/cli/commands.h"
#include "server/cli/steps.h"

typedef struct settings {
    ps_common common;
    ps_ann_build_opts opts;
} settings;

#define AT(member) offsetof(settings, opts.member)
static const ps_option options[] = {
    {"factory", 0, PS_OPT_TEXT, "STRING", AT(factory), PS_ANN_FACTORY, 0, 0, NULL,
     "FAISS factory string, or auto to choose by size"},
    {"vectors", 0, PS_OPT_TEXT, "NAME", AT(vectors), NULL, 0, 0, NULL,
     "What to index: embeddings or a feature block; without it embeddings if there are "
     "any"},
    {"recall", 0, PS_OPT_REAL, "SHARE", AT(recall), PS_TEXT_OF(PS_ANN_RECALL), 0.5, 1,
     NULL, "Share of the 10 exact neighbours that a search must find"},
    {"sample", 0, PS_OPT_U32, "N", AT(sample), PS_TEXT_OF(PS_ANN_SAMPLE), 50, 100000,
     NULL, "Pins to measure that with"},
    {"keep", 0, PS_OPT_U32, "N", AT(keep), "1", 1, 1000, NULL,
     "Older generations to keep"},
    PS_COMMON_OPTIONS,
    {0},
};

ps_ann_build_opts ps_cli_index_defaults(void)
{
    settings s = {0};
    ps_options_default(options, &s);
    s.opts.seed = s.common.seed;
    return s.opts;
}

int ps_cli_index(const char *catalog, const ps_ann_build_opts *opts,
                 const ps_common *common, ps_why *why)
{
    ps_ann_report r;
    ps_progress progress = ps_cli_progress(common);
    int err = ps_ann_build(catalog, opts, &r, &progress, why);
    ps_cli_progress_end();
    if (err)
        return err;
    ps_cli_generation(catalog, r.generation);
    printf("  index            %s%s%s over %s, %.1f MB, built in %.1f s\n", r.factory,
           r.knob[0] ? " " : "", r.knob, r.vectors, (double)r.bytes / 1e6, r.build_s);
    printf("  recall@10        %.4f over %u queries%s\n", r.recall_at_10, r.queries,
           !r.queries  ? " (there is no vector)"
           : r.reached ? ""
                       : " (below the target: try another --factory)");
    printf("  a search         %.0f us, exact %.0f us (%.1f x)\n", r.search_us,
           r.exact_us, r.search_us > 0 ? r.exact_us / r.search_us : 0);
    return PS_OK;
}

static int run(const ps_parsed *words, void *cls, ps_why *why)
{
    settings *s = cls;
    ps_ann_build_opts opts = s->opts;
    opts.threads = s->common.threads;
    opts.seed = s->common.seed;
    return ps_cli_index(words->word[0], &opts, &s->common, why);
}

const ps_command ps_command_index = {
    .name = "index",
    .words = "CATALOG",
    .n_words = 1,
    .summary = "Build the index of nearest vectors",
    .options = options,
    .settings_size = sizeof(settings),
    .run = run,
};
