/* two_hop.c - one pass over the boards of a pin.
 *
 * Threads: see two_hop.h.
 */
#include "core/rank/two_hop.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "pinsage/err.h"

enum { PIECE = 256 }; /* pins of a board that are copied at once */

struct ps_two_hop {
    const ps_graph *g; /* borrowed */
    uint32_t budget;
    double log_pins;
    ps_row_sums sums;
    uint32_t *board; /* owned, (room) */
    uint32_t room;
    uint32_t skip; /* the pin itself, which is on all of its boards */
};

void ps_two_hop_on(ps_two_hop *t, const ps_graph *g)
{
    t->g = g;
    t->log_pins = log(fmax(2, ps_graph_rows(g, PS_PINS)));
}

int ps_two_hop_new(ps_two_hop **out, const ps_graph *g, uint32_t budget)
{
    ps_two_hop *t = calloc(1, sizeof *t);
    if (!t)
        return PS_ENOMEM;
    t->budget = budget ? budget : 1;
    t->skip = UINT32_MAX;
    if (ps_row_sums_init(&t->sums, t->budget)) {
        ps_two_hop_free(t);
        return PS_ENOMEM;
    }
    ps_two_hop_on(t, g);
    *out = t;
    return PS_OK;
}

void ps_two_hop_free(ps_two_hop *t)
{
    if (!t)
        return;
    ps_row_sums_done(&t->sums);
    free(t->board);
    free(t);
}

/* What a board says of each of its pins. */
typedef struct worth {
    float sum[PS_SUMS];
} worth;

static void add(ps_two_hop *t, uint32_t row, const worth *w)
{
    float *sum = row == t->skip ? NULL : ps_row_sums_of(&t->sums, row);
    for (int i = 0; sum && i < PS_SUMS; i++)
        sum[i] += w->sum[i];
}

static worth worth_of(const ps_two_hop *t, uint32_t pins, uint32_t boards, uint32_t step)
{
    float n = (float)pins, times = (float)step;
    float idf = (float)(t->log_pins - log1p((double)pins));
    idf = idf > .1f ? idf : .1f;
    return (worth){{times / n / (float)boards, times / sqrtf(n), times * idf * idf}};
}

/* Every step-th pin of a board; where it begins differs between boards, so that two that
 * hold the same pins are not passed over alike. */
static void add_board(ps_two_hop *t, uint32_t board, uint32_t boards, uint32_t step)
{
    uint32_t piece[PIECE], degree = ps_graph_degree(t->g, PS_BOARDS, board);
    worth w = worth_of(t, degree, boards, step);
    if (step > 1) {
        for (uint32_t i = board % step; i < degree; i += step)
            add(t, ps_graph_edge(t->g, PS_BOARDS, board, i), &w);
        return;
    }
    for (uint32_t first = 0, n; first < degree; first += n) {
        n = ps_graph_slice(t->g, PS_BOARDS, board, first, PIECE, piece);
        for (uint32_t i = 0; i < n; i++)
            add(t, piece[i], &w);
        if (!n)
            return;
    }
}

const ps_row_sums *ps_two_hop_boards(ps_two_hop *t, const uint32_t *boards, uint32_t n)
{
    uint64_t edges = 0;
    ps_row_sums_clear(&t->sums);
    for (uint32_t i = 0; i < n; i++)
        edges += ps_graph_degree(t->g, PS_BOARDS, boards[i]);
    uint32_t step = (uint32_t)((edges + t->budget - 1) / t->budget);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t degree = ps_graph_degree(t->g, PS_BOARDS, boards[i]);
        if (degree)
            add_board(t, boards[i], n, step > 1 && degree > step ? step : 1);
    }
    return &t->sums;
}

static bool copy_boards(ps_two_hop *t, uint32_t row, uint32_t degree)
{
    if (degree > t->room) {
        uint32_t *board = realloc(t->board, degree * sizeof *board);
        if (!board)
            return false;
        t->board = board;
        t->room = degree;
    }
    ps_graph_slice(t->g, PS_PINS, row, 0, degree, t->board);
    return true;
}

const ps_row_sums *ps_two_hop_of(ps_two_hop *t, uint32_t row)
{
    uint32_t degree = ps_graph_degree(t->g, PS_PINS, row), most = t->budget / 2 + 1;
    /* A pin on more boards than the budget has edges is known by its first ones. */
    degree = degree < most ? degree : most;
    if (!copy_boards(t, row, degree))
        degree = 0;
    t->skip = row;
    ps_two_hop_boards(t, t->board, degree);
    t->skip = UINT32_MAX;
    return &t->sums;
}
