/* switch.c - `pinsage switch`: another generation is put in use.
 *
 * Threads: main thread.
 */
#include <stdio.h>

#include "pinsage/catalog.h"
#include "server/cli/commands.h"

typedef struct settings {
    ps_common common;
    bool accept_fewer;
} settings;

static const ps_option options[] = {
    {"accept-fewer", 0, PS_OPT_FLAG, NULL, offsetof(settings, accept_fewer), NULL, 0, 0,
     NULL,
     "Also one that answers by fewer methods, waits for a step, or lacks writes that "
     "were "
     "compacted since"},
    PS_COMMON_OPTIONS,
    {0},
};

static int run(const ps_parsed *words, void *cls, ps_why *why)
{
    const settings *s = cls;
    char name[32];
    int err =
        ps_catalog_switch(words->word[0], words->word[1], s->accept_fewer, name, why);
    if (!err)
        printf("%s: %s is in use\n", words->word[0], name);
    return err;
}

const ps_command ps_command_switch = {
    .name = "switch",
    .words = "CATALOG TO",
    .n_words = 2,
    .summary = "Put another generation in use: next, back, or gen-000003",
    .doc =
        "next: what an update has come to, before its last step. back: the generation "
        "before this one that can be served. current: give `next` up. A running server "
        "takes up what answers by no fewer methods; else restart it, or POST "
        "/admin/reload?accept_fewer=true.",
    .options = options,
    .settings_size = sizeof(settings),
    .run = run,
};
