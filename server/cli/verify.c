/* verify.c - `pinsage verify`: every check by name, with its result.
 *
 * Threads: main thread.
 */
#include <stdio.h>

#include "pinsage/generation.h"
#include "server/cli/commands.h"

typedef struct settings {
    ps_common common;
} settings;

static const ps_option options[] = {
    PS_COMMON_OPTIONS,
    {0},
};

typedef struct tally {
    unsigned passed, failed;
} tally;

static void on_check(void *cls, const char *name, int err, const char *detail)
{
    tally *t = cls;
    if (err)
        t->failed++;
    else
        t->passed++;
    printf("%-6s %s%s%s\n", err ? "FAILED" : "ok", name, detail ? ": " : "",
           detail ? detail : "");
}

static int run(const ps_parsed *words, void *cls, ps_why *why)
{
    settings *s = cls;
    ps_generation *g = NULL;
    tally t = {0};
    int err = ps_generation_open(&g, words->word[0], why);
    if (err)
        return err;
    ps_progress progress = ps_cli_progress(&s->common);
    err = ps_generation_verify(g, on_check, &t, &progress, why);
    ps_cli_progress_end();
    printf("%s %s: %u checks passed, %u failed\n", words->word[0], g->name, t.passed,
           t.failed);
    ps_generation_release(g);
    return err;
}

const ps_command ps_command_verify = {
    .name = "verify",
    .words = "CATALOG",
    .n_words = 1,
    .summary = "Check every file and invariant of a catalog",
    .options = options,
    .settings_size = sizeof(settings),
    .run = run,
};
