/* pins_write.c - pins.mdb written, once, from front to back.
 *
 * Every table is filled in the order of its keys (MDB_APPEND), so pages are written
 * full and in sequence: rows come in order anyway, names are sorted here. A transaction
 * holds a few tens of megabytes and is then committed without fsync; the one fsync is at
 * the end, because before that the file belongs to a draft that nobody reads.
 *
 * LMDB maps a size given in advance and cannot grow inside a transaction. Between two of
 * them it can: before each begins there is room for four times what it may hold
 * (records just over half a page fill a page each, and the tree comes on top).
 *
 * Threads: one. Not here: reading (pins.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/catalog/pins_db.h"
#include "pinsage/buf.h"

#define TXN_BYTES ((size_t)32 << 20)
#define MAP_STEP  ((size_t)256 << 20)
#define AHEAD     8 /* names prefetched before they are written */

struct ps_pins_writer {
    char *path; /* owned */
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi[PS_PINS_TABLES];
    size_t pending; /* bytes given to txn */
    uint32_t rows;
    ps_buf record;
};

/* ------------------------------ Transactions ------------------------------ */

/* Make room for a transaction of `size` bytes. No transaction is open. */
static int grow_map(ps_pins_writer *w, size_t size)
{
    MDB_envinfo info;
    MDB_stat page;
    mdb_env_info(w->env, &info);
    mdb_env_stat(w->env, &page);
    size_t need = (info.me_last_pgno + 1) * page.ms_psize + 4 * size;
    if (need <= info.me_mapsize)
        return 0;
    need += info.me_mapsize / 2;
    return mdb_env_set_mapsize(w->env, (need + MAP_STEP - 1) / MAP_STEP * MAP_STEP);
}

static int begin(ps_pins_writer *w, size_t size)
{
    w->pending = 0;
    int rc = grow_map(w, size > TXN_BYTES ? size : TXN_BYTES);
    return rc ? rc : mdb_txn_begin(w->env, NULL, 0, &w->txn);
}

static int commit(ps_pins_writer *w)
{
    int rc = mdb_txn_commit(w->txn);
    w->txn = NULL;
    return rc;
}

static int put(ps_pins_writer *w, int table, ps_text key, const void *data, size_t size)
{
    MDB_val k = {key.len, (void *)(uintptr_t)key.data};
    MDB_val v = {size, (void *)(uintptr_t)data};
    size_t bytes = key.len + size + 32;
    int rc = 0;
    if (!w->txn || (w->pending && w->pending + bytes > TXN_BYTES)) {
        rc = w->txn ? commit(w) : 0;
        if (!rc)
            rc = begin(w, bytes);
    }
    if (!rc)
        rc = mdb_put(w->txn, w->dbi[table], &k, &v, MDB_APPEND);
    w->pending += bytes;
    return rc;
}

/* ------------------------------ Lifetime ---------------------------------- */

static int make_tables(ps_pins_writer *w)
{
    int rc = begin(w, 0);
    for (int i = 0; i < PS_PINS_TABLES && !rc; i++)
        rc = mdb_dbi_open(w->txn, ps_pins_tables[i].name,
                          MDB_CREATE | ps_pins_tables[i].flags, &w->dbi[i]);
    return rc ? rc : commit(w);
}

static int make_env(ps_pins_writer *w, uint64_t room)
{
    size_t size = ((size_t)room + MAP_STEP) / MAP_STEP * MAP_STEP;
    int rc = mdb_env_create(&w->env);
    if (!rc)
        rc = mdb_env_set_maxdbs(w->env, PS_PINS_TABLES);
    if (!rc)
        rc = mdb_env_set_mapsize(w->env, size);
    if (!rc)
        rc = mdb_env_open(w->env, w->path, MDB_NOLOCK | MDB_NOSUBDIR | MDB_NOSYNC, 0644);
    return rc;
}

int ps_pins_writer_new(ps_pins_writer **out, const char *path, uint64_t room, ps_why *why)
{
    ps_pins_writer *w = calloc(1, sizeof *w);
    if (w)
        w->path = strdup(path);
    if (!w || !w->path) {
        free(w);
        return ps_fail(why, PS_ENOMEM, path, 0, "no memory to write it");
    }
    int rc = make_env(w, room);
    if (!rc)
        rc = make_tables(w);
    int err = rc ? ps_pins_fail(why, rc, path, "cannot be made") : PS_OK;
    if (err)
        ps_pins_writer_abort(w);
    else
        *out = w;
    return err;
}

void ps_pins_writer_abort(ps_pins_writer *w)
{
    if (!w)
        return;
    if (w->txn)
        mdb_txn_abort(w->txn);
    if (w->env)
        mdb_env_close(w->env);
    ps_buf_done(&w->record);
    free(w->path);
    free(w);
}

int ps_pins_writer_close(ps_pins_writer *w, ps_why *why)
{
    int rc = w->txn ? commit(w) : 0;
    if (!rc)
        rc = mdb_env_sync(w->env, 1);
    int err = rc ? ps_pins_fail(why, rc, w->path, "cannot be written") : PS_OK;
    ps_pins_writer_abort(w);
    return err;
}

/* ------------------------------ Records ----------------------------------- */

static size_t length_size(uint64_t n)
{
    size_t size = 1;
    for (; n >= 0x80; n >>= 7)
        size++;
    return size;
}

static void add_text(ps_buf *b, ps_text text)
{
    ps_buf_varint(b, text.len);
    ps_buf_add(b, text.data, text.len);
}

void ps_pin_meta_write(ps_buf *b, const ps_text *meta, uint32_t n_meta)
{
    uint64_t size = 0;
    for (size_t i = 0; i < 2 * (size_t)n_meta; i++)
        size += length_size(meta[i].len) + meta[i].len;
    ps_buf_varint(b, size);
    for (size_t i = 0; i < 2 * (size_t)n_meta; i++)
        add_text(b, meta[i]);
}

int ps_pins_writer_pin(ps_pins_writer *w, const ps_pin *pin, const ps_text *meta,
                       uint32_t n_meta, ps_why *why)
{
    ps_buf *b = &w->record;
    uint32_t row = w->rows;
    if (row == PS_NO_ROW)
        return ps_fail(why, PS_ERANGE, w->path, 0, "more than 2^32 - 1 pins");
    ps_buf_clear(b);
    add_text(b, pin->id);
    add_text(b, pin->title);
    add_text(b, pin->text);
    add_text(b, pin->image);
    ps_buf_varint(b, n_meta);
    ps_pin_meta_write(b, meta, n_meta);
    if (b->failed)
        return ps_fail(why, PS_ENOMEM, w->path, 0, "no memory for a pin");
    int rc = put(w, ROW_PIN, (ps_text){(const char *)&row, sizeof row}, b->data, b->size);
    if (rc)
        return ps_pins_fail(why, rc, w->path, "cannot be written");
    w->rows++;
    return PS_OK;
}

/* ------------------------------ Names ------------------------------------- */

/* A name's first eight bytes as a number that sorts as they do, so that most
 * comparisons need not touch the name. */
typedef struct sortable {
    uint64_t head;
    uint32_t number;
} sortable;

static uint64_t head_of(ps_text name)
{
    uint64_t head = 0;
    memcpy(&head, name.data, name.len < sizeof head ? name.len : sizeof head);
    return __builtin_bswap64(head);
}

/* LMDB's order of keys: bytes, then the shorter first. */
static int compare(const void *pa, const void *pb, void *cls)
{
    const sortable *a = pa, *b = pb;
    if (a->head != b->head)
        return a->head < b->head ? -1 : 1;
    const ps_text *names = cls, x = names[a->number], y = names[b->number];
    int order = memcmp(x.data, y.data, x.len < y.len ? x.len : y.len);
    return order ? order : (x.len > y.len) - (x.len < y.len);
}

static int put_sorted(ps_pins_writer *w, int table, const ps_text *names, uint32_t n)
{
    sortable *order = malloc((size_t)n * sizeof *order + 1);
    if (!order)
        return ENOMEM;
    for (uint32_t i = 0; i < n; i++)
        order[i] = (sortable){head_of(names[i]), i};
    qsort_r(order, n, sizeof *order, compare, (void *)(uintptr_t)names);
    int rc = 0;
    for (uint32_t i = 0; i < n && !rc; i++) {
        /* Sorted, the names lie anywhere: ask for them ahead of time. */
        if (i + 2 * AHEAD < n) {
            __builtin_prefetch(&names[order[i + 2 * AHEAD].number]);
            __builtin_prefetch(names[order[i + AHEAD].number].data);
        }
        rc = put(w, table, names[order[i].number], &order[i].number, sizeof(uint32_t));
    }
    free(order);
    return rc;
}

static int check_names(const ps_pins_writer *w, const ps_text *names, uint32_t n,
                       ps_why *why)
{
    for (uint32_t i = 0; i < n; i++)
        if (names[i].len == 0 || names[i].len > PS_ID_MAX)
            return ps_fail(why, PS_EINVAL, w->path, 0,
                           "a name has %zu bytes, 1 to %d are possible", names[i].len,
                           PS_ID_MAX);
    return PS_OK;
}

int ps_pins_writer_ids(ps_pins_writer *w, const ps_text *ids, uint32_t n, ps_why *why)
{
    int err = check_names(w, ids, n, why);
    if (err)
        return err;
    int rc = put_sorted(w, PIN_ROW, ids, n);
    return rc ? ps_pins_fail(why, rc, w->path, "cannot be written") : PS_OK;
}

int ps_pins_writer_boards(ps_pins_writer *w, const ps_text *boards, uint32_t n,
                          ps_why *why)
{
    int err = check_names(w, boards, n, why);
    if (err)
        return err;
    int rc = 0;
    for (uint32_t i = 0; i < n && !rc; i++)
        rc = put(w, NUM_BOARD, (ps_text){(const char *)&i, sizeof i}, boards[i].data,
                 boards[i].len);
    if (!rc)
        rc = put_sorted(w, BOARD_NUM, boards, n);
    return rc ? ps_pins_fail(why, rc, w->path, "cannot be written") : PS_OK;
}
