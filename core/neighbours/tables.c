/* tables.c - the neighbour lists of all pins, in pieces of 64.
 *
 * Threads: see tables.h.
 */
#include "core/neighbours/tables.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/rng.h"

enum { PIECE = 64 };

/* ------------------------------ Scratch of a worker ----------------------- */

typedef struct seat {
    ps_walker *walker;
    uint32_t *mark; /* (N) khop: epoch of the last pin that saw this one */
    uint32_t epoch;
    ps_visit *visit; /* hard negatives */
} seat;

static void seats_free(seat *s, unsigned n)
{
    for (unsigned i = 0; s && i < n; i++) {
        ps_walker_free(s[i].walker);
        free(s[i].mark);
        free(s[i].visit);
    }
    free(s);
}

/* ------------------------------ Tables ------------------------------------ */

typedef struct making {
    ps_table *t;
    const ps_graph *g;
    const ps_table_opts *opts;
    const ps_progress *progress;
    seat *seats;
    atomic_uint_fast64_t done;
} making;

/* Reservoir sampling over the distinct pins that share a board with u. */
static uint32_t sample_khop(const making *k, seat *s, uint32_t u, uint32_t *out)
{
    const ps_graph *g = k->g;
    uint64_t rng = k->opts->seeds[u];
    uint32_t T = k->t->T, seen = 0;
    s->mark[u] = ++s->epoch;
    for (uint32_t i = 0; i < ps_csr_degree(&g->pin_boards, u); i++) {
        uint32_t board = ps_csr_row(&g->pin_boards, u)[i];
        const uint32_t *pins = ps_csr_row(&g->board_pins, board);
        for (uint32_t j = 0; j < ps_csr_degree(&g->board_pins, board); j++) {
            if (s->mark[pins[j]] == s->epoch)
                continue;
            s->mark[pins[j]] = s->epoch;
            uint64_t at = seen < T ? seen : ps_rng_below(&rng, seen + 1u);
            seen++;
            if (at < T)
                out[at] = pins[j];
        }
    }
    return seen < T ? seen : T;
}

static void fill_khop(const making *k, seat *s, uint32_t u)
{
    uint32_t T = k->t->T;
    uint32_t *row = k->t->row + (size_t)u * T;
    float *weight = k->t->weight + (size_t)u * T;
    uint32_t found = sample_khop(k, s, u, row);
    for (uint32_t t = 0; t < T; t++) {
        weight[t] = t < found ? 1.0f / (float)found : 0.0f;
        row[t] = t < found ? row[t] : u;
    }
}

static int make_piece(void *cls, size_t begin, size_t end, unsigned worker)
{
    making *k = cls;
    seat *s = &k->seats[worker];
    uint32_t pins[PIECE], n = (uint32_t)(end - begin);
    size_t at = begin * k->t->T;
    for (uint32_t i = 0; i < n; i++)
        pins[i] = (uint32_t)begin + i;
    if (!k->opts->khop)
        ps_walk_neighbours(s->walker, pins, k->opts->seeds + begin, n, k->t->row + at,
                           k->t->weight + at);
    for (uint32_t i = 0; k->opts->khop && i < n; i++)
        fill_khop(k, s, pins[i]);
    uint64_t done = atomic_fetch_add(&k->done, n) + n;
    return ps_progress_at(k->progress, k->opts->stage, done, k->t->n, "pins");
}

static int seats_new(seat **out, const ps_graph *g, const ps_table_opts *o, unsigned n)
{
    seat *s = calloc(n, sizeof *s);
    int err = s ? PS_OK : PS_ENOMEM;
    for (unsigned i = 0; i < n && !err; i++) {
        if (!o->khop)
            err = ps_walker_new(&s[i].walker, g, o->walk);
        else if (!(s[i].mark = calloc((size_t)g->pin_boards.rows + 1, sizeof(uint32_t))))
            err = PS_ENOMEM;
    }
    *out = s;
    return err;
}

int ps_table_make(ps_table *t, const ps_graph *g, const ps_table_opts *opts,
                  ps_workers *workers, const ps_progress *progress, ps_why *why)
{
    uint32_t n = g->pin_boards.rows, T = opts->walk.top;
    size_t cells = (size_t)n * T + 1;
    making k = {.t = t, .g = g, .opts = opts, .progress = progress};
    *t = (ps_table){.n = n,
                    .T = T,
                    .row = malloc(cells * sizeof *t->row),
                    .weight = malloc(cells * sizeof *t->weight)};
    int err = t->row && t->weight ? PS_OK : PS_ENOMEM;
    if (!err)
        err = seats_new(&k.seats, g, opts, ps_workers_count(workers));
    if (!err)
        err = ps_workers_run(workers, n, PIECE, make_piece, &k);
    seats_free(k.seats, ps_workers_count(workers));
    if (!err)
        return PS_OK;
    ps_table_done(t);
    return ps_fail(why, err, NULL, 0, "the neighbours of %u pins cannot be found: %s", n,
                   ps_strerror(err));
}

void ps_table_done(ps_table *t)
{
    free(t->row);
    free(t->weight);
    *t = (ps_table){0};
}

/* ------------------------------ Hard negatives ---------------------------- */

typedef struct mining {
    uint32_t *out;
    const uint32_t *queries;
    const uint64_t *seeds;
    ps_band band;
    const ps_progress *progress;
    seat *seats;
    size_t n;
    atomic_uint_fast64_t done;
} mining;

static void pick_band(const ps_visit *visit, uint32_t found, ps_band band, uint32_t *out)
{
    uint32_t low = band.low < found / 2 ? band.low : found / 2;
    uint32_t high = band.high < found ? band.high : found;
    uint32_t width = high - low, n = width < PS_HARD_MAX ? width : PS_HARD_MAX;
    for (uint32_t i = 0; i < PS_HARD_MAX; i++)
        out[i] = i < n ? visit[low + (uint64_t)i * width / n].row : UINT32_MAX;
}

static int mine_piece(void *cls, size_t begin, size_t end, unsigned worker)
{
    mining *k = cls;
    seat *s = &k->seats[worker];
    for (size_t i = begin; i < end; i++) {
        uint32_t q = k->queries[i];
        uint32_t found =
            ps_walk_visits(s->walker, q, k->seeds[q], s->visit, k->band.high);
        pick_band(s->visit, found, k->band, k->out + i * PS_HARD_MAX);
    }
    uint64_t done = atomic_fetch_add(&k->done, end - begin) + end - begin;
    return ps_progress_at(k->progress, "hard", done, k->n, "queries");
}

int ps_hard_make(uint32_t *out, const ps_graph *g, const uint32_t *queries, size_t n,
                 const uint64_t *seeds, ps_band band, ps_workers *workers,
                 const ps_progress *progress)
{
    unsigned threads = ps_workers_count(workers);
    /* Enough hops that the band is reached, few enough for the counting table. */
    uint32_t walks = band.high < 1000 ? 2000 : 2 * band.high;
    ps_table_opts o = {
        .walk = {.n_walks = walks < 100000 ? walks : 100000, .length = 3, .top = 1}};
    mining k = {.out = out,
                .queries = queries,
                .seeds = seeds,
                .band = band,
                .progress = progress,
                .n = n};
    int err = seats_new(&k.seats, g, &o, threads);
    for (unsigned i = 0; i < threads && !err; i++)
        if (!(k.seats[i].visit = malloc(((size_t)band.high + 1) * sizeof(ps_visit))))
            err = PS_ENOMEM;
    if (!err)
        err = ps_workers_run(workers, n, PIECE, mine_piece, &k);
    seats_free(k.seats, threads);
    return err;
}
