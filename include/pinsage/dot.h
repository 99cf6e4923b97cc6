/* dot.h - inner products of vectors with the rows of a mapped matrix.
 *
 * What exact search, exact re-ranking and evaluation are made of. Rows are float32 or
 * half precision, read where they lie; nothing is copied. Each (query, row) pair is
 * summed in one fixed order whatever else is in the call, so equal rows get equal
 * scores and a block of queries gives the same bits as one query after the other.
 *
 * Threads: pure functions.
 * Not here: products that are large enough for BLAS (gemm.h).
 */
#ifndef PINSAGE_DOT_H
#define PINSAGE_DOT_H

#include <stddef.h>
#include <stdint.h>

/* Rows of dim numbers, f32 or (half) IEEE half precision, one after the other. */
typedef struct ps_rows {
    const void *data; /* (n, dim) */
    size_t dim;
    int half;
} ps_rows;

/* out[i * stride + r] = queries[i] . row (first + r), for n_queries x n_rows.
 * queries (n_queries, dim); out (n_queries, stride >= n_rows). */
void ps_dot_block(const float *queries, size_t n_queries, ps_rows rows, size_t first,
                  size_t n_rows, float *out, size_t stride);

/* The same for one query and listed rows: out[i] = query . row list[i]. */
void ps_dot_list(const float *query, ps_rows rows, const uint32_t *list, size_t n,
                 float *out);

/* Sum of squares of each of n_rows rows from first on, into out (n_rows). */
void ps_dot_squares(ps_rows rows, size_t first, size_t n_rows, float *out);

/* The plainest code, in double precision: the oracle of the tests. */
double ps_dot_plain(const float *query, ps_rows rows, size_t row);

/* "avx2" or "plain": which path this CPU takes. */
const char *ps_dot_path(void);

#endif
