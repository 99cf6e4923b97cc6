/* compact.c - `pinsage compact`: what was written live becomes part of the next
 * generation.
 *
 * Threads: main thread; the parts start their own.
 */
#include "server/compact/compact.h"

#include <stdio.h>

#include "server/cli/commands.h"

typedef struct settings {
    ps_common common;
    uint32_t keep;
} settings;

#define AT(member) offsetof(settings, member)
static const ps_option options[] = {
    {"keep", 0, PS_OPT_U32, "N", AT(keep), "1", 0, 1000, NULL,
     "Older generations to keep; 0 also lets nothing deleted be found in them"},
    PS_COMMON_OPTIONS,
    {0},
};

static void print(const char *catalog, const ps_compact_report *r)
{
    if (r->nothing) {
        printf("%s: nothing was written since %s\n", catalog, r->generation);
        return;
    }
    printf("%s: %s\n", catalog, r->generation);
    printf("  pins             %s: %s new, %s replaced, %s gone\n", ps_cli_count(r->pins),
           ps_cli_count(r->added), ps_cli_count(r->replaced), ps_cli_count(r->deleted));
    printf("  boards, edges    %s, %s\n", ps_cli_count(r->boards),
           ps_cli_count(r->edges));
    printf("  votes            %s\n", ps_cli_count(r->votes));
    printf("  embedded live    %s pins\n", ps_cli_count(r->embedded));
    if (r->dropped.vectors)
        printf("  dropped          %s vectors that fit no block, of %s pins: %s\n",
               ps_cli_count(r->dropped.vectors), ps_cli_count(r->dropped.pins),
               r->dropped.first);
    if (*r->index)
        printf("  index            %s, recall@10 %.3f\n", r->index, r->recall_at_10);
    printf("  contains          writes up to number %s, in %.1f s\n",
           ps_cli_count(r->lsn), r->seconds);
}

static int run(const ps_parsed *words, void *cls, ps_why *why)
{
    settings *s = cls;
    ps_compact_report r;
    ps_compact_opts opts = {
        .threads = s->common.threads, .keep = s->keep, .seed = s->common.seed};
    ps_progress progress = ps_cli_progress(&s->common);
    int err = ps_compact_catalog(words->word[0], &opts, &r, &progress, why);
    ps_cli_progress_end();
    if (!err)
        print(words->word[0], &r);
    return err;
}

const ps_command ps_command_compact = {
    .name = "compact",
    .words = "CATALOG",
    .n_words = 1,
    .summary = "Live writes and the generation become the next generation",
    .options = options,
    .settings_size = sizeof(settings),
    .run = run,
    .doc =
        "For a catalog that no server has open; a server does it by POST /admin/compact.",
};
