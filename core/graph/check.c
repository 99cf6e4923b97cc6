/* check.c - every edge of a graph looked at, once each way.
 *
 * Each matrix by itself first: offsets ascend, indices are in range, rows are sorted and
 * free of duplicates. Then the transpose, with one cursor a board: pins taken in order
 * must meet each board's pins in order. As many edges have been met as there are, and
 * no cursor has left its row, so nothing is missing either.
 *
 * Threads: see graph.h.
 */
#include "pinsage/graph.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------ One matrix -------------------------------- */

static int check_offsets(const ps_csr *m, const char *name, ps_why *why)
{
    if (m->indptr[0] != 0 || m->indptr[m->rows] != m->edges)
        return ps_fail(why, PS_EFORMAT, name, 0,
                       "the offsets do not span the %" PRIu64 " edges", m->edges);
    for (uint64_t r = 0; r < m->rows; r++)
        if (m->indptr[r + 1] < m->indptr[r])
            return ps_fail(why, PS_EFORMAT, name, 0,
                           "the offsets fall after row %" PRIu64, r);
    return PS_OK;
}

static int check_row(const ps_csr *m, uint32_t row, uint32_t cols, const char *name,
                     ps_why *why)
{
    const uint64_t begin = m->indptr[row], end = m->indptr[row + (uint64_t)1];
    for (uint64_t i = begin; i < end; i++) {
        if (m->indices[i] >= cols)
            return ps_fail(why, PS_EFORMAT, name, 0, "row %u holds %u, of %u", row,
                           m->indices[i], cols);
        if (i > begin && m->indices[i] <= m->indices[i - 1])
            return ps_fail(why, PS_EFORMAT, name, 0, "row %u is not in order at %u", row,
                           m->indices[i]);
    }
    return PS_OK;
}

static int check_matrix(const ps_csr *m, uint32_t cols, const char *name, ps_why *why)
{
    int err = check_offsets(m, name, why);
    for (uint32_t r = 0; r < m->rows && !err; r++)
        err = check_row(m, r, cols, name, why);
    return err;
}

/* ------------------------------ Both -------------------------------------- */

#define AHEAD 16 /* edges */

/* Ask for what the edges a little further on will read: first a board's cursor, then
 * the place it points to. Each is a random place, and the order is known. */
static inline void prefetch(const ps_graph *g, const uint64_t *cursor, uint64_t i)
{
    const ps_csr *forth = &g->pin_boards;
    if (i + 2 * AHEAD >= forth->edges)
        return;
    __builtin_prefetch(&cursor[forth->indices[i + 2 * AHEAD]], 1);
    __builtin_prefetch(&g->board_pins.indices[cursor[forth->indices[i + AHEAD]]]);
}

/* Pin p is the next one of each of its boards. */
static int meet(const ps_graph *g, uint64_t *cursor, uint32_t p, ps_why *why)
{
    const ps_csr *forth = &g->pin_boards, *back = &g->board_pins;
    for (uint64_t i = forth->indptr[p]; i < forth->indptr[p + (uint64_t)1]; i++) {
        uint32_t board = forth->indices[i];
        uint64_t at = cursor[board]++;
        prefetch(g, cursor, i);
        if (at >= back->indptr[board + (uint64_t)1] || back->indices[at] != p)
            return ps_fail(why, PS_EFORMAT, "board_pins", 0,
                           "board %u does not hold pin %u in its place", board, p);
    }
    return PS_OK;
}

static int check_transpose(const ps_graph *g, ps_why *why)
{
    size_t n = g->board_pins.rows;
    uint64_t *cursor = malloc((n + 1) * sizeof *cursor);
    int err = PS_OK;
    if (!cursor)
        return ps_fail(why, PS_ENOMEM, NULL, 0, "no memory for %zu boards", n);
    memcpy(cursor, g->board_pins.indptr, n * sizeof *cursor);
    for (uint32_t p = 0; p < g->pin_boards.rows && !err; p++)
        err = meet(g, cursor, p, why);
    free(cursor);
    return err;
}

int ps_graph_check(const ps_graph *g, ps_why *why)
{
    const ps_csr *forth = &g->pin_boards, *back = &g->board_pins;
    if (forth->edges != back->edges)
        return ps_fail(why, PS_EMISMATCH, NULL, 0,
                       "pin_boards has %" PRIu64 " edges, board_pins %" PRIu64,
                       forth->edges, back->edges);
    int err = check_matrix(forth, back->rows, "pin_boards", why);
    if (!err)
        err = check_matrix(back, forth->rows, "board_pins", why);
    return err ? err : check_transpose(g, why);
}
