/* csr.c - map a graph's four arrays, and look things up in them.
 *
 * Opening costs four headers and every offset, 8 bytes a pin and a board: one that is
 * wrong would end the process at some later request. Edges are not read: there are many
 * more of them, and each is looked at when it is followed.
 *
 * Threads: see graph.h. Not here: looking at every edge (check.c), building (build.c).
 */
#include "pinsage/graph.h"

#include <inttypes.h>

#include "core/graph/file_names.h"

/* ------------------------------ Opening ----------------------------------- */

static int map_array(ps_npy *a, const char *dir, const char *name, ps_dtype dtype,
                     ps_why *why)
{
    char path[PS_PATH_MAX];
    if (ps_path_join(path, sizeof path, dir, name))
        return ps_fail(why, PS_ERANGE, dir, 0, "the path is too long");
    int err = ps_npy_open_as(a, path, dtype, UINT64_MAX, 0, PS_RANDOM, why);
    if (!err && a->ndim != 1) {
        ps_npy_close(a);
        err = ps_fail(why, PS_EFORMAT, path, 0, "it must have one dimension");
    }
    return err;
}

/* Offsets from 0 on that never fall. If one falls, a difference has its sign bit set, or
 * a number that is too large for an offset has; all are looked at, so that the loop has
 * no branch. */
static bool ascends(const uint64_t *offset, uint64_t n)
{
    uint64_t signs = 0;
    for (uint64_t i = 1; i < n; i++)
        signs |= offset[i] | (offset[i] - offset[i - 1]);
    return !(signs >> 63);
}

/* m from its two arrays, if they fit. */
static int set_csr(ps_csr *m, const ps_npy array[2], const char *dir, const char *name,
                   ps_why *why)
{
    uint64_t n = array[0].rows, edges = array[1].rows;
    const uint64_t *indptr = array[0].data;
    if (n == 0 || n - 1 > UINT32_MAX)
        return ps_fail(why, PS_EFORMAT, dir, 0, "%s has %" PRIu64 " offsets, which is %s",
                       name, n, n ? "too many" : "one too few");
    if (indptr[0] != 0 || indptr[n - 1] != edges)
        return ps_fail(why, PS_EFORMAT, dir, 0,
                       "%s runs from %" PRIu64 " to %" PRIu64
                       ", its indices are %" PRIu64,
                       name, indptr[0], indptr[n - 1], edges);
    ps_map_expect(&array[0].map);
    if (!ascends(indptr, n))
        return ps_fail(why, PS_EFORMAT, dir, 0,
                       "%s is damaged: its offsets do not ascend", name);
    *m = (ps_csr){.rows = (uint32_t)(n - 1),
                  .edges = edges,
                  .indptr = indptr,
                  .indices = array[1].data};
    return PS_OK;
}

int ps_graph_open(ps_graph *g, const char *dir, ps_why *why)
{
    int err = PS_OK;
    *g = (ps_graph){0};
    for (int i = 0; i < 4 && !err; i++)
        err =
            map_array(&g->array[i], dir, ps_graph_file[i], i % 2 ? PS_U32 : PS_U64, why);
    if (!err)
        err = set_csr(&g->pin_boards, g->array, dir, ps_graph_file[0], why);
    if (!err)
        err = set_csr(&g->board_pins, g->array + 2, dir, ps_graph_file[2], why);
    if (!err && g->pin_boards.edges != g->board_pins.edges)
        err = ps_fail(why, PS_EMISMATCH, dir, 0,
                      "pin_boards has %" PRIu64 " edges, board_pins %" PRIu64,
                      g->pin_boards.edges, g->board_pins.edges);
    if (err)
        ps_graph_close(g);
    return err;
}

void ps_graph_close(ps_graph *g)
{
    for (int i = 0; i < 4; i++)
        ps_npy_close(&g->array[i]);
    *g = (ps_graph){0};
}

/* ------------------------------ Looking up -------------------------------- */

bool ps_csr_has(const ps_csr *m, uint32_t row, uint32_t index)
{
    const uint32_t *at = ps_csr_row(m, row);
    for (uint32_t n = ps_csr_degree(m, row); n;) {
        uint32_t half = n / 2;
        if (at[half] == index)
            return 1;
        if (at[half] < index) {
            at += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return 0;
}
