/* exact.h - scores of rows, and search that looks at all of them.
 *
 * Threads: pure functions on the caller's memory.
 */
#ifndef PINSAGE_INDEX_EXACT_H
#define PINSAGE_INDEX_EXACT_H

#include "pinsage/ann.h"
#include "pinsage/dot.h"
#include "pinsage/topk.h"

/* Rows as they are searched: by inner product, or by cosine. */
typedef struct space {
    ps_rows rows;
    size_t n;
    int cosine;
} space;

space space_of(const ps_npy *vectors, int cosine);

/* 1 / length of a vector, 0 when it is zero. */
float inverse_length(const float *vector, size_t dim);

/* What a score is multiplied with for this query: 1, or 1 / norm for cosine; 0 when the
 * norm is 0. */
float space_scale(const space *s, const float *query);
/* Scores of listed rows, not yet scaled; norms (n) is scratch, unused without cosine. */
void space_scores(const space *s, const float *query, const uint32_t *list, size_t n,
                  float *scores, float *norms);

/* The most queries exact_block takes. */
enum { EXACT_BLOCK = 8 };
/* For each of n queries (n, dim), what all rows together leave in its list, unscaled and
 * unsorted. skip is asked for rows about to be kept; cls + i * cls_size is query i's. */
void exact_block(const space *s, const float *queries, size_t n, ps_ann_skip skip,
                 void *cls, size_t cls_size, ps_topk *lists);

#endif
