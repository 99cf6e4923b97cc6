/* models.c - see models.h. */
#include "tests/support/models.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/gemm.h"
#include "pinsage/hash.h"
#include "pinsage/rng.h"
#include "tests/support/changes.h"
#include "tests/support/tiny.h"

planted model_world;

int models_open(void **state)
{
    (void)state;
    ps_gemm_init();
    planted_make(&model_world, MODEL_PINS, 6, 3);
    return 0;
}

int models_close(void **state)
{
    (void)state;
    planted_free(&model_world);
    return 0;
}

/* ------------------------------ Models ------------------------------------ */

ps_model_config model_config(void)
{
    return (ps_model_config){.layers = 2,
                             .d_in = PLANTED_VISUAL + PLANTED_ANNOTATION + 1,
                             .m = 70,
                             .d = 19,
                             .e = 9,
                             .neighbours = 6,
                             .n_walks = 50,
                             .length = 2,
                             .skip = true,
                             .similarity = PS_SIMILARITY_COSINE,
                             .temperature = 1,
                             .seed = 7,
                             .blocks = "annotation,visual"};
}

ps_model model_random(const ps_model_config *c, uint64_t seed)
{
    ps_model m;
    ps_why why = {0};
    uint64_t rng = ps_rng_at(seed, 8);
    must(ps_model_new(&m, c, &why), &why);
    ps_model_init(&m, seed);
    for (size_t i = 0; i < m.n_params; i++)
        m.params[i] += 0.1f * ps_rng_unit(&rng);
    return m;
}

ps_table model_table(const ps_graph *g, const ps_model_config *c)
{
    ps_table t;
    ps_workers *workers;
    ps_why why = {0};
    uint32_t n = g->pin_boards.rows;
    uint64_t *seeds = malloc(n * sizeof *seeds);
    assert_non_null(seeds);
    for (uint32_t i = 0; i < n; i++) {
        char id[16];
        int len = snprintf(id, sizeof id, "p%" PRIu32, i);
        seeds[i] = ps_pin_seed(c->seed, id, (size_t)len);
    }
    ps_table_opts o = {.walk = {c->n_walks, c->length, c->neighbours},
                       .khop = c->neighbourhood == PS_NEIGHBOURS_KHOP,
                       .seeds = seeds,
                       .stage = "test"};
    assert_int_equal(ps_workers_new(&workers, 1), PS_OK);
    must(ps_table_make(&t, g, &o, workers, NULL, &why), &why);
    ps_workers_free(workers);
    free(seeds);
    return t;
}

void model_install(const ps_model *m)
{
    char path[PS_PATH_MAX];
    ps_why why = {0};
    uint64_t size, hash;
    ps_draft *d = tiny_begin(false);
    must(ps_draft_path(d, "model.safetensors", path, &why), &why);
    must(ps_model_save(m, path, &size, &hash, &why), &why);
    ps_draft_file(d, "model.safetensors", size, hash);
    if (m->config.layers) {
        ps_generation *g = planted_open();
        ps_table t = model_table(&g->graph, &m->config);
        tiny_array(d, "neighbours.indices.npy", PS_U32, t.n, t.T, t.row);
        tiny_array(d, "neighbours.weights.npy", PS_F32, t.n, t.T, t.weight);
        ps_table_done(&t);
        ps_generation_release(g);
    }
    tiny_commit(d);
}

/* ------------------------------ The slow way ------------------------------ */

static double *numbers(size_t n)
{
    double *x = calloc(n, sizeof *x);
    assert_non_null(x);
    return x;
}

/* b[j] + sum of w[j, i] x[i] for one row j of w. */
static double line(const float *w, const double *x, uint32_t n, double b)
{
    for (uint32_t i = 0; i < n; i++)
        b += (double)w[i] * x[i];
    return b;
}

static double relu(double x)
{
    return x > 0 ? x : 0;
}

static void unit(double *y, uint32_t n)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += y[i] * y[i];
    for (uint32_t i = 0; i < n && sum > 0; i++)
        y[i] /= sqrt(sum);
}

static void slow_pool(const ps_model_config *c, const ps_table *t, uint32_t u,
                      const double *p, double *out)
{
    const uint32_t *nbr = t->row + (size_t)u * t->T;
    const float *weight = t->weight + (size_t)u * t->T;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < t->T; i++)
        kept += weight[i] > 0;
    for (uint32_t j = 0; j < c->m; j++) {
        out[j] = 0;
        for (uint32_t i = 0; i < t->T; i++) {
            double x = p[(size_t)nbr[i] * c->m + j], a = (double)weight[i];
            if (a > 0 && c->pooling == PS_POOL_MAX)
                out[j] = fmax(out[j], x);
            else if (a > 0)
                out[j] += x * (c->pooling == PS_POOL_MEAN ? 1.0 / kept : a);
        }
    }
}

static double *slow_layer(const ps_model *m, uint32_t k, const ps_table *t,
                          const double *h, uint32_t n)
{
    const ps_model_config *c = &m->config;
    const ps_conv *v = &m->conv[k - 1];
    uint32_t in = k == 1 ? c->d_in : c->d;
    double *p = numbers((size_t)n * c->m), *out = numbers((size_t)n * c->d);
    double *pooled = numbers(c->m);
    for (uint32_t u = 0; u < n; u++)
        for (uint32_t j = 0; j < c->m; j++)
            p[(size_t)u * c->m + j] = relu(
                line(v->Q + (size_t)j * in, h + (size_t)u * in, in, (double)v->q[j]));
    for (uint32_t u = 0; u < n; u++) {
        double *y = out + (size_t)u * c->d;
        slow_pool(c, t, u, p, pooled);
        for (uint32_t j = 0; j < c->d; j++) {
            const float *w = v->W + (size_t)j * (in + c->m);
            double own = line(w, h + (size_t)u * in, in, (double)v->w[j]);
            y[j] = relu(line(w + in, pooled, c->m, own));
        }
        unit(y, c->d);
    }
    free(p);
    free(pooled);
    return out;
}

static void slow_head(const ps_model *m, const double *h, const double *x, double *z)
{
    const ps_model_config *c = &m->config;
    uint32_t in = c->layers ? c->d : c->d_in;
    double *a = numbers(c->d);
    for (uint32_t j = 0; j < c->d; j++)
        a[j] = relu(line(m->G1 + (size_t)j * in, h, in, (double)m->g[j]));
    for (uint32_t j = 0; j < c->e; j++) {
        z[j] = line(m->G2 + (size_t)j * c->d, a, c->d, 0);
        if (c->skip)
            z[j] = line(m->S + (size_t)j * c->d_in, x, c->d_in, z[j]);
    }
    if (c->similarity == PS_SIMILARITY_COSINE)
        unit(z, c->e);
    free(a);
}

double *slow_vectors(const ps_model *m, const ps_features *f, const ps_table *nbr)
{
    const ps_model_config *c = &m->config;
    uint32_t n = f->generation->n_pins;
    double *x = numbers((size_t)n * c->d_in), *h = numbers((size_t)n * c->d_in);
    double *z = numbers((size_t)n * c->e);
    float *row = malloc(c->d_in * sizeof *row);
    assert_non_null(row);
    for (uint32_t u = 0; u < n; u++) {
        ps_features_row(f, u, row);
        for (uint32_t i = 0; i < c->d_in; i++)
            h[(size_t)u * c->d_in + i] = x[(size_t)u * c->d_in + i] = (double)row[i];
    }
    for (uint32_t k = 1; k <= c->layers; k++) {
        double *next = slow_layer(m, k, nbr, h, n);
        free(h);
        h = next;
    }
    uint32_t width = c->layers ? c->d : c->d_in;
    for (uint32_t u = 0; u < n; u++)
        slow_head(m, h + (size_t)u * width, x + (size_t)u * c->d_in,
                  z + (size_t)u * c->e);
    free(row);
    free(x);
    free(h);
    return z;
}

void near_vectors(const float *got, const double *want, size_t n, double most)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= most * (1 + fabs(want[i]))))
            fail_msg("number %zu is %g, not %g", i, (double)got[i], want[i]);
}
