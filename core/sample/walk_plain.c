/* walk_plain.c - the same visits by the plainest code: one walk at a time, sort, count.
 *
 * Shares nothing with walk.c but the random streams: the oracle of its tests, and the
 * measure of what interleaving gains (tests/bench/bench_walk.c).
 *
 * Threads: pure functions.
 */
#include <stdlib.h>

#include "core/base/order.h"
#include "pinsage/rng.h"
#include "pinsage/walk.h"

static int by_count(const void *a, const void *b)
{
    const ps_visit *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return (x->row > y->row) - (x->row < y->row);
}

/* The rows one walk lands on, start left out, into out; returns how many. */
static size_t walk_once(const ps_graph *g, uint32_t length, uint32_t start, uint64_t rng,
                        uint32_t *out)
{
    size_t n = 0;
    uint32_t pin = start;
    for (uint32_t hop = 0; hop < length; hop++) {
        uint32_t degree = ps_graph_degree(g, PS_PINS, pin);
        if (degree == 0)
            break;
        uint32_t i = (uint32_t)ps_rng_below(&rng, degree);
        uint32_t board = ps_graph_edge(g, PS_PINS, pin, i);
        degree = ps_graph_degree(g, PS_BOARDS, board);
        if (degree == 0)
            break;
        i = (uint32_t)ps_rng_below(&rng, degree);
        pin = ps_graph_edge(g, PS_BOARDS, board, i);
        if (pin != start)
            out[n++] = pin;
    }
    return n;
}

uint32_t ps_walk_visits_plain(const ps_graph *g, ps_walk_opts opts, uint32_t pin,
                              uint64_t seed, ps_visit *out, uint32_t max)
{
    size_t room = (size_t)opts.n_walks * opts.length, n = 0, distinct = 0;
    uint32_t *row = malloc(room * sizeof *row);
    ps_visit *visit = malloc(room * sizeof *visit);
    if (!row || !visit)
        abort(); /* an oracle has no other answer */
    for (uint32_t i = 0; i < opts.n_walks; i++)
        n += walk_once(g, opts.length, pin, ps_rng_at(seed, i), row + n);
    qsort(row, n, sizeof *row, ps_by_u32);
    for (size_t i = 0; i < n; i++) {
        if (distinct == 0 || visit[distinct - 1].row != row[i])
            visit[distinct++] = (ps_visit){row[i], 0};
        visit[distinct - 1].count++;
    }
    qsort(visit, distinct, sizeof *visit, by_count);
    if (distinct > max)
        distinct = max;
    for (size_t i = 0; i < distinct; i++)
        out[i] = visit[i];
    free(row);
    free(visit);
    return (uint32_t)distinct;
}
