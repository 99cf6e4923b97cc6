/* counts.c - what the graph of a draft comes to, for its manifest.
 *
 * Threads: see catalog.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/catalog.h"
#include "pinsage/file.h"
#include "pinsage/graph.h"
#include "pinsage/layout.h"

static const unsigned percent[5] = {0, 50, 90, 99, 100};

/* The k-th smallest degree (from 0), by counting twice: upper halves, then the lower
 * halves of those in the right upper half. count: (65536). */
static uint32_t degree_at(const ps_csr *m, uint64_t k, uint64_t *count)
{
    uint32_t high = 0, low = 0;
    memset(count, 0, 65536 * sizeof *count);
    for (uint32_t i = 0; i < m->rows; i++)
        count[ps_csr_degree(m, i) >> 16]++;
    for (; k >= count[high]; high++)
        k -= count[high];
    memset(count, 0, 65536 * sizeof *count);
    for (uint32_t i = 0; i < m->rows; i++)
        if (ps_csr_degree(m, i) >> 16 == high)
            count[ps_csr_degree(m, i) & 0xffff]++;
    for (; k >= count[low]; low++)
        k -= count[low];
    return high << 16 | low;
}

static void percentiles(const ps_csr *m, uint32_t out[5], uint64_t *count)
{
    for (int i = 0; i < 5; i++)
        out[i] =
            m->rows ? degree_at(m, (uint64_t)(m->rows - 1) * percent[i] / 100, count) : 0;
}

static int count_graph(const ps_graph *g, ps_counts *c)
{
    uint64_t *count = malloc(65536 * sizeof *count);
    if (!count)
        return PS_ENOMEM;
    *c = (ps_counts){.pins = g->pin_boards.rows,
                     .boards = g->board_pins.rows,
                     .edges = g->pin_boards.edges};
    for (uint32_t i = 0; i < c->pins; i++)
        c->isolated += ps_csr_degree(&g->pin_boards, i) == 0;
    percentiles(&g->pin_boards, c->pin_degree, count);
    percentiles(&g->board_pins, c->board_degree, count);
    free(count);
    return PS_OK;
}

static void note(ps_manifest *m, const ps_counts *c)
{
    char key[64];
    ps_manifest_set_u64(m, PS_KEY_COUNT_PINS, c->pins);
    ps_manifest_set_u64(m, PS_KEY_COUNT_BOARDS, c->boards);
    ps_manifest_set_u64(m, PS_KEY_COUNT_EDGES, c->edges);
    ps_manifest_set_u64(m, "counts.isolated", c->isolated);
    for (int i = 0; i < 5; i++) {
        snprintf(key, sizeof key, "degrees.boards_of_pin.p%u", percent[i]);
        ps_manifest_set_u64(m, key, c->pin_degree[i]);
        snprintf(key, sizeof key, "degrees.pins_of_board.p%u", percent[i]);
        ps_manifest_set_u64(m, key, c->board_degree[i]);
    }
}

int ps_draft_count(ps_draft *d, ps_counts *c, ps_why *why)
{
    char dir[PS_PATH_MAX];
    ps_graph g;
    if (ps_path_join(dir, sizeof dir, ps_draft_dir(d), PS_DIR_GRAPH))
        return ps_fail(why, PS_ERANGE, ps_draft_dir(d), 0, "the path is too long");
    int err = ps_graph_open(&g, dir, why);
    if (err)
        return err;
    err = count_graph(&g, c);
    ps_graph_close(&g);
    if (err)
        return ps_fail(why, err, dir, 0, "no memory to count degrees");
    note(ps_draft_manifest(d), c);
    return PS_OK;
}
