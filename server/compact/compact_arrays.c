/* compact_arrays.c - files with a row a pin: rows of the live view, and of the generation
 * before where that has none of its own.
 *
 * A file is read and written from end to end once; a row that stays is copied as it is,
 * bit by bit.
 *
 * Threads: see compact.h. Not here: lists of neighbours (compact_neighbours.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/half.h"
#include "pinsage/layout.h"
#include "pinsage/structure.h"
#include "server/compact/compact_inside.h"

#define LOOK 4096 /* rows between two words to the listener */

/* ------------------------------ Files -------------------------------------- */

int compact_array_begin(compaction *f, const char *name, ps_dtype type, uint64_t rows,
                        uint64_t cols, ps_out **out)
{
    char path[PS_PATH_MAX];
    int err = ps_draft_path(f->draft, name, path, f->why);
    if (!err)
        err = ps_out_open(out, path, f->why);
    if (!err)
        ps_npy_header(*out, type, rows, cols);
    return err;
}

int compact_array_end(compaction *f, const char *name, ps_out *out, int err)
{
    uint64_t hash, size = ps_out_size(out);
    if (err) {
        ps_out_abort(out);
        return err;
    }
    err = ps_out_close(out, &hash, f->why);
    if (!err)
        ps_draft_file(f->draft, name, size, hash);
    return err;
}

/* ------------------------------ Rows --------------------------------------- */

typedef struct column {
    compaction *f;
    const char *name; /* of the file */
    ps_npy old;
    const ps_delta_index *delta; /* NULL: live rows have nothing of it */
    uint32_t layer; /* of messages, which stand behind a vector; 0: the vector */
    bool structure; /* the block that boards give */
    ps_out *out;
    float *made;     /* (cols) */
    uint16_t *half;  /* (cols) */
    uint32_t *board; /* (room) of a pin */
    uint32_t room;
    uint64_t filled; /* rows that are not zero */
    uint32_t live;   /* rows of the view's own */
} column;

static int column_open(column *c)
{
    char path[PS_PATH_MAX];
    compaction *f = c->f;
    ps_generation_file(f->g, c->name, path);
    int err = ps_npy_open_as(&c->old, path, c->layer ? PS_F16 : c->old.dtype,
                             f->g->n_pins, 0, PS_SEQUENTIAL, f->why);
    if (err)
        return err;
    c->made = malloc(c->old.cols * sizeof *c->made);
    c->half = malloc(c->old.cols * sizeof *c->half);
    return c->made && c->half
               ? PS_OK
               : ps_fail(f->why, PS_ENOMEM, path, 0, "no memory for a row");
}

static void column_close(column *c)
{
    ps_npy_close(&c->old);
    free(c->made), free(c->half), free(c->board);
}

/* Boards of a row into c->board. */
static int boards_of(column *c, uint32_t row, uint32_t *n)
{
    const ps_graph *s = &c->f->from.s.graph;
    uint32_t degree = ps_graph_degree(s, PS_PINS, row);
    if (degree > c->room) {
        uint32_t *more = realloc(c->board, degree * sizeof *more);
        if (!more)
            return PS_ENOMEM;
        c->board = more;
        c->room = degree;
    }
    *n = ps_graph_slice(s, PS_PINS, row, 0, degree, c->board);
    return PS_OK;
}

/* Without a model nobody has made the row's structure anew. */
static int make_structure(column *c, uint32_t row, const float **vector)
{
    uint32_t n;
    int err = boards_of(c, row, &n);
    if (err)
        return ps_fail(c->f->why, err, c->f->g->dir, 0, "no memory for a pin's boards");
    ps_structure_fold_in(&c->f->from.featurizer->boards, c->board, n, c->made);
    *vector = c->made;
    return PS_OK;
}

static bool is_filled(const void *row, ps_dtype type, size_t n)
{
    const uint16_t *half = row;
    const uint32_t *whole = row;
    for (size_t i = 0; i < n; i++)
        if (type == PS_F16 ? half[i] & 0x7fffu : whole[i] & 0x7fffffffu)
            return true;
    return false;
}

static void put(column *c, const void *row)
{
    c->filled += is_filled(row, c->old.dtype, c->old.cols);
    ps_out_write(c->out, row, c->old.cols * ps_dtype_size(c->old.dtype));
}

static void put_vector(column *c, const float *vector)
{
    if (c->old.dtype == PS_F16)
        ps_f32_to_f16(vector, c->half, c->old.cols);
    put(c, c->old.dtype == PS_F16 ? (const void *)c->half : vector);
}

static void put_old(column *c, uint32_t row)
{
    size_t line = c->old.cols * ps_dtype_size(c->old.dtype);
    if (row < c->old.rows) {
        put(c, (const char *)c->old.data + row * line);
        return;
    }
    memset(c->made, 0, c->old.cols * sizeof *c->made);
    put_vector(c, c->made);
}

static int put_row(column *c, uint32_t row)
{
    const void *extra = NULL;
    const float *own = c->delta ? ps_delta_index_find(c->delta, row, &extra) : NULL;
    int err = PS_OK;
    if (!own && c->structure && compact_has_moved(c->f, row))
        err = make_structure(c, row, &own);
    if (err)
        return err;
    c->live += own != NULL;
    if (own && c->layer)
        put(c, (const uint16_t *)extra + (c->layer - 1) * c->old.cols);
    else if (own)
        put_vector(c, own);
    else
        put_old(c, row);
    return PS_OK;
}

static int put_rows(column *c)
{
    compaction *f = c->f;
    int err = PS_OK;
    for (uint32_t row = 0; row < f->rows && !err; row++) {
        if (f->pin[row] != PS_NO_ROW)
            err = put_row(c, row);
        if (!err && (row % LOOK == 0 || row + 1 == f->rows))
            err = compact_tell(f, c->name, row + 1, f->rows, "pins");
    }
    return err;
}

static int rewrite(column *c)
{
    compaction *f = c->f;
    int err = column_open(c);
    if (!err)
        err = compact_array_begin(f, c->name, c->old.dtype, f->report->pins, c->old.cols,
                                  &c->out);
    if (!err)
        err = compact_array_end(f, c->name, c->out, put_rows(c));
    column_close(c);
    return err;
}

/* ------------------------------ Which files -------------------------------- */

int compact_blocks(compaction *f)
{
    char name[96], key[96];
    const ps_featurizer *featurizer = f->from.featurizer;
    int err = PS_OK;
    for (uint32_t b = 0; b < f->g->n_blocks && !err; b++) {
        const ps_block *block = &f->g->blocks[b];
        column c = {.f = f,
                    .name = name,
                    .old = {.dtype = block->array.dtype},
                    .delta = ps_view_block(f->from.view, b),
                    .structure =
                        (int)b == featurizer->structure && featurizer->boards.rows};
        snprintf(name, sizeof name, PS_FILE_BLOCK, block->name);
        snprintf(key, sizeof key, PS_KEY_BLOCK_FILLED, block->name);
        err = rewrite(&c);
        if (!err)
            ps_manifest_set_u64(ps_draft_manifest(f->draft), key, c.filled);
    }
    return err;
}

static int rewrite_embeddings(compaction *f)
{
    ps_manifest *m = ps_draft_manifest(f->draft);
    column c = {.f = f,
                .name = PS_FILE_EMBEDDINGS,
                .old = {.dtype = f->g->embeddings.dtype},
                .delta = ps_view_embeddings(f->from.view)};
    int err = rewrite(&c);
    f->report->embedded = c.live;
    if (!err && ps_manifest_has(m, PS_KEY_EMBEDDINGS_FILLED))
        ps_manifest_set_u64(m, PS_KEY_EMBEDDINGS_FILLED, c.filled);
    return err;
}

int compact_vectors(compaction *f)
{
    char name[32];
    int err = f->g->embeddings.rows ? rewrite_embeddings(f) : PS_OK;
    for (uint32_t k = 1; !err; k++) {
        column c = {.f = f, .name = name, .layer = k};
        snprintf(name, sizeof name, PS_FILE_MESSAGES, k);
        if (!ps_generation_file(f->g, name, NULL))
            break;
        if (f->from.featurizer->has_model)
            c.delta = ps_view_embeddings(f->from.view);
        err = rewrite(&c);
    }
    return err;
}
