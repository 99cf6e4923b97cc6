/* graphs.c - see graphs.h. */
#include "tests/support/graphs.h"

#include <stdlib.h>

#include "pinsage/rng.h"

/* Below n; product of skew + 1 uniform numbers, as it were. */
static uint32_t crowded(uint64_t *rng, uint32_t n, int skew)
{
    uint64_t x = n;
    for (int i = 0; i <= skew; i++)
        x = ps_rng_below(rng, x) + (i < skew);
    return (uint32_t)x;
}

static ps_graph make(uint64_t seed, uint32_t n_pins, uint32_t n_boards, size_t edges,
                     int skew, size_t path)
{
    ps_graph g;
    size_t n = edges + 2 * path;
    uint32_t(*pair)[2] = malloc((n + 1) * sizeof *pair);
    for (size_t i = 0; pair && i < edges; i++) {
        pair[i][0] = crowded(&seed, n_pins, skew);
        pair[i][1] = crowded(&seed, n_boards, skew);
    }
    for (size_t i = 0; pair && i < path; i++) { /* board i joins pins i and i + 1 */
        for (size_t k = 0; k < 2; k++) {
            pair[edges + 2 * i + k][0] = (uint32_t)((i + k) % n_pins);
            pair[edges + 2 * i + k][1] = (uint32_t)(i % n_boards);
        }
    }
    if (!pair || ps_graph_from_pairs(&g, n_pins, n_boards, (const uint32_t(*)[2])pair, n))
        abort();
    free(pair);
    return g;
}

ps_graph random_graph(uint64_t seed, uint32_t n_pins, uint32_t n_boards, size_t edges,
                      int skew)
{
    return make(seed, n_pins, n_boards, edges, skew, 0);
}

ps_graph connected_graph(uint64_t seed, uint32_t n_pins, uint32_t n_boards, size_t edges,
                         int skew)
{
    return make(seed, n_pins, n_boards, edges, skew,
                n_pins > n_boards ? n_pins : n_boards);
}

double *hop_chances(const ps_graph *g)
{
    size_t n = g->pin_boards.rows;
    double *chance = calloc(n * n, sizeof *chance);
    if (!chance)
        abort();
    for (uint32_t p = 0; p < n; p++)
        for (uint32_t i = 0; i < ps_csr_degree(&g->pin_boards, p); i++) {
            uint32_t b = ps_csr_row(&g->pin_boards, p)[i];
            double share =
                1.0 / ps_csr_degree(&g->pin_boards, p) / ps_csr_degree(&g->board_pins, b);
            for (uint32_t j = 0; j < ps_csr_degree(&g->board_pins, b); j++)
                chance[p * n + ps_csr_row(&g->board_pins, b)[j]] += share;
        }
    return chance;
}
