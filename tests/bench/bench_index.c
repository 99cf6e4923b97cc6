/* bench_index.c - kinds of index side by side: build time, size, search time, recall.
 *
 *     bench_index [ROWS [DIM [FACTORY...]]]      made-up vectors, 50000 x 128 by default
 *     bench_index FILE.npy [FACTORY...]          real ones, searched by inner product
 *
 * Made-up vectors are drawn as learned embeddings lie: 32 hidden dimensions, clusters of
 * very different sizes, brought to length 1. Every kind is tuned to recall@10 of 0.95 as
 * `pinsage index` does it; times are of one thread, in this one run, beside exact search
 * by us (read from the vectors) and by FAISS (its copy).
 *
 * Threads: builds use all cores, searches one.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "index/ann_inside.h"
#include "pinsage/clock.h"
#include "pinsage/rng.h"
#include "server/cli/steps.h"

enum { HIDDEN = 32, CLUSTERS = 2000 };

/* Sum of four uniforms: near enough to a normal number. */
static float normal(uint64_t *rng)
{
    float sum = -2;
    for (int i = 0; i < 4; i++)
        sum += ps_rng_unit(rng);
    return sum * 1.732f;
}

static float *normals(size_t n, uint64_t seed)
{
    float *out = malloc(n * sizeof *out);
    uint64_t rng = ps_rng_at(seed, 0);
    for (size_t i = 0; out && i < n; i++)
        out[i] = normal(&rng);
    return out;
}

static void make_row(float *row, size_t dim, const float *centre, const float *map,
                     uint64_t *rng)
{
    float hidden[HIDDEN], squares = 0;
    for (size_t j = 0; j < HIDDEN; j++)
        hidden[j] = centre[j] + .6f * normal(rng);
    for (size_t i = 0; i < dim; i++) {
        row[i] = .3f * normal(rng);
        for (size_t j = 0; j < HIDDEN; j++)
            row[i] += hidden[j] * map[i * HIDDEN + j];
        squares += row[i] * row[i];
    }
    for (size_t i = 0; i < dim; i++)
        row[i] /= sqrtf(squares);
}

static int make_vectors(ps_npy *out, size_t rows, size_t dim)
{
    float *data = malloc(rows * dim * sizeof *data);
    float *centres = normals((size_t)CLUSTERS * HIDDEN, 1),
          *map = normals(dim * HIDDEN, 2);
    if (!data || !centres || !map)
        return PS_ENOMEM;
    for (size_t r = 0; r < rows; r++) {
        uint64_t rng = ps_rng_at(3, r);
        float u = ps_rng_unit(&rng); /* u squared: small cluster numbers are common */
        size_t c = (size_t)(u * u * CLUSTERS);
        make_row(data + r * dim, dim, centres + c * HIDDEN, map, &rng);
    }
    free(centres);
    free(map);
    *out = (ps_npy){.dtype = PS_F32, .ndim = 2, .rows = rows, .cols = dim, .data = data};
    return PS_OK;
}

/* Bytes of the index as it lies on disk. */
static double file_bytes(const ps_ann *a)
{
    char path[] = "/tmp/pinsage-bench-XXXXXX";
    int fd = mkstemp(path);
    off_t size = 0;
    if (fd >= 0 && !ps_faiss_write(a->faiss, path, NULL))
        size = lseek(fd, 0, SEEK_END);
    unlink(path);
    close(fd);
    return (double)size;
}

static int run(const ps_npy *vectors, const char *factory)
{
    ps_ann *a;
    ps_ann_report r = {0};
    ps_why why = {0};
    ps_ann_build_opts opts = ps_cli_index_defaults();
    opts.factory = factory;
    int err = ann_make(&a, vectors, "embeddings", &opts, &r, NULL, &why);
    if (err) {
        printf("%-28s %s\n", factory, why.text);
        return 0;
    }
    printf("%-28s %8.1f %8.1f %9.1f %8.0f %7.3f  %s x%u%s\n", r.factory, r.build_s,
           file_bytes(a) / (double)vectors->rows, r.search_us, r.exact_us, r.recall_at_10,
           r.knob, r.overfetch, r.reached ? "" : "  NOT REACHED");
    fflush(stdout);
    ps_ann_close(a);
    return 0;
}

/* FAISS's own exact search of one query, for comparison with ours. */
static void time_flat(const ps_npy *v)
{
    enum { K = 10, TIMES = 30 };
    ps_faiss *f;
    float distance[K];
    int64_t rows[K];
    if (v->dtype != PS_F32 || ps_faiss_new(&f, (uint32_t)v->cols, "Flat", NULL))
        return;
    if (!ps_faiss_add(f, v->data, v->rows, 1, NULL)) {
        double begin = ps_now();
        for (size_t i = 0; i < TIMES; i++)
            ps_faiss_search(f, (const float *)v->data + i * v->cols, K, distance, rows,
                            NULL);
        double us = 1e6 * (ps_now() - begin) / TIMES;
        printf("FAISS Flat alone: %.0f us a query, %.1f GB/s\n", us,
               (double)v->rows * (double)v->cols * 4 / us / 1e3);
    }
    ps_faiss_free(f);
}

int main(int argc, char **argv)
{
    const char *usual[] = {"auto", "IVF%u,SQ8", "IVF%u,PQ%ux4fs", "HNSW32_SQ8", "SQ8",
                           "LSH",  NULL};
    ps_npy vectors = {0};
    ps_why why = {0};
    int at = 1, err;
    if (argc > 1 && strstr(argv[1], ".npy")) {
        err = ps_npy_open(&vectors, argv[at++], PS_SEQUENTIAL, &why);
    } else {
        size_t rows = argc > at ? strtoul(argv[at++], NULL, 10) : 50000;
        size_t dim = argc > at ? strtoul(argv[at++], NULL, 10) : 128;
        err = make_vectors(&vectors, rows, dim);
    }
    if (err) {
        fprintf(stderr, "bench_index: %s\n", why.text);
        return 1;
    }
    printf("%zu x %zu, %s\n", (size_t)vectors.rows, (size_t)vectors.cols, ps_dot_path());
    time_flat(&vectors);
    printf("%-28s %8s %8s %9s %8s %7s  %s\n", "index", "build s", "bytes", "us/query",
           "exact us", "recall", "knob, overfetch");
    for (; at < argc; at++)
        run(&vectors, argv[at]);
    for (size_t i = 0; argc < 3 + !strchr(argc > 1 ? argv[1] : "", '.') && usual[i];
         i++) {
        char factory[64];
        unsigned lists = (unsigned)sqrt((double)vectors.rows);
        snprintf(factory, sizeof factory, usual[i], lists, (unsigned)vectors.cols / 2);
        run(&vectors, factory);
    }
    return 0;
}
