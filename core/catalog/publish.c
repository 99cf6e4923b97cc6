/* publish.c - a draft becomes a generation, and takes the place of another if it may.
 *
 *     1. listed files are there, stale ones are dropped
 *     2. manifest and directories are made durable
 *     3. .draft-PID renamed to gen-N, catalog fsynced
 *     4. a link is replaced by rename, catalog fsynced              <- the moment
 *     5. older generations pruned
 *
 * Which link: `current` when the new generation is at least as complete as the one there
 * (offer.h), else `next`, from which the following step goes on. So what is served stays
 * in use until all steps of an update are done, and an update is one switch:
 *
 *     import       gen-7   current -> gen-6   next -> gen-7
 *     train ..     gen-9   current -> gen-6   next -> gen-9
 *     index        gen-10  current -> gen-10
 *
 * The last line is two renames and a removal: `next` first, so that a crash in between
 * leaves the finished update as `next`, and a `next` beside an equal `current` is none. A
 * failure before 4 removes the draft; one in 4 puts both links back.
 *
 * A part made from an older version of another part must not survive the change (an
 * index of yesterday's embeddings): commit drops it, and what was made from it, by the
 * fingerprints, and lists the names under "dropped".
 *
 * Threads: see catalog.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/catalog/draft_inside.h"
#include "pinsage/layout.h"
#include "pinsage/offer.h"

/* ------------------------------ Its files --------------------------------- */

/* Parts whose inputs changed under them, and parts made from those. */
static int drop_stale(ps_draft *d, ps_why *why)
{
    char names[2048] = "[";
    size_t used = 1;
    int err = PS_OK;
    for (const char *name; !err && (name = ps_manifest_stale(d->manifest));) {
        int n = snprintf(names + used, sizeof names - used, "%s\"%s\"",
                         used > 1 ? "," : "", name);
        if (n > 0 && used + (size_t)n + 2 < sizeof names)
            used += (size_t)n;
        char copy[PS_PATH_MAX];
        snprintf(copy, sizeof copy, "%s", name); /* the list is about to change */
        err = ps_draft_drop(d, copy, why);
    }
    memcpy(names + used, "]", 2);
    ps_manifest_remove(d->manifest, "dropped");
    if (!err && used > 1)
        err = ps_manifest_set_json(d->manifest, "dropped", names);
    return err;
}

/* A step that listed a file and did not write it, or wrote on after listing it. */
static int check_files(const ps_draft *d, ps_why *why)
{
    char path[PS_PATH_MAX];
    const char *name;
    for (size_t i = 0; (name = ps_manifest_file_at(d->manifest, i)); i++) {
        struct stat st;
        uint64_t size = 0;
        ps_manifest_file(d->manifest, name, &size, NULL);
        if (ps_path_join(path, sizeof path, d->dir, name) || stat(path, &st) < 0)
            return ps_fail_errno(why, name, "was listed but is not there");
        if ((uint64_t)st.st_size != size)
            return ps_fail(why, PS_EMISMATCH, name, 0,
                           "was listed with %" PRIu64 " bytes, has %lld", size,
                           (long long)st.st_size);
    }
    return PS_OK;
}

static int describe(ps_draft *d, uint64_t number, bool over)
{
    char now[32], line[PS_GEN_NAME + 8], name[PS_GEN_NAME];
    time_t t = time(NULL);
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &tm);
    ps_gen_name(name, number);
    snprintf(line, sizeof line, "lineage.%s", name);
    ps_manifest_set_u64(d->manifest, PS_KEY_GENERATION, number);
    ps_manifest_set_text(d->manifest, PS_KEY_CREATED, now);
    ps_manifest_set_text(d->manifest, "step", d->step);
    ps_manifest_set_text(d->manifest, "made_as", over ? PS_LINK_CURRENT : "next");
    ps_manifest_set_text(d->manifest, line, d->step);
    ps_manifest_remove(d->manifest, "parent");
    if (d->parent[0])
        ps_manifest_set_text(d->manifest, "parent", d->parent);
    return ps_offer_note(d->manifest);
}

/* Make the folder of name durable, unless it is the one that `last` (PS_PATH_MAX) says
 * was made so before. */
static int sync_folder_of(const ps_draft *d, const char *name, char *last, ps_why *why)
{
    char path[PS_PATH_MAX];
    const char *slash = strrchr(name, '/');
    if (!slash)
        return PS_OK;
    int n = snprintf(path, sizeof path, "%s/%.*s", d->dir, (int)(slash - name), name);
    if (n < 0 || (size_t)n >= sizeof path)
        return ps_fail(why, PS_ERANGE, name, 0, "the path is too long");
    if (strcmp(path, last) == 0)
        return PS_OK;
    memcpy(last, path, (size_t)n + 1);
    return ps_file_sync(path, why);
}

/* Everything below the draft durable; files are already. Names are sorted, so those of
 * one folder follow each other. */
static int sync_draft(const ps_draft *d, ps_why *why)
{
    char path[PS_PATH_MAX], last[PS_PATH_MAX] = "";
    const char *name;
    int err = PS_OK;
    for (size_t i = 0; !err && (name = ps_manifest_file_at(d->manifest, i)); i++)
        err = sync_folder_of(d, name, last, why);
    if (!err)
        err = ps_path_join(path, sizeof path, d->dir, PS_FILE_MANIFEST);
    return err ? err : ps_manifest_save(d->manifest, path, why);
}

/* The folder above the catalog, when this draft made the catalog. */
static int sync_above(const ps_draft *d, ps_why *why)
{
    char path[PS_PATH_MAX];
    if (d->existed == strlen(d->catalog))
        return PS_OK;
    snprintf(path, sizeof path, "%.*s", (int)d->existed, d->catalog);
    return ps_file_sync(d->existed ? path : ".", why);
}

/* ------------------------------ The links --------------------------------- */

/* Whether it becomes current. What cannot be read has nothing to be lost. */
static bool takes_over(const ps_draft *d)
{
    ps_manifest *m;
    ps_offer now, old;
    if (!d->current[0] || d->serving)
        return true;
    if (d->hold || draft_manifest_of(d->catalog, d->current, &m, NULL))
        return !d->hold;
    ps_offer_of(&now, d->manifest);
    ps_offer_of(&old, m);
    bool over = ps_offer_replaces(&now, &old);
    ps_manifest_free(m);
    return over;
}

static void put_back(const ps_draft *d, const char *link, const char *before)
{
    ps_folder_switch(d->catalog, link, *before ? before : NULL, NULL);
}

/* After a failed switch: the links lead where they did. If even that fails and the new
 * generation is in use, it must stay. Returns err. */
static int switch_back(ps_draft *d, const char *name, int err)
{
    char now[PS_GEN_NAME] = "";
    put_back(d, PS_LINK_CURRENT, d->current);
    put_back(d, "next", d->next);
    bool used =
        !ps_folder_follow(d->catalog, PS_LINK_CURRENT, now, NULL) && !strcmp(now, name);
    used |= !ps_folder_follow(d->catalog, "next", now, NULL) && !strcmp(now, name);
    if (used)
        d->dir[0] = '\0';
    return err;
}

static int switch_links(ps_draft *d, const char *name, bool over, ps_why *why)
{
    int err = PS_OK;
    bool update = d->next[0] && !d->serving;
    if (!over || update)
        err = ps_folder_switch(d->catalog, "next", name, why);
    if (!err && over)
        err = ps_folder_switch(d->catalog, PS_LINK_CURRENT, name, why);
    if (err)
        return switch_back(d, name, err);
    if (over && update) /* of no meaning any more, whether this works or not */
        ps_folder_switch(d->catalog, "next", NULL, NULL);
    return PS_OK;
}

static int publish(ps_draft *d, const char *name, bool over, ps_why *why)
{
    char path[PS_PATH_MAX];
    int err = ps_path_in(path, d->catalog, name, why);
    if (err)
        return err;
    if (rename(d->dir, path) < 0)
        return ps_fail_errno(why, path, "cannot be put in place");
    memcpy(d->dir, path, sizeof path); /* what abort removes */
    err = ps_file_sync(d->catalog, why);
    if (!err)
        err = sync_above(d, why);
    return err ? err : switch_links(d, name, over, why);
}

int ps_draft_commit(ps_draft *d, unsigned keep, char *name, ps_why *why)
{
    char own[PS_GEN_NAME];
    bool over = true;
    uint64_t number = ps_folder_before(d->catalog, UINT64_MAX) + 1;
    ps_gen_name(own, number);
    int err = drop_stale(d, why);
    if (!err)
        err = check_files(d, why);
    if (!err) {
        over = takes_over(d);
        err = describe(d, number, over);
        if (err)
            ps_fail(why, err, d->catalog, 0, "no memory to say what it is");
    }
    if (!err)
        err = sync_draft(d, why);
    if (!err)
        err = publish(d, own, over, why);
    if (err) {
        ps_draft_abort(d);
        return err;
    }
    if (name)
        memcpy(name, own, sizeof own);
    ps_folder_prune(d->catalog, over ? d->current : "", keep ? keep : 1);
    draft_free(d);
    return PS_OK;
}
