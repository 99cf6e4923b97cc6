/* labels.c - boards out of the graph, pairs out of boards, queries out of pairs.
 *
 * Threads: see labels.h.
 */
#include "core/train/labels.h"

#include <stdlib.h>
#include <string.h>

#include "pinsage/rng.h"

static bool is_picked(uint64_t seed, uint64_t i, double share)
{
    return (double)(ps_mix64(seed * 0x9e3779b97f4a7c15u ^ (i + 1)) >> 11) * 0x1p-53 <
           share;
}

static bool is_held(const ps_graph *g, uint32_t board, double share, uint64_t seed)
{
    uint32_t size = ps_csr_degree(&g->board_pins, board);
    return size >= 2 && size <= PS_LABEL_CAP && is_picked(seed, board, share);
}

/* ------------------------------ The graph --------------------------------- */

/* rows' entries that keep says yes to. */
typedef bool (*keep_fn)(const uint8_t *held, uint32_t row, uint32_t index);

static bool keep_board_index(const uint8_t *held, uint32_t row, uint32_t index)
{
    (void)row;
    return !held[index];
}

static bool keep_board_row(const uint8_t *held, uint32_t row, uint32_t index)
{
    (void)index;
    return !held[row];
}

static int filter(const ps_csr *m, const uint8_t *held, keep_fn keep, ps_csr *out)
{
    uint64_t *indptr = malloc(((size_t)m->rows + 1) * sizeof *indptr);
    uint32_t *indices = malloc((m->edges + 1) * sizeof *indices);
    *out = (ps_csr){.rows = m->rows, .indptr = indptr, .indices = indices};
    if (!indptr || !indices)
        return PS_ENOMEM;
    for (uint32_t r = 0; r < m->rows; r++) {
        indptr[r] = out->edges;
        for (uint64_t i = m->indptr[r]; i < m->indptr[r + 1]; i++)
            if (keep(held, r, m->indices[i]))
                indices[out->edges++] = m->indices[i];
    }
    indptr[m->rows] = out->edges;
    return PS_OK;
}

/* ------------------------------ Pairs ------------------------------------- */

/* All ordered pairs of a small board, a random draw from a large one. */
static int pairs_of_board(ps_pairs *p, size_t *room, const ps_csr *m, uint32_t board,
                          uint64_t seed)
{
    const uint32_t *pins = ps_csr_row(m, board);
    uint64_t n = ps_csr_degree(m, board), all = n * (n - 1);
    uint64_t rng = ps_rng_at(seed, board);
    int err = PS_OK;
    for (uint64_t i = 0; i < (all < PS_LABEL_PAIRS ? all : PS_LABEL_PAIRS) && !err; i++) {
        uint64_t pick = all <= PS_LABEL_PAIRS ? i : ps_rng_below(&rng, all);
        uint64_t a = pick / (n - 1), b = pick % (n - 1);
        err = ps_pairs_add(p, room, pins[a], pins[b < a ? b : b + 1]);
    }
    return err;
}

int ps_labels_hold_out(const ps_graph *g, double share, uint64_t seed, ps_pairs *pairs,
                       ps_graph *rest, uint32_t *boards)
{
    uint32_t n = g->board_pins.rows;
    uint8_t *held = calloc((size_t)n + 1, 1);
    size_t room = 0;
    int err = held ? PS_OK : PS_ENOMEM;
    *pairs = (ps_pairs){0};
    *rest = (ps_graph){0};
    *boards = 0;
    for (uint32_t b = 0; b < n && !err; b++) {
        if (!is_held(g, b, share, seed))
            continue;
        held[b] = 1;
        ++*boards;
        err = pairs_of_board(pairs, &room, &g->board_pins, b, seed);
    }
    if (!err)
        err = filter(&g->pin_boards, held, keep_board_index, &rest->pin_boards);
    if (!err)
        err = filter(&g->board_pins, held, keep_board_row, &rest->board_pins);
    if (err) {
        ps_graph_free(rest);
        ps_pairs_free(pairs);
    }
    free(held);
    return err;
}

int ps_labels_slice(ps_pairs *pairs, ps_pairs *valid, double share, uint64_t seed)
{
    size_t kept = 0, room = 0;
    int err = PS_OK;
    *valid = (ps_pairs){0};
    for (size_t i = 0; i < pairs->n && !err; i++) {
        uint32_t q = pairs->pair[i][0], r = pairs->pair[i][1];
        bool query_out = is_picked(seed, q, share), other_out = is_picked(seed, r, share);
        if (query_out)
            err = ps_pairs_add(valid, &room, q, r);
        else if (!other_out)
            memmove(pairs->pair[kept++], pairs->pair[i], sizeof *pairs->pair);
    }
    pairs->n = kept;
    return err;
}
