/* bench_stages.c - the stages of batch inference against the machine's own bounds.
 *
 * map is a matrix product with a bias, a ReLU and a conversion to half precision: its
 * bound is a bare cblas_sgemm of the same shape. reduce gathers T random rows a pin and
 * sums them: its bound is a loop that only reads random rows of that size, prefetched as
 * well. Both sides alternate in one run and the best of several turns counts, because
 * other programs use the machine too.
 *
 * Threads: one; the stages are cut among threads by rows, see core/embed.
 */
#include <cblas.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "pinsage/clock.h"
#include "pinsage/convolve.h"
#include "pinsage/gemm.h"
#include "pinsage/rng.h"

static double least(double a, double b)
{
    return a < b ? a : b;
}

static float *uniform(size_t n, uint64_t seed)
{
    float *x = malloc(n * sizeof *x);
    uint64_t rng = ps_rng_at(seed, 0);
    if (!x)
        abort();
    for (size_t i = 0; i < n; i++)
        x[i] = 2 * ps_rng_unit(&rng) - 1;
    return x;
}

static ps_model model_of(uint32_t in, uint32_t m)
{
    ps_model model;
    ps_model_config c = {.layers = 1, .d_in = in, .m = m, .d = 8, .e = 8};
    if (ps_model_new(&model, &c, NULL))
        abort();
    ps_model_init(&model, 1);
    return model;
}

/* ------------------------------ map --------------------------------------- */

static void bench_map(uint32_t n, uint32_t in, uint32_t m)
{
    ps_model model = model_of(in, m);
    float *h = uniform((size_t)n * in, 2), *bare = malloc((size_t)n * m * sizeof *bare);
    uint16_t *out = malloc((size_t)n * m * sizeof *out);
    double map = 1e9, gemm = 1e9;
    for (int turn = 0; turn < 7 && bare && out; turn++) {
        double t0 = ps_now();
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)n, (blasint)m,
                    (blasint)in, 1, h, (blasint)in, model.conv[0].Q, (blasint)in, 0, bare,
                    (blasint)m);
        double t1 = ps_now();
        ps_stage_map(&model, 1, h, n, out);
        gemm = least(gemm, t1 - t0);
        map = least(map, ps_now() - t1);
    }
    double flop = 2.0 * n * in * m;
    printf("map     %6u x %4u -> %4u   sgemm %6.1f GFLOP/s   map %6.1f GFLOP/s   share "
           "%.2f\n",
           n, in, m, flop / gemm / 1e9, flop / map / 1e9, gemm / map);
    free(h);
    free(bare);
    free(out);
    ps_model_free(&model);
}

/* ------------------------------ reduce ------------------------------------ */

/* Sum of all 64-bit words of random rows, a row some places ahead prefetched meanwhile.
 */
static uint64_t read_rows(const uint16_t *messages, const uint32_t *nbr, size_t n,
                          size_t ahead, uint32_t m)
{
    const char *base = (const char *)messages;
    size_t bytes = m * sizeof *messages;
    uint64_t sum[8] = {0};
    for (size_t i = 0; i < n; i++) {
        if (i + ahead < n)
            for (size_t at = 0; at < bytes && at < 512; at += 64)
                __builtin_prefetch(base + nbr[i + ahead] * bytes + at, 0, 1);
        const uint64_t *row = (const uint64_t *)(const void *)(base + nbr[i] * bytes);
        for (size_t w = 0; w < bytes / 8; w += 8)
            for (int k = 0; k < 8; k++)
                sum[k] += row[w + (size_t)k];
    }
    return sum[0] ^ sum[1] ^ sum[2] ^ sum[3] ^ sum[4] ^ sum[5] ^ sum[6] ^ sum[7];
}

static void bench_reduce(uint32_t N, uint32_t m, uint32_t n, uint32_t T)
{
    ps_model model = model_of(8, m);
    size_t cells = (size_t)n * T;
    uint16_t *messages = malloc((size_t)N * m * sizeof *messages);
    uint32_t *nbr = malloc(cells * sizeof *nbr);
    float *weight = uniform(cells, 3), *out = malloc((size_t)n * m * sizeof *out);
    uint64_t rng = ps_rng_at(4, 0), check = 0;
    double reduce = 1e9, read = 1e9;
    if (!messages || !nbr || !out)
        abort();
    for (size_t i = 0; i < (size_t)N * m; i++)
        messages[i] = (uint16_t)(0x3000 + (i * 2654435761u >> 20 & 0x7ff));
    for (size_t i = 0; i < cells; i++)
        nbr[i] = (uint32_t)ps_rng_below(&rng, N);
    for (int turn = 0; turn < 5; turn++) {
        for (size_t ahead = 2; ahead <= 32; ahead *= 2) { /* the best reader counts */
            double t0 = ps_now();
            check ^= read_rows(messages, nbr, cells, ahead, m);
            read = least(read, ps_now() - t0);
        }
        double t1 = ps_now();
        ps_stage_reduce(&model, nbr, weight, n, T, messages, out);
        reduce = least(reduce, ps_now() - t1);
    }
    double bytes = (double)cells * m * sizeof *messages;
    printf(
        "reduce  %4.1f GB of %4u B rows, T %2u   read %6.2f GB/s   reduce %6.2f GB/s   "
        "share %.2f%s\n",
        (double)N * m * 2 / 1e9, m * 2, T, bytes / read / 1e9, bytes / reduce / 1e9,
        read / reduce, check == 42 ? " " : "");
    free(messages);
    free(nbr);
    free(weight);
    free(out);
    ps_model_free(&model);
}

int main(void)
{
    ps_gemm_init();
    puts("one thread; share = bound's time / ours; wanted: map 0.7, reduce 0.5");
    bench_map(50000, 257, 128);
    bench_map(50000, 128, 128);
    bench_map(8192, 1024, 2048);
    bench_reduce(2000000, 128, 20000, 20);
    bench_reduce(2000000, 128, 20000, 50);
    bench_reduce(250000, 2048, 2000, 50);
    return 0;
}
