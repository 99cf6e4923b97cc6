/* steps.h - the steps that write, as `pinsage build` runs them one after the other.
 *
 * Each runs one step with progress and prints its report, as the command of its name.
 *
 * Threads: main thread.
 */
#ifndef PINSAGE_SERVER_CLI_STEPS_H
#define PINSAGE_SERVER_CLI_STEPS_H

#include "pinsage/ann.h"
#include "pinsage/annotate.h"
#include "pinsage/embed.h"
#include "pinsage/eval.h"
#include "pinsage/structure.h"
#include "pinsage/train.h"
#include "server/cli/cli.h"
#include "server/state/serve_opts.h"

int ps_cli_annotate(const char *catalog, const ps_annotate_opts *opts,
                    const ps_common *common, ps_why *why);
int ps_cli_structure(const char *catalog, const ps_structure_opts *opts,
                     const ps_common *common, ps_why *why);
int ps_cli_embed(const char *catalog, const ps_embed_opts *opts, const ps_common *common,
                 ps_why *why);
int ps_cli_index(const char *catalog, const ps_ann_build_opts *opts,
                 const ps_common *common, ps_why *why);

/* What who sets nothing gets, from the tables. */
ps_annotate_opts ps_cli_annotate_defaults(void);
ps_structure_opts ps_cli_structure_defaults(void);
ps_ann_build_opts ps_cli_index_defaults(void);
ps_train_step_opts ps_cli_train_defaults(void);
ps_eval_opts ps_cli_eval_defaults(void);
ps_serve_opts ps_cli_serve_defaults(void);

/* Import with the settings of a file, as --config takes them, and let the result wait as
 * `next` for the steps that follow: the first of an update that is one switch. Wrong
 * settings end the program, as wrong options do. */
int ps_cli_import_held(const char *catalog, const char *from, const ps_common *common,
                       ps_why *why);

/* Settings of `train`, which `build` shares. */
typedef struct ps_cli_train {
    ps_common common;
    ps_train_step_opts step; /* whole after ps_cli_train_opts */
    ps_preset preset;
    unsigned unknown; /* 1: a pair of unknown pins is skipped */
    const char *from; /* NULL; settings of an import that comes first */
} ps_cli_train;
extern const ps_option ps_cli_train_options[]; /* ended by a row without name */
/* Whether the step could begin: told before others take hours. */
int ps_cli_train_check(const char *catalog, const ps_cli_train *s, ps_why *why);
/* What they come to: with threads, seed and preset. */
ps_train_step_opts ps_cli_train_opts(const ps_cli_train *s);
int ps_cli_train_run(const char *catalog, const ps_cli_train *s, ps_why *why);

#endif
