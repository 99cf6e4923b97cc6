/* blend_inside.h - a ps_blend seen by those who fit it.
 *
 * Threads: see blend.h.
 */
#ifndef PINSAGE_CORE_RANK_BLEND_INSIDE_H
#define PINSAGE_CORE_RANK_BLEND_INSIDE_H

#include "core/rank/pair_hops.h"
#include "core/rank/two_hop.h"
#include "pinsage/blend.h"
#include "pinsage/inverted.h"

struct ps_blend {
    ps_blend_source source;
    ps_blend_model model;
    const ps_npy *block[PS_BLOCKS_MAX];
    ps_pixie *pixie;
    ps_two_hop *hops;
    ps_pair_hops *pair_hops; /* NULL without pairs */
    ps_text_search *words;   /* NULL without text */
    ps_pins_reader *reader;  /* for the query's text; NULL without */
    ps_scored *visited;      /* owned, (room) */
    uint32_t room;
    uint32_t *slot; /* owned, (mask + 1): candidate number + 1, 0 empty */
    uint32_t mask;
    uint32_t n, most; /* candidates of the query at hand, and at most: */
    uint32_t *row;    /* owned, (most) */
    float *x;         /* owned, (most, model.n) */
    float *dot;       /* owned, (most) scratch */
    float *vector;    /* owned, (widest row) scratch */
    uint64_t *key;    /* owned, (keys) scratch */
    size_t keys;
    uint32_t *popular; /* owned, (n_popular) pins on most boards */
    uint32_t n_popular;
    ps_scored *worded; /* owned, found by words */
    uint32_t query;
};

/* Candidates and their inputs of one query, into b->n, row, x. */
int blend_gather(ps_blend *b, uint32_t query, uint64_t seed, const ps_scored *near,
                 uint32_t n_near);
/* A row as f32 into out (dim). */
void blend_read_row(ps_rows rows, uint32_t row, float *out);
/* The blocks of a generation as inputs; weights 0. */
void blend_model_init(ps_blend_model *m, const ps_generation *g, uint32_t candidates,
                      uint32_t steps);
/* Scores of z's rows (n) by inner product with query, where a row without a vector has
 * PS_SCORE_NONE. */
void blend_leave_out(const float *query, ps_rows z, size_t n, float *scores);
/* The k largest of scores (n), best first, ties by row, without row `not`. Returns
 * how many. */
uint32_t blend_nearest(const float *scores, uint32_t n, uint32_t not, uint32_t k,
                       ps_scored *out);

#endif
