/* pixie.h - Pixie: related pins by random walks with restarts (WWW 2018).
 *
 * From each query pin a share of the step budget is walked, shares growing with the
 * query's weight and, sub-linearly, with its degree; every hop pin -> board -> pin
 * counts a visit, every walk ends with the chance `restart` a hop. A query's walk stops
 * early when more than n_p pins have n_v visits. Several queries are joined by the
 * multi-hit booster V[p] = (sum_q sqrt(V_q[p]))^2. Query pins themselves are left out.
 *
 * Degree correction divides a pin's count by degree^correction, so that hubs do not
 * win by being everywhere.
 *
 * Threads: a ps_pixie is scratch space for one thread. The graph is only read.
 */
#ifndef PINSAGE_PIXIE_H
#define PINSAGE_PIXIE_H

#include <stdbool.h>
#include <stdint.h>

#include "pinsage/graph.h"

typedef struct ps_pixie_opts {
    uint32_t steps; /* total hops; default 20000, 1..10000000 */
    float restart;  /* chance that a walk ends after a hop; default 0.5, (0, 1] */
    uint32_t n_p,
        n_v; /* early stop: n_p pins with n_v visits; n_v 0 = never; default 2000, 4 */
    float correction; /* exponent of the degree; default 0 */
    bool no_boost;    /* plain weighted sums instead of the booster */
} ps_pixie_opts;
#define PS_PIXIE_DEFAULTS                                                                \
    ((ps_pixie_opts){.steps = 20000, .restart = 0.5f, .n_p = 2000, .n_v = 4})

typedef struct ps_pixie_query {
    uint32_t row;
    float weight;  /* > 0 */
    uint64_t seed; /* ps_pin_seed of the pin */
} ps_pixie_query;

typedef struct ps_scored {
    uint32_t row;
    float score;
} ps_scored;

typedef struct ps_pixie ps_pixie;
int ps_pixie_new(ps_pixie **p, const ps_graph *g, ps_pixie_opts opts);
void ps_pixie_free(ps_pixie *p);

/* The best pins, highest score first, ties by row, at most max into out; sets *found.
 * *steps (may be NULL) gets the hops really walked. PS_EINVAL for no or bad queries. */
int ps_pixie_related(ps_pixie *p, const ps_pixie_query *q, uint32_t n, ps_scored *out,
                     uint32_t max, uint32_t *found, uint64_t *steps);

/* Step budget of each query pin, (n) into out: at least 1 each. The rule of section 3.1
 * with C = log(max degree) + 1, see pixie.c. */
void ps_pixie_budget(const ps_graph *g, const ps_pixie_query *q, uint32_t n,
                     uint32_t steps, uint32_t *out);

#endif
