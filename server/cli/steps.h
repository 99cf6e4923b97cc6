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
#include "pinsage/structure.h"
#include "pinsage/train.h"
#include "server/cli/cli.h"

int ps_cli_annotate(const char *catalog, const ps_annotate_opts *opts,
                    const ps_common *common, ps_why *why);
int ps_cli_structure(const char *catalog, const ps_structure_opts *opts,
                     const ps_common *common, ps_why *why);
int ps_cli_embed(const char *catalog, const ps_embed_opts *opts, const ps_common *common,
                 ps_why *why);
int ps_cli_index(const char *catalog, const ps_ann_build_opts *opts,
                 const ps_common *common, ps_why *why);

/* Settings of `train`, which `build` shares. */
typedef struct ps_cli_train {
    ps_common common;
    const char *pairs, *valid, *columns, *unknown, *preset, *baselines, *pooling,
        *neighbourhood;
    const char *similarity, *loss, *blocks, *log;
    double label_boards, margin, temperature, rate, rate_end, walk_pairs, average,
        dropout;
    uint32_t layers, m, d, e, neighbours, walks, length, batch, negatives, hard_low;
    uint32_t hard_high, epochs, patience, keep;
    bool no_trials, no_skip, hard, resume;
} ps_cli_train;
extern const ps_option ps_cli_train_options[]; /* ended by a row without name */
/* Whether the step could begin: told before others take hours. */
int ps_cli_train_check(const char *catalog, const ps_cli_train *s, ps_why *why);
int ps_cli_train_run(const char *catalog, const ps_cli_train *s, ps_why *why);

#endif
