/* store_identity.c - whether the file in live/ is the one that was there before.
 *
 * LMDB takes a missing or empty file for a new one, so a store that was lost would look
 * like one that was never written to. Beside the folder stands a mark, CATALOG/live.id,
 * one line of text:
 *
 *     id of the store, 16 hexadecimal digits   number of its last write at the last start
 *
 * The store has the same id in its table `meta`. It is made first and the mark after it,
 * before anything is acknowledged: a crash between the two leaves a store without a mark,
 * which is taken, as those of earlier versions are.
 *
 * Threads: whoever opens the store.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "server/live/store_inside.h"

#define REMEDY                                                                           \
    "Put the right one back from a backup, or go on with what there is, and without "    \
    "what was written: serve --accept-live"

static int mark_path(const ps_store *s, char out[PS_PATH_MAX], ps_why *why)
{
    int n = snprintf(out, PS_PATH_MAX, "%s.id", s->dir);
    return n > 0 && n < PS_PATH_MAX
               ? PS_OK
               : ps_fail(why, PS_ERANGE, s->dir, 0, "is too long a path");
}

int ps_store_read_mark(ps_store *s, ps_why *why)
{
    char path[PS_PATH_MAX];
    int err = mark_path(s, path, why);
    if (err)
        return err;
    FILE *f = fopen(path, "re");
    s->mark = (ps_store_mark){0};
    if (!f)
        return errno == ENOENT ? PS_OK : ps_fail_errno(why, path, "cannot be read");
    int found = fscanf(f, "%16" SCNx64 " %" SCNu64, &s->mark.id, &s->mark.lsn);
    fclose(f);
    if (found != 2 || !s->mark.id)
        return ps_fail(why, PS_EFORMAT, path, 0, "is not the mark of a live store");
    return PS_OK;
}

int ps_store_expect(const ps_store *s, ps_why *why)
{
    char path[PS_PATH_MAX];
    struct stat st;
    if (!s->mark.id || s->opts.accept)
        return PS_OK;
    if (s->opts.read_only && !ps_file_exists(s->dir)) /* a copy for reading, without it */
        return PS_OK;
    if (ps_path_in(path, s->dir, "data.mdb", why))
        return PS_ERANGE;
    if (stat(path, &st) == 0 && st.st_size > 0)
        return PS_OK;
    return ps_fail(why, PS_EFORMAT, path, 0,
                   "is %s, and writes up to number %" PRIu64 " were in it. " REMEDY,
                   errno == ENOENT ? "missing" : "empty", s->mark.lsn);
}

static int refuse(const ps_store *s, const char *what, ps_why *why)
{
    return ps_fail(why, PS_EFORMAT, s->dir, 0,
                   "%s; its last start was at write number %" PRIu64 ", this has %" PRIu64
                   ". " REMEDY,
                   what, s->mark.lsn, s->lsn);
}

int ps_store_recognise(ps_store *s, ps_why *why)
{
    if (!s->mark.id || s->opts.accept)
        return PS_OK;
    if (s->mark.id != s->id)
        return refuse(s, "holds the live store of another catalog", why);
    uint64_t least = s->mark.lsn;
    if (s->opts.compacted > least &&
        !s->opts.lazy_meta) /* which may undo the last ones */
        least = s->opts.compacted;
    return s->lsn < least ? refuse(s, "holds an older state of the live store", why)
                          : PS_OK;
}

static int set_id(ps_store *s, MDB_txn *txn, void *cls)
{
    (void)cls;
    return ps_store_set_meta(s, txn, "id", s->id);
}

/* A store that has none gets one at random. */
static int make_id(ps_store *s, ps_why *why)
{
    while (!s->id)
        if (getrandom(&s->id, sizeof s->id, 0) != sizeof s->id)
            return ps_fail_errno(why, s->dir, "no random number for it");
    return ps_store_run(s, set_id, NULL, why);
}

static int write_mark(ps_store *s, ps_why *why)
{
    char path[PS_PATH_MAX], text[64];
    int err = s->id ? PS_OK : make_id(s, why);
    if (err || (s->mark.id == s->id && s->mark.lsn == s->lsn))
        return err;
    int rc = mdb_env_sync(s->env, 1); /* the mark must not be ahead of it */
    if (rc)
        return ps_store_fail(s, why, rc, "cannot be written");
    err = mark_path(s, path, why);
    int n = snprintf(text, sizeof text, "%016" PRIx64 " %" PRIu64 "\n", s->id, s->lsn);
    return err ? err : ps_file_put(path, text, (size_t)n, why);
}

/* A full disk hinders no start: the mark of the last one holds on. */
int ps_store_write_mark(ps_store *s, ps_why *why)
{
    int err = write_mark(s, why);
    return err == PS_EFULL ? PS_OK : err;
}
