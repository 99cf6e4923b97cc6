/* draft.c - one change of a catalog, that appears whole or not at all.
 *
 *     begin    lock, sweep, .draft-PID/ <- hard links of the current generation
 *     work     new files; a link that is to be written is cut first (ps_draft_path)
 *     commit   1. listed files are there, stale ones are dropped
 *              2. manifest and directories are made durable
 *              3. .draft-PID renamed to gen-N, catalog fsynced
 *              4. `current` replaced by rename, catalog fsynced     <- the moment
 *              5. older generations pruned
 *
 * New files are fsynced by whoever writes them (ps_out_close) or here
 * (ps_draft_file_read). A failure before 4 removes the draft; one in 4 switches back.
 * Whatever a kill leaves is hidden or nobody's current: the next writer sweeps it.
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

#include "core/catalog/folder.h"
#include "pinsage/catalog.h"
#include "pinsage/lock.h"

struct ps_draft {
    char catalog[PS_PATH_MAX], dir[PS_PATH_MAX];
    size_t existed; /* bytes of catalog's path that were there before this draft */
    int lock;       /* -1: not held */
    char parent[PS_GEN_NAME]; /* what was current, "" for nothing */
    char step[32];
    ps_manifest *manifest; /* owned */
};

/* ------------------------------ The catalog's folder ---------------------- */

/* Take the last name off a path of len bytes; how many are left. */
static size_t go_up(char *path, size_t len)
{
    while (len && path[len - 1] != '/')
        len--;
    while (len > 1 && path[len - 1] == '/')
        len--;
    path[len] = '\0';
    return len;
}

/* How much of path exists: the length of its longest prefix that does. */
static size_t existing_part(const char *path)
{
    char part[PS_PATH_MAX];
    size_t len = strlen(path);
    memcpy(part, path, len + 1);
    while (len && !ps_file_exists(part))
        len = go_up(part, len);
    return len;
}

/* Remove the folders that this draft made, as far as they are empty. Without the lock
 * the lock file is somebody else's, and keeps its folder. */
static void remove_folders(ps_draft *d)
{
    char path[PS_PATH_MAX];
    size_t len = strlen(d->catalog);
    if (d->existed == len || ps_path_join(path, sizeof path, d->catalog, "lock"))
        return;
    if (d->lock >= 0)
        unlink(path);
    memcpy(path, d->catalog, len + 1);
    while (len > d->existed && (rmdir(path) == 0 || errno == ENOENT))
        len = go_up(path, len);
}

static int find_folder(ps_draft *d, const char *catalog, bool create, ps_why *why)
{
    size_t len = strlen(catalog);
    while (len > 1 && catalog[len - 1] == '/')
        len--;
    if (len == 0 || len + 128 > sizeof d->catalog)
        return ps_fail(why, PS_EINVAL, catalog, 0, "the catalog's path is %s",
                       len ? "too long" : "empty");
    memcpy(d->catalog, catalog, len);
    d->catalog[len] = '\0';
    d->existed = existing_part(d->catalog);
    if (d->existed == len)
        return create ? ps_folder_check(d->catalog, why) : PS_OK;
    if (!create) {
        d->existed = len;
        return ps_fail(why, PS_ENOENT, d->catalog, 0, "there is no such catalog");
    }
    return ps_dir_make(d->catalog, why);
}

/* ------------------------------ Inheriting files -------------------------- */

/* Path of a name in the draft, with the folders above it. */
static int place(const ps_draft *d, const char *name, char *out, ps_why *why)
{
    if (ps_path_join(out, PS_PATH_MAX, d->dir, name))
        return ps_fail(why, PS_ERANGE, name, 0, "the path is too long");
    char *slash = strrchr(out, '/');
    *slash = '\0';
    int err = strchr(name, '/') ? ps_dir_make(out, why) : PS_OK;
    *slash = '/';
    return err;
}

static int copy_file(const char *from, const char *to, ps_why *why)
{
    ps_map map;
    ps_out *out;
    int err = ps_map_open(&map, from, PS_SEQUENTIAL, why);
    if (err)
        return err;
    err = ps_out_open(&out, to, why);
    if (!err) {
        ps_out_write(out, map.data, map.size);
        err = ps_out_close(out, NULL, why);
    }
    ps_map_close(&map);
    return err;
}

/* Some file systems have no hard links, some refuse them for files of others. */
static bool links_impossible(int error)
{
    return error == EPERM || error == EOPNOTSUPP || error == ENOSYS || error == EMLINK ||
           error == EXDEV || error == EACCES;
}

static int inherit_file(ps_draft *d, const char *from_dir, const char *name, ps_why *why)
{
    char from[PS_PATH_MAX], to[PS_PATH_MAX];
    if (ps_path_join(from, sizeof from, from_dir, name))
        return ps_fail(why, PS_ERANGE, name, 0, "the path is too long");
    int err = place(d, name, to, why);
    if (err || link(from, to) == 0)
        return err;
    return links_impossible(errno) ? copy_file(from, to, why)
                                   : ps_fail_errno(why, from, "cannot be linked");
}

static int inherit(ps_draft *d, ps_why *why)
{
    char from[PS_PATH_MAX], path[PS_PATH_MAX];
    const char *name;
    if (ps_path_join(from, sizeof from, d->catalog, d->parent) ||
        ps_path_join(path, sizeof path, from, "manifest.json"))
        return ps_fail(why, PS_ERANGE, d->catalog, 0, "the path is too long");
    int err = ps_manifest_load(&d->manifest, path, why);
    for (size_t i = 0; !err && (name = ps_manifest_file_at(d->manifest, i)); i++)
        err = inherit_file(d, from, name, why);
    return err;
}

/* A fresh draft starts without its parent's files, but not without what was written
 * through a server. A parent that cannot be read is no hindrance: importing again is how
 * one gets rid of it. */
static int keep_live(ps_draft *d, ps_why *why)
{
    char from[PS_PATH_MAX], path[PS_PATH_MAX];
    ps_manifest *old;
    uint64_t size, hash;
    int err = PS_OK;
    if (ps_path_join(from, sizeof from, d->catalog, d->parent) ||
        ps_path_join(path, sizeof path, from, "manifest.json") ||
        ps_manifest_load(&old, path, NULL))
        return PS_OK;
    if (ps_manifest_has(old, PS_COMPACTED))
        ps_manifest_set_u64(d->manifest, PS_COMPACTED,
                            ps_manifest_u64(old, PS_COMPACTED, 0));
    if (ps_manifest_file(old, PS_VOTES, &size, &hash)) {
        err = inherit_file(d, from, PS_VOTES, why);
        if (!err)
            ps_draft_file(d, PS_VOTES, size, hash);
        ps_manifest_set_u64(d->manifest, "counts.votes",
                            ps_manifest_u64(old, "counts.votes", 0));
    }
    ps_manifest_free(old);
    return err;
}

/* ------------------------------ Beginning --------------------------------- */

static int make_dir(ps_draft *d, ps_why *why)
{
    char name[32], path[PS_PATH_MAX];
    snprintf(name, sizeof name, ".draft-%ld", (long)getpid());
    static const char *const folders[] = {"graph", "features"};
    int err = ps_path_join(d->dir, sizeof d->dir, d->catalog, name);
    if (!err)
        err = ps_dir_make(d->dir, why);
    for (int i = 0; i < 2 && !err; i++) {
        err = ps_path_join(path, sizeof path, d->dir, folders[i]);
        if (!err)
            err = ps_dir_make(path, why);
    }
    return err;
}

static int fill_draft(ps_draft *d, ps_draft_opts opts, ps_why *why)
{
    int err = ps_folder_current(d->catalog, d->parent, why);
    if (err == PS_ENOENT && opts.create)
        err = PS_OK;
    else if (err == PS_ENOENT)
        err = ps_fail(why, PS_ENOENT, d->catalog, 0,
                      "the catalog is empty: nothing was imported yet");
    if (!err)
        err = make_dir(d, why);
    if (!err && d->parent[0] && !opts.fresh)
        return inherit(d, why);
    if (!err)
        d->manifest = ps_manifest_new();
    return err || !d->parent[0] ? err : keep_live(d, why);
}

int ps_draft_begin(ps_draft **out, const char *catalog, ps_draft_opts opts, ps_why *why)
{
    ps_draft *d = calloc(1, sizeof *d);
    if (!d)
        return ps_fail(why, PS_ENOMEM, catalog, 0, "no memory for a draft");
    d->lock = -1;
    snprintf(d->step, sizeof d->step, "%s", opts.step);
    int err = find_folder(d, catalog, opts.create, why);
    if (!err)
        err = ps_lock_take(&d->lock, d->catalog, d->step, why);
    if (!err) {
        ps_folder_sweep(d->catalog);
        err = fill_draft(d, opts, why);
    }
    if (err)
        ps_draft_abort(d);
    else
        *out = d;
    return err;
}

/* ------------------------------ Working ----------------------------------- */

const char *ps_draft_dir(const ps_draft *d)
{
    return d->dir;
}

ps_manifest *ps_draft_manifest(ps_draft *d)
{
    return d->manifest;
}

int ps_draft_path(ps_draft *d, const char *name, char *out, ps_why *why)
{
    int err = place(d, name, out, why);
    return err ? err : ps_draft_drop(d, name, why);
}

void ps_draft_file(ps_draft *d, const char *name, uint64_t size, uint64_t xxh3)
{
    ps_manifest_set_file(d->manifest, name, size, xxh3);
}

int ps_draft_create(ps_draft *d, const char *name, ps_out **out, ps_why *why)
{
    char path[PS_PATH_MAX];
    int err = ps_draft_path(d, name, path, why);
    return err ? err : ps_out_open(out, path, why);
}

int ps_draft_close(ps_draft *d, const char *name, ps_out *out, ps_why *why)
{
    uint64_t hash, size = ps_out_size(out);
    int err = ps_out_close(out, &hash, why);
    if (!err)
        ps_draft_file(d, name, size, hash);
    return err;
}

int ps_draft_file_read(ps_draft *d, const char *name, ps_why *why)
{
    char path[PS_PATH_MAX];
    uint64_t size, hash;
    if (ps_path_join(path, sizeof path, d->dir, name))
        return ps_fail(why, PS_ERANGE, name, 0, "the path is too long");
    int err = ps_file_hash(path, &hash, &size, why);
    if (!err)
        err = ps_file_sync(path, why);
    if (!err)
        ps_draft_file(d, name, size, hash);
    return err;
}

int ps_draft_drop(ps_draft *d, const char *name, ps_why *why)
{
    char path[PS_PATH_MAX];
    if (ps_path_join(path, sizeof path, d->dir, name))
        return ps_fail(why, PS_ERANGE, name, 0, "the path is too long");
    if (unlink(path) < 0 && errno != ENOENT)
        return ps_fail_errno(why, path, "cannot be removed");
    ps_manifest_remove_file(d->manifest, name);
    return PS_OK;
}

/* ------------------------------ Ending ------------------------------------ */

static void draft_free(ps_draft *d)
{
    if (d->lock >= 0)
        close(d->lock);
    ps_manifest_free(d->manifest);
    free(d);
}

void ps_draft_abort(ps_draft *d)
{
    if (!d)
        return;
    if (d->dir[0])
        ps_dir_remove(d->dir, NULL);
    remove_folders(d);
    draft_free(d);
}

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

static void describe(ps_draft *d, uint64_t number)
{
    char now[32], line[PS_GEN_NAME + 8], name[PS_GEN_NAME];
    time_t t = time(NULL);
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &tm);
    ps_gen_name(name, number);
    snprintf(line, sizeof line, "lineage.%s", name);
    ps_manifest_set_u64(d->manifest, "generation", number);
    ps_manifest_set_text(d->manifest, "created", now);
    ps_manifest_set_text(d->manifest, "step", d->step);
    ps_manifest_set_text(d->manifest, line, d->step);
    ps_manifest_remove(d->manifest, "parent");
    if (d->parent[0])
        ps_manifest_set_text(d->manifest, "parent", d->parent);
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
        err = ps_path_join(path, sizeof path, d->dir, "manifest.json");
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

/* After a failed switch: the parent is current again. If even that fails and the new
 * generation is in use, it must stay. Returns err. */
static int switch_back(ps_draft *d, const char *name, int err)
{
    char current[PS_GEN_NAME] = "";
    ps_folder_switch(d->catalog, d->parent[0] ? d->parent : NULL, NULL);
    ps_folder_current(d->catalog, current, NULL);
    if (strcmp(current, name) == 0)
        d->dir[0] = '\0';
    return err;
}

static int publish(ps_draft *d, const char *name, ps_why *why)
{
    char path[PS_PATH_MAX];
    if (ps_path_join(path, sizeof path, d->catalog, name))
        return ps_fail(why, PS_ERANGE, d->catalog, 0, "the path is too long");
    if (rename(d->dir, path) < 0)
        return ps_fail_errno(why, path, "cannot be put in place");
    memcpy(d->dir, path, sizeof path); /* what abort removes */
    int err = ps_file_sync(d->catalog, why);
    if (!err)
        err = sync_above(d, why);
    if (err)
        return err;
    err = ps_folder_switch(d->catalog, name, why);
    return err ? switch_back(d, name, err) : PS_OK;
}

int ps_draft_commit(ps_draft *d, unsigned keep, char *name, ps_why *why)
{
    char own[PS_GEN_NAME];
    uint64_t number = ps_folder_newest(d->catalog) + 1;
    ps_gen_name(own, number);
    int err = drop_stale(d, why);
    if (!err)
        err = check_files(d, why);
    if (!err) {
        describe(d, number);
        err = sync_draft(d, why);
    }
    if (!err)
        err = publish(d, own, why);
    if (err) {
        ps_draft_abort(d);
        return err;
    }
    if (name)
        memcpy(name, own, sizeof own);
    ps_folder_prune(d->catalog, own, d->parent, keep ? keep : 1);
    draft_free(d);
    return PS_OK;
}

int ps_catalog_prune(const char *catalog, unsigned keep, ps_why *why)
{
    char current[PS_GEN_NAME];
    int lock, err = ps_lock_take(&lock, catalog, "prune", why);
    if (err)
        return err;
    err = ps_folder_current(catalog, current, why);
    if (!err)
        ps_folder_prune(catalog, current, "", keep);
    close(lock);
    return err;
}
