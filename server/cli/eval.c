/* eval.c - `pinsage eval`: how well each method ranks what people engaged with.
 *
 * Threads: main thread; the evaluation starts its own.
 */
#include "pinsage/eval.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/buf.h"
#include "pinsage/catalog.h"
#include "pinsage/file.h"
#include "server/cli/commands.h"
#include "server/cli/eval_page.h"
#include "server/cli/steps.h"

typedef struct settings {
    ps_common common;
    ps_eval_opts opts;
    const char *pairs, *columns, *hit_at, *unknown, *html;
    bool json, next;
} settings;

#define AT(member) offsetof(settings, member)
static const ps_option options[] = {
    {"pairs", 0, PS_OPT_TEXT, "FILE", AT(pairs), NULL, 0, 0, NULL,
     "pairs.tsv[.gz]: header query TAB related"},
    {"columns", 0, PS_OPT_TEXT, "NAME=OTHER,...", AT(columns), NULL, 0, 0, NULL,
     "Names of the columns in that file, as in query=viewed,related=bought"},
    {"methods", 'm', PS_OPT_TEXT, "LIST", AT(opts.methods), NULL, 0, 0, NULL,
     "Comma-separated; without it all that the catalog has what it takes for"},
    {"hit-at", 0, PS_OPT_TEXT, "LIST", AT(hit_at), "10,50,100,500", 0, 0, NULL,
     "Ranks K of hit-rate@K and recall@K, up to 8"},
    {"unknown-pins", 0, PS_OPT_CHOICE, "WHAT", AT(unknown), "error", 0, 0,
     PS_CHOICES("error", "skip"), "A pair whose pin is not in the catalog"},
    {"bootstraps", 0, PS_OPT_U32, "N", AT(opts.bootstraps), "1000", 100, 100000, NULL,
     "Resamples of the queries behind each 95 % interval"},
    {"pixie-steps", 0, PS_OPT_U32, "N", AT(opts.pixie_steps), "20000", 100, 10000000,
     NULL, "Hops of a query's walks in the pixie methods"},
    {"json", 0, PS_OPT_FLAG, NULL, AT(json), NULL, 0, 0, NULL,
     "The report as JSON instead of a table"},
    {"html", 0, PS_OPT_TEXT, "FILE", AT(html), NULL, 0, 0, NULL,
     "And as one page with drawings, written there; the explorer shows it at /eval.html"},
    {"next", 0, PS_OPT_FLAG, NULL, AT(next), NULL, 0, 0, NULL,
     "Of what an update has come to, instead of what is in use"},
    PS_COMMON_OPTIONS,
    {0},
};

/* Who has just trained may expect the new model's figures: say whose they are. */
static int open_generation(ps_generation **g, const char *catalog, bool next, ps_why *why)
{
    char dir[PS_PATH_MAX];
    bool update = ps_catalog_next(catalog, dir, NULL) == PS_OK;
    if (next && update)
        return ps_generation_open_dir_whole(g, dir, why);
    int err = ps_generation_open_whole(g, catalog, why);
    if (!err && update)
        fprintf(stderr, "%s: this is %s, which is in use; --next evaluates %s\n", catalog,
                (*g)->name, strrchr(dir, '/') + 1);
    return err;
}

/* "10,50" into opts; ranks ascending from 1. */
static int parse_cuts(const char *list, ps_eval_opts *opts, ps_why *why)
{
    opts->n_cuts = 0;
    for (const char *at = list; *at;) {
        char *end;
        unsigned long cut = strtoul(at, &end, 10);
        unsigned long last = opts->n_cuts ? opts->cut[opts->n_cuts - 1] : 0;
        if (end == at || (*end && *end != ',') || cut <= last || cut > UINT32_MAX ||
            opts->n_cuts == PS_CUTS_MAX)
            return ps_fail(why, PS_EINVAL, NULL, 0,
                           "--hit-at: \"%s\" is not a list of up to %d ascending ranks",
                           list, PS_CUTS_MAX);
        opts->cut[opts->n_cuts++] = (uint32_t)cut;
        at = *end ? end + 1 : end;
    }
    return PS_OK;
}

ps_eval_opts ps_cli_eval_defaults(void)
{
    settings s = {0};
    ps_options_default(options, &s);
    s.opts.seed = s.common.seed;
    if (parse_cuts(s.hit_at, &s.opts, NULL))
        abort(); /* a default that its own command refuses */
    return s.opts;
}

static int load_pairs(ps_pairs *pairs, const settings *s, ps_generation *g, ps_why *why)
{
    ps_pins_reader *reader = NULL;
    ps_pairs_opts opts = {.skip_unknown = strcmp(s->unknown, "skip") == 0,
                          .columns = s->columns};
    int err = ps_pins_reader_new(&reader, g->pins);
    if (!err)
        err = ps_pairs_load(pairs, s->pairs, reader, opts, why);
    ps_pins_reader_free(reader);
    return err;
}

/* Results of hours are not lost for a folder that is not there. */
static int check_page(const char *path, ps_why *why)
{
    FILE *page = path ? fopen(path, "a") : NULL;
    if (path && !page)
        return ps_fail_errno(why, path, "cannot be written");
    if (page)
        fclose(page);
    return PS_OK;
}

/* The report where it is wanted: as a page, kept beside the generations for the explorer,
 * and printed. A catalog that may not be written to has no page in the explorer. */
static int tell(const settings *s, const char *catalog, const ps_eval_report *report,
                const ps_generation *g, ps_why *why)
{
    ps_buf json = {0}, text = {0};
    char path[PS_PATH_MAX];
    ps_eval_json(report, g, &json);
    int err = json.failed ? PS_ENOMEM : PS_OK;
    if (!err && s->html) {
        ps_eval_page(&text, json.data, json.size);
        err = text.failed ? ps_fail(why, PS_ENOMEM, s->html, 0, "no memory for the page")
                          : ps_file_put(s->html, text.data, text.size, why);
        ps_buf_clear(&text);
    }
    if (!err && !ps_path_join(path, sizeof path, catalog, PS_EVAL_FILE))
        ps_file_put(path, json.data, json.size, NULL);
    if (!err && !s->json)
        ps_eval_table(report, &text);
    if (!err && text.failed)
        err = PS_ENOMEM;
    if (!err)
        fputs(s->json ? json.data : text.data, stdout);
    ps_buf_done(&json);
    ps_buf_done(&text);
    return err;
}

static int run(const ps_parsed *words, void *cls, ps_why *why)
{
    settings *s = cls;
    ps_eval_opts opts = s->opts;
    opts.threads = s->common.threads;
    opts.seed = s->common.seed;
    ps_generation *g = NULL;
    ps_pairs pairs = {0};
    ps_eval_report report = {0};
    ps_progress progress = ps_cli_progress(&s->common);
    if (!s->pairs)
        return ps_fail(why, PS_EINVAL, NULL, 0, "needs --pairs FILE");
    int err = parse_cuts(s->hit_at, &opts, why);
    if (!err)
        err = open_generation(&g, words->word[0], s->next, why);
    if (!err)
        err = check_page(s->html, why);
    if (!err)
        err = load_pairs(&pairs, s, g, why);
    if (!err)
        err = ps_eval(g, &pairs, &opts, &report, &progress, why);
    ps_cli_progress_end();
    if (!err)
        err = tell(s, words->word[0], &report, g, why);
    ps_eval_report_done(&report);
    ps_pairs_free(&pairs);
    ps_generation_release(g);
    return err;
}

const ps_command ps_command_eval = {
    .name = "eval",
    .words = "CATALOG",
    .n_words = 1,
    .summary = "Rank held-out pairs by every method, with 95 % intervals",
    .options = options,
    .settings_size = sizeof(settings),
    .run = run,
};
