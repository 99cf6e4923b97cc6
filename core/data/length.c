/* length.c - sums of squares that cannot overflow.
 *
 * The square of the longest float is 1e77 and that of the shortest 1e-90: both are plain
 * doubles, so nothing needs to be scaled first.
 *
 * Threads: pure functions.
 */
#include "pinsage/length.h"

#include <stdint.h>

#include "pinsage/half.h"

ps_rows ps_rows_of(const ps_npy *a)
{
    return (ps_rows){a->data, a->cols, a->dtype == PS_F16};
}

/* Most rows are told by their first few numbers, so a piece is looked at before the
 * next; within one the compiler takes as many at a time as it likes. A minus sign alone
 * is still zero. */
enum { PIECE = 32 };

static bool zero_floats(const uint32_t *row, size_t n)
{
    for (size_t i = 0; i < n; i += PIECE) {
        uint32_t bits = 0;
        for (size_t j = i; j < n && j < i + PIECE; j++)
            bits |= row[j] & 0x7fffffffu;
        if (bits)
            return false;
    }
    return true;
}

static bool zero_halves(const uint16_t *row, size_t n)
{
    for (size_t i = 0; i < n; i += PIECE) {
        unsigned bits = 0;
        for (size_t j = i; j < n && j < i + PIECE; j++)
            bits |= row[j] & 0x7fffu;
        if (bits)
            return false;
    }
    return true;
}

bool ps_row_is_none(ps_rows rows, size_t row)
{
    size_t at = row * rows.dim;
    return rows.half ? zero_halves((const uint16_t *)rows.data + at, rows.dim)
                     : zero_floats((const uint32_t *)rows.data + at, rows.dim);
}

double ps_squares(const float *v, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)v[i] * (double)v[i];
    return sum;
}

double ps_row_squares(ps_rows rows, size_t row)
{
    double sum = 0;
    size_t at = row * rows.dim;
    if (!rows.half)
        return ps_squares((const float *)rows.data + at, rows.dim);
    for (size_t i = 0; i < rows.dim; i++) {
        double x = (double)ps_half_value(((const uint16_t *)rows.data)[at + i]);
        sum += x * x;
    }
    return sum;
}

float ps_score_again(bool cosine, const float *query, ps_rows rows, size_t row)
{
    if (ps_row_is_none(rows, row))
        return PS_SCORE_NONE;
    double dot = ps_dot_plain(query, rows, row);
    return (float)(cosine ? dot / sqrt(ps_row_squares(rows, row)) : dot);
}

bool ps_direction(const float *v, size_t n, float *out)
{
    double squares = ps_squares(v, n), scale = squares > 0 ? 1 / sqrt(squares) : 0;
    for (size_t i = 0; i < n; i++)
        out[i] = (float)((double)v[i] * scale);
    return squares > 0;
}
