/* bench_request.c - one pin's vector on request: from mapped messages, and from nothing.
 *
 *     bench_request [PINS [DIR]]      default 30000 /tmp
 *
 * A made-up catalog is imported, given a random model, and embedded. Then pins are
 * embedded one at a time as the server does it: walk, gather the neighbours' messages,
 * a few small products. Beside it the same vector with nothing kept: the features of
 * the pin's two-hop surroundings, their messages, the neighbours' own vectors, their
 * messages. Neighbours' lists are read from the catalog on both sides, and both sides
 * pool messages of half precision, so the vectors must agree.
 *
 * Threads: one.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pinsage/clock.h"
#include "pinsage/convolve.h"
#include "pinsage/embed.h"
#include "pinsage/gemm.h"
#include "pinsage/hash.h"
#include "pinsage/import.h"
#include "pinsage/rng.h"
#include "pinsage/train.h"

enum { DEGREE = 12, ASKED = 400, ANEW = 10 };

static char dir[PS_PATH_MAX];

static void need(int ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bench_request: %s\n", what);
    exit(1);
}

static const char *in_dir(const char *name)
{
    static char path[4][PS_PATH_MAX];
    static unsigned turn;
    char *at = path[turn++ % 4];
    snprintf(at, PS_PATH_MAX, "%.*s/%s", PS_PATH_MAX - 40, dir, name);
    return at;
}

/* ------------------------------ The catalog ------------------------------- */

static void write_tables(uint32_t n)
{
    uint64_t rng = ps_rng_at(1, 2);
    FILE *pins = fopen(in_dir("pins.tsv"), "w"), *edges = fopen(in_dir("edges.tsv"), "w");
    need(pins && edges, dir);
    fputs("pin\n", pins);
    fputs("pin\tboard\n", edges);
    for (uint32_t p = 0; p < n; p++) {
        fprintf(pins, "p%" PRIu32 "\n", p);
        for (int i = 0; i < DEGREE; i++)
            fprintf(edges, "p%" PRIu32 "\tb%" PRIu64 "\n", p,
                    ps_rng_below(&rng, n / 4 + 1));
    }
    need(fclose(pins) == 0 && fclose(edges) == 0, dir);
}

static void write_visual(uint32_t n, uint32_t dim)
{
    uint64_t rng = ps_rng_at(1, 3);
    float *row = malloc(dim * sizeof *row);
    ps_out *out;
    need(row && !ps_out_open(&out, in_dir("visual.npy"), NULL), dir);
    ps_npy_header(out, PS_F32, n, dim);
    for (uint32_t p = 0; p < n; p++) {
        for (uint32_t j = 0; j < dim; j++)
            row[j] = ps_rng_unit(&rng) - 0.5f;
        ps_out_write(out, row, dim * sizeof *row);
    }
    need(!ps_out_close(out, NULL, NULL), dir);
    free(row);
}

static void import(uint32_t n, uint32_t dim)
{
    write_tables(n);
    write_visual(n, dim);
    ps_import_feature visual = {"visual", in_dir("visual.npy")};
    ps_import_opts o = {.pins = in_dir("pins.tsv"),
                        .edges = in_dir("edges.tsv"),
                        .features = &visual,
                        .n_features = 1};
    ps_import_report r;
    ps_why why = {0};
    need(!ps_import(in_dir("catalog"), &o, &r, NULL, &why), why.text);
    printf("%u pins, %d boards each, features of %u numbers\n", n, DEGREE, dim);
}

static void install(const ps_model_config *c)
{
    ps_model m;
    ps_embed_report r;
    ps_why why = {0};
    need(!ps_model_new(&m, c, &why), why.text);
    ps_model_init(&m, 1);
    need(!ps_model_save(&m, in_dir("m.safetensors"), NULL, NULL, &why), why.text);
    need(!ps_model_import(in_dir("catalog"), in_dir("m.safetensors"),
                          (ps_model_import_opts){0}, NULL, &why),
         why.text);
    need(!ps_embed(in_dir("catalog"), &(ps_embed_opts){0}, &r, NULL, &why), why.text);
    ps_model_free(&m);
}

/* ------------------------------ What is asked ----------------------------- */

typedef struct bench {
    ps_generation *g;
    ps_model model;
    ps_embedder *embedder;
    ps_walker *walker;
    ps_npy messages[2];
    uint32_t *nbr; /* (T) */
    float *weight, *x, *pooled, *z;
    double walk[ASKED], gather[ASKED], dense[ASKED], all[ASKED];
} bench;

static void open_bench(bench *b)
{
    ps_why why = {0};
    char path[PS_PATH_MAX];
    need(!ps_generation_open(&b->g, in_dir("catalog"), &why), why.text);
    need(ps_generation_file(b->g, "model.safetensors", path), "no model");
    need(!ps_model_load(&b->model, path, &why), why.text);
    const ps_model_config *c = &b->model.config;
    need(!ps_embedder_new(&b->embedder, b->g, &b->model, &why), why.text);
    ps_walk_opts walk = {c->n_walks, c->length, c->neighbours};
    need(!ps_walker_new(&b->walker, &b->g->graph, walk), "no walker");
    need(!ps_generation_array(b->g, "messages.1.npy", &b->messages[0], &why), why.text);
    need(!ps_generation_array(b->g, "messages.2.npy", &b->messages[1], &why), why.text);
    b->nbr = malloc(c->neighbours * sizeof *b->nbr);
    b->weight = malloc(c->neighbours * sizeof *b->weight);
    b->x = malloc(c->d_in * sizeof *b->x);
    b->pooled = malloc(c->m * sizeof *b->pooled);
    b->z = malloc(2 * (size_t)c->e * sizeof *b->z);
    need(b->nbr && b->weight && b->x && b->pooled && b->z, "no memory");
}

static void close_bench(bench *b)
{
    ps_embedder_free(b->embedder);
    ps_walker_free(b->walker);
    ps_npy_close(&b->messages[0]);
    ps_npy_close(&b->messages[1]);
    ps_model_free(&b->model);
    ps_generation_release(b->g);
    free(b->nbr), free(b->weight), free(b->x), free(b->pooled), free(b->z);
}

static uint32_t row_of(const bench *b, uint32_t i)
{
    return (uint32_t)(ps_mix64(i) % b->g->n_pins);
}

/* A pin as the server embeds it, each part by itself, then the whole. */
static void ask(bench *b, uint32_t i)
{
    char id[16];
    uint32_t row = row_of(b, i), T = b->model.config.neighbours;
    int len = snprintf(id, sizeof id, "p%" PRIu32, row);
    uint64_t seed = ps_pin_seed(b->model.config.seed, id, (size_t)len);
    double t0 = ps_now();
    ps_walk_neighbours(b->walker, &row, &seed, 1, b->nbr, b->weight);
    double t1 = ps_now();
    for (int k = 0; k < 2; k++)
        ps_stage_reduce(&b->model, b->nbr, b->weight, 1, T, b->messages[k].data,
                        b->pooled);
    double t2 = ps_now();
    ps_features_row(ps_embedder_features(b->embedder), row, b->x);
    ps_embedder_vector(b->embedder, b->x, b->nbr, b->weight, T, b->z);
    double t3 = ps_now();
    ps_embedder_pin(b->embedder, row, b->z);
    b->all[i] = ps_now() - t3;
    b->walk[i] = t1 - t0;
    b->gather[i] = t2 - t1;
    b->dense[i] = t3 - t2 > t2 - t1 ? t3 - t2 - (t2 - t1) : 0;
}

/* ------------------------------ From nothing ------------------------------ */

/* Nodes of the surroundings: the pin, its neighbours, theirs; each once. */
typedef struct around {
    uint32_t *row, n, inner; /* rows[0, inner) need h1: the pin and its neighbours */
    uint32_t *place;         /* (N) 1 + where a row stands */
    uint32_t *nbr;           /* (inner, T) places */
    float *weight;           /* (inner, T) */
} around;

static uint32_t place(around *a, uint32_t row)
{
    if (!a->place[row]) {
        a->row[a->n++] = row;
        a->place[row] = a->n;
    }
    return a->place[row] - 1;
}

static void look_around(const bench *b, uint32_t row, around *a)
{
    size_t T = b->model.config.neighbours;
    const uint32_t *nbr = b->g->nbr_rows.data;
    const float *weight = b->g->nbr_weights.data;
    a->n = 0;
    place(a, row);
    for (size_t t = 0; t < T; t++)
        place(a, nbr[row * T + t]);
    a->inner = a->n;
    for (uint32_t u = 0; u < a->inner; u++)
        for (size_t t = 0; t < T; t++) {
            size_t at = a->row[u] * T + t;
            a->nbr[u * T + t] = place(a, nbr[at]);
            a->weight[u * T + t] = weight[at];
        }
    for (uint32_t i = 0; i < a->n; i++)
        a->place[a->row[i]] = 0;
}

/* z of a pin from features alone, and the seconds it took. */
static double anew(const bench *b, uint32_t row, around *a, float *z)
{
    const ps_model *m = &b->model;
    const ps_model_config *c = &m->config;
    double began = ps_now();
    look_around(b, row, a);
    float *x = malloc((size_t)a->n * c->d_in * sizeof *x);
    uint16_t *p = malloc((size_t)a->n * c->m * sizeof *p);
    float *pooled = malloc((size_t)a->inner * c->m * sizeof *pooled);
    float *h = malloc((size_t)(a->inner + 1) * c->d * sizeof *h);
    need(x && p && pooled && h, "no memory");
    float *top = h + (size_t)a->inner * c->d;
    ps_features_rows(ps_embedder_features(b->embedder), a->row, a->n, x);
    need(!ps_stage_map(m, 1, x, a->n, p), "map");
    ps_stage_reduce(m, a->nbr, a->weight, a->inner, c->neighbours, p, pooled);
    need(!ps_stage_update(m, 1, x, pooled, a->inner, h), "update");
    need(!ps_stage_map(m, 2, h, a->inner, p), "map");
    ps_stage_reduce(m, a->nbr, a->weight, 1, c->neighbours, p, pooled);
    need(!ps_stage_update(m, 2, h, pooled, 1, top), "update");
    need(!ps_stage_head(m, top, x, 1, z), "head");
    double took = ps_now() - began;
    free(x), free(p), free(pooled), free(h);
    return took;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void say(const char *what, double *t, int n)
{
    qsort(t, (size_t)n, sizeof *t, by_value);
    printf("  %-12s p50 %9.1f us   p99 %9.1f us\n", what, 1e6 * t[n / 2],
           1e6 * t[n * 99 / 100]);
}

static void compare(bench *b)
{
    size_t T = b->model.config.neighbours, most = 1 + T + (T + 1) * T;
    uint32_t e = b->model.config.e;
    double slow[ANEW], worst = 0;
    around a = {.row = malloc(most * sizeof(uint32_t)),
                .place = calloc(b->g->n_pins, sizeof(uint32_t)),
                .nbr = malloc((T + 1) * T * sizeof(uint32_t)),
                .weight = malloc((T + 1) * T * sizeof(float))};
    need(a.row && a.place && a.nbr && a.weight, "no memory");
    for (uint32_t i = 0; i < ANEW; i++) {
        uint32_t row = row_of(b, i);
        slow[i] = anew(b, row, &a, b->z + e);
        ps_embedder_pin(b->embedder, row, b->z);
        for (uint32_t j = 0; j < e; j++)
            worst = fmax(worst, fabs((double)b->z[j] - (double)b->z[e + j]));
    }
    printf("  surroundings of the last: %" PRIu32 " pins\n", a.n);
    say("from nothing", slow, ANEW);
    double vector = b->gather[ASKED / 2] + b->dense[ASKED / 2];
    printf(
        "  mapped messages are %.0f x faster (%.0f x with the walk); largest difference "
        "%.1e\n",
        slow[ANEW / 2] / vector, slow[ANEW / 2] / b->all[ASKED / 2], worst);
    free(a.row), free(a.place), free(a.nbr), free(a.weight);
}

static void run(uint32_t in, uint32_t T, uint32_t m, uint32_t d)
{
    ps_model_config c = {.layers = 2,
                         .d_in = in + 1,
                         .m = m,
                         .d = d,
                         .e = d,
                         .neighbours = T,
                         .n_walks = 500,
                         .length = 2,
                         .skip = in < 4096,
                         .similarity = PS_SIMILARITY_COSINE,
                         .temperature = 1,
                         .seed = 1,
                         .blocks = "visual"};
    bench *b = calloc(1, sizeof *b);
    need(b != NULL, "no memory");
    install(&c);
    open_bench(b);
    printf(" T %u, m %u, d %u, E %u\n", T, m, d, d);
    for (uint32_t turn = 0; turn < 2; turn++) /* the first warms the caches */
        for (uint32_t i = 0; i < ASKED; i++)
            ask(b, i);
    say("walks", b->walk, ASKED);
    say("gather", b->gather, ASKED);
    say("dense", b->dense, ASKED);
    say("whole pin", b->all, ASKED);
    compare(b);
    fflush(stdout);
    close_bench(b);
    free(b);
}

int main(int argc, char **argv)
{
    uint32_t n = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 30000;
    snprintf(dir, sizeof dir, "%s/bench_request.XXXXXX", argc > 2 ? argv[2] : "/tmp");
    need(n >= 1000 && mkdtemp(dir) != NULL, dir);
    ps_gemm_init();
    import(n, 256);
    run(256, 10, 128, 128);
    run(256, 50, 128, 128);
    import(n / 5, 4352);
    run(4352, 50, 2048, 1024); /* the paper's sizes; wanted: 50 x */
    ps_dir_remove(dir, NULL);
    return 0;
}
