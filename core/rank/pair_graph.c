/* pair_graph.c - counted, placed, sorted by row, repeated pairs added up.
 *
 * Threads: see pair_graph.h.
 */
#include "pinsage/pair_graph.h"

#include <stdlib.h>
#include <string.h>

#include "pinsage/layout.h"

static const char *const files[3] = {"pairs.indptr.npy", "pairs.indices.npy",
                                     "pairs.weights.npy"};

static int by_row(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Sort a row and add up what is in it more than once; returns what is left. */
static uint64_t merge_row(uint32_t *index, uint64_t n, uint32_t *to, float *weight)
{
    uint64_t kept = 0;
    qsort(index, n, sizeof *index, by_row);
    for (uint64_t i = 0; i < n; i++)
        if (kept && to[kept - 1] == index[i]) {
            weight[kept - 1]++;
        } else {
            to[kept] = index[i];
            weight[kept++] = 1;
        }
    return kept;
}

/* Both ends of every pair into the row of the other; first (n + 1) is where rows begin.
 */
static void place(const ps_pairs *p, uint32_t n, uint64_t *first, uint32_t *index)
{
    memset(first, 0, ((size_t)n + 1) * sizeof *first);
    for (size_t i = 0; i < p->n; i++) {
        first[p->pair[i][0]]++;
        first[p->pair[i][1]]++;
    }
    for (uint64_t r = 0, sum = 0; r <= n; r++) {
        uint64_t count = first[r];
        first[r] = sum;
        sum += count;
    }
    for (size_t i = 0; i < p->n; i++) {
        index[first[p->pair[i][0]]++] = p->pair[i][1];
        index[first[p->pair[i][1]]++] = p->pair[i][0];
    }
    memmove(first + 1, first, n * sizeof *first);
    first[0] = 0;
}

int ps_pair_graph_make(ps_pair_graph *g, uint32_t n_pins, const ps_pairs *pairs)
{
    uint64_t *indptr = malloc(((size_t)n_pins + 1) * sizeof *indptr);
    uint32_t *index = malloc((2 * pairs->n + 1) * sizeof *index);
    float *weight = malloc((2 * pairs->n + 1) * sizeof *weight);
    *g = (ps_pair_graph){.csr = {.rows = n_pins, .indptr = indptr, .indices = index},
                         .weight = weight};
    if (!indptr || !index || !weight) {
        ps_pair_graph_done(g);
        return PS_ENOMEM;
    }
    place(pairs, n_pins, indptr, index);
    for (uint32_t r = 0; r < n_pins; r++) {
        uint64_t begin = indptr[r], n = indptr[r + 1] - begin;
        indptr[r] = g->csr.edges;
        g->csr.edges +=
            merge_row(index + begin, n, index + g->csr.edges, weight + g->csr.edges);
    }
    indptr[n_pins] = g->csr.edges;
    return PS_OK;
}

int ps_pair_graph_open(ps_pair_graph *g, const ps_generation *of, ps_why *why)
{
    static const ps_dtype type[3] = {PS_U64, PS_U32, PS_F32};
    char path[PS_PATH_MAX];
    int err = PS_OK;
    *g = (ps_pair_graph){0};
    for (int i = 0; i < 3 && !err; i++) {
        if (!ps_generation_file(of, files[i], path))
            return PS_OK;
        err = ps_npy_open_as(&g->array[i], path, type[i],
                             i == 0 ? (uint64_t)of->n_pins + 1 : UINT64_MAX, 1, PS_RANDOM,
                             why);
    }
    const uint64_t *indptr = g->array[0].data;
    uint64_t edges = err ? 0 : indptr[of->n_pins];
    for (uint32_t r = 0; r < of->n_pins && !err; r++)
        if (indptr[r] > indptr[r + 1] || indptr[r + 1] > edges)
            err = ps_fail(why, PS_EFORMAT, of->dir, 0, "%s: row %u ends before it begins",
                          files[0], r);
    if (!err && (g->array[1].rows != edges || g->array[2].rows != edges))
        err = ps_fail(why, PS_EFORMAT, of->dir, 0, "%s: has not the %llu entries of %s",
                      files[1], (unsigned long long)edges, files[0]);
    if (err) {
        ps_pair_graph_done(g);
        return err;
    }
    g->csr = (ps_csr){of->n_pins, edges, indptr, g->array[1].data};
    g->weight = g->array[2].data;
    return PS_OK;
}

int ps_pair_graph_write(const ps_pair_graph *g, ps_draft *d, ps_why *why)
{
    const ps_csr *m = &g->csr;
    const struct {
        ps_dtype type;
        uint64_t n;
        const void *data;
    } part[3] = {{PS_U64, (uint64_t)m->rows + 1, m->indptr},
                 {PS_U32, m->edges, m->indices},
                 {PS_F32, m->edges, g->weight}};
    int err = PS_OK;
    for (int i = 0; i < 3 && !err; i++) {
        ps_out *out;
        err = ps_draft_create(d, files[i], &out, why);
        if (err)
            return err;
        ps_npy_header(out, part[i].type, part[i].n, 0);
        ps_out_write(out, part[i].data, part[i].n * ps_dtype_size(part[i].type));
        err = ps_draft_close(d, files[i], out, why);
        if (!err)
            err = ps_manifest_made_from(ps_draft_manifest(d), files[i], PS_FILE_PINS);
    }
    return err;
}

void ps_pair_graph_done(ps_pair_graph *g)
{
    if (!g->array[0].data) {
        free((void *)(uintptr_t)g->csr.indptr);
        free((void *)(uintptr_t)g->csr.indices);
        free((void *)(uintptr_t)g->weight);
    }
    for (int i = 0; i < 3; i++)
        ps_npy_close(&g->array[i]);
    *g = (ps_pair_graph){0};
}

double ps_pair_total(const ps_pair_graph *g, uint32_t row)
{
    double sum = 0;
    if (row < g->csr.rows)
        for (uint64_t i = g->csr.indptr[row]; i < g->csr.indptr[row + 1]; i++)
            sum += (double)g->weight[i];
    return sum;
}

/* Entries that two rows have in common. */
static uint32_t common(const ps_csr *m, uint32_t a, uint32_t b)
{
    const uint32_t *x = ps_csr_row(m, a), *y = ps_csr_row(m, b);
    uint32_t n = ps_csr_degree(m, a), k = ps_csr_degree(m, b), both = 0;
    for (uint32_t i = 0, j = 0; i < n && j < k;) {
        both += x[i] == y[j];
        uint32_t at = x[i];
        i += at <= y[j];
        j += y[j] <= at;
    }
    return both;
}

enum { OVERLAPS = 20000 }; /* pairs looked at, evenly over the graph */

double ps_pairs_overlap(const ps_pair_graph *g)
{
    const ps_csr *m = &g->csr;
    uint64_t step = m->edges / OVERLAPS + 1, seen = 0;
    double sum = 0;
    for (uint32_t r = 0; r < m->rows; r++)
        for (uint64_t i = m->indptr[r]; i < m->indptr[r + 1]; i++) {
            uint32_t others = ps_csr_degree(m, r) - 1;
            if (i % step || !others)
                continue;
            sum += (double)common(m, r, m->indices[i]) / others;
            seen++;
        }
    return seen ? sum / (double)seen : 0;
}
