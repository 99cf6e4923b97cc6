/* store_write.c - operations gathered, committed, and removed after a compaction.
 *
 * A batch is bytes in memory until it is committed: then it is applied in one LMDB
 * transaction. So one that fails for want of map is simply applied again to a larger one,
 * and an operation that is refused disturbs no other.
 *
 *     batch   op op op ...
 *     op      bytes of key u32, bytes of value u32, kind u8, key, value
 *
 * After a failed commit the store is asked what it holds. Either the batch is not there:
 * the caller is told of the failure. Or it is (the meta page was written, whatever the
 * kernel said): then a further commit makes that certain, or the store is in doubt and
 * takes no more writes.
 *
 * Threads: the writer. Not here: the file (store.c), bytes of records (store_record.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "pinsage/hash.h"
#include "server/live/store_inside.h"

enum kind { PUT_PIN, DROP_PIN, PUT_EDGE, PUT_VOTE };

typedef struct op {
    uint32_t key, value; /* bytes */
    uint8_t kind;
} op;

/* ------------------------------ Gathering --------------------------------- */

static int check_name(const ps_store *s, const char *what, ps_text name, ps_why *why)
{
    if (name.len > 0 && name.len <= PS_ID_MAX)
        return PS_OK;
    return ps_fail(why, PS_EINVAL, s->dir, 0, "%s has %zu bytes, 1 to %d are possible",
                   what, name.len, PS_ID_MAX);
}

/* Room for one more record of so many bytes, its names included. */
static int check_size(const ps_store *s, size_t size, ps_why *why)
{
    if (size > PS_STORE_RECORD_MAX)
        return ps_fail(why, PS_ERANGE, s->dir, 0,
                       "a record has %zu bytes, up to %zu are possible", size,
                       PS_STORE_RECORD_MAX);
    if (s->batch.size + size > PS_STORE_BATCH_MAX)
        return ps_fail(why, PS_ERANGE, s->dir, 0, "the batch is full: commit it first");
    return PS_OK;
}

/* The value has been appended after the head and key that stand at start: keep it, or
 * take all of it back. */
static int end_op(ps_store *s, size_t start, op head, uint64_t *lsn, ps_why *why)
{
    ps_buf *b = &s->batch;
    if (b->failed) {
        b->size = start;
        b->failed = false;
        return ps_fail(why, PS_ENOMEM, s->dir, 0, "no memory for an operation");
    }
    head.value = (uint32_t)(b->size - start - sizeof head - head.key);
    memcpy(b->data + start, &head, sizeof head);
    s->next++;
    if (lsn)
        *lsn = s->next;
    return PS_OK;
}

static size_t begin_op(ps_store *s, op head, const void *key)
{
    size_t start = s->batch.size;
    ps_buf_add(&s->batch, &head, sizeof head);
    ps_buf_add(&s->batch, key, head.key);
    return start;
}

static size_t pin_size(const ps_store_pin *pin)
{
    size_t size = pin->title.len + pin->text.len + pin->image.len + pin->meta.len;
    for (uint32_t i = 0; i < pin->n_features; i++)
        size += pin->features[i].name.len + (size_t)pin->features[i].dim * sizeof(float) +
                sizeof(ps_store_feature);
    return size;
}

int ps_store_put_pin(ps_store *s, const ps_store_pin *pin, uint64_t *lsn, ps_why *why)
{
    ps_store_pin stored = *pin;
    int err = check_name(s, "a pin", pin->id, why);
    if (!err)
        err = check_size(s, pin_size(pin), why);
    if (err)
        return err;
    op head = {.key = (uint32_t)pin->id.len, .kind = PUT_PIN};
    size_t start = begin_op(s, head, pin->id.data);
    stored.lsn = s->next + 1;
    stored.died = 0;
    stored.deleted = false;
    ps_record_pin(&s->batch, &stored);
    return end_op(s, start, head, lsn, why);
}

int ps_store_drop_pin(ps_store *s, ps_text id, double time, uint64_t *lsn, ps_why *why)
{
    uint64_t number = s->next + 1;
    ps_store_pin gone = {.lsn = number, .died = number, .time = time, .deleted = true};
    int err = check_name(s, "a pin", id, why);
    if (!err)
        err = check_size(s, 0, why);
    if (err)
        return err;
    op head = {.key = (uint32_t)id.len, .kind = DROP_PIN};
    size_t start = begin_op(s, head, id.data);
    ps_record_pin(&s->batch, &gone);
    return end_op(s, start, head, lsn, why);
}

int ps_store_put_edge(ps_store *s, const ps_store_edge *edge, uint64_t *lsn, ps_why *why)
{
    unsigned char key[PS_EDGE_KEY];
    ps_store_edge stored = *edge;
    int err = check_name(s, "a pin", edge->pin, why);
    if (!err)
        err = check_name(s, "a board", edge->board, why);
    if (!err)
        err = check_size(s, 0, why);
    if (err)
        return err;
    ps_edge_key(edge->pin, edge->board, key);
    op head = {.key = sizeof key, .kind = PUT_EDGE};
    size_t start = begin_op(s, head, key);
    stored.lsn = s->next + 1;
    ps_record_edge(&s->batch, &stored);
    return end_op(s, start, head, lsn, why);
}

int ps_store_put_vote(ps_store *s, ps_text json, uint64_t *lsn, ps_why *why)
{
    uint64_t number = s->next + 1;
    int err = check_size(s, json.len, why);
    if (err)
        return err;
    op head = {.key = sizeof number, .kind = PUT_VOTE};
    size_t start = begin_op(s, head, &number);
    ps_buf_add(&s->batch, json.data, json.len);
    return end_op(s, start, head, lsn, why);
}

size_t ps_store_gathered(const ps_store *s)
{
    return s->batch.size;
}

void ps_store_abort(ps_store *s)
{
    ps_buf_clear(&s->batch);
    s->next = s->lsn;
}

/* ------------------------------ Applying ---------------------------------- */

/* A pin put again is still dead where it had died before. */
static int put_pin(const ps_store *s, MDB_txn *txn, MDB_val key, MDB_val value)
{
    MDB_val old;
    int rc = mdb_get(txn, s->dbi[PINS], &key, &old);
    if (rc && rc != MDB_NOTFOUND)
        return rc;
    ps_record_set_died(value.mv_data, rc ? 0 : ps_record_died(old));
    return mdb_put(txn, s->dbi[PINS], &key, &value, 0);
}

/* The edges go with the pin. */
static int drop_pin(const ps_store *s, MDB_txn *txn, MDB_val key, MDB_val value)
{
    MDB_cursor *c;
    MDB_val at, edge;
    ps_store_edge read;
    uint64_t hash = ps_hash(key.mv_data, key.mv_size);
    int rc = mdb_put(txn, s->dbi[PINS], &key, &value, 0);
    if (rc || (rc = mdb_cursor_open(txn, s->dbi[EDGES], &c)))
        return rc;
    at = (MDB_val){sizeof hash, &hash};
    rc = mdb_cursor_get(c, &at, &edge, MDB_SET_RANGE);
    while (!rc && memcmp(at.mv_data, &hash, sizeof hash) == 0) {
        if (!ps_record_read_edge(edge, &read))
            rc = MDB_CORRUPTED;
        else if (ps_text_same(read.pin, (ps_text){key.mv_data, key.mv_size}))
            rc = mdb_cursor_del(c, 0);
        if (!rc)
            rc = mdb_cursor_get(c, &at, &edge, MDB_NEXT);
    }
    mdb_cursor_close(c);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Two edges of one key would be one: MDB_KEYEXIST says that it has come to that. */
static int put_edge(const ps_store *s, MDB_txn *txn, MDB_val key, MDB_val value)
{
    MDB_val old;
    ps_store_edge was, is;
    int rc = mdb_get(txn, s->dbi[EDGES], &key, &old);
    if (rc && rc != MDB_NOTFOUND)
        return rc;
    if (!rc && (!ps_record_read_edge(old, &was) || !ps_record_read_edge(value, &is)))
        return MDB_CORRUPTED;
    if (!rc && !(ps_text_same(was.pin, is.pin) && ps_text_same(was.board, is.board)))
        return MDB_KEYEXIST;
    return mdb_put(txn, s->dbi[EDGES], &key, &value, 0);
}

static int apply(ps_store *s, MDB_txn *txn, void *cls)
{
    (void)cls;
    int rc = 0;
    op head;
    for (size_t at = 0; at < s->batch.size && !rc;) {
        memcpy(&head, s->batch.data + at, sizeof head);
        MDB_val key = {head.key, s->batch.data + at + sizeof head};
        MDB_val value = {head.value, (char *)key.mv_data + head.key};
        at += sizeof head + head.key + head.value;
        if (head.kind == PUT_PIN)
            rc = put_pin(s, txn, key, value);
        else if (head.kind == DROP_PIN)
            rc = drop_pin(s, txn, key, value);
        else if (head.kind == PUT_EDGE)
            rc = put_edge(s, txn, key, value);
        else
            rc = mdb_put(txn, s->dbi[VOTES], &key, &value, 0);
    }
    return rc ? rc : ps_store_set_meta(s, txn, "lsn", s->next);
}

/* ------------------------------ Transactions ------------------------------ */

static int try_change(ps_store *s, ps_store_change *fn, void *cls)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(s->env, NULL, 0, &txn);
    if (rc)
        return rc;
    rc = fn(s, txn, cls);
    if (!rc)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

/* The number that the store holds, opening it again if it refuses to say. */
static int look(ps_store *s, uint64_t *lsn, ps_why *why)
{
    MDB_txn *txn;
    int rc = s->env ? mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn) : MDB_PANIC;
    if (rc) {
        int err = ps_store_reopen(s, s->map_bytes, NULL, NULL, why);
        if (err)
            return err;
        rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
    }
    if (!rc) {
        rc = ps_store_meta(s, txn, "lsn", lsn);
        mdb_txn_abort(txn);
    }
    return rc ? ps_store_fail(s, why, rc, "cannot be read") : PS_OK;
}

static int grow(ps_store *s, ps_why *why)
{
    size_t bytes = s->map_bytes;
    if (bytes <= SIZE_MAX / 2 && ps_store_reopen(s, 2 * bytes, NULL, NULL, why) == PS_OK)
        return PS_OK;
    ps_store_reopen(s, bytes, NULL, NULL, NULL);
    return ps_fail(why, PS_EFULL, s->dir, 0,
                   "no address space to map more than %zu bytes of it", bytes);
}

static int doubtful(ps_store *s, ps_why *why)
{
    s->doubt = true;
    return ps_fail(
        why, PS_EIO, s->dir, 0,
        "the medium failed, and whether the last write came through shows only "
        "at the next start");
}

static int same_again(ps_store *s, MDB_txn *txn, void *lsn)
{
    return ps_store_set_meta(s, txn, "lsn", *(uint64_t *)lsn);
}

/* After a failure: PS_OK when the change is there all the same, and stays. */
static int settle(ps_store *s, int rc, ps_why *why)
{
    uint64_t lsn;
    if (look(s, &lsn, why))
        return doubtful(s, why);
    if (lsn == s->lsn)
        return ps_store_fail(s, why, rc,
                             rc == MDB_KEYEXIST ? "two edges have the same hash"
                                                : "cannot be written");
    return try_change(s, same_again, &lsn) ? doubtful(s, why) : PS_OK;
}

/* LMDB calls a write that was cut short EIO, as a full disk cuts them. So ask for the
 * room: either it is there from now on, or it is clear that there is none. */
static int ask_room(ps_store *s, ps_why *why)
{
    int fd;
    MDB_envinfo info;
    MDB_stat page;
    mdb_env_info(s->env, &info);
    mdb_env_stat(s->env, &page);
    mdb_env_get_fd(s->env, &fd);
    size_t need = (info.me_last_pgno + 64) * page.ms_psize + 4 * s->batch.size;
    errno = posix_fallocate(fd, 0, (off_t)need);
    return errno ? ps_fail_errno(why, s->dir, "cannot be written") : PS_OK;
}

int ps_store_run(ps_store *s, ps_store_change *fn, void *cls, ps_why *why)
{
    bool again = true;
    uint64_t lsn;
    if (s->opts.read_only)
        return ps_fail(why, PS_EINVAL, s->dir, 0, "is open for reading");
    if (s->doubt)
        return doubtful(s, why);
    int err = s->env ? PS_OK : look(s, &lsn, why);
    while (!err) {
        int rc = try_change(s, fn, cls);
        if (!rc)
            return PS_OK;
        if (rc == MDB_MAP_FULL) {
            err = grow(s, why);
            continue;
        }
        err = settle(s, rc, why);
        if (!err || s->doubt || rc != EIO || !again)
            return err;
        again = false;
        err = ask_room(s, why);
    }
    return err;
}

int ps_store_commit(ps_store *s, ps_why *why)
{
    int err = s->batch.size ? ps_store_run(s, apply, NULL, why) : PS_OK;
    if (!err)
        s->lsn = s->next;
    ps_store_abort(s);
    return err;
}
