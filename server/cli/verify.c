/* verify.c - `pinsage verify`: every check by name, with its result.
 *
 * Threads: main thread.
 */
#include <stdio.h>
#include <string.h>

#include "pinsage/catalog.h"
#include "pinsage/embed.h"
#include "pinsage/file.h"
#include "pinsage/generation.h"
#include "pinsage/layout.h"
#include "server/cli/commands.h"
#include "server/compact/erased.h"
#include "server/live/store.h"

typedef struct settings {
    ps_common common;
    const char *erased;
} settings;

#define AT(member) offsetof(settings, member)
static const ps_option options[] = {
    {"erased", 0, PS_OPT_TEXT, "PIN", AT(erased), NULL, 0, 0, NULL,
     "Only prove that nothing is left of a deleted pin, in any file that can hold its "
     "name; says what still holds it"},
    PS_COMMON_OPTIONS,
    {0},
};

enum { PARITY_PINS = 200 };

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
    fflush(stdout); /* whatever happens after it, this was seen */
}

/* Batch and request must give one vector; but after a compaction vectors are of different
 * times, and what a request computes now is only told. */
static int check_parity(ps_generation *g, tally *t, ps_why *why)
{
    ps_parity p;
    char detail[192];
    if (!ps_manifest_has(g->manifest, PS_KEY_EMBEDDINGS_MODEL))
        return PS_OK;
    int err = ps_embed_parity(g, PARITY_PINS, &p, why);
    bool compacted = ps_manifest_has(g->manifest, PS_COMPACTIONS);
    if (!err)
        snprintf(detail, sizeof detail,
                 "%u pins, least cosine %.6f, largest difference %.2g of the length%s",
                 p.pins, p.least_cosine, p.largest_difference,
                 compacted ? "; not judged since a compaction, until `pinsage embed`"
                           : "");
    if (!err && !compacted && (p.least_cosine < 0.999 || p.largest_difference > 1e-3))
        err = ps_fail(why, PS_EMISMATCH, g->name, 0,
                      "embeddings are not what a request computes: %s", detail);
    on_check(t, "parity: batch and on request", err, err ? why->text : detail);
    return err;
}

static int open_and_walk(const char *dir, const ps_generation *g, char *detail,
                         size_t room, ps_why *why)
{
    ps_store *store = NULL;
    ps_store_counts counts;
    ps_store_opts opts = {.read_only = true,
                          .compacted = ps_manifest_u64(g->manifest, PS_COMPACTED, 0)};
    int err = ps_store_open(&store, dir, opts, why);
    if (!err)
        err = ps_store_verify(store, detail, room, why);
    if (!err)
        err = ps_store_count(store, &counts, why);
    if (!err && counts.compacted > opts.compacted)
        err = ps_fail(why, PS_EMISMATCH, dir, 0,
                      "a later generation has compacted it, up to write number %llu; "
                      "%s has writes up to %llu",
                      (unsigned long long)counts.compacted, g->name,
                      (unsigned long long)opts.compacted);
    ps_store_close(store);
    return err;
}

/* What was written since; a server may have it open. */
static int check_live(const char *catalog, const ps_generation *g, tally *t, ps_why *why)
{
    char dir[PS_PATH_MAX], detail[160] = "";
    if (ps_path_in(dir, catalog, "live", why))
        return PS_ERANGE;
    if (!ps_store_exists(dir))
        return PS_OK;
    int err = ps_file_exists(dir) ? open_and_walk(dir, g, detail, sizeof detail, why)
                                  : ps_fail(why, PS_EFORMAT, dir, 0,
                                            "is missing, and there were writes in it");
    if (err == PS_ENOENT) { /* made, and nothing written to it yet */
        err = PS_OK;
        snprintf(detail, sizeof detail, "nothing was written to it");
    }
    on_check(t, "live", err, err ? why->text : detail);
    return err;
}

static int check_erased(const char *catalog, const settings *s, ps_why *why)
{
    tally t = {0};
    ps_progress progress = ps_cli_progress(&s->common);
    int err =
        ps_erased_check(catalog, ps_text_of(s->erased), on_check, &t, &progress, why);
    ps_cli_progress_end();
    if (!err)
        printf("%s: nothing is left of pin \"%s\"\n", catalog, s->erased);
    return err;
}

static int run(const ps_parsed *words, void *cls, ps_why *why)
{
    settings *s = cls;
    ps_generation *g = NULL;
    tally t = {0};
    if (s->erased)
        return check_erased(words->word[0], s, why);
    int err = ps_generation_open_checked(&g, words->word[0], why);
    if (err)
        return err;
    ps_progress progress = ps_cli_progress(&s->common);
    err = ps_generation_verify(g, on_check, &t, &progress, why);
    ps_cli_progress_end();
    if (err)
        puts("-      parity: batch and on request: not looked at, for it would compute "
             "with what is damaged");
    else
        err = check_parity(g, &t, why);
    ps_why of_live = {0};
    int lost = check_live(words->word[0], g, &t, &of_live);
    if (lost && !err) {
        err = lost;
        *why = of_live;
    }
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
