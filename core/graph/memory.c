/* memory.c - a small graph on the heap, from pairs, by sorting them; and its end.
 *
 * From pairs: for tests, where its plainness also makes it the oracle of build.c. The
 * graph that training holds label boards out of lies on the heap too.
 *
 * Threads: see graph.h.
 */
#include "pinsage/graph.h"

#include <stdlib.h>

#include "core/base/order.h"

/* Sort keys row << 32 | index and drop repetitions; how many are left. */
static size_t unique(uint64_t *key, size_t n)
{
    size_t kept = 0;
    qsort(key, n, sizeof *key, ps_by_u64);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || key[kept - 1] != key[i])
            key[kept++] = key[i];
    return kept;
}

/* m from n sorted keys. */
static int fill(ps_csr *m, uint32_t rows, const uint64_t *key, size_t n)
{
    uint64_t *indptr = calloc((size_t)rows + 1, sizeof *indptr);
    uint32_t *indices = malloc((n ? n : 1) * sizeof *indices);
    *m = (ps_csr){.rows = rows, .edges = n, .indptr = indptr, .indices = indices};
    if (!indptr || !indices)
        return PS_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        indptr[(key[i] >> 32) + 1]++;
        indices[i] = (uint32_t)key[i];
    }
    for (uint64_t r = 0; r < rows; r++)
        indptr[r + 1] += indptr[r];
    return PS_OK;
}

int ps_graph_from_pairs(ps_graph *g, uint32_t n_pins, uint32_t n_boards,
                        const uint32_t (*pairs)[2], size_t n)
{
    *g = (ps_graph){0};
    uint64_t *key = malloc((n ? n : 1) * sizeof *key);
    int err = key ? PS_OK : PS_ENOMEM;
    for (size_t i = 0; i < n && !err; i++) {
        key[i] = (uint64_t)pairs[i][0] << 32 | pairs[i][1];
        if (pairs[i][0] >= n_pins || pairs[i][1] >= n_boards)
            err = PS_ERANGE;
    }
    if (!err) {
        n = unique(key, n);
        err = fill(&g->pin_boards, n_pins, key, n);
    }
    if (!err) {
        for (size_t i = 0; i < n; i++)
            key[i] = key[i] << 32 | key[i] >> 32;
        n = unique(key, n);
        err = fill(&g->board_pins, n_boards, key, n);
    }
    free(key);
    if (err)
        ps_graph_free(g);
    return err;
}

static void free_csr(ps_csr *m)
{
    /* Allocated, by fill() or whoever made it: const only for readers. */
    free((void *)(uintptr_t)m->indptr);
    free((void *)(uintptr_t)m->indices);
}

void ps_graph_free(ps_graph *g)
{
    free_csr(&g->pin_boards);
    free_csr(&g->board_pins);
    *g = (ps_graph){0};
}
