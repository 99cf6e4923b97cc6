/* foreign.c - magic bytes, and what helps.
 *
 * Threads: see foreign.h.
 */
#include "core/data/foreign.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "pinsage/text.h"

/* FILE stands for the file's name. */
#define TO_TABLE(read)                                                                   \
    "python3 -c \"import pandas as p; p." read                                           \
    ".to_csv('FILE.tsv', sep='\\t', index=False)\""
#define TO_ARRAY(read) "python3 -c \"import numpy as n; n.save('FILE.npy', " read ")\""

typedef struct kind {
    size_t at, len;
    const char *magic; /* len bytes, at bytes from the file's begin */
    const char *what;
    const char *table, *array; /* the command that helps, NULL when none does */
} kind;

/* Zip archives come after what is told by their first member. */
static const kind kinds[] = {
    {0, 4, "PAR1", "a Parquet file", TO_TABLE("read_parquet('FILE')"),
     TO_ARRAY("__import__('pandas').read_parquet('FILE').to_numpy('f4')")},
    {0, 6, "ARROW1", "an Arrow file", TO_TABLE("read_feather('FILE')"),
     TO_ARRAY("__import__('pandas').read_feather('FILE').to_numpy('f4')")},
    {0, 4, "FEA1", "a Feather file", TO_TABLE("read_feather('FILE')"), NULL},
    {0, 3, "ORC", "an ORC file", TO_TABLE("read_orc('FILE')"), NULL},
    {0, 4, "\x89HDF", "an HDF5 file", TO_TABLE("read_hdf('FILE')"),
     TO_ARRAY("__import__('h5py').File('FILE')['NAME']")},
    {0, 6, "\x93NUMPY", "a NumPy array", NULL, NULL},
    {0, 15, "SQLite format 3", "an SQLite database",
     "sqlite3 -header -separator $'\\t' FILE 'select ...' > FILE.tsv", NULL},
    {0, 4, "\x28\xb5\x2f\xfd", "packed by zstd, and only gzip is unpacked here",
     "zstd -d FILE", "zstd -d FILE"},
    {0, 6,
     "\xfd"
     "7zXZ\0",
     "packed by xz, and only gzip is unpacked here", "xz -d FILE", "xz -d FILE"},
    {0, 3, "BZh", "packed by bzip2, and only gzip is unpacked here", "bzip2 -d FILE",
     "bzip2 -d FILE"},
    {0, 4, "\x04\x22\x4d\x18", "packed by lz4, and only gzip is unpacked here",
     "lz4 -d FILE", "lz4 -d FILE"},
    {0, 2, "\x1f\x8b", "packed by gzip", NULL, "gzip -d FILE"},
    {257, 5, "ustar", "a tar archive", "tar -xf FILE", "tar -xf FILE"},
    {0, 2, "\xff\xfe", "text in UTF-16, as Excel saves it",
     "iconv -f UTF-16 -t UTF-8 FILE > FILE.tsv", NULL},
    {0, 2, "\xfe\xff", "text in UTF-16", "iconv -f UTF-16 -t UTF-8 FILE > FILE.tsv",
     NULL},
    {0, 2, "\x80\x02", "a Python pickle", TO_TABLE("read_pickle('FILE')"),
     TO_ARRAY("n.load('FILE', allow_pickle=True)")},
    {0, 2, "\x80\x03", "a Python pickle", TO_TABLE("read_pickle('FILE')"),
     TO_ARRAY("n.load('FILE', allow_pickle=True)")},
    {0, 2, "\x80\x04", "a Python pickle", TO_TABLE("read_pickle('FILE')"),
     TO_ARRAY("n.load('FILE', allow_pickle=True)")},
    {0, 2, "\x80\x05", "a Python pickle", TO_TABLE("read_pickle('FILE')"),
     TO_ARRAY("n.load('FILE', allow_pickle=True)")},
};

/* By the end of the first member's name. */
static const kind zips[] = {
    {0, 0, ".npy", ".npz, a zip of NumPy arrays", NULL,
     TO_ARRAY("[*n.load('FILE').values()][0]")},
    {0, 0, "data.pkl", "a PyTorch file", NULL,
     TO_ARRAY("__import__('torch').load('FILE').numpy()")},
    {0, 0, ".xml", "an Excel workbook", TO_TABLE("read_excel('FILE')"), NULL},
    {0, 0, ".rels", "an Excel workbook", TO_TABLE("read_excel('FILE')"), NULL},
    {0, 0, "", "a zip archive", "unzip FILE", "unzip FILE"},
};

static const kind csv = {0,
                         0,
                         "",
                         "comma-separated, and tabs are wanted",
                         TO_TABLE("read_csv('FILE', sep=None, engine='python')"),
                         NULL};
static const kind json = {
    0,   0, "", "JSON, and a table is wanted", TO_TABLE("read_json('FILE', lines=True)"),
    NULL};
static const kind mac = {0,
                         0,
                         "",
                         "a text whose lines end in CR alone, as on old Macs",
                         "tr '\\r' '\\n' < FILE > FILE.tsv",
                         NULL};
static const kind text = {0,        0,    "",
                          "a text", NULL, TO_ARRAY("n.loadtxt('FILE', dtype='f4')")};

/* ------------------------------ Finding out ------------------------------- */

/* A zip's first member: its name has its length 26 bytes from the begin. */
static const kind *find_zip(const char *data, size_t len)
{
    if (len < 30 || memcmp(data, "PK\3\4", 4) != 0)
        return NULL;
    size_t size = (unsigned char)data[26] | (size_t)(unsigned char)data[27] << 8;
    size = size < len - 30 ? size : len - 30;
    const kind *k = zips;
    for (;; k++) {
        size_t n = strlen(k->magic);
        if (n <= size && memcmp(data + 30 + size - n, k->magic, n) == 0)
            return k;
    }
}

static const kind *find(const char *data, size_t len)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].at + kinds[i].len <= len &&
            memcmp(data + kinds[i].at, kinds[i].magic, kinds[i].len) == 0)
            return &kinds[i];
    return find_zip(data, len);
}

static bool is_text(const char *data, size_t len)
{
    for (size_t i = 0; i < len && i < 256; i++)
        if ((unsigned char)data[i] < 0x20 && !strchr("\t\r\n", data[i]))
            return false;
    return len > 0;
}

/* ------------------------------ Saying so --------------------------------- */

/* The command, with the file's name for FILE; a long name would be cut off. */
static void fill_in(char *out, size_t room, const char *command, const char *path)
{
    const char *name = strlen(path) <= 40 && !strpbrk(path, "'\"") ? path : "FILE";
    size_t n = 0;
    for (const char *at = command; *at && n + 1 < room;) {
        bool file = strncmp(at, "FILE", 4) == 0;
        n += (size_t)snprintf(out + n, room - n, "%.*s", file ? (int)strlen(name) : 1,
                              file ? name : at);
        at += file ? 4 : 1;
    }
}

static int tell(const kind *k, const char *command, const char *path, ps_why *why)
{
    char filled[256] = "";
    if (command)
        fill_in(filled, sizeof filled, command, path);
    return ps_fail(why, PS_EFORMAT, path, 0, "it is %s%s%s", k->what, command ? ": " : "",
                   filled);
}

int ps_foreign_table(const char *data, size_t len, const char *path, ps_why *why)
{
    const kind *k = find(data, len);
    return k ? tell(k, k->table, path, why) : PS_OK;
}

int ps_foreign_header(const char *line, size_t len, const char *path, ps_why *why)
{
    const kind *k = NULL;
    if (len && memchr(line, '\t', len) == NULL) {
        if (*line == '{' || *line == '[')
            k = &json;
        else if (memchr(line, ',', len) || memchr(line, ';', len))
            k = &csv;
    }
    /* First of all: the line is the whole file then. */
    if (len && memchr(line, '\r', len - 1))
        k = &mac;
    return k ? tell(k, k->table, path, why) : PS_OK;
}

int ps_foreign_array(const char *data, size_t len, const char *path, ps_why *why)
{
    const kind *k = find(data, len);
    if (!k && is_text(data, len))
        k = &text;
    if (k)
        return tell(k, k->array, path, why);
    return ps_fail(why, PS_EFORMAT, path, 0, "it is not an .npy file");
}
