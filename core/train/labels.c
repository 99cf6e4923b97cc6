/* labels.c - boards out of the graph, pairs out of boards, queries out of pairs.
 *
 * Threads: see labels.h.
 */
#include "core/train/labels.h"

#include <stdlib.h>
#include <string.h>

#include "pinsage/pair_graph.h"
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

/* ------------------------------ Slices ------------------------------------ */

/* Pairs whose query is set aside go to valid, those where only the other pin is go away.
 */
static int cut_by_queries(ps_pairs *pairs, ps_pairs *valid, double share, uint64_t seed)
{
    size_t kept = 0, room = 0;
    int err = PS_OK;
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

enum { SWEEPS = 20, LEAST_COMMUNITY = 20 };

/* What a pin's neighbours are in most, the smallest of equals; its own when there is
 * none. sum (pins) is zeros before and after. */
static uint32_t most_common(const ps_pair_graph *g, uint32_t row, const uint32_t *label,
                            float *sum)
{
    uint64_t begin = g->csr.indptr[row], end = g->csr.indptr[row + 1];
    uint32_t best = label[row];
    for (uint64_t i = begin; i < end; i++)
        sum[label[g->csr.indices[i]]] += g->weight[i];
    for (uint64_t i = begin; i < end; i++) {
        uint32_t l = label[g->csr.indices[i]];
        if (sum[l] > sum[best] || (!(sum[l] < sum[best]) && l < best))
            best = l;
    }
    for (uint64_t i = begin; i < end; i++)
        sum[label[g->csr.indices[i]]] = 0;
    return best;
}

/* Communities by label propagation: each pin joins what most of its pairs are in, until
 * nothing moves; a community that holds a twentieth of the pins takes no more. */
static void find_communities(const ps_pair_graph *g, uint32_t *label, uint32_t *size,
                             float *sum)
{
    uint32_t n = g->csr.rows, paired = 0, most;
    for (uint32_t r = 0; r < n; r++) {
        label[r] = r;
        size[r] = 1;
        sum[r] = 0;
        paired += ps_pair_degree(g, r) > 0;
    }
    most = paired / 20 > LEAST_COMMUNITY ? paired / 20 : LEAST_COMMUNITY;
    for (uint32_t sweep = 0, moved = 1; sweep < SWEEPS && moved; sweep++) {
        moved = 0;
        for (uint32_t r = 0; r < n; r++) {
            uint32_t to = most_common(g, r, label, sum);
            if (to == label[r] || size[to] >= most)
                continue;
            size[label[r]]--;
            size[to]++;
            label[r] = to;
            moved++;
        }
    }
}

/* Where a pair goes: 1 to valid, 0 to neither, -1 stays. */
static int side_of(const uint32_t *pair, const uint32_t *label, double share,
                   uint64_t seed)
{
    bool query_out = is_picked(seed, label[pair[0]], share),
         other_out = is_picked(seed, label[pair[1]], share);
    return query_out != other_out ? 0 : query_out ? 1 : -1;
}

/* *fits: the share of pairs that came out is near the one asked for. A few large
 * communities cannot be cut so; then nothing is moved. */
static int cut_by_communities(ps_pairs *pairs, ps_pairs *valid, const ps_pair_graph *g,
                              double share, uint64_t seed, bool *fits)
{
    size_t n = g->csr.rows, kept = 0, room = 0, out = 0, gone = 0;
    uint32_t *label = malloc((n + 1) * sizeof *label);
    uint32_t *size = malloc((n + 1) * sizeof *size);
    float *sum = malloc((n + 1) * sizeof *sum);
    int err = label && size && sum ? PS_OK : PS_ENOMEM;
    if (!err)
        find_communities(g, label, size, sum);
    for (size_t i = 0; i < pairs->n && !err; i++) {
        int side = side_of(pairs->pair[i], label, share, seed);
        out += side > 0;
        gone += side == 0;
    }
    double part = (double)out / ((double)pairs->n + 1);
    *fits = !err && part >= share / 3 && part <= share * 3 && gone < pairs->n / 3;
    for (size_t i = 0; i < pairs->n && *fits && !err; i++) {
        int side = side_of(pairs->pair[i], label, share, seed);
        if (side > 0)
            err = ps_pairs_add(valid, &room, pairs->pair[i][0], pairs->pair[i][1]);
        else if (side < 0)
            memmove(pairs->pair[kept++], pairs->pair[i], sizeof *pairs->pair);
    }
    if (!err && *fits)
        pairs->n = kept;
    free(label);
    free(size);
    free(sum);
    return err;
}

int ps_labels_slice(ps_pairs *pairs, ps_pairs *valid, uint32_t n_pins, double share,
                    uint64_t seed, ps_cut *cut)
{
    ps_pair_graph g = {0};
    *valid = (ps_pairs){0};
    int err = ps_pair_graph_make(&g, n_pins, pairs);
    if (err)
        return err;
    bool grouped = ps_pairs_overlap(&g) >= PS_PAIRS_GROUPED, fits = false;
    if (grouped)
        err = cut_by_communities(pairs, valid, &g, share, seed, &fits);
    *cut = fits ? PS_CUT_COMMUNITIES : PS_CUT_QUERIES;
    if (!err && !fits)
        err = cut_by_queries(pairs, valid, share, seed);
    ps_pair_graph_done(&g);
    return err;
}
