/* draft.c - one change of a catalog, that appears whole or not at all.
 *
 *     begin    lock, sweep, .draft-PID/ <- hard links of the generation it goes on from
 *     work     new files; a link that is to be written is cut first (ps_draft_path)
 *     commit   see publish.c
 *
 * New files are fsynced by whoever writes them (ps_out_close) or here
 * (ps_draft_file_read). A failure before the switch removes the draft. Whatever a kill
 * leaves is hidden or nobody's current: the next writer sweeps it.
 *
 * A step goes on from `next`, the update under way, when there is one, else from
 * `current`. A compaction always works on `current`: it belongs to what is served.
 *
 * Threads: see catalog.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/catalog/draft_inside.h"
#include "pinsage/generation.h"
#include "pinsage/layout.h"
#include "pinsage/lock.h"

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

int draft_manifest_of(const char *catalog, const char *name, ps_manifest **m, ps_why *why)
{
    char dir[PS_PATH_MAX], path[PS_PATH_MAX];
    int err = ps_path_in(dir, catalog, name, why);
    if (!err)
        err = ps_path_in(path, dir, PS_FILE_MANIFEST, why);
    return err ? err : ps_manifest_load(m, path, why);
}

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
    char from[PS_PATH_MAX];
    const char *name;
    int err = ps_path_in(from, d->catalog, d->parent, why);
    if (!err)
        err = draft_manifest_of(d->catalog, d->parent, &d->manifest, why);
    for (size_t i = 0; !err && (name = ps_manifest_file_at(d->manifest, i)); i++)
        err = inherit_file(d, from, name, why);
    return err;
}

/* A fresh draft starts without its parent's files, but not without what was written
 * through a server. A parent that cannot be read is no hindrance: importing again is how
 * one gets rid of it. */
static int keep_live(ps_draft *d, ps_why *why)
{
    char from[PS_PATH_MAX];
    ps_manifest *old;
    uint64_t size, hash;
    int err = PS_OK;
    if (ps_path_join(from, sizeof from, d->catalog, d->parent) ||
        draft_manifest_of(d->catalog, d->parent, &old, NULL))
        return PS_OK;
    if (ps_manifest_has(old, PS_COMPACTED))
        ps_manifest_set_u64(d->manifest, PS_COMPACTED,
                            ps_manifest_u64(old, PS_COMPACTED, 0));
    if (ps_manifest_file(old, PS_FILE_VOTES, &size, &hash)) {
        err = inherit_file(d, from, PS_FILE_VOTES, why);
        if (!err)
            ps_draft_file(d, PS_FILE_VOTES, size, hash);
        ps_manifest_set_u64(d->manifest, PS_KEY_COUNT_VOTES,
                            ps_manifest_u64(old, PS_KEY_COUNT_VOTES, 0));
    }
    ps_manifest_free(old);
    return err;
}

/* ------------------------------ Beginning --------------------------------- */

static int make_dir(ps_draft *d, ps_why *why)
{
    char name[32], path[PS_PATH_MAX];
    snprintf(name, sizeof name, ".draft-%ld", (long)getpid());
    static const char *const folders[] = {PS_DIR_GRAPH, PS_DIR_BLOCKS};
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

/* Where the links lead, and so what the draft goes on from. */
static int find_parent(ps_draft *d, ps_draft_opts opts, ps_why *why)
{
    int err = ps_folder_follow(d->catalog, PS_LINK_CURRENT, d->current, why);
    if (err == PS_ENOENT && opts.create)
        err = PS_OK;
    else if (err == PS_ENOENT)
        err = ps_fail(why, PS_ENOENT, d->catalog, 0,
                      "the catalog is empty: nothing was imported yet");
    if (!err && ps_folder_next(d->catalog, d->next))
        d->next[0] = '\0';
    bool go_on = d->next[0] && !opts.serving && !opts.fresh;
    memcpy(d->parent, go_on ? d->next : d->current, sizeof d->parent);
    return err;
}

static int fill_draft(ps_draft *d, ps_draft_opts opts, ps_why *why)
{
    int err = find_parent(d, opts, why);
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
    d->serving = opts.serving;
    d->hold = opts.hold;
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

int ps_draft_open(const ps_draft *d, ps_generation **g, ps_why *why)
{
    char dir[PS_PATH_MAX];
    int err = ps_path_in(dir, d->catalog, d->parent, why);
    return err ? err : ps_generation_open_dir_whole(g, dir, why);
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

/* ------------------------------ Letting go -------------------------------- */

void draft_free(ps_draft *d)
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
