/* compact_graph.c - edges as the view shows them, under their new numbers.
 *
 * Threads: see compact.h.
 */
#include <stdlib.h>
#include <string.h>

#include "server/compact/compact_inside.h"

#include "pinsage/layout.h"

#define SLICE 4096 /* boards of a pin that are held at once */
#define LOOK  4096 /* pins between two words to the listener */

/* ------------------------------ Edges -------------------------------------- */

/* Whether n boards of a row from its first-th on are those that it had. */
static bool as_before(const compaction *f, uint32_t row, uint32_t first,
                      const uint32_t *board, uint32_t n)
{
    const ps_csr *m = &f->g->graph.pin_boards;
    return memcmp(ps_csr_row(m, row) + first, board, n * sizeof *board) == 0;
}

static int add_row(compaction *f, ps_graph_builder *b, uint32_t row)
{
    uint32_t board[SLICE];
    const ps_graph *s = &f->from.s.graph;
    uint32_t degree = ps_graph_degree(s, PS_PINS, row);
    bool same =
        row < f->g->n_pins && ps_csr_degree(&f->g->graph.pin_boards, row) == degree;
    int err = PS_OK;
    for (uint32_t at = 0; at < degree && !err;) {
        uint32_t n = ps_graph_slice(s, PS_PINS, row, at, SLICE, board);
        same = same && as_before(f, row, at, board, n);
        for (uint32_t i = 0; i < n && !err; i++)
            err = ps_graph_builder_add(b, f->pin[row], f->board[board[i]]);
        at += n;
    }
    if (!same)
        f->moved[row / 64] |= UINT64_C(1) << row % 64;
    return err ? ps_fail(f->why, err, ps_draft_dir(f->draft), 0,
                         "edges cannot be kept: %s", ps_strerror(err))
               : PS_OK;
}

static int add_rows(compaction *f, ps_graph_builder *b)
{
    int err = PS_OK;
    for (uint32_t row = 0; row < f->rows && !err; row++) {
        if (f->pin[row] != PS_NO_ROW)
            err = add_row(f, b, row);
        if (!err && (row % LOOK == 0 || row + 1 == f->rows))
            err = compact_tell(f, "edges", row + 1, f->rows, "pins");
    }
    return err;
}

/* The builder writes files of these names: none may be a link to the old ones. */
static int list_files(compaction *f, int (*each)(compaction *f, const char *name))
{
    static const char *const files[] = PS_GRAPH_FILES;
    int err = PS_OK;
    for (int i = 0; i < 4 && !err; i++)
        err = each(f, files[i]);
    return err;
}

static int cut(compaction *f, const char *name)
{
    return ps_draft_drop(f->draft, name, f->why);
}

static int keep(compaction *f, const char *name)
{
    return ps_draft_file_read(f->draft, name, f->why);
}

int compact_graph(compaction *f)
{
    char dir[PS_PATH_MAX];
    ps_graph_builder *b = NULL;
    ps_counts counts;
    int err = list_files(f, cut);
    if (!err)
        err = ps_path_in(dir, ps_draft_dir(f->draft), PS_DIR_GRAPH, f->why);
    if (!err)
        err = ps_graph_builder_new(&b, dir, f->why);
    if (err)
        return err;
    err = add_rows(f, b);
    if (err) {
        ps_graph_builder_abort(b);
        return err;
    }
    err = ps_graph_builder_finish(b, f->report->pins, f->report->boards, f->workers,
                                  f->progress, NULL, f->why);
    if (!err)
        err = list_files(f, keep);
    if (!err)
        err = ps_draft_count(f->draft, &counts, f->why);
    if (!err)
        f->report->edges = counts.edges;
    return err;
}

/* ------------------------------ Vectors of boards -------------------------- */

/* A board that is newer than the structure has no vector yet. */
static int write_vectors(compaction *f, const ps_npy *old, ps_out *out)
{
    size_t line = old->cols * sizeof(float);
    float *zero = calloc(old->cols, sizeof *zero);
    if (!zero)
        return ps_fail(f->why, PS_ENOMEM, f->g->dir, 0, "no memory for a vector");
    for (uint32_t b = 0; b < f->boards; b++)
        if (f->board[b] != PS_NO_ROW)
            ps_out_write(
                out, b < old->rows ? (const char *)old->data + b * line : (char *)zero,
                line);
    free(zero);
    return PS_OK;
}

int compact_boards(compaction *f)
{
    static const char *const name = PS_FILE_STRUCTURE_BOARDS;
    char path[PS_PATH_MAX];
    ps_npy old;
    ps_out *out;
    if (!ps_generation_file(f->g, name, path))
        return PS_OK;
    int err =
        ps_npy_open_as(&old, path, PS_F32, f->g->n_boards, 0, PS_SEQUENTIAL, f->why);
    if (err)
        return err;
    err = compact_array_begin(f, name, PS_F32, f->report->boards, old.cols, &out);
    if (!err)
        err = compact_array_end(f, name, out, write_vectors(f, &old, out));
    ps_npy_close(&old);
    return err;
}
