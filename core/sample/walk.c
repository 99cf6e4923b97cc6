/* walk.c - importance neighbourhoods, by walks in lanes.
 *
 * The walks of a whole batch of pins are numbered through, pin after pin, and taken
 * PS_LANES at a time: a round. All walks are equally long, so a round's lanes stay in
 * step, and the rounds cross from one pin to the next without a pause. Where a walk of
 * the batch lands is appended to its pin's log; a pin whose last walk is in the round is
 * counted and selected after it, from a log and a table that stay in the first-level
 * cache at usual sizes (400 visits: 8 KiB).
 *
 *     walks   |pin 0 ......|pin 1 ......|pin 2 ......|
 *     rounds  |====|====|====|====|====|====|====|====|
 *
 * Threads: see walk.h. Not here: the hops (lanes.h), counting (tally.h), the T largest
 * (topk.h), the oracle (walk_plain.c).
 */
#include "pinsage/walk.h"

#include <stdlib.h>

#include "core/sample/lanes.h"
#include "core/sample/tally.h"
#include "pinsage/topk.h"

/* A pin whose walks are under way. */
typedef struct job {
    uint32_t pin;
    ps_tally tally; /* visits to others */
} job;

struct ps_walker {
    const ps_graph *graph; /* borrowed */
    ps_walk_opts opts;
    size_t room;     /* rows that one pin's walks can visit */
    uint32_t n_jobs; /* most pins that one round can touch */
    job *jobs;       /* owned, (n_jobs); pin i of a batch uses i % n_jobs */
    uint64_t *key;   /* owned, (room) */
    ps_lane lane[PS_LANES];
};

/* ------------------------------ Lifetime ---------------------------------- */

static int valid(ps_walk_opts o)
{
    return o.n_walks >= 1 && o.n_walks <= 100000 && o.length >= 1 && o.length <= 32 &&
           o.top >= 1 && o.top <= 1000;
}

static void jobs_free(job *jobs, uint32_t n)
{
    for (uint32_t i = 0; i < n && jobs; i++)
        ps_tally_done(&jobs[i].tally);
    free(jobs);
}

/* Room for this many rows a pin; if there is no memory, for as many as before. */
static int make_room(ps_walker *w, size_t rows)
{
    job *jobs = calloc(w->n_jobs, sizeof *jobs);
    uint64_t *key = malloc((rows + 1) * sizeof *key);
    int err = jobs && key ? PS_OK : PS_ENOMEM;
    for (uint32_t i = 0; i < w->n_jobs && !err; i++)
        err = ps_tally_init(&jobs[i].tally, rows);
    if (err) {
        jobs_free(jobs, w->n_jobs);
        free(key);
        return err;
    }
    jobs_free(w->jobs, w->n_jobs);
    free(w->key);
    w->jobs = jobs;
    w->key = key;
    w->room = rows;
    return PS_OK;
}

int ps_walker_on(ps_walker *w, const ps_graph *g)
{
    size_t visits = (size_t)w->opts.n_walks * w->opts.length;
    size_t room = ps_tally_room(g, visits, w->room);
    int err = room > w->room ? make_room(w, room) : PS_OK;
    if (!err)
        w->graph = g;
    return err;
}

int ps_walker_new(ps_walker **out, const ps_graph *g, ps_walk_opts opts)
{
    if (!valid(opts))
        return PS_EINVAL;
    ps_walker *w = calloc(1, sizeof *w);
    if (!w)
        return PS_ENOMEM;
    w->opts = opts;
    w->n_jobs = (PS_LANES + opts.n_walks - 2) / opts.n_walks + 1;
    int err = ps_walker_on(w, g);
    if (err)
        ps_walker_free(w);
    else
        *out = w;
    return err;
}

void ps_walker_free(ps_walker *w)
{
    if (!w)
        return;
    jobs_free(w->jobs, w->n_jobs);
    free(w->key);
    free(w);
}

/* ------------------------------ Rounds ------------------------------------ */

typedef struct batch {
    const uint32_t *pins;  /* (n) */
    const uint64_t *seeds; /* (n) */
    uint32_t n;
    uint32_t pin, walk; /* the next walk to begin: pins[pin]'s */
    uint32_t open;      /* pins[0 .. open) are done with */
} batch;

/* The next walk of the batch into a lane. */
static void begin_walk(ps_walker *w, batch *b, ps_lane *l)
{
    uint32_t pin = b->pins[b->pin], j = b->pin % w->n_jobs;
    w->jobs[j].pin = pin;
    ps_lane_begin(l, w->graph, pin, ps_rng_at(b->seeds[b->pin], b->walk));
    l->owner = j;
    if (++b->walk < w->opts.n_walks)
        return;
    b->walk = 0;
    b->pin++;
}

/* Ask early for the offsets of pins that the next round may begin with. */
static void prefetch_starts(const ps_walker *w, const batch *b)
{
    for (uint32_t i = b->pin; i < b->n && i < b->pin + w->n_jobs; i++)
        ps_lane_prefetch(&w->graph->pin_boards, b->pins[i]);
}

static void count_visits(ps_walker *w, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        job *j = &w->jobs[w->lane[i].owner];
        if (w->lane[i].row != j->pin)
            ps_tally_add(&j->tally, w->lane[i].row);
    }
}

static void walk_round(ps_walker *w, batch *b)
{
    unsigned n = 0;
    while (n < PS_LANES && b->pin < b->n)
        begin_walk(w, b, &w->lane[n++]);
    prefetch_starts(w, b);
    for (uint32_t hop = 0; hop < w->opts.length && n; hop++) {
        n = ps_lanes_hop(w->graph, w->lane, n);
        count_visits(w, n);
    }
}

/* ------------------------------ Results ----------------------------------- */

/* The most visited rows of a job into w->key, at most max; returns how many. */
static uint32_t select_top(ps_walker *w, job *j, uint32_t max)
{
    return (uint32_t)ps_top(w->key, ps_tally_take(&j->tally, w->key), max);
}

static void put_neighbours(ps_walker *w, job *j, uint32_t *rows, float *weights)
{
    uint32_t n = select_top(w, j, w->opts.top), total = 0;
    for (uint32_t i = 0; i < n; i++)
        total += ps_key_weight(w->key[i]);
    for (uint32_t i = 0; i < w->opts.top; i++) {
        rows[i] = i < n ? ps_key_row(w->key[i]) : j->pin;
        weights[i] = i < n ? (float)ps_key_weight(w->key[i]) / (float)total : 0.0f;
    }
}

void ps_walk_neighbours(ps_walker *w, const uint32_t *pins, const uint64_t *seeds,
                        uint32_t n, uint32_t *rows, float *weights)
{
    const size_t top = w->opts.top;
    batch b = {.pins = pins, .seeds = seeds, .n = n};
    while (b.open < n) {
        walk_round(w, &b);
        for (; b.open < b.pin; b.open++)
            put_neighbours(w, &w->jobs[b.open % w->n_jobs], rows + b.open * top,
                           weights + b.open * top);
    }
}

uint32_t ps_walk_visits(ps_walker *w, uint32_t pin, uint64_t seed, ps_visit *out,
                        uint32_t max)
{
    batch b = {.pins = &pin, .seeds = &seed, .n = 1};
    while (b.pin < 1)
        walk_round(w, &b);
    uint32_t n = select_top(w, &w->jobs[0], max);
    for (uint32_t i = 0; i < n; i++)
        out[i] = (ps_visit){ps_key_row(w->key[i]), ps_key_weight(w->key[i])};
    return n;
}

/* ------------------------------ Unstored pins ------------------------------------ */

/* From a board to one of its pins; PS_NO_PIN when it has none. */
static uint32_t pin_of(const ps_graph *g, uint32_t board, uint64_t *rng)
{
    uint32_t degree = ps_graph_degree(g, PS_BOARDS, board);
    return degree
               ? ps_graph_edge(g, PS_BOARDS, board, (uint32_t)ps_rng_below(rng, degree))
               : PS_NO_PIN;
}

/* Unstored pins come one at a time, so their walks do: it costs a fifth of a millisecond.
 */
void ps_walk_unstored(ps_walker *w, const uint32_t *boards, uint32_t n, uint32_t n_walks,
                      uint64_t seed, uint32_t *rows, float *weights)
{
    const ps_graph *g = w->graph;
    job *j = &w->jobs[0];
    j->pin = PS_NO_PIN;
    for (uint32_t i = 0; i < n_walks && i < w->opts.n_walks && n; i++) {
        uint64_t rng = ps_rng_at(seed, i);
        uint32_t pin = pin_of(g, boards[ps_rng_below(&rng, n)], &rng);
        for (uint32_t hop = 1; pin != PS_NO_PIN; hop++) {
            ps_tally_add(&j->tally, pin);
            if (hop == w->opts.length)
                break;
            uint32_t degree = ps_graph_degree(g, PS_PINS, pin);
            if (!degree) /* of a damaged file: it is on the board it was reached from */
                break;
            uint32_t at = (uint32_t)ps_rng_below(&rng, degree);
            pin = pin_of(g, ps_graph_edge(g, PS_PINS, pin, at), &rng);
        }
    }
    put_neighbours(w, j, rows, weights);
}
