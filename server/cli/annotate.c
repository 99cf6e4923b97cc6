/* annotate.c - `pinsage annotate`: the text of pins becomes a feature block.
 *
 * Threads: main thread; the training starts its own.
 */
#include "pinsage/annotate.h"

#include <stdio.h>

#include "pinsage/catalog.h"
#include "pinsage/file.h"
#include "server/cli/commands.h"
#include "server/cli/steps.h"

typedef struct settings {
    ps_common common;
    ps_annotate_opts opts;
} settings;

#define AT(member) offsetof(settings, opts.member)
static const ps_option options[] = {
    {"dim", 'd', PS_OPT_U32, "N", AT(dim), "128", 8, 1024, NULL, "Numbers a vector"},
    {"min-count", 0, PS_OPT_U32, "N", AT(min_count), "3", 1, 1000000, NULL,
     "Pins that a word must stand in"},
    {"epochs", 0, PS_OPT_U32, "N", AT(epochs), "0", 0, 1000, NULL,
     "Passes over the text; 0 chooses by its size"},
    {"negatives", 0, PS_OPT_U32, "N", AT(negatives), "5", 1, 50, NULL,
     "Random words that each pair of words is told apart from"},
    {"subsample", 0, PS_OPT_FLOAT, "SHARE", AT(subsample), "0.001", 0, 1, NULL,
     "Words more frequent than this are thinned out"},
    {"keep", 0, PS_OPT_U32, "N", AT(keep), "1", 1, 1000, NULL,
     "Older generations to keep"},
    {"replace", 0, PS_OPT_FLAG, NULL, AT(replace), NULL, 0, 0, NULL,
     "Also a block of that name that was imported"},
    PS_COMMON_OPTIONS,
    {0},
};

ps_annotate_opts ps_cli_annotate_defaults(void)
{
    settings s = {0};
    ps_options_default(options, &s);
    s.opts.seed = s.common.seed;
    return s.opts;
}

int ps_cli_annotate(const char *catalog, const ps_annotate_opts *opts,
                    const ps_common *common, ps_why *why)
{
    ps_annotate_report r;
    ps_progress progress = ps_cli_progress(common);
    int err = ps_annotate(catalog, opts, &r, &progress, why);
    ps_cli_progress_end();
    if (err)
        return err;
    ps_cli_generation(catalog, r.generation);
    printf("  words            %s in %s places, loss %.4f\n", ps_cli_count(r.words),
           ps_cli_count(r.tokens), (double)r.loss);
    printf("  pins with text   %s\n", ps_cli_count(r.pins_with_text));
    return PS_OK;
}

static int run(const ps_parsed *words, void *cls, ps_why *why)
{
    settings *s = cls;
    ps_annotate_opts opts = s->opts;
    opts.threads = s->common.threads;
    opts.seed = s->common.seed;
    char current[PS_PATH_MAX];
    int err = ps_catalog_current(words->word[0], current, why);
    if (err)
        return err;
    err = ps_cli_annotate(words->word[0], &opts, &s->common, why);
    return err == PS_ENOENT ? PS_EFORMAT : err; /* pins without text are bad data here */
}

const ps_command ps_command_annotate = {
    .name = "annotate",
    .words = "CATALOG",
    .n_words = 1,
    .summary = "Turn the text of pins into the feature block `annotation`",
    .options = options,
    .settings_size = sizeof(settings),
    .run = run,
};
