/* import.c - `pinsage import`: a user's files become a catalog.
 *
 * Threads: main thread; the import starts its own.
 */
#include "pinsage/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/cli/commands.h"

typedef struct settings {
    ps_common common;
    const char *pins, *edges, *columns, *embeddings, *unknown;
    ps_option_list features;
    uint32_t keep;
    bool hold;
} settings;

#define AT(member) offsetof(settings, member)
static const ps_option options[] = {
    {"pins", 'p', PS_OPT_TEXT, "FILE", AT(pins), NULL, 0, 0, NULL,
     "pins.tsv[.gz]: header line, column pin, and title, text, image, others"},
    {"edges", 'e', PS_OPT_TEXT, "FILE", AT(edges), NULL, 0, 0, NULL,
     "edges.tsv[.gz]: header pin TAB board"},
    {"columns", 0, PS_OPT_TEXT, "NAME=OTHER,...", AT(columns), NULL, 0, 0, NULL,
     "Names of the columns in those files, as in pin=item_id,board=user_id"},
    {"feature", 'f', PS_OPT_LIST, "NAME=FILE.npy", AT(features), NULL, 0, 0, NULL,
     "Content vectors (pins, D), <f4, <f2 or <f8, rows as in the pins file; may be "
     "repeated"},
    {"embeddings", 0, PS_OPT_TEXT, "FILE.npy", AT(embeddings), NULL, 0, 0, NULL,
     "Finished vectors (pins, E) to search, instead of learned ones"},
    {"unknown-pins", 0, PS_OPT_CHOICE, "WHAT", AT(unknown), "error", 0, 0,
     PS_CHOICES("error", "skip"), "An edge whose pin is not in the pins file"},
    {"keep", 0, PS_OPT_U32, "N", AT(keep), "1", 1, 1000, NULL,
     "Older generations to keep"},
    {"hold", 0, PS_OPT_FLAG, NULL, AT(hold), NULL, 0, 0, NULL,
     "Begin an update: what is in use stays so until the steps that follow are done"},
    PS_COMMON_OPTIONS,
    {0},
};

/* "visual=path" into a feature; the name is kept in its own copy. */
static int split_feature(const char *item, ps_import_feature *out, ps_why *why)
{
    const char *equals = strchr(item, '=');
    if (!equals || equals == item || !equals[1])
        return ps_fail(why, PS_EINVAL, NULL, 0, "--feature: \"%s\" is not NAME=FILE.npy",
                       item);
    out->name = strndup(item, (size_t)(equals - item));
    out->path = equals + 1;
    return out->name ? PS_OK : PS_ENOMEM;
}

static void print_degrees(const char *what, const uint32_t degree[5])
{
    printf("  %-16s median %s, 90 %% %s, 99 %% %s, most %s\n", what,
           ps_cli_count(degree[1]), ps_cli_count(degree[2]), ps_cli_count(degree[3]),
           ps_cli_count(degree[4]));
}

static void print_quoted(const char *file, long line)
{
    if (line)
        printf("  %-16s quotes taken off, as pandas and Excel put them (from line %ld)\n",
               file, line);
}

static void print_report(const char *catalog, const ps_import_report *r)
{
    ps_cli_generation(catalog, r->generation);
    printf("  pins             %s (%s on no board)\n", ps_cli_count(r->pins),
           ps_cli_count(r->isolated));
    printf("  boards           %s\n", ps_cli_count(r->boards));
    printf("  edges            %s (%s duplicates merged", ps_cli_count(r->edges),
           ps_cli_count(r->duplicates));
    if (r->unknown)
        printf(", %s of unknown pins skipped", ps_cli_count(r->unknown));
    puts(")");
    print_degrees("boards a pin", r->pin_degree);
    print_degrees("pins a board", r->board_degree);
    print_quoted("pins file", r->pins_quoted);
    print_quoted("edges file", r->edges_quoted);
    if (r->unused[0])
        printf("  %-16s not used: %s\n", "edges' columns", r->unused);
}

static int run(const ps_parsed *words, void *cls, ps_why *why)
{
    settings *s = cls;
    ps_import_feature features[PS_LIST_MAX] = {{0}};
    int err = PS_OK;
    if (!s->pins || !s->edges)
        return ps_fail(why, PS_EINVAL, NULL, 0, "needs --pins FILE and --edges FILE");
    for (size_t i = 0; i < s->features.n && !err; i++)
        err = split_feature(s->features.item[i], &features[i], why);
    ps_import_opts opts = {.pins = s->pins,
                           .edges = s->edges,
                           .features = features,
                           .n_features = s->features.n,
                           .columns = s->columns,
                           .embeddings = s->embeddings,
                           .skip_unknown = strcmp(s->unknown, "skip") == 0,
                           .threads = s->common.threads,
                           .keep = s->keep,
                           .hold = s->hold};
    ps_import_report report;
    ps_progress progress = ps_cli_progress(&s->common);
    if (!err)
        err = ps_import(words->word[0], &opts, &report, &progress, why);
    ps_cli_progress_end();
    if (!err)
        print_report(words->word[0], &report);
    for (size_t i = 0; i < s->features.n; i++)
        free((char *)features[i].name);
    return err;
}

int ps_cli_import_held(const char *catalog, const char *from, const ps_common *common,
                       ps_why *why)
{
    char threads[16];
    settings s = {0};
    ps_parsed words = {0};
    snprintf(threads, sizeof threads, "%u", common->threads);
    const char *argv[] = {"import",    "--config", from,    "--hold",
                          "--threads", threads,    catalog, common->quiet ? "-q" : NULL,
                          NULL};
    ps_options_parse(&ps_command_import, common->quiet ? 8 : 7, (char **)(uintptr_t)argv,
                     &s, &words);
    return run(&words, &s, why);
}

const ps_command ps_command_import = {
    .name = "import",
    .words = "CATALOG",
    .n_words = 1,
    .summary = "Make a catalog from pins, edges and content vectors",
    .options = options,
    .settings_size = sizeof(settings),
    .run = run,
};
