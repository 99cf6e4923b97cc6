/* folder.c - what stands in a catalog's directory besides the generations' files.
 *
 *     current       symbolic link to a generation; replaced by rename, never rewritten
 *     next          the same, to what an update under way has come to; often not there
 *     .draft-PID    a writer's work; rubbish when its lock is free
 *     .old-gen-N    a generation being removed: renamed first, so that a crash in the
 *                   middle of the removal leaves no half generation under its name
 *
 * Threads: see folder.h.
 */
#include "core/catalog/folder.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pinsage/catalog.h"
#include "pinsage/layout.h"

/* ------------------------------ Names ------------------------------------- */

void ps_gen_name(char out[PS_GEN_NAME], uint64_t number)
{
    snprintf(out, PS_GEN_NAME, "gen-%06" PRIu64, number);
}

/* 3 for "gen-000003", 0 for any other name. */
uint64_t ps_gen_number(const char *name)
{
    char again[PS_GEN_NAME];
    if (strncmp(name, "gen-", 4) != 0 || strlen(name) >= PS_GEN_NAME)
        return 0;
    uint64_t number = strtoull(name + 4, NULL, 10);
    ps_gen_name(again, number);
    return strcmp(again, name) == 0 ? number : 0;
}

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* Call fn for each entry's name; stops when it returns true. */
static void each_entry(const char *catalog, bool (*fn)(void *, const char *), void *cls)
{
    DIR *dir = opendir(catalog);
    if (!dir)
        return;
    for (struct dirent *e; (e = readdir(dir)) && !fn(cls, e->d_name);) {
    }
    closedir(dir);
}

/* ------------------------------ Whose folder ------------------------------ */

/* A first import that was killed leaves no more than these; lost+found is the file
 * system's. */
static bool is_ours(const char *name)
{
    static const char *const whole[] = {".",         "..",           "lock",
                                        PS_DIR_LIVE, ".current-new", "lost+found"};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (strcmp(name, whole[i]) == 0)
            return true;
    return ps_gen_number(name) || starts_with(name, ".draft-") ||
           starts_with(name, ".old-");
}

typedef struct foreign {
    bool catalog;
    char name[256]; /* the first entry that is not ours, "" for none */
} foreign;

static bool find_foreign(void *cls, const char *name)
{
    foreign *f = cls;
    f->catalog = strcmp(name, PS_LINK_CURRENT) == 0;
    if (!f->catalog && !f->name[0] && !is_ours(name))
        snprintf(f->name, sizeof f->name, "%s", name);
    return f->catalog;
}

int ps_folder_check(const char *catalog, ps_why *why)
{
    foreign f = {0};
    each_entry(catalog, find_foreign, &f);
    if (f.catalog || !f.name[0])
        return PS_OK;
    return ps_fail(
        why, PS_EINVAL, catalog, 0,
        "the folder is no catalog, it holds \"%.60s\": name a new folder, or an "
        "empty one",
        f.name);
}

/* ------------------------------ Links ------------------------------------- */

int ps_folder_follow(const char *catalog, const char *link, char out[PS_GEN_NAME],
                     ps_why *why)
{
    char path[PS_PATH_MAX], name[PS_GEN_NAME + 1];
    if (ps_path_join(path, sizeof path, catalog, link))
        return ps_fail(why, PS_ERANGE, catalog, 0, "the path is too long");
    ssize_t n = readlink(path, name, sizeof name - 1);
    if (n < 0 && errno == ENOENT)
        return PS_ENOENT;
    if (n < 0 && errno != EINVAL)
        return ps_fail_errno(why, path, "cannot be read");
    name[n > 0 ? n : 0] = '\0';
    if (!ps_gen_number(name))
        return ps_fail(why, PS_EFORMAT, path, 0, "it is not a link to a generation");
    memcpy(out, name, (size_t)n + 1);
    return PS_OK;
}

int ps_folder_next(const char *catalog, char out[PS_GEN_NAME])
{
    char current[PS_GEN_NAME], path[PS_PATH_MAX];
    if (ps_folder_follow(catalog, "next", out, NULL) ||
        (!ps_folder_follow(catalog, PS_LINK_CURRENT, current, NULL) &&
         !strcmp(current, out)) ||
        ps_path_join(path, sizeof path, catalog, out) || !ps_file_exists(path))
        return PS_ENOENT;
    return PS_OK;
}

int ps_catalog_current(const char *catalog, char *out, ps_why *why)
{
    char name[PS_GEN_NAME];
    if (!ps_file_exists(catalog))
        return ps_fail(why, PS_ENOENT, catalog, 0, "there is no such catalog");
    int err = ps_folder_follow(catalog, PS_LINK_CURRENT, name, why);
    if (err == PS_ENOENT)
        return ps_fail(why, PS_ENOENT, catalog, 0,
                       "the catalog is empty: nothing was imported yet");
    if (!err && ps_path_join(out, PS_PATH_MAX, catalog, name))
        return ps_fail(why, PS_ERANGE, catalog, 0, "the path is too long");
    if (!err && !ps_file_exists(out))
        return ps_fail(why, PS_ENOENT, out, 0,
                       "the current generation is not there any more");
    return err;
}

int ps_folder_switch(const char *catalog, const char *link, const char *name, ps_why *why)
{
    char path[PS_PATH_MAX], beside[PS_PATH_MAX];
    if (ps_path_join(path, sizeof path, catalog, link) ||
        ps_path_join(beside, sizeof beside, catalog, ".current-new"))
        return ps_fail(why, PS_ERANGE, catalog, 0, "the path is too long");
    if (!name) {
        unlink(path);
        return ps_file_sync(catalog, why);
    }
    unlink(beside);
    if (symlink(name, beside) < 0 || rename(beside, path) < 0) {
        int err = ps_fail_errno(why, path, "cannot be switched");
        unlink(beside);
        return err;
    }
    return ps_file_sync(catalog, why);
}

/* ------------------------------ Generations ------------------------------- */

typedef struct looking {
    uint64_t below, newest;
} looking;

static bool keep_newest(void *cls, const char *name)
{
    looking *l = cls;
    uint64_t number = ps_gen_number(name);
    if (number > l->newest && number < l->below)
        l->newest = number;
    return false;
}

uint64_t ps_folder_before(const char *catalog, uint64_t below)
{
    looking l = {below, 0};
    each_entry(catalog, keep_newest, &l);
    return l.newest;
}

static bool sweep_one(void *cls, const char *name)
{
    char path[PS_PATH_MAX];
    if (!starts_with(name, ".draft-") && !starts_with(name, ".old-") &&
        strcmp(name, ".current-new") != 0)
        return false;
    if (ps_path_join(path, sizeof path, cls, name) == PS_OK)
        ps_dir_remove(path, NULL);
    return false;
}

void ps_folder_sweep(const char *catalog)
{
    char copy[PS_PATH_MAX];
    snprintf(copy, sizeof copy, "%s", catalog);
    each_entry(copy, sweep_one, copy);
}

void ps_folder_remove(const char *catalog, uint64_t number)
{
    char name[PS_GEN_NAME], hidden[PS_GEN_NAME + 8], from[PS_PATH_MAX], to[PS_PATH_MAX];
    ps_gen_name(name, number);
    snprintf(hidden, sizeof hidden, ".old-%s", name);
    if (ps_path_join(from, sizeof from, catalog, name) ||
        ps_path_join(to, sizeof to, catalog, hidden) || rename(from, to) < 0)
        return;
    ps_dir_remove(to, NULL);
}
