/* exact.h - scores of rows, and search that looks at all of them.
 *
 * Threads: pure functions on the caller's memory.
 */
#ifndef PINSAGE_INDEX_EXACT_H
#define PINSAGE_INDEX_EXACT_H

#include "pinsage/ann.h"
#include "pinsage/length.h"
#include "pinsage/topk.h"

/* Rows as they are searched: by inner product, or by cosine. */
typedef struct space {
    ps_rows rows;
    size_t n;
    int cosine;
} space;

space space_of(const ps_npy *vectors, int cosine);

/* Rows that are scored together: their scores and lengths stay in the cache. */
enum { SPACE_PIECE = 512 };

/* A query as rows are scored with it. */
typedef struct exact_query {
    const float *vector;
    float *owned; /* NULL, or what vector is when the caller's does not fit a float sum */
    float scale;  /* scores are multiplied with it at the end; 0: there is no vector */
} exact_query;
int exact_query_init(exact_query *a, int cosine, const float *vector, size_t dim);
void exact_query_done(exact_query *a);

/* Scores of listed rows, not yet scaled, PS_SCORE_NONE for those that hold no vector. n
 * is SPACE_PIECE at most. */
void space_scores(const space *s, const float *query, const uint32_t *list, size_t n,
                  float *scores);

/* Offer listed rows (any n) to a list, unscaled; returns how many it took for a while. */
uint32_t exact_among(const space *s, const float *query, const ps_filter *f,
                     const uint32_t *list, size_t n, ps_topk *best);
/* Offer every row. */
void exact_all(const space *s, const float *query, const ps_filter *f, ps_topk *best);

/* The most queries exact_block takes. */
enum { EXACT_BLOCK = 8 };
/* For each of n queries (n, dim), what all rows together leave in its list, unscaled and
 * unsorted. filter (n) is asked for rows about to be kept. */
void exact_block(const space *s, const float *queries, size_t n, const ps_filter *filter,
                 ps_topk *lists);

#endif
