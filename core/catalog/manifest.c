/* manifest.c - the manifest as a jansson tree.
 *
 * The tree is the model: unknown values survive a load and a save, so that an older
 * program does not lose what a newer one wrote. What other code relies on without
 * looking (the format number, the file list, fingerprints) is checked once, at load.
 * File names hold dots, so they are never part of a dotted path.
 *
 * Running out of memory here ends the program: a manifest is a few kilobytes.
 *
 * Threads: see manifest.h.
 */
#include "pinsage/manifest.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/file.h"
#include "pinsage/hash.h"
#include "pinsage/layout.h"

#define FORMAT 1
/* 12 digits print 0.95 as 0.95 and lose nothing that anybody measured. */
#define STYLE (JSON_SORT_KEYS | JSON_INDENT(2) | JSON_REAL_PRECISION(12))

struct ps_manifest {
    json_t *root;       /* owned; an object */
    const char **names; /* (n_names) sorted, borrowed from root; the array is owned */
    size_t n_names;
};

static void *sure(void *p)
{
    if (!p)
        abort();
    return p;
}

/* ------------------------------ The file list ----------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names anew, after any change. */
static void list_names(ps_manifest *m)
{
    json_t *files = json_object_get(m->root, "files");
    size_t n = json_object_size(files), i = 0;
    free(m->names);
    m->names = sure(calloc(n + 1, sizeof *m->names));
    m->n_names = n;
    for (void *at = json_object_iter(files); at; at = json_object_iter_next(files, at))
        m->names[i++] = json_object_iter_key(at);
    qsort(m->names, n, sizeof *m->names, by_name);
}

static json_t *hash_text(uint64_t hash)
{
    char text[17];
    snprintf(text, sizeof text, "%016" PRIx64, hash);
    return sure(json_string(text));
}

/* The number that 16 hexadecimal digits stand for. */
static bool hash_value(const json_t *value, uint64_t *hash)
{
    const char *text = json_string_value(value);
    if (!text || strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
        return false;
    *hash = strtoull(text, NULL, 16);
    return true;
}

/* The member called key, made as an object if it is not one. Borrowed. */
static json_t *object_in(json_t *parent, const char *key)
{
    json_t *child = json_object_get(parent, key);
    if (!json_is_object(child)) {
        child = sure(json_object());
        if (json_object_set_new(parent, key, child) < 0)
            abort();
    }
    return child;
}

static void forget_origin(ps_manifest *m, const char *name)
{
    json_object_del(json_object_get(m->root, "fingerprints"), name);
}

void ps_manifest_set_file(ps_manifest *m, const char *name, uint64_t size, uint64_t xxh3)
{
    json_t *file = sure(json_object());
    if (json_object_set_new(file, "size", sure(json_integer((json_int_t)size))) < 0 ||
        json_object_set_new(file, "xxh3", hash_text(xxh3)) < 0 ||
        json_object_set_new(object_in(m->root, "files"), name, file) < 0)
        abort();
    forget_origin(m, name);
    list_names(m);
}

bool ps_manifest_file(const ps_manifest *m, const char *name, uint64_t *size,
                      uint64_t *xxh3)
{
    json_t *file = json_object_get(json_object_get(m->root, "files"), name);
    uint64_t hash = 0;
    if (!file || !hash_value(json_object_get(file, "xxh3"), &hash))
        return false;
    if (size)
        *size = (uint64_t)json_integer_value(json_object_get(file, "size"));
    if (xxh3)
        *xxh3 = hash;
    return true;
}

void ps_manifest_remove_file(ps_manifest *m, const char *name)
{
    forget_origin(m, name);
    json_object_del(json_object_get(m->root, "files"), name);
    list_names(m);
}

const char *ps_manifest_file_at(const ps_manifest *m, size_t i)
{
    return i < m->n_names ? m->names[i] : NULL;
}

/* ------------------------------ Fingerprints ------------------------------ */

int ps_manifest_made_from(ps_manifest *m, const char *file, const char *input)
{
    uint64_t hash;
    if (!ps_manifest_file(m, file, NULL, NULL) ||
        !ps_manifest_file(m, input, NULL, &hash))
        return PS_ENOENT;
    json_t *origin = object_in(object_in(m->root, "fingerprints"), file);
    if (json_object_set_new(origin, input, hash_text(hash)) < 0)
        abort();
    return PS_OK;
}

bool ps_manifest_fingerprint(const ps_manifest *m, const char *file, const char *input,
                             uint64_t *xxh3)
{
    json_t *origin = json_object_get(json_object_get(m->root, "fingerprints"), file);
    return hash_value(json_object_get(origin, input), xxh3);
}

void ps_manifest_carry(ps_manifest *m, const ps_manifest *before)
{
    const json_t *all = json_object_get(before->root, "fingerprints");
    for (size_t i = 0; i < m->n_names; i++) {
        const char *file = m->names[i];
        json_t *origin = json_object_get(all, file);
        for (void *at = json_object_iter(origin); at;
             at = json_object_iter_next(origin, at))
            ps_manifest_made_from(m, file, json_object_iter_key(at));
    }
}

/* First input in sorted order that is not what `file` was made from, or NULL. */
static const char *wrong_input(const ps_manifest *m, const char *file, bool *gone)
{
    json_t *origin = json_object_get(json_object_get(m->root, "fingerprints"), file);
    const char *first = NULL;
    for (void *at = json_object_iter(origin); at;
         at = json_object_iter_next(origin, at)) {
        const char *input = json_object_iter_key(at);
        uint64_t made_from = 0, now = 0;
        bool there = ps_manifest_file(m, input, NULL, &now);
        if (there && hash_value(json_object_iter_value(at), &made_from) &&
            made_from == now)
            continue;
        if (!first || strcmp(input, first) < 0) {
            first = input;
            *gone = !there;
        }
    }
    return first;
}

const char *ps_manifest_stale(const ps_manifest *m)
{
    bool gone;
    for (size_t i = 0; i < m->n_names; i++)
        if (wrong_input(m, m->names[i], &gone))
            return m->names[i];
    return NULL;
}

int ps_manifest_check(const ps_manifest *m, ps_why *why)
{
    bool gone = false;
    const char *file = ps_manifest_stale(m);
    if (!file)
        return PS_OK;
    const char *input = wrong_input(m, file, &gone);
    return ps_fail(why, PS_EMISMATCH, file, 0,
                   gone ? "it was made from %s, which is not there"
                        : "it was made from another %s than the one beside it",
                   input);
}

/* ------------------------------ Values ------------------------------------ */

/* Member of an object by name, or of an array by number; NULL: not there. Borrowed. */
static json_t *member(const json_t *at, const char *key)
{
    if (!json_is_array(at))
        return json_object_get(at, key);
    char *end;
    unsigned long i = strtoul(key, &end, 10);
    return *key >= '0' && *key <= '9' && !*end ? json_array_get(at, i) : NULL;
}

/* Parent object of a path's last name; the name goes to *last. NULL: not there. */
static json_t *parent_of(const ps_manifest *m, const char *path, bool make,
                         const char **last)
{
    char key[128];
    json_t *at = m->root;
    const char *dot;
    for (; at && (dot = strchr(path, '.')); path = dot + 1) {
        size_t len = (size_t)(dot - path);
        if (len >= sizeof key)
            return NULL;
        memcpy(key, path, len);
        key[len] = '\0';
        at = make ? object_in(at, key) : member(at, key);
    }
    *last = path;
    return at;
}

static json_t *get(const ps_manifest *m, const char *path)
{
    const char *last;
    json_t *parent = parent_of(m, path, false, &last);
    return parent ? member(parent, last) : NULL;
}

size_t ps_manifest_length(const ps_manifest *m, const char *path)
{
    return json_array_size(get(m, path));
}

/* Takes value. */
static void set(ps_manifest *m, const char *path, json_t *value)
{
    const char *last;
    json_t *parent = parent_of(m, path, true, &last);
    if (!parent || json_object_set_new(parent, last, sure(value)) < 0)
        abort();
    list_names(m); /* the path may have led into the file list */
}

uint64_t ps_manifest_u64(const ps_manifest *m, const char *path, uint64_t otherwise)
{
    const json_t *value = get(m, path);
    if (json_is_integer(value) && json_integer_value(value) >= 0)
        return (uint64_t)json_integer_value(value);
    const char *text = json_string_value(value);
    if (!text || !*text || strspn(text, "0123456789") != strlen(text))
        return otherwise;
    errno = 0;
    uint64_t number = strtoull(text, NULL, 10);
    return errno ? otherwise : number;
}

double ps_manifest_real(const ps_manifest *m, const char *path, double otherwise)
{
    const json_t *value = get(m, path);
    return json_is_number(value) ? json_number_value(value) : otherwise;
}

const char *ps_manifest_text(const ps_manifest *m, const char *path,
                             const char *otherwise)
{
    const char *text = json_string_value(get(m, path));
    return text ? text : otherwise;
}

bool ps_manifest_has(const ps_manifest *m, const char *path)
{
    return get(m, path) != NULL;
}

void ps_manifest_set_u64(ps_manifest *m, const char *path, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    set(m, path, value > INT64_MAX ? json_string(text) : json_integer((json_int_t)value));
}

void ps_manifest_set_real(ps_manifest *m, const char *path, double value)
{
    json_t *real = json_real(value); /* NULL for what JSON cannot say */
    set(m, path, real ? real : json_null());
}

void ps_manifest_set_text(ps_manifest *m, const char *path, const char *value)
{
    json_t *text = json_string(value); /* NULL when it is not UTF-8 */
    set(m, path, text ? text : json_string_nocheck("(not UTF-8)"));
}

int ps_manifest_set_json(ps_manifest *m, const char *path, const char *value)
{
    json_t *parsed = json_loads(value, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    if (!parsed)
        return PS_EFORMAT;
    set(m, path, parsed);
    return PS_OK;
}

uint64_t ps_manifest_identity(const ps_manifest *m)
{
    char *text = sure(json_dumps(m->root, STYLE));
    uint64_t hash = ps_hash(text, strlen(text));
    free(text);
    return hash;
}

char *ps_manifest_json(const ps_manifest *m, const char *path)
{
    const json_t *value = *path ? get(m, path) : m->root;
    return value ? json_dumps(value, STYLE | JSON_ENCODE_ANY) : NULL;
}

void ps_manifest_remove(ps_manifest *m, const char *path)
{
    const char *last;
    json_t *parent = parent_of(m, path, false, &last);
    if (parent)
        json_object_del(parent, last);
    list_names(m);
}

bool ps_manifest_own_block(const ps_manifest *m, const char *name)
{
    char path[96];
    int n = snprintf(path, sizeof path, PS_FILE_BLOCK, name);
    if (n < 0 || (size_t)n >= sizeof path || !ps_manifest_file(m, path, NULL, NULL))
        return false;
    snprintf(path, sizeof path, PS_KEY_BLOCK_OF, name); /* what our own steps write */
    return !ps_manifest_has(m, path);
}

/* ------------------------------ Lifetime ---------------------------------- */

static ps_manifest *around(json_t *root) /* takes root */
{
    ps_manifest *m = sure(calloc(1, sizeof *m));
    m->root = sure(root);
    list_names(m);
    return m;
}

ps_manifest *ps_manifest_new(void)
{
    ps_manifest *m = around(json_object());
    ps_manifest_set_u64(m, "format", FORMAT);
    return m;
}

void ps_manifest_free(ps_manifest *m)
{
    if (!m)
        return;
    json_decref(m->root);
    free(m->names);
    free(m);
}

/* A name that stays inside the generation: no "..", no empty part, not absolute. */
static bool name_is_safe(const char *name)
{
    for (;;) {
        size_t len = strcspn(name, "/");
        if (len == 0 || name[0] == '.')
            return false;
        if (name[len] == '\0')
            return true;
        name += len + 1;
    }
}

static int check_file(const char *name, const json_t *file, const char *path, ps_why *why)
{
    uint64_t hash;
    const json_t *size = json_object_get(file, "size");
    if (!name_is_safe(name))
        return ps_fail(why, PS_EFORMAT, path, 0, "the file list has a name \"%s\"", name);
    if (!json_is_integer(size) || json_integer_value(size) < 0 ||
        !hash_value(json_object_get(file, "xxh3"), &hash))
        return ps_fail(why, PS_EFORMAT, path, 0, "file %s is listed without size or xxh3",
                       name);
    return PS_OK;
}

static int check_root(json_t *root, const char *path, ps_why *why)
{
    const json_t *format = json_object_get(root, "format");
    json_t *files = json_object_get(root, "files");
    if (!json_is_object(root) || !json_is_integer(format) ||
        json_integer_value(format) < 1)
        return ps_fail(why, PS_EFORMAT, path, 0, "it is not a manifest");
    if (json_integer_value(format) > FORMAT)
        return ps_fail(why, PS_EUNSUPPORTED, path, 0,
                       "its format %lld is newer than this program, which knows %d",
                       (long long)json_integer_value(format), FORMAT);
    if (files && !json_is_object(files))
        return ps_fail(why, PS_EFORMAT, path, 0, "the file list is not an object");
    int err = PS_OK;
    for (void *at = json_object_iter(files); at && !err;
         at = json_object_iter_next(files, at))
        err = check_file(json_object_iter_key(at), json_object_iter_value(at), path, why);
    return err;
}

int ps_manifest_load(ps_manifest **m, const char *path, ps_why *why)
{
    ps_map map;
    json_error_t error;
    int err = ps_map_open(&map, path, PS_SEQUENTIAL, why);
    if (err)
        return err;
    json_t *root =
        json_loadb(map.data ? map.data : "", map.size, JSON_REJECT_DUPLICATES, &error);
    ps_map_close(&map);
    if (!root)
        return ps_fail(why, PS_EFORMAT, path, error.line, "not JSON: %.160s", error.text);
    err = check_root(root, path, why);
    if (err)
        json_decref(root);
    else
        *m = around(root);
    return err;
}

int ps_manifest_save(const ps_manifest *m, const char *path, ps_why *why)
{
    char *text = sure(json_dumps(m->root, STYLE));
    size_t len = strlen(text);
    text[len] = '\n'; /* where its NUL was: files end in a line's end */
    int err = ps_file_put(path, text, len + 1, why);
    free(text);
    return err;
}
