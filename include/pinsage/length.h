/* length.h - whether a row holds a vector, and how long it is.
 *
 * A row whose numbers are all zero holds none: nothing is known there. It is never an
 * answer, and a question about it is answered in another way. This is the one definition,
 * from import to eval.
 *
 * Squares are summed in double, which holds those of any float. Sums of floats are
 * faster and serve as long as they fit; a caller asks ps_squares_fit and takes the slow
 * way for the odd row that does not.
 *
 * Threads: pure functions.
 * Not here: the fast sums (dot.h).
 */
#ifndef PINSAGE_LENGTH_H
#define PINSAGE_LENGTH_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "pinsage/dot.h"
#include "pinsage/npy.h"

/* Vectors that are compared by inner product are as long as this at most, and at least
 * the other, or zero: so a product of two is a float that is neither infinite nor lost.
 */
#define PS_LENGTH_MOST  1e18
#define PS_LENGTH_LEAST 1e-18

/* Rows of a matrix of f32 or f16. */
ps_rows ps_rows_of(const ps_npy *a);

/* True when every number of the row is zero. */
bool ps_row_is_none(ps_rows rows, size_t row);
/* Sum of the row's squares. */
double ps_row_squares(ps_rows rows, size_t row);
/* The same of one vector (n). */
double ps_squares(const float *v, size_t n);

/* True when a float sum of squares is exact enough to divide by: products of two such
 * vectors stay in the range of float. False for 0, and for no number. */
static inline bool ps_squares_fit(float squares)
{
    return squares > 1e-30f && squares < 1e30f;
}

/* v (n) at length 1 into out (n), which may be v; zeros, and false, when it is none. */
bool ps_direction(const float *v, size_t n, float *out);

/* Below every score: the row holds no vector. */
#define PS_SCORE_NONE (-INFINITY)
/* The score of a row, made sure: one that is 0 or no number, as comes of a row without a
 * vector and of squares that left the range of float (which a caller takes times 0), is
 * made again in double. cosine: divided by the row's length, not by the query's. */
float ps_score_again(bool cosine, const float *query, ps_rows rows, size_t row);
static inline float ps_sure_score(bool cosine, const float *query, ps_rows rows,
                                  size_t row, float score)
{
    return score < 0 || score > 0 ? score : ps_score_again(cosine, query, rows, row);
}
/* What a product with a row is multiplied with for its cosine; 0 where only
 * ps_sure_score knows. */
static inline float ps_inverse_root(float squares)
{
    return ps_squares_fit(squares) ? 1 / sqrtf(squares) : 0;
}

/* True when an inner product with another such vector is a float. */
static inline bool ps_length_fits(double squares)
{
    return squares == 0 || (squares >= PS_LENGTH_LEAST * PS_LENGTH_LEAST &&
                            squares <= PS_LENGTH_MOST * PS_LENGTH_MOST);
}

#endif
