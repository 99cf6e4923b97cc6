/* train.h - the settings of `pinsage train`, which `pinsage build` shares.
 *
 * Threads: main thread.
 */
#ifndef PINSAGE_SERVER_CLI_TRAIN_H
#define PINSAGE_SERVER_CLI_TRAIN_H

#include "pinsage/train.h"
#include "server/cli/cli.h"

typedef struct ps_cli_train {
    ps_common common;
    const char *pairs, *valid, *unknown, *preset, *baselines, *pooling, *neighbourhood;
    const char *similarity, *loss, *blocks, *log;
    double label_boards, margin, temperature, rate, rate_end, walk_pairs, average;
    uint32_t layers, m, d, e, neighbours, walks, length, batch, negatives, hard_low;
    uint32_t hard_high, epochs, patience, keep;
    bool no_trials, no_skip, hard, resume;
} ps_cli_train;

extern const ps_option ps_cli_train_options[]; /* ended by a row without name */

void ps_cli_train_opts(const ps_cli_train *s, ps_train_step_opts *out);
void ps_cli_train_print(const char *catalog, const ps_train_report *r);

#endif
