/* store_trim.c - what a generation contains is removed from the live store.
 *
 * Table by table, in order of keys, some thousand records a transaction, so that writes
 * go on in between. Where it has come to is in memory alone: after a crash it begins
 * again and finds less.
 *
 * Threads: the writer.
 */
#include <string.h>

#include "server/live/store_inside.h"

typedef struct sweeping {
    ps_sweep at; /* becomes the store's once this much is committed */
    bool votes;
    uint32_t most;
} sweeping;

static bool is_old(int table, MDB_val key, MDB_val value, uint64_t lsn)
{
    return ps_record_lsn(table == VOTES ? key : value) <= lsn;
}

/* Sweep on in one table; *left is how many records may still be looked at. */
static int sweep_table(ps_store *s, MDB_txn *txn, ps_sweep *at, uint32_t *left)
{
    MDB_cursor *c;
    MDB_val value, key = {at->size, at->key};
    int rc = mdb_cursor_open(txn, s->dbi[at->table], &c);
    if (rc)
        return rc;
    rc = mdb_cursor_get(c, &key, &value, at->size ? MDB_SET_RANGE : MDB_FIRST);
    for (; !rc && *left; --*left) {
        if (is_old(at->table, key, value, at->lsn)) {
            rc = mdb_cursor_del(c, 0);
            at->removed = true;
        }
        if (!rc)
            rc = mdb_cursor_get(c, &key, &value, MDB_NEXT);
    }
    if (!rc) {
        at->size = key.mv_size;
        memcpy(at->key, key.mv_data, key.mv_size);
    }
    mdb_cursor_close(c);
    return rc;
}

static int sweep_on(ps_store *s, MDB_txn *txn, void *cls)
{
    sweeping *w = cls;
    ps_sweep at = s->sweep;
    uint32_t left = w->most;
    int rc = 0;
    while (!rc && at.table != META) {
        bool skip = at.table == VOTES && !w->votes;
        rc = skip ? MDB_NOTFOUND : sweep_table(s, txn, &at, &left);
        if (rc != MDB_NOTFOUND)
            break;
        rc = 0;
        at.size = 0;
        at.table++;
    }
    if (!rc && at.table == META)
        rc = ps_store_set_meta(s, txn, "compacted",
                               at.lsn > s->compacted ? at.lsn : s->compacted);
    if (!rc && at.removed)
        rc = ps_store_set_meta(s, txn, "garbage", 1);
    w->at = at;
    return rc;
}

int ps_store_trim(ps_store *s, uint64_t lsn, bool votes, uint32_t most, bool *more,
                  ps_why *why)
{
    sweeping w = {.votes = votes, .most = most ? most : 1};
    *more = false;
    if (lsn > s->lsn)
        return ps_fail(why, PS_EINVAL, s->dir, 0,
                       "operations up to %llu cannot be compacted, there are %llu",
                       (unsigned long long)lsn, (unsigned long long)s->lsn);
    if (s->sweep.table == META || s->sweep.lsn != lsn)
        s->sweep = (ps_sweep){.lsn = lsn, .table = PINS};
    int err = ps_store_run(s, sweep_on, &w, why);
    if (err)
        return err;
    s->sweep = w.at;
    s->garbage = s->garbage || w.at.removed;
    *more = w.at.table != META;
    if (!*more && lsn > s->compacted)
        s->compacted = lsn;
    return PS_OK;
}
