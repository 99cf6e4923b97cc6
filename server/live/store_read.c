/* store_read.c - snapshots of the live store.
 *
 * A snapshot is one of LMDB's read transactions, and a share of the gate that keeps the
 * map in its place. Both are taken and given back each time: whoever keeps a snapshot
 * keeps the pages that were freed since.
 *
 * Threads: see store.h. Not here: what requests read (view.h).
 */
#include <stdlib.h>
#include <string.h>

#include "pinsage/hash.h"
#include "server/live/store_inside.h"

struct ps_store_reader {
    ps_store *store; /* borrowed */
    MDB_txn *txn;    /* NULL without a snapshot */
    uint64_t lsn;
    ps_arena arena; /* features of the record last read */
};

int ps_store_reader_new(ps_store_reader **out, ps_store *s)
{
    ps_store_reader *r = calloc(1, sizeof *r);
    if (!r)
        return PS_ENOMEM;
    r->store = s;
    *out = r;
    return PS_OK;
}

void ps_store_reader_free(ps_store_reader *r)
{
    if (!r)
        return;
    ps_store_release(r);
    ps_arena_done(&r->arena);
    free(r);
}

static int begin(ps_store *s, MDB_txn **txn, ps_why *why)
{
    int rc = s->env ? mdb_txn_begin(s->env, NULL, MDB_RDONLY, txn) : MDB_PANIC;
    return rc ? ps_store_fail(s, why, rc, "cannot be read") : PS_OK;
}

int ps_store_acquire(ps_store_reader *r, ps_why *why)
{
    ps_store *s = r->store;
    pthread_rwlock_rdlock(&s->gate);
    int err = begin(s, &r->txn, why);
    if (err) {
        r->txn = NULL;
        pthread_rwlock_unlock(&s->gate);
        return err;
    }
    int rc = ps_store_meta(s, r->txn, "lsn", &r->lsn);
    if (!rc)
        return PS_OK;
    ps_store_release(r);
    return ps_store_fail(s, why, rc, "cannot be read");
}

void ps_store_release(ps_store_reader *r)
{
    if (!r->txn)
        return;
    mdb_txn_abort(r->txn);
    r->txn = NULL;
    pthread_rwlock_unlock(&r->store->gate);
}

uint64_t ps_store_reader_lsn(const ps_store_reader *r)
{
    return r->lsn;
}

int ps_store_count(ps_store *s, ps_store_counts *counts, ps_why *why)
{
    MDB_txn *txn;
    MDB_stat stat[PS_STORE_TABLES];
    MDB_envinfo info;
    *counts = (ps_store_counts){.lsn = s->lsn, .compacted = s->compacted};
    pthread_rwlock_rdlock(&s->gate);
    int err = begin(s, &txn, why);
    if (!err) {
        for (int i = 0; i < PS_STORE_TABLES; i++)
            mdb_stat(txn, s->dbi[i], &stat[i]);
        mdb_txn_abort(txn);
        mdb_env_info(s->env, &info);
        counts->pins = stat[PINS].ms_entries;
        counts->edges = stat[EDGES].ms_entries;
        counts->votes = stat[VOTES].ms_entries;
        counts->bytes = (info.me_last_pgno + 1) * (uint64_t)stat[META].ms_psize;
        counts->map_bytes = info.me_mapsize;
    }
    pthread_rwlock_unlock(&s->gate);
    return err;
}

/* ------------------------------ One record -------------------------------- */

static int damaged(const ps_store_reader *r, const char *what, ps_text name, ps_why *why)
{
    return ps_fail(why, PS_EFORMAT, r->store->dir, 0,
                   "the record of %s \"%.*s\" is damaged, or of a later version", what,
                   (int)(name.len < 100 ? name.len : 100), name.data);
}

static int look_up(ps_store_reader *r, int table, MDB_val key, MDB_val *value,
                   ps_why *why)
{
    int rc = mdb_get(r->txn, r->store->dbi[table], &key, value);
    if (rc == MDB_NOTFOUND)
        return PS_ENOENT;
    return rc ? ps_store_fail(r->store, why, rc, "cannot be read") : PS_OK;
}

static int read_pin(ps_store_reader *r, ps_text id, MDB_val value, ps_store_pin *pin,
                    ps_why *why)
{
    ps_arena_reset(&r->arena);
    if (!ps_record_read_pin(value, pin, &r->arena))
        return damaged(r, "pin", id, why);
    pin->id = id;
    return PS_OK;
}

int ps_store_get_pin(ps_store_reader *r, ps_text id, ps_store_pin *pin, ps_why *why)
{
    MDB_val value, key = {id.len, (void *)(uintptr_t)id.data};
    if (id.len == 0 || id.len > PS_ID_MAX)
        return PS_ENOENT;
    int err = look_up(r, PINS, key, &value, why);
    return err ? err : read_pin(r, id, value, pin, why);
}

int ps_store_get_edge(ps_store_reader *r, ps_text pin, ps_text board, ps_store_edge *edge,
                      ps_why *why)
{
    unsigned char bytes[PS_EDGE_KEY];
    MDB_val value, key = {sizeof bytes, bytes};
    if (pin.len == 0 || pin.len > PS_ID_MAX || board.len == 0 || board.len > PS_ID_MAX)
        return PS_ENOENT;
    ps_edge_key(pin, board, bytes);
    int err = look_up(r, EDGES, key, &value, why);
    if (err)
        return err;
    if (!ps_record_read_edge(value, edge))
        return damaged(r, "an edge of pin", pin, why);
    return ps_text_same(edge->pin, pin) && ps_text_same(edge->board, board) ? PS_OK
                                                                            : PS_ENOENT;
}

/* ------------------------------ All records ------------------------------- */

/* One table from a key on; on gets every key and value, and may return MDB_NOTFOUND to
 * end. Callers pass on what is not 0. */
typedef struct scan {
    ps_store_reader *reader;
    uint64_t after;
    ps_why *why;
    union {
        ps_store_on_pin *pin;
        ps_store_on_edge *edge;
        ps_store_on_vote *vote;
    } on;
    void *cls;
    ps_text pin; /* ps_store_edges_of alone */
} scan;

enum { ENOUGH = 1 };
typedef int (*on_record)(scan *s, MDB_val key, MDB_val value, int *result);

static int each(scan *s, int table, MDB_val from, on_record on)
{
    MDB_cursor *c;
    MDB_val key = from, value;
    const ps_store *store = s->reader->store;
    int result = PS_OK;
    int rc = mdb_cursor_open(s->reader->txn, store->dbi[table], &c);
    if (rc)
        return ps_store_fail(store, s->why, rc, "cannot be read");
    rc = mdb_cursor_get(c, &key, &value, from.mv_size ? MDB_SET_RANGE : MDB_FIRST);
    while (!rc && on(s, key, value, &result) != ENOUGH)
        rc = mdb_cursor_get(c, &key, &value, MDB_NEXT);
    mdb_cursor_close(c);
    if (rc && rc != MDB_NOTFOUND)
        return ps_store_fail(store, s->why, rc, "cannot be read");
    return result;
}

static int on_pin(scan *s, MDB_val key, MDB_val value, int *result)
{
    ps_store_pin pin;
    ps_text id = {key.mv_data, key.mv_size};
    if (ps_record_lsn(value) <= s->after)
        return 0;
    *result = read_pin(s->reader, id, value, &pin, s->why);
    if (!*result)
        *result = s->on.pin(s->cls, &pin);
    return *result ? ENOUGH : 0;
}

static int on_edge(scan *s, MDB_val key, MDB_val value, int *result)
{
    ps_store_edge edge;
    (void)key;
    if (ps_record_lsn(value) <= s->after)
        return 0;
    if (!ps_record_read_edge(value, &edge))
        *result = damaged(s->reader, "an edge", (ps_text){"", 0}, s->why);
    else
        *result = s->on.edge(s->cls, &edge);
    return *result ? ENOUGH : 0;
}

static int on_edge_of(scan *s, MDB_val key, MDB_val value, int *result)
{
    ps_store_edge edge;
    uint64_t hash = ps_hash(s->pin.data, s->pin.len);
    if (key.mv_size != PS_EDGE_KEY || memcmp(key.mv_data, &hash, sizeof hash) != 0)
        return ENOUGH;
    if (ps_record_read_edge(value, &edge) && !ps_text_same(edge.pin, s->pin))
        return 0;
    return on_edge(s, key, value, result);
}

static int on_vote(scan *s, MDB_val key, MDB_val value, int *result)
{
    ps_store_vote vote = {.json = {value.mv_data, value.mv_size}};
    if (key.mv_size != sizeof vote.lsn) {
        *result = damaged(s->reader, "a vote", (ps_text){"", 0}, s->why);
        return ENOUGH;
    }
    memcpy(&vote.lsn, key.mv_data, sizeof vote.lsn);
    *result = s->on.vote(s->cls, &vote);
    return *result ? ENOUGH : 0;
}

int ps_store_each_pin(ps_store_reader *r, uint64_t after, ps_store_on_pin *on, void *cls,
                      ps_why *why)
{
    scan s = {r, after, why, {.pin = on}, cls, {0}};
    return each(&s, PINS, (MDB_val){0}, on_pin);
}

int ps_store_each_edge(ps_store_reader *r, uint64_t after, ps_store_on_edge *on,
                       void *cls, ps_why *why)
{
    scan s = {r, after, why, {.edge = on}, cls, {0}};
    return each(&s, EDGES, (MDB_val){0}, on_edge);
}

int ps_store_edges_of(ps_store_reader *r, ps_text pin, uint64_t after,
                      ps_store_on_edge *on, void *cls, ps_why *why)
{
    uint64_t hash = ps_hash(pin.data, pin.len);
    scan s = {r, after, why, {.edge = on}, cls, pin};
    return each(&s, EDGES, (MDB_val){sizeof hash, &hash}, on_edge_of);
}

int ps_store_each_vote(ps_store_reader *r, uint64_t after, ps_store_on_vote *on,
                       void *cls, ps_why *why)
{
    uint64_t first = after + 1;
    scan s = {r, after, why, {.vote = on}, cls, {0}};
    return each(&s, VOTES, (MDB_val){sizeof first, &first}, on_vote);
}
