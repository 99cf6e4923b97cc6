/* dot.c - inner products, eight lanes at a time where the CPU has them.
 *
 * One query against many rows is bound by memory: four rows advance together, which is
 * enough to keep the loads in flight. A block of queries is bound by arithmetic: a tile
 * of 4 queries x 2 rows keeps eight sums in registers and reads six vectors for eight
 * multiply-adds. Every pair has a single accumulator, filled from the first lane to the
 * last, so the tile a pair falls into does not change its bits.
 *
 * AVX-512 would widen the lanes, but the searches are memory-bound with 256 bits
 * already, and blocks are a small share of an evaluation.
 *
 * Threads: pure functions.
 */
#include "pinsage/dot.h"

#include "core/base/wide.h"
#include "pinsage/half.h"

/* ------------------------------ Plain -------------------------------------- */

static const char *row_at(ps_rows rows, size_t row)
{
    return (const char *)rows.data + row * rows.dim * (rows.half ? 2 : 4);
}

static float number_at(const void *row, size_t i, int half)
{
    if (!half)
        return ((const float *)row)[i];
    return ps_half_value(((const uint16_t *)row)[i]);
}

double ps_dot_plain(const float *query, ps_rows rows, size_t row)
{
    const char *at = row_at(rows, row);
    double sum = 0;
    for (size_t i = 0; i < rows.dim; i++)
        sum += (double)query[i] * (double)number_at(at, i, rows.half);
    return sum;
}

/* Eight sums, so that a compiler without the wide path may still use what it has. */
static float dot_plain(const float *query, const void *row, size_t dim, int half)
{
    float sum[8] = {0};
    size_t i = 0;
    for (; i + 8 <= dim; i += 8)
        for (size_t j = 0; j < 8; j++)
            sum[j] += query[i + j] * number_at(row, i + j, half);
    float total =
        ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
    for (; i < dim; i++)
        total += query[i] * number_at(row, i, half);
    return total;
}

static float squares_plain(const void *row, size_t dim, int half)
{
    double sum = 0;
    for (size_t i = 0; i < dim; i++) {
        double x = (double)number_at(row, i, half);
        sum += x * x;
    }
    return (float)sum;
}

/* ------------------------------ AVX2 --------------------------------------- */

#if defined(__x86_64__)

PS_WIDE_INLINE __m256 load8(const void *row, size_t i, int half)
{
    if (!half)
        return _mm256_loadu_ps((const float *)row + i);
    const __m128i *from = (const void *)((const uint16_t *)row + i);
    return _mm256_cvtph_ps(_mm_loadu_si128(from));
}

/* Compact the lanes and add the numbers after the last full eight. */
PS_WIDE_INLINE float finish(__m256 v, const float *query, const void *row, size_t dim,
                            int half)
{
    float total = ps_wide_sum(v);
    for (size_t i = dim & ~(size_t)7; i < dim; i++)
        total += query[i] * number_at(row, i, half);
    return total;
}

PS_WIDE_INLINE float dot1(const float *q, const void *row, size_t dim, int half)
{
    __m256 sum = _mm256_setzero_ps();
    for (size_t i = 0; i + 8 <= dim; i += 8)
        sum = _mm256_fmadd_ps(_mm256_loadu_ps(q + i), load8(row, i, half), sum);
    return finish(sum, q, row, dim, half);
}

PS_WIDE_INLINE void dot1x4(const float *q, const char *const row[4], size_t dim, int half,
                           float *out)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
    for (size_t i = 0; i + 8 <= dim; i += 8) {
        __m256 x = _mm256_loadu_ps(q + i);
        s0 = _mm256_fmadd_ps(x, load8(row[0], i, half), s0);
        s1 = _mm256_fmadd_ps(x, load8(row[1], i, half), s1);
        s2 = _mm256_fmadd_ps(x, load8(row[2], i, half), s2);
        s3 = _mm256_fmadd_ps(x, load8(row[3], i, half), s3);
    }
    out[0] = finish(s0, q, row[0], dim, half);
    out[1] = finish(s1, q, row[1], dim, half);
    out[2] = finish(s2, q, row[2], dim, half);
    out[3] = finish(s3, q, row[3], dim, half);
}

/* q: 4 queries of dim numbers; out[query * stride + row]. */
PS_WIDE_INLINE void dot4x2(const float *q, const char *const row[2], size_t dim, int half,
                           float *out, size_t stride)
{
    __m256 z = _mm256_setzero_ps(), s[4][2] = {{z, z}, {z, z}, {z, z}, {z, z}};
    for (size_t i = 0; i + 8 <= dim; i += 8) {
        __m256 a = load8(row[0], i, half), b = load8(row[1], i, half), x;
        x = _mm256_loadu_ps(q + i);
        s[0][0] = _mm256_fmadd_ps(x, a, s[0][0]);
        s[0][1] = _mm256_fmadd_ps(x, b, s[0][1]);
        x = _mm256_loadu_ps(q + dim + i);
        s[1][0] = _mm256_fmadd_ps(x, a, s[1][0]);
        s[1][1] = _mm256_fmadd_ps(x, b, s[1][1]);
        x = _mm256_loadu_ps(q + 2 * dim + i);
        s[2][0] = _mm256_fmadd_ps(x, a, s[2][0]);
        s[2][1] = _mm256_fmadd_ps(x, b, s[2][1]);
        x = _mm256_loadu_ps(q + 3 * dim + i);
        s[3][0] = _mm256_fmadd_ps(x, a, s[3][0]);
        s[3][1] = _mm256_fmadd_ps(x, b, s[3][1]);
    }
    for (size_t j = 0; j < 4; j++) {
        out[j * stride] = finish(s[j][0], q + j * dim, row[0], dim, half);
        out[j * stride + 1] = finish(s[j][1], q + j * dim, row[1], dim, half);
    }
}

PS_WIDE_INLINE void one_query(const float *q, ps_rows rows, size_t first, size_t n,
                              int half, float *out)
{
    size_t r = 0;
    for (; r + 4 <= n; r += 4) {
        const char *at[4];
        for (size_t j = 0; j < 4; j++)
            at[j] = row_at(rows, first + r + j);
        dot1x4(q, at, rows.dim, half, out + r);
    }
    for (; r < n; r++)
        out[r] = dot1(q, row_at(rows, first + r), rows.dim, half);
}

PS_WIDE_INLINE void four_queries(const float *q, ps_rows rows, size_t first, size_t n,
                                 int half, float *out, size_t stride)
{
    size_t r = 0;
    for (; r + 2 <= n; r += 2) {
        const char *at[2] = {row_at(rows, first + r), row_at(rows, first + r + 1)};
        dot4x2(q, at, rows.dim, half, out + r, stride);
    }
    for (; r < n; r++)
        for (size_t j = 0; j < 4; j++)
            out[j * stride + r] =
                dot1(q + j * rows.dim, row_at(rows, first + r), rows.dim, half);
}

PS_WIDE_INLINE void block(const float *q, size_t n_queries, ps_rows rows, size_t first,
                          size_t n, int half, float *out, size_t stride)
{
    size_t i = 0;
    for (; i + 4 <= n_queries; i += 4)
        four_queries(q + i * rows.dim, rows, first, n, half, out + i * stride, stride);
    for (; i < n_queries; i++)
        one_query(q + i * rows.dim, rows, first, n, half, out + i * stride);
}

PS_WIDE_INLINE float squares(const void *row, size_t dim, int half)
{
    __m256 sum = _mm256_setzero_ps();
    for (size_t i = 0; i + 8 <= dim; i += 8) {
        __m256 x = load8(row, i, half);
        sum = _mm256_fmadd_ps(x, x, sum);
    }
    float total = ps_wide_sum(sum);
    for (size_t i = dim & ~(size_t)7; i < dim; i++)
        total += number_at(row, i, half) * number_at(row, i, half);
    return total;
}

static PS_WIDE void squares_wide(ps_rows rows, size_t first, size_t n, float *out)
{
    for (size_t r = 0; r < n; r++)
        out[r] = rows.half ? squares(row_at(rows, first + r), rows.dim, 1)
                           : squares(row_at(rows, first + r), rows.dim, 0);
}

/* `half` is a constant in each branch, so that it costs nothing inside the loops. */
static PS_WIDE void block_wide(const float *q, size_t n_queries, ps_rows rows,
                               size_t first, size_t n, float *out, size_t stride)
{
    if (rows.half)
        block(q, n_queries, rows, first, n, 1, out, stride);
    else
        block(q, n_queries, rows, first, n, 0, out, stride);
}

PS_WIDE_INLINE void list(const float *q, ps_rows rows, const uint32_t *at, size_t n,
                         int half, float *out)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        const char *row[4];
        for (size_t j = 0; j < 4; j++)
            row[j] = row_at(rows, at[i + j]);
        dot1x4(q, row, rows.dim, half, out + i);
    }
    for (; i < n; i++)
        out[i] = dot1(q, row_at(rows, at[i]), rows.dim, half);
}

static PS_WIDE void list_wide(const float *q, ps_rows rows, const uint32_t *at, size_t n,
                              float *out)
{
    if (rows.half)
        list(q, rows, at, n, 1, out);
    else
        list(q, rows, at, n, 0, out);
}
#else
#define block_wide(...)   ((void)0)
#define list_wide(...)    ((void)0)
#define squares_wide(...) ((void)0)
#endif

/* ------------------------------ Which one ---------------------------------- */

/* Rows are taken in panels that stay in the second-level cache while every four of the
 * queries pass over them. */
enum { PANEL_BYTES = 128 << 10 };

static void panel(const float *queries, size_t n_queries, ps_rows rows, size_t first,
                  size_t n, float *out, size_t stride)
{
    if (ps_cpu_wide()) {
        block_wide(queries, n_queries, rows, first, n, out, stride);
        return;
    }
    for (size_t r = 0; r < n; r++)
        for (size_t i = 0; i < n_queries; i++)
            out[i * stride + r] = dot_plain(queries + i * rows.dim,
                                            row_at(rows, first + r), rows.dim, rows.half);
}

void ps_dot_block(const float *queries, size_t n_queries, ps_rows rows, size_t first,
                  size_t n_rows, float *out, size_t stride)
{
    size_t height = PANEL_BYTES / (4 * (rows.dim ? rows.dim : 1)) & ~(size_t)3;
    if (height < 4)
        height = 4;
    for (size_t r = 0; r < n_rows; r += height) {
        size_t n = n_rows - r < height ? n_rows - r : height;
        panel(queries, n_queries, rows, first + r, n, out + r, stride);
    }
}

void ps_dot_list(const float *query, ps_rows rows, const uint32_t *at, size_t n,
                 float *out)
{
    /* Listed rows lie anywhere: ask for all of the next ones before the first is used. */
    enum { AHEAD = 8, LINE = 64 };
    size_t bytes = rows.dim * (rows.half ? 2 : 4);
    for (size_t i = 0; i < n; i += AHEAD) {
        size_t m = n - i < AHEAD ? n - i : AHEAD;
        for (size_t j = 0; j < m; j++)
            for (size_t b = 0; b < bytes && b < 8 * LINE; b += LINE)
                __builtin_prefetch(row_at(rows, at[i + j]) + b);
        if (ps_cpu_wide())
            list_wide(query, rows, at + i, m, out + i);
        else
            for (size_t j = 0; j < m; j++)
                out[i + j] =
                    dot_plain(query, row_at(rows, at[i + j]), rows.dim, rows.half);
    }
}

void ps_dot_squares(ps_rows rows, size_t first, size_t n_rows, float *out)
{
    if (ps_cpu_wide()) {
        squares_wide(rows, first, n_rows, out);
        return;
    }
    for (size_t r = 0; r < n_rows; r++)
        out[r] = squares_plain(row_at(rows, first + r), rows.dim, rows.half);
}

const char *ps_dot_path(void)
{
    return ps_cpu_wide() ? "avx2" : "plain";
}
