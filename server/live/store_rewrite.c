/* store_rewrite.c - the live store's file written anew, without what was deleted.
 *
 * LMDB never shortens its file, and what was deleted can be read in its free pages until
 * something else needs them. So after a compaction the records that are left are copied,
 * one by one, to a new file, which takes the place of the old one:
 *
 *     copy, fsync -> close -> rename -> remove lock.mdb -> open
 *
 * The lock file goes too: it counts transactions of the old file. Whoever still has both
 * old ones open reads on undisturbed; what opens between two steps finds the new file.
 * A crash leaves the old file or the new one, and perhaps a copy nobody refers to, which
 * is removed at the next start.
 *
 * Threads: the writer; readers go on but for the moment of the rename.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "server/live/store_inside.h"

#define TXN_BYTES ((size_t)32 << 20)

/* The copy being written. */
typedef struct copy {
    MDB_env *env;
    MDB_txn *txn;
    size_t bytes; /* put into txn */
} copy;

static int copy_open(copy *c, const char *path, size_t map_bytes)
{
    int rc = mdb_env_create(&c->env);
    if (rc) {
        c->env = NULL;
        return rc;
    }
    rc = mdb_env_set_maxdbs(c->env, PS_STORE_TABLES);
    if (!rc)
        rc = mdb_env_set_mapsize(c->env, map_bytes);
    if (!rc)
        rc = mdb_env_open(c->env, path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC, 0600);
    return rc ? rc : mdb_txn_begin(c->env, NULL, 0, &c->txn);
}

static int copy_commit(copy *c)
{
    int rc = mdb_txn_commit(c->txn);
    c->txn = NULL;
    c->bytes = 0;
    return rc;
}

static int copy_put(copy *c, MDB_dbi table, MDB_val key, MDB_val value)
{
    int rc = 0;
    if (c->bytes > TXN_BYTES) {
        rc = copy_commit(c);
        if (!rc)
            rc = mdb_txn_begin(c->env, NULL, 0, &c->txn);
    }
    c->bytes += key.mv_size + value.mv_size;
    return rc ? rc : mdb_put(c->txn, table, &key, &value, MDB_APPEND);
}

static bool is_garbage_flag(int table, MDB_val key)
{
    return table == META && ps_text_is((ps_text){key.mv_data, key.mv_size}, "garbage");
}

static int copy_table(copy *c, ps_store *s, MDB_txn *from, int table)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    MDB_dbi to;
    int rc = mdb_dbi_open(c->txn, ps_store_tables[table].name,
                          MDB_CREATE | ps_store_tables[table].flags, &to);
    if (!rc)
        rc = mdb_cursor_open(from, s->dbi[table], &cursor);
    if (rc)
        return rc;
    while (!(rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)))
        if (!is_garbage_flag(table, key) && (rc = copy_put(c, to, key, value)))
            break;
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int copy_all(ps_store *s, const char *path)
{
    copy c = {0};
    MDB_txn *from = NULL;
    int rc = s->env ? mdb_txn_begin(s->env, NULL, MDB_RDONLY, &from) : MDB_PANIC;
    if (!rc)
        rc = copy_open(&c, path, s->map_bytes + TXN_BYTES);
    for (int i = 0; i < PS_STORE_TABLES && !rc; i++)
        rc = copy_table(&c, s, from, i);
    if (!rc)
        rc = copy_commit(&c);
    if (!rc)
        rc = mdb_env_sync(c.env, 1);
    if (c.txn)
        mdb_txn_abort(c.txn);
    if (c.env)
        mdb_env_close(c.env);
    if (from)
        mdb_txn_abort(from);
    return rc;
}

/* Those of this process wait behind the gate; other processes must not be there. */
static int keep_readers_out(const ps_store *s, int *fd, ps_why *why)
{
    int err = ps_store_readers(s, fd, why);
    if (err || flock(*fd, LOCK_EX | LOCK_NB) == 0)
        return err;
    err = errno == EWOULDBLOCK
              ? ps_fail(why, PS_EBUSY, s->dir, 0, "another process is reading it")
              : ps_fail_errno(why, s->dir, "cannot be locked");
    close(*fd);
    return err;
}

static int put_in_place(ps_store *s, void *cls, ps_why *why)
{
    char path[PS_PATH_MAX], lock[PS_PATH_MAX];
    if (ps_path_in(path, s->dir, "data.mdb", why) ||
        ps_path_in(lock, s->dir, "lock.mdb", why))
        return PS_ERANGE;
    if (rename(cls, path) < 0)
        return ps_fail_errno(why, path, "cannot be put in place");
    unlink(lock);
    return ps_file_sync(s->dir, why);
}

bool ps_store_has_garbage(const ps_store *s)
{
    return s->garbage;
}

int ps_store_rewrite(ps_store *s, ps_why *why)
{
    char path[PS_PATH_MAX];
    int readers, err = PS_OK;
    if (s->opts.read_only)
        return ps_fail(why, PS_EINVAL, s->dir, 0, "is open for reading");
    if (ps_path_in(path, s->dir, PS_STORE_COPY, why))
        return PS_ERANGE;
    unlink(path);
    int rc = copy_all(s, path);
    if (rc)
        err = ps_store_fail(s, why, rc, "cannot be written anew");
    else if ((err = keep_readers_out(s, &readers, why)) == PS_OK) {
        err = ps_store_reopen(s, s->map_bytes, put_in_place, path, why);
        s->garbage = err != PS_OK;
        close(readers);
    }
    unlink(path);
    return err;
}
