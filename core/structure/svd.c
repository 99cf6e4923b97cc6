/* svd.c - random directions, sharpened by going through the graph and back.
 *
 *     Z (boards, k) random;  repeat:  Y = orth(A Z),  Z = A^T Y
 *     then  A^T Y = V S W^T  by the eigenvectors of a k x k matrix
 *
 * Each product reads the edges once and, for each, a row of k numbers. Columns are made
 * orthonormal by the eigenvectors of their Gram matrix, twice, which also copes with
 * directions that the matrix does not have.
 *
 * Threads: see svd.h.
 */
#include "core/structure/svd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/gemm.h"
#include "pinsage/rng.h"

enum { ROWS = 256, OVERSAMPLE = 16 };

/* ------------------------------ Products ---------------------------------- */

/* out (m->rows, k) = diag(left) M diag(right) in (., k) */
typedef struct product {
    const ps_csr *m;
    const float *left, *right, *in;
    float *out;
    uint32_t k;
} product;

static int product_piece(void *cls, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    const product *p = cls;
    uint32_t k = p->k;
    for (size_t r = begin; r < end; r++) {
        float *restrict y = p->out + r * k;
        memset(y, 0, k * sizeof *y);
        for (uint64_t i = p->m->indptr[r]; i < p->m->indptr[r + 1]; i++) {
            const float *restrict x = p->in + (size_t)p->m->indices[i] * k;
            float scale = p->left[r] * p->right[p->m->indices[i]];
            for (uint32_t j = 0; j < k; j++)
                y[j] += scale * x[j];
        }
    }
    return PS_OK;
}

static int times(const ps_bipartite *a, const float *boards, uint32_t k,
                 ps_workers *workers, float *pins)
{
    product p = {&a->graph->pin_boards, a->pin_scale, a->board_scale, boards, pins, k};
    return ps_workers_run(workers, p.m->rows, ROWS, product_piece, &p);
}

static int times_transposed(const ps_bipartite *a, const float *pins, uint32_t k,
                            ps_workers *workers, float *boards)
{
    product p = {&a->graph->board_pins, a->board_scale, a->pin_scale, pins, boards, k};
    return ps_workers_run(workers, p.m->rows, ROWS, product_piece, &p);
}

/* ------------------------------ Small matrices ---------------------------- */

typedef struct turn {
    float *y, *w; /* y (n, k) <- y w; w (k, k) */
    uint32_t k;
} turn;

static int turn_piece(void *cls, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    const turn *t = cls;
    size_t k = t->k;
    float *copy = malloc((end - begin) * k * sizeof *copy);
    if (!copy)
        return PS_ENOMEM;
    memcpy(copy, t->y + begin * k, (end - begin) * k * sizeof *copy);
    ps_gemm_nn(end - begin, k, k, copy, k, t->w, k, 0, t->y + begin * k, k);
    free(copy);
    return PS_OK;
}

/* Rows are summed in at most PARTS parts: in each by BLAS, over them in double precision
 * and in order, so that neither their number nor the workers changes a bit. */
enum { PARTS = 32, PART_ROWS = 512 };

typedef struct scratch {
    float *gram, *parts;            /* (k, k), (PARTS, k, k) */
    double *wide, *vectors, *value; /* (k, k), (k, k), (k) */
} scratch;

typedef struct summing {
    const float *y; /* (n, k) */
    float *parts;
    size_t rows; /* of a part */
    uint32_t k;
} summing;

static int sum_part(void *cls, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    const summing *s = cls;
    size_t k = s->k;
    ps_gemm_tn(k, k, end - begin, s->y + begin * k, k, s->y + begin * k, k, 0,
               s->parts + begin / s->rows * k * k, k);
    return PS_OK;
}

/* Eigenvalues and vectors of y^T y, y (n, k), into s. */
static int gram_eigen(const float *y, size_t n, uint32_t k, scratch *s,
                      ps_workers *workers)
{
    size_t cells = (size_t)k * k, rows = (n + PARTS - 1) / PARTS;
    summing sum = {y, s->parts, rows > PART_ROWS ? rows : PART_ROWS, k};
    int err = ps_workers_run(workers, n, sum.rows, sum_part, &sum);
    memset(s->wide, 0, cells * sizeof *s->wide);
    for (size_t part = 0; part * sum.rows < n; part++)
        for (size_t i = 0; i < cells; i++)
            s->wide[i] += (double)s->parts[part * cells + i];
    ps_eigen_symmetric(s->wide, k, s->value, s->vectors);
    return err;
}

static int scratch_new(scratch *s, uint32_t k)
{
    size_t cells = (size_t)k * k;
    s->gram = malloc(cells * sizeof *s->gram);
    s->parts = malloc(PARTS * cells * sizeof *s->parts);
    s->wide = malloc(cells * sizeof *s->wide);
    s->vectors = malloc(cells * sizeof *s->vectors);
    s->value = malloc(k * sizeof *s->value);
    return s->gram && s->parts && s->wide && s->vectors && s->value ? PS_OK : PS_ENOMEM;
}

static void scratch_done(scratch *s)
{
    free(s->gram);
    free(s->parts);
    free(s->wide);
    free(s->vectors);
    free(s->value);
}

/* gram = vectors scaled by column: 1 / root of the eigenvalue (orthonormal columns), or 1
 * (orthogonal ones); directions of no weight become zero. */
static void to_turn(scratch *s, uint32_t k, bool unit)
{
    for (uint32_t j = 0; j < k; j++) {
        double l = s->value[j], scale = l > 1e-7 * s->value[0] && l > 0 ? 1 / sqrt(l) : 0;
        for (uint32_t i = 0; i < k; i++)
            s->gram[(size_t)i * k + j] =
                (float)(s->vectors[(size_t)i * k + j] * (unit ? scale : scale > 0));
    }
}

static int orthonormalise(float *y, size_t n, uint32_t k, int passes, scratch *s,
                          ps_workers *workers)
{
    int err = PS_OK;
    for (int pass = 0; pass < passes && !err; pass++) {
        err = gram_eigen(y, n, k, s, workers);
        to_turn(s, k, true);
        turn t = {y, s->gram, k};
        if (!err)
            err = ps_workers_run(workers, n, 1024, turn_piece, &t);
    }
    return err;
}

/* ------------------------------ The decomposition ------------------------- */

static void fill_random(float *z, size_t n, uint64_t seed)
{
    uint64_t rng = ps_rng_at(seed, 0x5eed);
    for (size_t i = 0; i < n; i++)
        z[i] = ps_rng_next(&rng) >> 63 ? 1.0f : -1.0f;
}

static int iterate(const ps_bipartite *a, uint32_t k, uint32_t iterations, float *z,
                   float *y, scratch *s, ps_workers *workers, const ps_progress *progress)
{
    size_t pins = a->graph->pin_boards.rows;
    int err = PS_OK;
    for (uint32_t i = 0; i <= iterations && !err; i++) {
        err = times(a, z, k, workers, y);
        if (!err) /* once keeps the directions apart, twice makes them exact */
            err = orthonormalise(y, pins, k, i < iterations ? 1 : 2, s, workers);
        if (!err)
            err = times_transposed(a, y, k, workers, z);
        if (!err)
            err = ps_progress_at(progress, "structure", i + 1, iterations + 1, "rounds");
    }
    return err;
}

/* z = A^T Y = V S W^T: turn it by W, divide by S, keep k columns of wide. */
static int finish(float *z, size_t boards, uint32_t wide, uint32_t k, scratch *s,
                  ps_workers *workers, double *value, float *right)
{
    int err = gram_eigen(z, boards, wide, s, workers);
    to_turn(s, wide, true);
    turn t = {z, s->gram, wide};
    if (!err)
        err = ps_workers_run(workers, boards, 1024, turn_piece, &t);
    for (uint32_t j = 0; j < k; j++)
        value[j] = s->value[j] > 0 ? sqrt(s->value[j]) : 0;
    for (size_t b = 0; b < boards; b++)
        memcpy(right + b * k, z + b * wide, k * sizeof *right);
    return err;
}

int ps_svd_right(const ps_bipartite *a, uint32_t k, uint32_t iterations, uint64_t seed,
                 ps_workers *workers, const ps_progress *progress, double *value,
                 float *right)
{
    size_t pins = a->graph->pin_boards.rows, boards = a->graph->board_pins.rows;
    size_t side = pins < boards ? pins : boards;
    uint32_t wide = k + OVERSAMPLE < side ? k + OVERSAMPLE : (uint32_t)side;
    float *y = malloc(pins * wide * sizeof *y + 1);
    float *z = malloc(boards * wide * sizeof *z + 1);
    scratch s = {0};
    int err = y && z && wide >= k ? scratch_new(&s, wide) : PS_ENOMEM;
    ps_gemm_init();
    if (!err) {
        fill_random(z, boards * wide, seed);
        err = iterate(a, wide, iterations, z, y, &s, workers, progress);
    }
    if (!err)
        err = finish(z, boards, wide, k, &s, workers, value, right);
    scratch_done(&s);
    free(y);
    free(z);
    return err;
}
