/* btree.c - LMDB 0.9's pages, read as bytes that may be anything.
 *
 *     page   number u64 | 0 u16 | flags u16 | lower u16 | upper u16 | pointers ... nodes
 *            of an overflow page, lower and upper are how many pages it is, u32
 *     meta   (page 0 and 1) head | magic | version | address | map size |
 *            table of free pages, main table | last page | transaction
 *     table  pad u32 (of the first: page size) | flags u16 | depth u16 | branches,
 *            leaves, overflow pages, entries, root u64
 *     node   of a leaf: data u32 | flags u16 | key u16 | key, then data, or the number of
 *            an overflow page; of a branch: page u48 | key u16 | key
 *
 * A node whose data is a table leads to another tree. Every tree is walked from its root;
 * depth and the number of pages bound the walk, so that a circle ends.
 *
 * Threads: see btree.h.
 */
#include "pinsage/btree.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "pinsage/file.h"

#define PAGE_HEAD 16u
#define NODE_HEAD 8u
#define META_SIZE (PAGE_HEAD + 136u)
#define TABLE     48u
#define TABLES_AT (PAGE_HEAD + 24u) /* in a meta page */
#define DEPTH_MAX 32
#define FAR       1000 /* the two meta pages are written in turn */
#define NO_PAGE   UINT64_MAX

enum { BRANCH = 1, LEAF = 2, OVERFLOW = 4, META = 8 };
enum { BIG = 1, SUBTREE = 2 };
enum { NUMBERS = 8 }; /* MDB_INTEGERKEY of a table */

typedef struct tree {
    const unsigned char *file;
    uint64_t size, page_size, last; /* last: number of the last page */
    uint64_t newest, transaction;   /* of the two meta pages */
    uint64_t visited, entries;
    bool is_free_list, has_numbers; /* what is walked: its keys are numbers */
    const char *path;
    ps_why *why;
} tree;

static uint64_t number(const unsigned char *at, unsigned bytes)
{
    uint64_t n = 0;
    memcpy(&n, at, bytes); /* such files are of one endianness */
    return n;
}

static int bad(const tree *t, uint64_t page, const char *what)
{
    return ps_fail(t->why, PS_EFORMAT, t->path, 0, "it is damaged: page %" PRIu64 " %s",
                   page, what);
}

/* ------------------------------ Meta pages --------------------------------- */

static bool is_power(uint64_t n)
{
    return n && !(n & (n - 1));
}

/* One meta page; the newer of the two says what t is. */
static int read_meta(tree *t, uint64_t i, uint64_t page_size)
{
    const unsigned char *at = t->file + i * page_size;
    if (t->size < i * page_size + META_SIZE)
        return bad(t, i, "is not there");
    if (!(number(at + 10, 2) & META) || number(at + PAGE_HEAD, 4) != 0xbeefc0de ||
        number(at + PAGE_HEAD + 4, 4) != 1)
        return bad(t, i, "does not begin such a file");
    uint64_t size = number(at + TABLES_AT, 4), last = number(at + PAGE_HEAD + 120, 8);
    if (!is_power(size) || size < 512 || size > 65536 || (i && size != page_size))
        return bad(t, i, "tells an impossible size of pages");
    if (last < 1 || last >= ((uint64_t)1 << 48))
        return bad(t, i, "tells an impossible number of pages");
    uint64_t transaction = number(at + PAGE_HEAD + 128, 8), before = t->transaction;
    if (i && (transaction > before + FAR || before > transaction + FAR))
        return bad(t, i, "tells of a transaction that cannot have been");
    if (!i || transaction > before) {
        t->page_size = size;
        t->last = last;
        t->newest = i;
        t->transaction = transaction;
    }
    return PS_OK;
}

static int read_metas(tree *t)
{
    int err = read_meta(t, 0, 0);
    return err ? err : read_meta(t, 1, t->page_size);
}

/* ------------------------------ Trees -------------------------------------- */

static int walk_table(tree *t, const unsigned char *table);

static const unsigned char *page_at(const tree *t, uint64_t page)
{
    return page >= 2 && page <= t->last && (page + 1) * t->page_size <= t->size
               ? t->file + page * t->page_size
               : NULL;
}

/* Numbers of free pages, the largest first, their count before them. */
static int check_free(const tree *t, uint64_t page, const unsigned char *data,
                      uint64_t size)
{
    uint64_t n = size >= 8 ? number(data, 8) : UINT64_MAX, before = t->last + 1;
    if (n > size / 8 - (size >= 8))
        return bad(t, page, "has a list of free pages that is cut off");
    for (uint64_t i = 1; i <= n; i++) {
        uint64_t free_page = number(data + 8 * i, 8);
        if (free_page < 2 || free_page >= before)
            return bad(t, page, "has a list of free pages that are none");
        before = free_page;
    }
    return PS_OK;
}

/* Data of a node that is elsewhere: whole pages in a row. */
static int check_overflow(tree *t, uint64_t from, uint64_t page, uint64_t size)
{
    const unsigned char *at = page_at(t, page);
    uint64_t n = at ? number(at + 12, 4) : 0;
    if (!at || number(at, 8) != page || number(at + 10, 2) != OVERFLOW ||
        !page_at(t, page + n - 1) || n * t->page_size < PAGE_HEAD + size)
        return bad(t, from, "leads to data that is not there");
    t->visited += n;
    return t->is_free_list ? check_free(t, page, at + PAGE_HEAD, size) : PS_OK;
}

static int check_leaf(tree *t, uint64_t page, const unsigned char *node, uint64_t room)
{
    uint64_t size = number(node, 4), flags = number(node + 4, 2);
    uint64_t key = number(node + 6, 2);
    const unsigned char *data = node + NODE_HEAD + key;
    uint64_t here = flags & BIG ? 8 : size;
    if (flags & ~(uint64_t)(BIG | SUBTREE) || key == 0 || NODE_HEAD + key + here > room)
        return bad(t, page, "has an entry that is not within it");
    if (t->has_numbers && key != 4 && key != 8)
        return bad(t, page, "has a number of an odd size");
    t->entries++;
    if (flags & BIG)
        return check_overflow(t, page, number(data, 8), size);
    if (flags & SUBTREE)
        return size == TABLE ? walk_table(t, data)
                             : bad(t, page, "has a table that is none");
    return t->is_free_list ? check_free(t, page, data, size) : PS_OK;
}

static int walk_page(tree *t, uint64_t page, uint64_t above);

static int check_branch(tree *t, uint64_t page, const unsigned char *node, uint64_t room,
                        uint64_t above)
{
    if (NODE_HEAD + number(node + 6, 2) > room)
        return bad(t, page, "has an entry that is not within it");
    return walk_page(t, number(node, 6), above);
}

/* above: how many levels are left below this page. */
static int walk_page(tree *t, uint64_t page, uint64_t above)
{
    const unsigned char *at = page_at(t, page);
    if (!at || number(at, 8) != page || ++t->visited > t->last)
        return bad(t, page, "is led to and not there");
    uint64_t lower = number(at + 12, 2), upper = number(at + 14, 2);
    if (number(at + 10, 2) != (above ? BRANCH : LEAF) || lower < PAGE_HEAD || lower % 2 ||
        upper < lower || upper > t->page_size)
        return bad(t, page, "is not what it should be");
    uint64_t n = (lower - PAGE_HEAD) / 2;
    if (n < 1 + (above > 0))
        return bad(t, page, "has too few entries");
    int err = PS_OK;
    for (uint64_t i = 0; i < n && !err; i++) {
        uint64_t place = number(at + PAGE_HEAD + 2 * i, 2);
        if (place < upper || place + NODE_HEAD > t->page_size)
            return bad(t, page, "has an entry that is not within it");
        uint64_t room = t->page_size - place;
        err = above ? check_branch(t, page, at + place, room, above - 1)
                    : check_leaf(t, page, at + place, room);
    }
    return err;
}

static int walk_root(tree *t, uint64_t root, uint64_t depth)
{
    if (root == NO_PAGE)
        return depth ? bad(t, 0, "tells of a table without pages") : PS_OK;
    if (depth < 1 || depth > DEPTH_MAX)
        return bad(t, root, "is the root of too deep a table");
    return walk_page(t, root, depth - 1);
}

/* The main tree's tables are walked from within it: what is counted is put back. */
static int walk_table(tree *t, const unsigned char *table)
{
    uint64_t outer = t->entries, flags = number(table + 4, 2);
    bool had_numbers = t->has_numbers;
    if (t->is_free_list) /* whose flags hold those of the file, in the upper half */
        flags &= 0xff;
    if (flags & ~(uint64_t)NUMBERS)
        return bad(t, 0, "tells of a table of another kind");
    t->entries = 0;
    t->has_numbers = t->is_free_list || flags & NUMBERS;
    int err = walk_root(t, number(table + 40, 8), number(table + 6, 2));
    if (!err && t->entries != number(table + 32, 8))
        err =
            bad(t, number(table + 40, 8), "has more or fewer entries below than it says");
    t->entries = outer;
    t->has_numbers = had_numbers;
    return err;
}

/* ------------------------------ Files -------------------------------------- */

static int check_trees(tree *t)
{
    const unsigned char *tables = t->file + t->newest * t->page_size + TABLES_AT;
    t->is_free_list = true;
    int err = walk_table(t, tables);
    t->is_free_list = false;
    return err ? err : walk_table(t, tables + TABLE);
}

static int check(const char *path, bool trees, ps_why *why)
{
    ps_map map;
    int err = ps_map_open(&map, path, PS_RANDOM, why);
    if (err || !map.size) {
        ps_map_close(&map);
        return err;
    }
    tree t = {.file = map.data, .size = map.size, .path = path, .why = why};
    err = read_metas(&t);
    if (!err && trees) {
        ps_map_expect(&map);
        err = check_trees(&t);
    }
    ps_map_close(&map);
    return err;
}

int ps_btree_check_meta(const char *path, ps_why *why)
{
    return check(path, false, why);
}

int ps_btree_check(const char *path, ps_why *why)
{
    return check(path, true, why);
}
