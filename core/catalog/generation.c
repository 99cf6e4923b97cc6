/* generation.c - maps a generation and holds its parts against each other.
 *
 * The manifest is read first and says which files there are; a file it does not list is
 * not looked at. Then sizes (one stat each), fingerprints (no reading at all), and each
 * array as it is mapped: its type, and one row a pin. Data is not read but for what could
 * end the process, the pages of pins.mdb and the offsets of the graph, so that a server
 * is ready as soon as the index is.
 *
 * Threads: see generation.h. Not here: what costs reading (verify.c).
 */
#include "pinsage/generation.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pinsage/catalog.h"
#include "pinsage/file.h"
#include "pinsage/layout.h"

/* ------------------------------ Files ------------------------------------- */

bool ps_generation_file(const ps_generation *g, const char *name, char *out)
{
    if (out)
        snprintf(out, PS_PATH_MAX, "%s/%s", g->dir, name);
    return ps_manifest_file(g->manifest, name, NULL, NULL);
}

static int check_size(const ps_generation *g, const char *name, ps_why *why)
{
    char path[PS_PATH_MAX];
    struct stat st;
    uint64_t size = 0;
    ps_generation_file(g, name, path);
    ps_manifest_file(g->manifest, name, &size, NULL);
    if (stat(path, &st) < 0)
        return ps_fail_errno(why, path, "is listed but cannot be opened");
    if ((uint64_t)st.st_size != size)
        return ps_fail(why, PS_EMISMATCH, path, 0,
                       "it has %lld bytes, the manifest says %" PRIu64,
                       (long long)st.st_size, size);
    return PS_OK;
}

static int check_files(const ps_generation *g, ps_why *why)
{
    static const char *const needed[] = {
        PS_FILE_PINS,       PS_FILE_PIN_BOARDS_STARTS,
        PS_FILE_PIN_BOARDS, PS_FILE_BOARD_PINS_STARTS,
        PS_FILE_BOARD_PINS,
    };
    const char *name;
    int err = PS_OK;
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!ps_generation_file(g, needed[i], NULL))
            return ps_fail(why, PS_EMISMATCH, g->dir, 0, "its manifest lists no %s",
                           needed[i]);
    for (size_t i = 0; !err && (name = ps_manifest_file_at(g->manifest, i)); i++)
        err = check_size(g, name, why);
    return err;
}

static int check_fingerprints(const ps_generation *g, ps_why *why)
{
    ps_why inner = {0};
    int err = ps_manifest_check(g->manifest, &inner);
    if (!err)
        return PS_OK;
    char path[PS_PATH_MAX];
    ps_generation_file(g, inner.where, path);
    return ps_fail(why, err, path, 0, "%s", inner.text);
}

/* ------------------------------ Arrays ------------------------------------ */

int ps_generation_array(const ps_generation *g, const char *name, ps_npy *a, ps_why *why)
{
    char path[PS_PATH_MAX];
    *a = (ps_npy){0};
    if (!ps_generation_file(g, name, path))
        return ps_fail(why, PS_ENOENT, g->dir, 0, "there is no %s", name);
    int err = ps_npy_open(a, path, PS_RANDOM, why);
    if (err)
        return err;
    if (a->ndim != 2 || a->rows != g->n_pins || a->cols == 0)
        err = ps_fail(why, PS_EMISMATCH, path, 0,
                      "its shape is (%" PRIu64 ", %" PRIu64 ") for %u pins", a->rows,
                      a->ndim == 2 ? a->cols : 0, g->n_pins);
    if (err)
        ps_npy_close(a);
    return err;
}

/* The same for numbers to compute with: f32 or f16. */
static int open_vectors(const ps_generation *g, const char *name, ps_npy *a, ps_why *why)
{
    int err = ps_generation_array(g, name, a, why);
    if (err || a->dtype == PS_F32 || a->dtype == PS_F16)
        return err;
    err = ps_fail(why, PS_EMISMATCH, g->dir, 0, "%s holds %s, expected are <f4 or <f2",
                  name, ps_dtype_name(a->dtype));
    ps_npy_close(a);
    return err;
}

/* "visual" of "features/visual.npy" into out (64); false for any other file. */
static bool block_name(const char *file, char *out)
{
    size_t len = strlen(file);
    if (strncmp(file, PS_DIR_BLOCKS "/", 9) != 0 || len < 14 || len - 13 >= 64 ||
        strcmp(file + len - 4, ".npy") != 0)
        return false;
    memcpy(out, file + 9, len - 13);
    out[len - 13] = '\0';
    return strchr(out, '/') == NULL;
}

static int open_block(ps_generation *g, const char *file, const char *name, ps_why *why)
{
    ps_block *block = &g->blocks[g->n_blocks];
    block->name = strdup(name);
    if (!block->name)
        return ps_fail(why, PS_ENOMEM, g->dir, 0, "no memory for feature blocks");
    g->n_blocks++;
    return open_vectors(g, file, &block->array, why);
}

/* The manifest's names are sorted, so blocks are. */
static int open_blocks(ps_generation *g, ps_why *why)
{
    char name[64];
    const char *file;
    size_t n = 0;
    for (size_t i = 0; (file = ps_manifest_file_at(g->manifest, i)); i++)
        n += block_name(file, name);
    g->blocks = calloc(n + 1, sizeof *g->blocks);
    if (!g->blocks)
        return ps_fail(why, PS_ENOMEM, g->dir, 0, "no memory for feature blocks");
    int err = PS_OK;
    for (size_t i = 0; !err && (file = ps_manifest_file_at(g->manifest, i)); i++)
        if (block_name(file, name))
            err = open_block(g, file, name, why);
    return err;
}

static int open_neighbours(ps_generation *g, ps_why *why)
{
    static const char *const rows = PS_FILE_NEAR_ROWS;
    static const char *const weights = PS_FILE_NEAR_WEIGHTS;
    bool have = ps_generation_file(g, rows, NULL);
    if (have != ps_generation_file(g, weights, NULL))
        return ps_fail(why, PS_EMISMATCH, g->dir, 0, "%s is there without %s",
                       have ? rows : weights, have ? weights : rows);
    if (!have)
        return PS_OK;
    int err = ps_generation_array(g, rows, &g->nbr_rows, why);
    if (!err)
        err = ps_generation_array(g, weights, &g->nbr_weights, why);
    if (!err && (g->nbr_rows.dtype != PS_U32 || g->nbr_weights.dtype != PS_F32 ||
                 g->nbr_rows.cols != g->nbr_weights.cols))
        err = ps_fail(why, PS_EMISMATCH, g->dir, 0,
                      "%s (%s) and %s (%s) are not u32 and f32 of one shape", rows,
                      ps_dtype_name(g->nbr_rows.dtype), weights,
                      ps_dtype_name(g->nbr_weights.dtype));
    return err;
}

/* Layer by layer, as many as there are. */
static int open_messages(ps_generation *g, ps_why *why)
{
    char name[32];
    int err = PS_OK;
    for (uint32_t k = 0; k < PS_MESSAGES_MAX && !err; k++) {
        snprintf(name, sizeof name, PS_FILE_MESSAGES, k + 1);
        if (!ps_generation_file(g, name, NULL))
            break;
        err = open_vectors(g, name, &g->messages[k], why);
        g->n_messages += !err;
    }
    return err;
}

/* ------------------------------ Opening ----------------------------------- */

/* A count that the manifest names must be the one that is there. */
static int check_count(const ps_generation *g, const char *path, const char *what,
                       uint64_t have, ps_why *why)
{
    uint64_t said = ps_manifest_u64(g->manifest, path, have);
    if (said == have)
        return PS_OK;
    return ps_fail(why, PS_EMISMATCH, g->dir, 0,
                   "%s holds %" PRIu64 " %s, the manifest says %" PRIu64, what, have,
                   path + strlen("counts."), said);
}

static int check_counts(const ps_generation *g, ps_why *why)
{
    const ps_csr *forth = &g->graph.pin_boards, *back = &g->graph.board_pins;
    int err = check_count(g, PS_KEY_COUNT_PINS, PS_FILE_PINS, g->n_pins, why);
    if (!err)
        err = check_count(g, PS_KEY_COUNT_PINS, PS_DIR_GRAPH "/" PS_GRAPH_PINS,
                          forth->rows, why);
    if (!err)
        err = check_count(g, PS_KEY_COUNT_BOARDS, PS_FILE_PINS, g->n_boards, why);
    if (!err)
        err = check_count(g, PS_KEY_COUNT_BOARDS, PS_DIR_GRAPH "/" PS_GRAPH_BOARDS,
                          back->rows, why);
    if (!err)
        err = check_count(g, PS_KEY_COUNT_EDGES, PS_DIR_GRAPH "/" PS_GRAPH_PINS,
                          forth->edges, why);
    if (!err)
        err = check_count(g, PS_KEY_COUNT_EDGES, PS_DIR_GRAPH "/" PS_GRAPH_BOARDS,
                          back->edges, why);
    if (!err && (forth->rows != g->n_pins || back->rows != g->n_boards))
        err = ps_fail(why, PS_EMISMATCH, g->dir, 0,
                      "pins.mdb and graph/ differ in their number of pins or boards");
    return err;
}

static int open_parts(ps_generation *g, ps_why *why)
{
    char path[PS_PATH_MAX];
    ps_generation_file(g, PS_FILE_PINS, path);
    int err = ps_pins_open(&g->pins, path, why);
    if (err)
        return err;
    g->n_pins = ps_pins_count(g->pins);
    g->n_boards = ps_pins_boards(g->pins);
    ps_generation_file(g, PS_DIR_GRAPH, path);
    err = ps_graph_open(&g->graph, path, why);
    if (!err)
        err = check_counts(g, why);
    if (!err)
        err = open_blocks(g, why);
    if (!err)
        err = open_neighbours(g, why);
    if (!err)
        err = open_messages(g, why);
    if (!err && ps_generation_file(g, PS_FILE_EMBEDDINGS, NULL))
        err = open_vectors(g, PS_FILE_EMBEDDINGS, &g->embeddings, why);
    return err;
}

/* dir and name; trailing slashes do not count. */
static int set_names(ps_generation *g, const char *dir, ps_why *why)
{
    size_t len = strlen(dir);
    while (len > 1 && dir[len - 1] == '/')
        len--;
    if (len == 0 || len >= sizeof g->dir)
        return ps_fail(why, PS_ERANGE, dir, 0, "the generation's path is %s",
                       len ? "too long" : "empty");
    memcpy(g->dir, dir, len);
    const char *slash = strrchr(g->dir, '/');
    snprintf(g->name, sizeof g->name, "%.31s", slash ? slash + 1 : g->dir);
    return PS_OK;
}

static int load_manifest(ps_generation *g, ps_why *why)
{
    char path[PS_PATH_MAX];
    snprintf(path, sizeof path, "%s/manifest.json", g->dir);
    return ps_manifest_load(&g->manifest, path, why);
}

/* How much is read before anything is used. */
typedef enum reading { SMALL_PINS, ALL_PINS, ALL } reading;

static int read_first(const ps_generation *g, reading how, ps_why *why)
{
    const char *name;
    int err = PS_OK;
    uint64_t pins = 0;
    ps_manifest_file(g->manifest, PS_FILE_PINS, &pins, NULL);
    if (how == SMALL_PINS && pins > PS_PINS_READ_FIRST)
        return PS_OK;
    for (size_t i = 0; !err && (name = ps_manifest_file_at(g->manifest, i)); i++)
        if (how == ALL || strcmp(name, PS_FILE_PINS) == 0)
            err = ps_generation_check_file(g, name, NULL, NULL, why);
    return err;
}

static int open_dir(ps_generation **out, const char *dir, reading how, ps_why *why)
{
    ps_generation *g = calloc(1, sizeof *g);
    if (!g)
        return ps_fail(why, PS_ENOMEM, dir, 0, "no memory for a generation");
    g->refs = 1;
    int err = set_names(g, dir, why);
    if (!err)
        err = load_manifest(g, why);
    if (!err)
        err = check_files(g, why);
    if (!err)
        err = check_fingerprints(g, why);
    if (!err)
        err = read_first(g, how, why);
    if (!err)
        err = open_parts(g, why);
    if (err)
        ps_generation_release(g);
    else
        *out = g;
    return err;
}

int ps_generation_open_dir(ps_generation **g, const char *dir, ps_why *why)
{
    return open_dir(g, dir, SMALL_PINS, why);
}

int ps_generation_open_dir_whole(ps_generation **g, const char *dir, ps_why *why)
{
    return open_dir(g, dir, ALL, why);
}

static int open_current(ps_generation **g, const char *catalog, reading how, ps_why *why)
{
    char dir[PS_PATH_MAX], again[PS_PATH_MAX];
    for (int turn = 0;; turn++) {
        int err = ps_catalog_current(catalog, dir, why);
        if (!err)
            err = open_dir(g, dir, how, why);
        /* Two commits since `current` was read may have pruned what it led to. */
        if (err != PS_ENOENT || turn == 3 || ps_catalog_current(catalog, again, NULL) ||
            strcmp(dir, again) == 0)
            return err;
    }
}

int ps_generation_open(ps_generation **g, const char *catalog, ps_why *why)
{
    return open_current(g, catalog, SMALL_PINS, why);
}

int ps_generation_open_base(ps_generation **g, const char *catalog, ps_why *why)
{
    char dir[PS_PATH_MAX];
    int err = ps_catalog_base(catalog, dir, why);
    return err ? err : open_dir(g, dir, SMALL_PINS, why);
}

int ps_generation_open_checked(ps_generation **g, const char *catalog, ps_why *why)
{
    return open_current(g, catalog, ALL_PINS, why);
}

int ps_generation_open_whole(ps_generation **g, const char *catalog, ps_why *why)
{
    return open_current(g, catalog, ALL, why);
}

/* ------------------------------ Sharing ----------------------------------- */

ps_generation *ps_generation_acquire(ps_generation *g)
{
    __atomic_fetch_add(&g->refs, 1, __ATOMIC_RELAXED);
    return g;
}

static void generation_free(ps_generation *g)
{
    for (uint32_t i = 0; i < g->n_blocks; i++) {
        free((char *)(uintptr_t)g->blocks[i].name);
        ps_npy_close(&g->blocks[i].array);
    }
    free(g->blocks);
    ps_npy_close(&g->embeddings);
    ps_npy_close(&g->nbr_rows);
    ps_npy_close(&g->nbr_weights);
    for (uint32_t k = 0; k < g->n_messages; k++)
        ps_npy_close(&g->messages[k]);
    ps_graph_close(&g->graph);
    if (g->pins)
        ps_pins_close(g->pins);
    ps_manifest_free(g->manifest);
    free(g);
}

void ps_generation_release(ps_generation *g)
{
    if (g && __atomic_sub_fetch(&g->refs, 1, __ATOMIC_ACQ_REL) == 0)
        generation_free(g);
}

const ps_block *ps_generation_block(const ps_generation *g, const char *name)
{
    for (uint32_t i = 0; i < g->n_blocks; i++)
        if (strcmp(g->blocks[i].name, name) == 0)
            return &g->blocks[i];
    return NULL;
}

int ps_generation_may_replace(const ps_generation *g, const char *block, ps_why *why)
{
    char path[96];
    if (!ps_manifest_own_block(g->manifest, block))
        return PS_OK;
    snprintf(path, sizeof path, PS_KEY_BLOCK_SOURCE, block);
    return ps_fail(why, PS_EEXIST, g->name, 0,
                   "the block `%s` is your own, from %.120s: --replace puts ours in its "
                   "place",
                   block, ps_manifest_text(g->manifest, path, "an import"));
}
