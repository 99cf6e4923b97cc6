/* erased.c - an id's bytes, and what stands in front of them.
 *
 * An id may be a number, and a number is found in any file. What makes bytes a trace is
 * what stands in front of them:
 *
 *     key of a table     data u32  flags u16  bytes of key u16 | ID       LMDB's node
 *     record of a pin    4 u16  row u32  bytes (varint) | ID              pins_db.h
 *                        or the beginning of an overflow page
 *     edge, live         bytes of pin, board u16  1  saved  0 0 | ID      store_record.c
 *                        24 u16 | XXH3-64 of ID
 *     vote               "query":" or "pin":" | ID | "
 *
 * A board may have a pin's name; then keys of that file say nothing, and the records must
 * do.
 *
 * Threads: see erased.h.
 */
#include "server/compact/erased.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pinsage/buf.h"
#include "pinsage/catalog.h"
#include "pinsage/file.h"
#include "pinsage/hash.h"
#include "pinsage/layout.h"

#define PAGE      4096
#define PAGE_HEAD 16
#define NODE_HEAD 8
#define DATA_MAX  ((uint32_t)1 << 24) /* bytes of a record, or a page's number */

typedef struct traces {
    uint64_t keys, records, edges, votes;
} traces;

typedef struct search {
    const char *catalog;
    ps_text id, quoted; /* as it stands, and as JSON says it */
    uint64_t hash;
    ps_check_fn fn;
    void *cls;
    const ps_progress *progress;
    ps_why *why;
    ps_buf holders; /* names of what has a trace */
} search;

/* ------------------------------ In front ----------------------------------- */

static uint32_t number(const unsigned char *at, int bytes)
{
    uint32_t n = 0;
    for (int i = bytes; i-- > 0;)
        n = n << 8 | at[i];
    return n;
}

static bool is_key(const unsigned char *file, size_t at, size_t len)
{
    const unsigned char *node = file + at - NODE_HEAD;
    return at >= NODE_HEAD && at % 2 == 0 && number(node, 4) < DATA_MAX &&
           number(node + 4, 2) <= 1 && number(node + 6, 2) == len;
}

static bool is_record(const unsigned char *file, size_t at, size_t len)
{
    unsigned char length[2] = {(unsigned char)len, 0};
    size_t n = 1;
    if (len >= 0x80) {
        length[0] = (unsigned char)(len | 0x80);
        length[1] = (unsigned char)(len >> 7);
        n = 2;
    }
    if (at < n || memcmp(file + at - n, length, n) != 0)
        return false;
    at -= n;
    return at % PAGE == PAGE_HEAD || (at >= 6 && number(file + at - 6, 2) == 4);
}

static bool is_edge(const unsigned char *file, size_t at, size_t len)
{
    const unsigned char *head = file + at - 8;
    return at >= 8 && number(head, 2) == len && head[4] == 1 && head[5] <= 1 &&
           !head[6] && !head[7];
}

static bool stands_before(const unsigned char *file, size_t at, const char *what)
{
    size_t n = strlen(what);
    return at >= n && memcmp(file + at - n, what, n) == 0;
}

static bool is_vote(const unsigned char *file, size_t size, size_t at, size_t len)
{
    return at + len < size && file[at + len] == '"' &&
           (stands_before(file, at, "\"query\":\"") ||
            stands_before(file, at, "\"pin\":\""));
}

/* ------------------------------ One file ----------------------------------- */

/* Call seen for every place where a text stands. */
static void each_place(const ps_map *m, ps_text text, traces *t,
                       void (*seen)(const ps_map *m, size_t at, size_t len, traces *t))
{
    const char *begin = m->data, *end = begin + m->size, *at = begin;
    while (text.len && (at = memmem(at, (size_t)(end - at), text.data, text.len)))
        seen(m, (size_t)(at++ - begin), text.len, t);
}

static void see_name(const ps_map *m, size_t at, size_t len, traces *t)
{
    t->keys += is_key(m->data, at, len);
    t->records += is_record(m->data, at, len);
    t->edges += is_edge(m->data, at, len);
}

static void see_vote(const ps_map *m, size_t at, size_t len, traces *t)
{
    t->votes += is_vote(m->data, m->size, at, len);
}

static void see_hash(const ps_map *m, size_t at, size_t len, traces *t)
{
    (void)len;
    t->edges += at >= 2 && number((const unsigned char *)m->data + at - 2, 2) == 24;
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

static int scan_file(const search *s, const char *path, traces *t)
{
    ps_map m;
    int err = ps_map_open(&m, path, PS_SEQUENTIAL, s->why);
    if (err)
        return err == PS_ENOENT ? PS_OK : err; /* gone meanwhile */
    if (strstr(path, ".mdb")) {
        ps_text hash = {(const char *)&s->hash, sizeof s->hash};
        each_place(&m, s->id, t, see_name);
        each_place(&m, hash, t, see_hash);
    }
    each_place(&m, s->quoted, t, see_vote);
    ps_map_close(&m);
    return PS_OK;
}

/* ------------------------------ One folder --------------------------------- */

static bool holds_numbers(const char *name)
{
    return ends_with(name, ".npy") || ends_with(name, ".faiss") ||
           ends_with(name, ".safetensors");
}

static int scan_below(const search *s, const char *path, traces *t);

static int scan_entry(const search *s, const char *folder, const char *name, traces *t)
{
    char path[PS_PATH_MAX];
    struct stat st;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || holds_numbers(name))
        return PS_OK;
    if (ps_path_in(path, folder, name, s->why))
        return PS_ERANGE;
    if (lstat(path, &st) < 0)
        return PS_OK; /* gone meanwhile */
    if (S_ISDIR(st.st_mode))
        return scan_below(s, path, t);
    return S_ISREG(st.st_mode) && st.st_size ? scan_file(s, path, t) : PS_OK;
}

static int scan_below(const search *s, const char *path, traces *t)
{
    DIR *dir = opendir(path);
    int err = PS_OK;
    if (!dir)
        return ps_fail_errno(s->why, path, "cannot be read");
    for (struct dirent *e; !err && (e = readdir(dir));)
        err = scan_entry(s, path, e->d_name, t);
    closedir(dir);
    return err;
}

/* ------------------------------ What it means ------------------------------ */

/* Whether the names of pins.mdb have it; a board of that name makes its keys ambiguous.
 */
static void ask_names(const search *s, const char *folder, uint32_t *row, bool *board)
{
    char path[PS_PATH_MAX];
    ps_pins *pins;
    ps_pins_reader *r;
    *row = PS_NO_ROW;
    *board = false;
    if (ps_path_join(path, sizeof path, folder, PS_FILE_PINS) || !ps_file_exists(path) ||
        ps_pins_open(&pins, path, NULL))
        return;
    if (ps_pins_reader_new(&r, pins) == PS_OK) {
        *row = ps_pins_row(r, s->id.data, s->id.len);
        *board = ps_pins_board(r, s->id.data, s->id.len) != PS_NO_ROW;
        ps_pins_reader_free(r);
    }
    ps_pins_close(pins);
}

/* Names of tables are keys, too. */
static bool is_table(ps_text id)
{
    static const char *const names[] = {"pin_row", "row_pin",   "board_num", "num_board",
                                        "pins",    "edges",     "votes",     "meta",
                                        "format",  "compacted", "garbage",   "lsn"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (ps_text_is(id, names[i]))
            return true;
    return false;
}

static void describe(ps_buf *out, const traces *t, uint32_t row)
{
    if (row != PS_NO_ROW)
        ps_buf_printf(out, "it is a pin there, row %u; ", row);
    ps_buf_printf(out, "traces: %llu keys, %llu records, %llu edges, %llu votes",
                  (unsigned long long)t->keys, (unsigned long long)t->records,
                  (unsigned long long)t->edges, (unsigned long long)t->votes);
}

static void note_holder(search *s, const char *name)
{
    ps_buf_printf(&s->holders, "%s%s", s->holders.size ? ", " : "", name);
}

static int check_folder(search *s, const char *name)
{
    char path[PS_PATH_MAX];
    traces t = {0};
    ps_buf detail = {0};
    uint32_t row;
    bool board;
    if (ps_path_in(path, s->catalog, name, s->why))
        return PS_ERANGE;
    int err = scan_below(s, path, &t);
    if (err)
        return err;
    ask_names(s, path, &row, &board);
    bool unclear = row == PS_NO_ROW && (board || is_table(s->id));
    if (unclear)
        t.keys = 0;
    bool held = row != PS_NO_ROW || t.keys || t.records || t.edges || t.votes;
    if (held)
        describe(&detail, &t, row);
    else
        ps_buf_text(&detail, unclear ? "no trace but keys of a board of the same name"
                                     : "no trace");
    s->fn(s->cls, name, held ? PS_EEXIST : PS_OK, detail.failed ? "" : detail.data);
    if (held)
        note_holder(s, name);
    ps_buf_done(&detail);
    return PS_OK;
}

/* ------------------------------ The catalog -------------------------------- */

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool is_folder(const search *s, const char *name)
{
    char path[PS_PATH_MAX];
    struct stat st;
    return strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
           !ps_path_join(path, sizeof path, s->catalog, name) && lstat(path, &st) == 0 &&
           S_ISDIR(st.st_mode);
}

static int check_folders(search *s)
{
    struct dirent **entry;
    int n = scandir(s->catalog, &entry, NULL, by_name), err = PS_OK;
    if (n < 0)
        return ps_fail_errno(s->why, s->catalog, "cannot be read");
    for (int i = 0; i < n; i++) {
        if (!err && is_folder(s, entry[i]->d_name))
            err = check_folder(s, entry[i]->d_name);
        if (!err)
            err = ps_progress_at(s->progress, "folders", (uint64_t)i + 1, (uint64_t)n,
                                 "folders");
        free(entry[i]);
    }
    free(entry);
    return err;
}

static int judge(const search *s)
{
    char current[PS_PATH_MAX];
    if (!s->holders.size)
        return PS_OK;
    int err = ps_catalog_current(s->catalog, current, s->why);
    if (err)
        return err;
    const char *slash = strrchr(current, '/'), *name = slash ? slash + 1 : current;
    bool now = strstr(s->holders.data, name) || strstr(s->holders.data, PS_DIR_LIVE);
    return ps_fail(
        s->why, PS_EEXIST, s->catalog, 0, "%s still %s it%s", s->holders.data,
        strchr(s->holders.data, ',') ? "hold" : "holds",
        now ? ": delete the pin and compact"
            : ", until the next step removes it, or `pinsage compact --keep 0`");
}

int ps_erased_check(const char *catalog, ps_text id, ps_check_fn fn, void *cls,
                    const ps_progress *progress, ps_why *why)
{
    char current[PS_PATH_MAX];
    ps_buf quoted = {0};
    search s = {.catalog = catalog,
                .id = id,
                .hash = ps_hash(id.data, id.len),
                .fn = fn,
                .cls = cls,
                .progress = progress,
                .why = why};
    if (!id.len || id.len > PS_ID_MAX)
        return ps_fail(why, PS_EINVAL, "--erased", 0, "an id has 1 to %d bytes, this %zu",
                       PS_ID_MAX, id.len);
    int err = ps_catalog_current(catalog, current, why);
    if (err)
        return err;
    ps_buf_json(&quoted, id.data, id.len);
    if (quoted.failed)
        return ps_fail(why, PS_ENOMEM, catalog, 0, "no memory to look for a pin");
    s.quoted = (ps_text){quoted.data + 1, quoted.size - 2};
    err = check_folders(&s);
    if (!err)
        err = judge(&s);
    ps_buf_done(&quoted);
    ps_buf_done(&s.holders);
    return err;
}
