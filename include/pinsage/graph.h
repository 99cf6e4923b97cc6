/* graph.h - the pin-board graph as two mapped CSR matrices.
 *
 *   pin_boards  row = pin,   indices = boards it is saved on
 *   board_pins  row = board, indices = its pins
 *
 * Four .npy files under graph/ in SciPy's CSR layout: indptr u64 (rows + 1), indices
 * u32 (edges), each row sorted and free of duplicates; one is the transpose of the other.
 * A walk reads two random places a step: the pair of offsets, then one neighbour.
 *
 * A graph may be a view: the same matrices seen through an overlay of live changes as of
 * one version (overlay.h). Who asks ps_graph_degree, ps_graph_has, ps_graph_slice or a
 * walker reads both kinds; who asks ps_csr_... reads what is mapped.
 *
 * Threads: read by all. Not here: building (import.h), live edges (overlay.h).
 */
#ifndef PINSAGE_GRAPH_H
#define PINSAGE_GRAPH_H

#include <stdint.h>

#include "pinsage/err.h"
#include "pinsage/npy.h"

typedef struct ps_csr {
    uint32_t rows;
    uint64_t edges;
    const uint64_t *indptr;  /* (rows + 1) */
    const uint32_t *indices; /* (edges) */
} ps_csr;

struct ps_overlay;

typedef struct ps_graph {
    ps_csr pin_boards; /* rows = N pins */
    ps_csr board_pins; /* rows = boards */
    ps_npy array[4];   /* what is mapped; empty for a graph made in memory, and a view */
    const struct ps_overlay *overlay; /* NULL: nothing live; borrowed */
    uint64_t at;                      /* the version of it that is seen */
} ps_graph;

/* Map the four files below dir ("CATALOG/gen-000001/graph"). Looks at every offset, since
 * they are used as they are; at no index: those are held against the number of rows where
 * they are followed (ps_graph_edge, walks). ps_graph_check looks at every edge. */
int ps_graph_open(ps_graph *g, const char *dir, ps_why *why);
void ps_graph_close(ps_graph *g);

/* Every offset ascending, every index in range, rows sorted without duplicates, and the
 * two matrices transposes of each other. Changes nothing. */
int ps_graph_check(const ps_graph *g, ps_why *why);

static inline uint32_t ps_csr_degree(const ps_csr *m, uint32_t row)
{
    return (uint32_t)(m->indptr[row + 1] - m->indptr[row]);
}

static inline const uint32_t *ps_csr_row(const ps_csr *m, uint32_t row)
{
    return m->indices + m->indptr[row];
}

/* True if row holds index (binary search). */
bool ps_csr_has(const ps_csr *m, uint32_t row, uint32_t index);

/* ---- Reading a graph, live or not ---- */
/* Rows of a live graph end nowhere: beyond those of the matrix they are live, and one
 * that nothing is saved to has degree 0. The reader of a view has entered its version
 * (epoch.h). */
typedef enum ps_side { PS_PINS, PS_BOARDS } ps_side; /* what the rows are */

/* What the functions below ask of a view. */
uint32_t ps_live_rows(const ps_graph *g, ps_side side);
uint32_t ps_live_degree(const ps_graph *g, ps_side side, uint32_t row);
uint32_t ps_live_edge(const ps_graph *g, ps_side side, uint32_t row, uint32_t i);
bool ps_live_has(const ps_graph *g, uint32_t pin, uint32_t board);

static inline const ps_csr *ps_graph_csr(const ps_graph *g, ps_side side)
{
    return side == PS_PINS ? &g->pin_boards : &g->board_pins;
}

/* No row from this one on has an entry. */
static inline uint32_t ps_graph_rows(const ps_graph *g, ps_side side)
{
    return g->overlay ? ps_live_rows(g, side) : ps_graph_csr(g, side)->rows;
}

static inline uint32_t ps_graph_degree(const ps_graph *g, ps_side side, uint32_t row)
{
    return g->overlay ? ps_live_degree(g, side, row)
                      : ps_csr_degree(ps_graph_csr(g, side), row);
}

/* A number from a file as a row of a graph's other side: what a damaged file holds beyond
 * them reads as row 0, which is there when there is an edge. */
static inline uint32_t ps_graph_bound(const ps_graph *g, ps_side side, uint32_t row)
{
    return row < ps_graph_rows(g, side == PS_PINS ? PS_BOARDS : PS_PINS) ? row : 0;
}

/* The i-th of a row, i < degree; rows are sorted. */
static inline uint32_t ps_graph_edge(const ps_graph *g, ps_side side, uint32_t row,
                                     uint32_t i)
{
    return ps_graph_bound(g, side,
                          g->overlay ? ps_live_edge(g, side, row, i)
                                     : ps_csr_row(ps_graph_csr(g, side), row)[i]);
}

/* True if pin is saved on board. */
static inline bool ps_graph_has(const ps_graph *g, uint32_t pin, uint32_t board)
{
    return g->overlay ? ps_live_has(g, pin, board)
                      : ps_csr_has(&g->pin_boards, pin, board);
}

/* The row from its first-th entry on, at most max into out; returns how many. */
uint32_t ps_graph_slice(const ps_graph *g, ps_side side, uint32_t row, uint32_t first,
                        uint32_t max, uint32_t *out);

/* The largest degree that a pin has in the matrix, at least 1. Looks at every pin, but of
 * a live graph only when it is asked for the first time. */
uint32_t ps_graph_max_degree(const ps_graph *g);

/* ---- Building, out of core ---- */
typedef struct ps_graph_builder ps_graph_builder;
/* Edges are spooled to scratch files in dir, which is also where the four arrays end up;
 * memory is 8 bytes a pin and a board, whatever the number of edges. */
int ps_graph_builder_new(ps_graph_builder **b, const char *dir, ps_why *why);
int ps_graph_builder_add(ps_graph_builder *b, uint32_t pin, uint32_t board);
typedef struct ps_graph_stats {
    uint64_t edges, duplicates; /* kept, and merged away */
} ps_graph_stats;
struct ps_workers;
struct ps_progress;
/* Sort, merge duplicates, write and fsync the four arrays for n_pins and n_boards rows.
 * Frees b in any case; removes the scratch files. */
int ps_graph_builder_finish(ps_graph_builder *b, uint32_t n_pins, uint32_t n_boards,
                            struct ps_workers *w, const struct ps_progress *progress,
                            ps_graph_stats *stats, ps_why *why);
void ps_graph_builder_abort(ps_graph_builder *b);

/* ---- In memory ---- */
/* A small graph from edge pairs (pin, board), for tests: owned. Duplicates are merged. */
int ps_graph_from_pairs(ps_graph *g, uint32_t n_pins, uint32_t n_boards,
                        const uint32_t (*pairs)[2], size_t n);
/* A graph whose four arrays are allocated each, NULL or not. */
void ps_graph_free(ps_graph *g);

#endif
