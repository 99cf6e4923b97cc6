/* pixie.h - Pixie: related pins by random walks with restarts (WWW 2018).
 *
 * From each query pin a share of the step budget is walked, shares growing with the
 * query's weight and, sub-linearly, with its degree; every hop pin -> board -> pin
 * counts a visit, every walk ends with the chance `restart` a hop. A query's walks stop
 * early when more than n_p pins have n_v visits. Several queries are joined by the
 * multi-hit booster V[p] = (sum_q sqrt(V_q[p]))^2. Query pins themselves are left out.
 *
 * Walk j of a query has its own random stream, ps_rng_at(seed, j), and the result is
 * that of walk 0, walk 1, ... one after the other until the budget is used up or the
 * visits are enough: it depends on graph, options, queries and seeds only.
 *
 * Degree correction divides a pin's score by degree^correction, so that hubs do not
 * win by being everywhere.
 *
 * Threads: a ps_pixie is scratch space for one thread. The graph is only read.
 */
#ifndef PINSAGE_PIXIE_H
#define PINSAGE_PIXIE_H

#include <stdbool.h>
#include <stdint.h>

#include "pinsage/graph.h"
#include "pinsage/scored.h"

typedef struct ps_pixie_opts {
    uint32_t steps;    /* total hops; 1..10000000 */
    float restart;     /* chance that a walk ends after a hop; (0, 1] */
    uint32_t n_p, n_v; /* stop at more than n_p pins of n_v visits;
                          n_v 0 = never */
    float correction;  /* exponent of the degree, >= 0 */
    bool no_boost;     /* sum_q V_q[p] instead of the booster; weights act by budgets */
} ps_pixie_opts;
#define PS_PIXIE_DEFAULTS                                                                \
    ((ps_pixie_opts){.steps = 20000, .restart = 0.5f, .n_p = 2000, .n_v = 4})

typedef struct ps_pixie_query {
    uint32_t row;
    float weight;  /* > 0 */
    uint64_t seed; /* ps_pin_seed of the pin */
} ps_pixie_query;

typedef struct ps_pixie ps_pixie;
/* Borrows g. PS_EINVAL for options out of range. */
int ps_pixie_new(ps_pixie **p, const ps_graph *g, ps_pixie_opts opts);
/* Walk on this graph from now on, as ps_walker_on. */
int ps_pixie_on(ps_pixie *p, const ps_graph *g);
void ps_pixie_free(ps_pixie *p);

/* The best pins, highest score first, ties by row, at most max into out; sets *found.
 * *steps (may be NULL) gets the hops that count. PS_EINVAL for no or bad queries: a row
 * or weight out of range, or more of them than steps. A row beyond a live graph is no
 * error: nothing is found from it. */
int ps_pixie_related(ps_pixie *p, const ps_pixie_query *q, uint32_t n, ps_scored *out,
                     uint32_t max, uint32_t *found, uint64_t *steps);

/* Step budget of each query pin, (n) into out: at least 1 each. The rule of section 3.1
 * with C = log(max degree) + 1, see pixie.c. Several pins: ps_graph_max_degree. */
void ps_pixie_budget(const ps_graph *g, const ps_pixie_query *q, uint32_t n,
                     uint32_t steps, uint32_t *out);

#endif
