/* store.c - the live store's file: opened, grown, opened again.
 *
 * LMDB's traps, and what is done about them:
 *
 *   map of a fixed size    64 GiB of address space, which costs nothing; doubled when it
 *                          is full. LMDB pulls the old map away from under readers, so
 *                          snapshots hold a gate that whoever replaces the map closes.
 *   a failed meta write    makes an environment refuse everything: it is opened again,
 *                          through the same gate.
 *   a full disk            a page of the lock file that was never written would be SIGBUS
 *                          for whoever takes a reader's slot: it is allocated first.
 *   a file cut off         would be SIGBUS too. It may rightly end before its last page,
 *                          when that is free and was never written, so what is missing is
 *                          filled with zeros, which LMDB and we recognise as damage.
 *   dead readers           hold back pages: cleared when the file is opened.
 *
 * Threads: see store.h. Not here: writing (store_write.c), reading (store_read.c).
 */
#include "server/live/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pinsage/btree.h"
#include "pinsage/file.h"
#include "pinsage/lock.h"
#include "server/live/store_inside.h"

#define MAP_BYTES  ((size_t)64 << 30)
#define MAP_LEAST  ((size_t)64 << 20) /* tried when address space is short */
#define LOCK_BYTES 16384              /* 126 readers of 64 bytes, and its head */

const ps_store_table ps_store_tables[PS_STORE_TABLES] = {
    [PINS] = {"pins", 0},
    [EDGES] = {"edges", 0},
    [VOTES] = {"votes", MDB_INTEGERKEY},
    [META] = {"meta", 0},
};

int ps_store_fail(const ps_store *s, ps_why *why, int rc, const char *what)
{
    if (rc > 0) {
        errno = rc;
        return ps_fail_errno(why, s->dir, what);
    }
    int err = rc == MDB_MAP_FULL       ? PS_EFULL
              : rc == MDB_PANIC        ? PS_EIO
              : rc == MDB_READERS_FULL ? PS_EBUSY
                                       : PS_EFORMAT;
    return ps_fail(why, err, s->dir, 0, "%s: %s", what, mdb_strerror(rc));
}

/* ------------------------------ Tables ------------------------------------ */

int ps_store_meta(const ps_store *s, MDB_txn *txn, const char *key, uint64_t *value)
{
    MDB_val v, k = {strlen(key), (void *)(uintptr_t)key};
    int rc = mdb_get(txn, s->dbi[META], &k, &v);
    if (rc)
        return rc;
    if (v.mv_size != sizeof *value)
        return MDB_CORRUPTED;
    memcpy(value, v.mv_data, sizeof *value);
    return 0;
}

int ps_store_set_meta(const ps_store *s, MDB_txn *txn, const char *key, uint64_t value)
{
    MDB_val v = {sizeof value, &value}, k = {strlen(key), (void *)(uintptr_t)key};
    return mdb_put(txn, s->dbi[META], &k, &v, 0);
}

static int make_tables(ps_store *s)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(s->env, NULL, 0, &txn);
    if (rc)
        return rc;
    for (int i = 0; i < PS_STORE_TABLES && !rc; i++)
        rc = mdb_dbi_open(txn, ps_store_tables[i].name,
                          MDB_CREATE | ps_store_tables[i].flags, &s->dbi[i]);
    if (!rc)
        rc = ps_store_set_meta(s, txn, "format", PS_STORE_FORMAT);
    if (!rc)
        rc = ps_store_set_meta(s, txn, "lsn", s->opts.compacted);
    if (!rc)
        rc = ps_store_set_meta(s, txn, "compacted", s->opts.compacted);
    if (!rc)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

/* The handles are everybody's once this transaction has ended well. */
static int find_tables(ps_store *s)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return rc;
    for (int i = 0; i < PS_STORE_TABLES && !rc; i++)
        rc = mdb_dbi_open(txn, ps_store_tables[i].name, ps_store_tables[i].flags,
                          &s->dbi[i]);
    if (!rc)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

/* Tables of whatever kind. */
static bool has_content(const ps_store *s)
{
    MDB_stat all;
    return mdb_env_stat(s->env, &all) == 0 && all.ms_entries > 0;
}

static int open_tables(ps_store *s, ps_why *why)
{
    int rc = find_tables(s);
    bool new = rc == MDB_NOTFOUND;
    if (new &&has_content(s))
        return ps_fail(why, PS_EFORMAT, s->dir, 0, "data.mdb is not a live store");
    if (new && s->mark.id && !s->opts.accept)
        return ps_fail(why, PS_EFORMAT, s->dir, 0,
                       "data.mdb is empty, and writes up to number %" PRIu64
                       " were in it: see serve --accept-live",
                       s->mark.lsn);
    if (new && s->opts.read_only)
        return ps_fail(why, PS_ENOENT, s->dir, 0, "nothing was ever written to it");
    if (new)
        rc = make_tables(s);
    return rc ? ps_store_fail(s, why, rc, "cannot be read") : PS_OK;
}

static int read_meta(ps_store *s, ps_why *why)
{
    MDB_txn *txn;
    uint64_t format = 0, lsn = 0, compacted = 0, garbage = 0;
    int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return ps_store_fail(s, why, rc, "cannot be read");
    rc = ps_store_meta(s, txn, "format", &format);
    if (!rc)
        rc = ps_store_meta(s, txn, "lsn", &lsn);
    if (!rc)
        rc = ps_store_meta(s, txn, "compacted", &compacted);
    if (!rc)
        s->garbage = ps_store_meta(s, txn, "garbage", &garbage) == 0;
    if (!rc && ps_store_meta(s, txn, "id", &s->id))
        s->id = 0;
    mdb_txn_abort(txn);
    if (rc)
        return ps_fail(why, PS_EFORMAT, s->dir, 0, "is not a live store: %s",
                       mdb_strerror(rc));
    if (format != PS_STORE_FORMAT)
        return ps_fail(why, PS_EFORMAT, s->dir, 0,
                       "has format %" PRIu64 ", this version reads %d", format,
                       PS_STORE_FORMAT);
    s->lsn = s->next = lsn;
    s->compacted = compacted;
    return PS_OK;
}

/* ------------------------------ The file ---------------------------------- */

/* Only while the file is not open in this process: closing any descriptor of it would
 * let go of LMDB's locks. */
static int allocate_lock(const ps_store *s, ps_why *why)
{
    char path[PS_PATH_MAX];
    struct stat st;
    if (ps_path_in(path, s->dir, "lock.mdb", why))
        return PS_ERANGE;
    if (stat(path, &st) == 0 && st.st_size >= LOCK_BYTES &&
        st.st_blocks * 512 >= LOCK_BYTES)
        return PS_OK;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return ps_fail_errno(why, path, "cannot be opened");
    int rc = posix_fallocate(fd, 0, LOCK_BYTES);
    close(fd);
    errno = rc;
    return rc ? ps_fail_errno(why, path, "cannot be made") : PS_OK;
}

/* Allocating never shortens a file, whoever else is writing to it. */
static int fill_up(const ps_store *s, off_t need, ps_why *why)
{
    char path[PS_PATH_MAX];
    struct stat st;
    if (ps_path_in(path, s->dir, "data.mdb", why))
        return PS_ERANGE;
    if (stat(path, &st) == 0 && st.st_size >= need)
        return PS_OK;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return ps_fail_errno(why, path, "is cut off, and cannot be opened to be filled");
    int rc = posix_fallocate(fd, 0, need);
    close(fd);
    errno = rc;
    return rc ? ps_fail_errno(why, path, "is cut off, and cannot be filled") : PS_OK;
}

static int check_pages(const ps_store *s, ps_why *why)
{
    MDB_envinfo info;
    MDB_stat page;
    mdb_env_info(s->env, &info);
    mdb_env_stat(s->env, &page);
    return fill_up(s, (off_t)((info.me_last_pgno + 1) * page.ms_psize), why);
}

/* Before LMDB sees it: page sizes. */
static int check_meta(const ps_store *s, ps_why *why)
{
    char path[PS_PATH_MAX];
    if (ps_path_in(path, s->dir, "data.mdb", why))
        return PS_ERANGE;
    return ps_file_exists(path) ? ps_btree_check_meta(path, why) : PS_OK;
}

/* Before the first record is read: every page. The transaction keeps a writer in another
 * process from using its pages again; what it writes between beginning and looking may
 * do that still, so a failure counts when it stays. */
static int check_trees(ps_store *s, ps_why *why)
{
    char path[PS_PATH_MAX];
    int err = s->checked ? PS_OK : ps_path_in(path, s->dir, "data.mdb", why);
    for (int turn = 0; !s->checked && turn < 3; turn++) {
        MDB_txn *txn;
        int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
        if (rc)
            return ps_store_fail(s, why, rc, "cannot be read");
        err = ps_btree_check(path, why);
        mdb_txn_abort(txn);
        s->checked = !err;
    }
    return err;
}

static int try_env(ps_store *s, size_t map_bytes)
{
    unsigned flags = MDB_NOTLS | (s->opts.read_only ? MDB_RDONLY : 0u) |
                     (s->lockless ? MDB_NOLOCK : 0u) |
                     (s->opts.lazy_meta ? MDB_NOMETASYNC : 0u);
    int rc = mdb_env_create(&s->env);
    if (rc) {
        s->env = NULL;
        return rc;
    }
    rc = mdb_env_set_maxdbs(s->env, PS_STORE_TABLES);
    if (!rc)
        rc = mdb_env_set_mapsize(s->env, map_bytes);
    if (!rc)
        rc = mdb_env_open(s->env, s->dir, flags, 0600);
    if (rc) {
        mdb_env_close(s->env);
        s->env = NULL;
    }
    return rc;
}

static int open_env(ps_store *s, size_t map_bytes, ps_why *why)
{
    int rc, dead;
    int err = s->opts.read_only ? PS_OK : allocate_lock(s, why);
    if (!err)
        err = check_meta(s, why);
    if (err)
        return err;
    while ((rc = try_env(s, map_bytes)) == ENOMEM && map_bytes > MAP_LEAST)
        map_bytes /= 2;
    if (rc)
        return ps_store_fail(s, why, rc, "cannot be opened");
    s->map_bytes = map_bytes;
    mdb_reader_check(s->env, &dead);
    err = check_pages(s, why);
    if (!err)
        err = check_trees(s, why);
    return err ? err : open_tables(s, why);
}

static void close_env(ps_store *s)
{
    if (s->env)
        mdb_env_close(s->env);
    s->env = NULL;
}

int ps_store_reopen(ps_store *s, size_t map_bytes,
                    int (*meanwhile)(ps_store *s, void *cls, ps_why *why), void *cls,
                    ps_why *why)
{
    pthread_rwlock_wrlock(&s->gate);
    close_env(s);
    int failed = meanwhile ? meanwhile(s, cls, why) : PS_OK;
    int err = open_env(s, map_bytes, failed ? NULL : why);
    if (err)
        close_env(s);
    pthread_rwlock_unlock(&s->gate);
    return failed ? failed : err;
}

/* ------------------------------ Lifetime ---------------------------------- */

/* Numbers that a generation contains are never given again. */
static int start_above(ps_store *s, uint64_t compacted, ps_why *why)
{
    MDB_txn *txn;
    if (s->opts.read_only || s->lsn >= compacted)
        return PS_OK;
    int rc = mdb_txn_begin(s->env, NULL, 0, &txn);
    if (!rc) {
        rc = ps_store_set_meta(s, txn, "lsn", compacted);
        if (!rc)
            rc = mdb_txn_commit(txn);
        else
            mdb_txn_abort(txn);
    }
    if (rc)
        return ps_store_fail(s, why, rc, "cannot be written");
    s->lsn = s->next = compacted;
    return PS_OK;
}

int ps_store_readers(const ps_store *s, int *fd, ps_why *why)
{
    char path[PS_PATH_MAX];
    if (ps_path_in(path, s->dir, "readers", why))
        return PS_ERANGE;
    *fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
    int error = errno;
    int err = *fd < 0 ? ps_fail_errno(why, path, "cannot be opened") : PS_OK;
    errno = error;
    return err;
}

/* Where nothing can be written no reader can be told of: then no writer may be there,
 * nor come, until this is closed. */
static int keep_writer_out(ps_store *s, ps_why *why)
{
    char path[PS_PATH_MAX];
    if (ps_path_in(path, s->dir, "lock", why))
        return PS_ERANGE;
    s->lockless = true;
    s->lock = open(path, O_RDONLY | O_CLOEXEC);
    if (s->lock < 0)
        return ps_fail_errno(why, path, "cannot be opened");
    if (flock(s->lock, LOCK_SH | LOCK_NB) == 0)
        return PS_OK;
    return errno != EWOULDBLOCK
               ? ps_fail_errno(why, path, "cannot be locked")
               : ps_fail(why, PS_EBUSY, s->dir, 0,
                         "another process is writing to it, and this one may not write "
                         "its lock");
}

/* Waits while the file is being replaced, which takes no time to speak of. */
static int lock_for_reading(ps_store *s, ps_why *why)
{
    int err = ps_store_readers(s, &s->lock, why);
    if (err && (errno == EROFS || errno == EACCES || errno == EPERM))
        return keep_writer_out(s, why);
    if (!err && flock(s->lock, LOCK_SH) < 0)
        err = ps_fail_errno(why, s->dir, "cannot be locked");
    return err;
}

/* What was written is for whoever runs the server, whatever the umask, and whoever made
 * the files. Those of another owner stay as they are: serve_live.c tells. */
static void keep_private(const ps_store *s)
{
    static const char *const files[] = {"data.mdb", "lock.mdb", "lock", "readers"};
    char path[PS_PATH_MAX];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (ps_path_join(path, sizeof path, s->dir, files[i]) == PS_OK &&
            chmod(path, 0600) < 0) {
            /* It is not there, or not ours. */
        }
}

static int lock_for_writing(ps_store *s, ps_why *why)
{
    char path[PS_PATH_MAX];
    int err = ps_dir_make(s->dir, why);
    if (!err && chmod(s->dir, 0700) < 0 && errno != EPERM)
        err = ps_fail_errno(why, s->dir, "cannot be made private");
    if (!err)
        err = ps_lock_take(&s->lock, s->dir, s->opts.step ? s->opts.step : "serve", why);
    if (!err)
        keep_private(s); /* the lock itself may be new */
    if (!err && ps_path_join(path, sizeof path, s->dir, PS_STORE_COPY) == PS_OK)
        unlink(path); /* of a crash */
    return err;
}

/* The names of the file and of its folder, which a first start has made. */
static int sync_names(const ps_store *s, ps_why *why)
{
    char above[PS_PATH_MAX];
    int err = ps_file_sync(s->dir, why);
    if (!err)
        err = ps_path_in(above, s->dir, "..", why);
    return err ? err : ps_file_sync(above, why);
}

static int open_all(ps_store *s, ps_why *why)
{
    int err = ps_store_read_mark(s, why);
    if (!err)
        err = ps_store_expect(s, why);
    if (!err)
        err = s->opts.read_only ? lock_for_reading(s, why) : lock_for_writing(s, why);
    if (!err)
        err = open_env(s, s->opts.map_bytes ? s->opts.map_bytes : MAP_BYTES, why);
    if (!err)
        err = read_meta(s, why);
    if (!err)
        err = ps_store_recognise(s, why);
    if (!err && !s->opts.read_only)
        err = sync_names(s, why);
    if (!err)
        err = start_above(s, s->opts.compacted, why);
    return err || s->opts.read_only ? err : ps_store_write_mark(s, why);
}

/* Whoever replaces the map must not wait for ever behind readers that come and go. */
static int make_gate(ps_store *s)
{
    pthread_rwlockattr_t attr;
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    int rc = pthread_rwlock_init(&s->gate, &attr);
    pthread_rwlockattr_destroy(&attr);
    return rc ? PS_ENOMEM : PS_OK;
}

int ps_store_open(ps_store **out, const char *dir, ps_store_opts opts, ps_why *why)
{
    ps_store *s = calloc(1, sizeof *s);
    if (!s || strlen(dir) >= sizeof s->dir || make_gate(s)) {
        int err = s ? PS_ERANGE : PS_ENOMEM;
        free(s);
        return ps_fail(why, err, dir, 0, "cannot be opened");
    }
    memcpy(s->dir, dir, strlen(dir) + 1);
    s->opts = opts;
    s->lock = -1;
    s->sweep.table = META;
    int err = open_all(s, why);
    if (err)
        ps_store_close(s);
    else
        *out = s;
    return err;
}

void ps_store_close(ps_store *s)
{
    if (!s)
        return;
    close_env(s);
    if (s->lock >= 0)
        close(s->lock);
    pthread_rwlock_destroy(&s->gate);
    ps_buf_done(&s->batch);
    free(s);
}

bool ps_store_exists(const char *dir)
{
    char mark[PS_PATH_MAX];
    int n = snprintf(mark, sizeof mark, "%s.id", dir);
    return ps_file_exists(dir) ||
           (n > 0 && (size_t)n < sizeof mark && ps_file_exists(mark));
}

uint64_t ps_store_lsn(const ps_store *s)
{
    return s->lsn;
}
