/* pins.c - pins.mdb opened for reading.
 *
 * The file never changes once its generation is current, so readers need no lock file
 * and no reader slots (MDB_NOLOCK), a directory without write permission will do, and a
 * reader's transaction stays open as long as the reader: nothing waits for its pages.
 *
 * A row's record is looked up in LMDB's tree once; then its place in the file, which
 * never moves, stands in a table of 8 bytes a row. What nobody asks for costs nothing:
 * the table's memory is the kernel's zero pages until it is written.
 *
 * LMDB itself does not survive a file that is shorter than its meta page says, so
 * that is looked at before anything else is read.
 *
 * Threads: see pins.h. Not here: writing (pins_write.c), near ids (pins_suggest.c).
 */
#include "pinsage/pins.h"
#include "pinsage/btree.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/catalog/pins_db.h"
#include "pinsage/hash.h"

const ps_pins_table ps_pins_tables[PS_PINS_TABLES] = {
    [PIN_ROW] = {"pin_row", 0},
    [ROW_PIN] = {"row_pin", MDB_INTEGERKEY},
    [BOARD_NUM] = {"board_num", 0},
    [NUM_BOARD] = {"num_board", MDB_INTEGERKEY},
};

int ps_pins_fail(ps_why *why, int rc, const char *path, const char *what)
{
    if (rc > 0) {
        errno = rc;
        return ps_fail_errno(why, path, what);
    }
    int err = rc == MDB_KEYEXIST ? PS_EEXIST : PS_EFORMAT;
    return ps_fail(why, err, path, 0, "%s: %s", what, mdb_strerror(rc));
}

/* ------------------------------ Opening ----------------------------------- */

static int check_file(const char *path, ps_why *why)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return ps_fail_errno(why, path, "cannot be opened");
    if (!S_ISREG(st.st_mode) || st.st_size == 0)
        return ps_fail(why, PS_EFORMAT, path, 0,
                       st.st_size ? "is not a file" : "the file is empty");
    return PS_OK;
}

/* Every page the meta page counts must be in the file. */
static int check_pages(ps_pins *p, const char *path, ps_why *why)
{
    struct stat st;
    MDB_envinfo info;
    MDB_stat page;
    mdb_env_info(p->env, &info);
    mdb_env_stat(p->env, &page);
    if (stat(path, &st) < 0)
        return ps_fail_errno(why, path, "cannot be opened");
    if ((uint64_t)st.st_size / page.ms_psize <= info.me_last_pgno)
        return ps_fail(why, PS_EFORMAT, path, 0,
                       "the file is cut off: it has %lld bytes of %llu",
                       (long long)st.st_size,
                       (unsigned long long)(info.me_last_pgno + 1) * page.ms_psize);
    return PS_OK;
}

static int open_tables(ps_pins *p, const char *path, ps_why *why)
{
    MDB_txn *txn;
    MDB_stat stat[PS_PINS_TABLES];
    int rc = mdb_txn_begin(p->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return ps_pins_fail(why, rc, path, "cannot be read");
    for (int i = 0; i < PS_PINS_TABLES; i++) {
        const ps_pins_table *t = &ps_pins_tables[i];
        rc = mdb_dbi_open(txn, t->name, t->flags, &p->dbi[i]);
        if (!rc)
            rc = mdb_stat(txn, p->dbi[i], &stat[i]);
        if (rc) {
            mdb_txn_abort(txn);
            return ps_fail(why, PS_EFORMAT, path, 0, "has no table \"%s\": %s", t->name,
                           mdb_strerror(rc));
        }
    }
    rc = mdb_txn_commit(txn); /* makes the tables' handles everybody's */
    if (rc)
        return ps_pins_fail(why, rc, path, "cannot be read");
    if (stat[PIN_ROW].ms_entries != stat[ROW_PIN].ms_entries ||
        stat[BOARD_NUM].ms_entries != stat[NUM_BOARD].ms_entries ||
        stat[ROW_PIN].ms_entries > PS_NO_ROW || stat[NUM_BOARD].ms_entries > PS_NO_ROW)
        return ps_fail(why, PS_EFORMAT, path, 0,
                       "its tables disagree on how many pins or boards there are");
    p->count = (uint32_t)stat[ROW_PIN].ms_entries;
    p->boards = (uint32_t)stat[NUM_BOARD].ms_entries;
    return PS_OK;
}

static int by_number(ps_pins_reader *r, int table, uint32_t number, MDB_val *value)
{
    MDB_val key = {.mv_size = sizeof number, .mv_data = &number};
    int rc = mdb_get(r->txn, r->pins->dbi[table], &key, value);
    if (rc == MDB_NOTFOUND)
        return PS_ENOENT;
    return rc ? PS_EFORMAT : PS_OK;
}

/* Places are counted from the record of row 0, for LMDB does not tell where its map is.
 */
static int make_places(ps_pins *p, const char *path, ps_why *why)
{
    ps_pins_reader *r;
    MDB_val first;
    p->records = calloc((size_t)p->count + 1, sizeof *p->records);
    if (!p->records || ps_pins_reader_new(&r, p))
        return ps_fail(why, PS_ENOMEM, path, 0, "no memory to open it");
    if (p->count && by_number(r, ROW_PIN, 0, &first) == PS_OK)
        p->base = first.mv_data;
    ps_pins_reader_free(r);
    return PS_OK;
}

static int open_env(ps_pins *p, const char *path, ps_why *why)
{
    int rc = mdb_env_create(&p->env);
    if (!rc)
        rc = mdb_env_set_maxdbs(p->env, PS_PINS_TABLES);
    if (!rc) /* raised by LMDB to what the file holds: no address space is wasted */
        rc = mdb_env_set_mapsize(p->env, 1 << 16);
    if (!rc)
        rc = mdb_env_open(p->env, path,
                          MDB_RDONLY | MDB_NOLOCK | MDB_NOSUBDIR | MDB_NOTLS, 0644);
    return rc ? ps_pins_fail(why, rc, path, "cannot be opened") : PS_OK;
}

int ps_pins_open(ps_pins **out, const char *path, ps_why *why)
{
    ps_pins *p = calloc(1, sizeof *p);
    if (!p)
        return ps_fail(why, PS_ENOMEM, path, 0, "no memory to open it");
    int err = check_file(path, why);
    if (!err)
        err = ps_btree_check_meta(path, why);
    if (!err)
        err = open_env(p, path, why);
    if (!err)
        err = check_pages(p, path, why);
    if (!err)
        err = open_tables(p, path, why);
    if (!err)
        err = make_places(p, path, why);
    if (err)
        ps_pins_close(p);
    else
        *out = p;
    return err;
}

void ps_pins_close(ps_pins *p)
{
    if (!p)
        return;
    if (p->env)
        mdb_env_close(p->env);
    free(p->records);
    free(p);
}

uint32_t ps_pins_count(const ps_pins *p)
{
    return p->count;
}

uint32_t ps_pins_boards(const ps_pins *p)
{
    return p->boards;
}

/* ------------------------------ Readers ----------------------------------- */

int ps_pins_reader_new(ps_pins_reader **out, ps_pins *p)
{
    ps_pins_reader *r = calloc(1, sizeof *r);
    if (!r)
        return PS_ENOMEM;
    r->pins = p;
    int rc = mdb_txn_begin(p->env, NULL, MDB_RDONLY, &r->txn);
    if (rc) {
        free(r);
        return rc == ENOMEM ? PS_ENOMEM : PS_ELIBRARY;
    }
    *out = r;
    return PS_OK;
}

void ps_pins_reader_free(ps_pins_reader *r)
{
    if (!r)
        return;
    mdb_txn_abort(r->txn);
    free(r);
}

static uint32_t number_of(ps_pins_reader *r, int table, uint32_t n, const char *name,
                          size_t len)
{
    uint32_t number;
    MDB_val value, key = {.mv_size = len, .mv_data = (void *)(uintptr_t)name};
    if (len == 0 || len > PS_ID_MAX ||
        mdb_get(r->txn, r->pins->dbi[table], &key, &value) ||
        value.mv_size != sizeof number)
        return PS_NO_ROW;
    memcpy(&number, value.mv_data, sizeof number);
    return number < n ? number : PS_NO_ROW; /* it is an index for whoever asked */
}

uint32_t ps_pins_row(ps_pins_reader *r, const char *id, size_t len)
{
    return number_of(r, PIN_ROW, r->pins->count, id, len);
}

uint32_t ps_pins_board(ps_pins_reader *r, const char *board, size_t len)
{
    return number_of(r, BOARD_NUM, r->pins->boards, board, len);
}

int ps_pins_board_name(ps_pins_reader *r, uint32_t number, ps_text *name)
{
    MDB_val value;
    int err = by_number(r, NUM_BOARD, number, &value);
    if (!err)
        *name = (ps_text){value.mv_data, value.mv_size};
    return err;
}

/* ------------------------------ Records ----------------------------------- */

typedef struct cursor {
    const unsigned char *at, *end;
} cursor;

static bool read_length(cursor *c, uint64_t *value)
{
    *value = 0;
    for (int shift = 0; c->at < c->end && shift < 63; shift += 7) {
        unsigned char byte = *c->at++;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

static bool read_text(cursor *c, ps_text *text)
{
    uint64_t len;
    if (!read_length(c, &len) || len > (uint64_t)(c->end - c->at))
        return false;
    *text = (ps_text){(const char *)c->at, (size_t)len};
    c->at += len;
    return true;
}

/* A place is (offset + 2^39) << 24 | size; 0 is not known yet. Records and files too
 * large for that are looked up each time. Threads may write a place at once: all write
 * the same. */
static int find_record(ps_pins_reader *r, uint32_t row, MDB_val *value)
{
    const uint64_t middle = UINT64_C(1) << 39;
    ps_pins *p = r->pins;
    if (row >= p->count)
        return PS_ENOENT;
    uint64_t place = atomic_load_explicit(&p->records[row], memory_order_relaxed);
    if (place) {
        value->mv_data =
            (void *)(uintptr_t)(p->base + (int64_t)(place >> 24) - (int64_t)middle);
        value->mv_size = place & 0xffffff;
        return PS_OK;
    }
    int err = by_number(r, ROW_PIN, row, value);
    if (err || !p->base)
        return err;
    uint64_t offset = (uint64_t)((const char *)value->mv_data - p->base) + middle;
    if (offset - 1 < 2 * middle - 1 && value->mv_size <= 0xffffff)
        atomic_store_explicit(&p->records[row], offset << 24 | value->mv_size,
                              memory_order_relaxed);
    return PS_OK;
}

void ps_pins_prefetch(ps_pins_reader *r, const uint32_t *row, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (row[i] < r->pins->count)
            __builtin_prefetch(&r->pins->records[row[i]]);
    for (size_t i = 0; i < n; i++) {
        MDB_val value;
        if (find_record(r, row[i], &value) == PS_OK)
            __builtin_prefetch(value.mv_data);
    }
}

int ps_pins_get(ps_pins_reader *r, uint32_t row, ps_pin *pin)
{
    MDB_val value;
    uint64_t n_meta, size;
    int err = find_record(r, row, &value);
    if (err)
        return err;
    cursor c = {value.mv_data, (const unsigned char *)value.mv_data + value.mv_size};
    *pin = (ps_pin){0};
    if (!read_text(&c, &pin->id) || !read_text(&c, &pin->title) ||
        !read_text(&c, &pin->text) || !read_text(&c, &pin->image) ||
        !read_length(&c, &n_meta) || n_meta > UINT32_MAX)
        return PS_EFORMAT;
    pin->n_meta = (uint32_t)n_meta;
    pin->meta = c.at; /* the size, then the pairs */
    if (!read_length(&c, &size) || size != (uint64_t)(c.end - c.at))
        return PS_EFORMAT;
    return PS_OK;
}

/* *at counts from pin->meta; the size that stands there says where the pairs end. */
int ps_pin_meta(const ps_pin *pin, size_t *at, ps_text *name, ps_text *value)
{
    uint64_t size;
    const unsigned char *meta = pin->meta;
    cursor c = {meta, meta + 10};
    if (pin->n_meta == 0 || !read_length(&c, &size))
        return 0;
    c.end = c.at + size;
    if (*at)
        c.at = meta + *at;
    if (c.at >= c.end || !read_text(&c, name) || !read_text(&c, value))
        return 0;
    *at = (size_t)(c.at - meta);
    return 1;
}

bool ps_pin_meta_check(ps_text bytes, uint32_t n_meta)
{
    uint64_t size;
    ps_text text;
    const unsigned char *at = (const unsigned char *)bytes.data;
    cursor c = {at, at + bytes.len};
    if (!read_length(&c, &size) || size != (uint64_t)(c.end - c.at))
        return false;
    for (uint64_t i = 0; i < 2 * (uint64_t)n_meta; i++)
        if (!read_text(&c, &text))
            return false;
    return c.at == c.end;
}

/* In the order of ids, since that table holds nothing else: titles and texts, most of
 * the file, stay unread. */
int ps_pins_hashes(ps_pins_reader *r, uint64_t *out)
{
    MDB_cursor *c;
    MDB_val id, value;
    uint32_t n = r->pins->count, row, seen = 0;
    int rc = mdb_cursor_open(r->txn, r->pins->dbi[PIN_ROW], &c);
    if (rc)
        return PS_ENOMEM;
    while (!(rc = mdb_cursor_get(c, &id, &value, MDB_NEXT))) {
        if (value.mv_size != sizeof row)
            break;
        memcpy(&row, value.mv_data, sizeof row);
        if (row >= n)
            break;
        out[row] = ps_hash(id.mv_data, id.mv_size);
        seen++;
    }
    mdb_cursor_close(c);
    return rc == MDB_NOTFOUND && seen == n ? PS_OK : PS_EFORMAT;
}
