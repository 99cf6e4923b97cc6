/* eigen.c - Jacobi's method for small symmetric matrices.
 *
 * Rotations that zero one pair of off-diagonal entries at a time, in cyclic order, until
 * none is left worth one. Cubic, and exact to the last bits; the matrices here have a
 * few hundred rows.
 *
 * Threads: pure function.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/structure/svd.h"

enum { SWEEPS = 60 };

static double off_diagonal(const double *a, uint32_t n)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = i + 1; j < n; j++)
            sum += a[(size_t)i * n + j] * a[(size_t)i * n + j];
    return sum;
}

static void rotate_rows(double *a, uint32_t n, uint32_t p, uint32_t q, double c, double s)
{
    double *x = a + (size_t)p * n, *y = a + (size_t)q * n;
    for (uint32_t i = 0; i < n; i++) {
        double u = x[i], v = y[i];
        x[i] = c * u - s * v;
        y[i] = s * u + c * v;
    }
}

static void rotate_columns(double *a, uint32_t n, uint32_t p, uint32_t q, double c,
                           double s)
{
    for (uint32_t i = 0; i < n; i++) {
        double u = a[(size_t)i * n + p], v = a[(size_t)i * n + q];
        a[(size_t)i * n + p] = c * u - s * v;
        a[(size_t)i * n + q] = s * u + c * v;
    }
}

static void zero_pair(double *a, double *vt, uint32_t n, uint32_t p, uint32_t q)
{
    double x = a[(size_t)p * n + q];
    if (x == 0)
        return;
    double theta = (a[(size_t)q * n + q] - a[(size_t)p * n + p]) / (2 * x);
    double t = (theta >= 0 ? 1 : -1) / (fabs(theta) + sqrt(theta * theta + 1));
    double c = 1 / sqrt(t * t + 1), s = t * c;
    rotate_columns(a, n, p, q, c, s);
    rotate_rows(a, n, p, q, c, s);
    rotate_rows(vt, n, p, q, c, s);
}

/* Selection sort: n swaps of rows at most. */
static void sort_descending(double *value, double *vt, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t top = i;
        for (uint32_t j = i + 1; j < n; j++)
            top = value[j] > value[top] ? j : top;
        for (uint32_t k = 0; top != i && k < n; k++) {
            double t = vt[(size_t)i * n + k];
            vt[(size_t)i * n + k] = vt[(size_t)top * n + k];
            vt[(size_t)top * n + k] = t;
        }
        double t = value[i];
        value[i] = value[top];
        value[top] = t;
    }
}

void ps_eigen_symmetric(double *a, uint32_t n, double *value, double *vectors)
{
    double *vt = vectors, scale = 0; /* rows are vectors until the end */
    memset(vt, 0, (size_t)n * n * sizeof *vt);
    for (uint32_t i = 0; i < n; i++)
        vt[(size_t)i * n + i] = 1;
    for (size_t i = 0; i < (size_t)n * n; i++)
        scale += a[i] * a[i];
    for (int sweep = 0; sweep < SWEEPS && off_diagonal(a, n) > 1e-22 * scale; sweep++)
        for (uint32_t p = 0; p + 1 < n; p++)
            for (uint32_t q = p + 1; q < n; q++)
                zero_pair(a, vt, n, p, q);
    for (uint32_t i = 0; i < n; i++)
        value[i] = a[(size_t)i * n + i];
    sort_descending(value, vt, n);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = i + 1; j < n; j++) {
            double t = vt[(size_t)i * n + j];
            vt[(size_t)i * n + j] = vt[(size_t)j * n + i];
            vt[(size_t)j * n + i] = t;
        }
}
