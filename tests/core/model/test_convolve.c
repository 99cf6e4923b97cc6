/* test_convolve.c - the convolution against a slow one, its gradients against that one's
 * finite differences, the stages against the minibatch.
 *
 * The oracle below is written from the paper's formulas in double precision, one number
 * at a time, and shares no code with core/model.
 *
 * Threads: teams of one to three.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/convolve.h"
#include "pinsage/gemm.h"
#include "pinsage/npy.h"
#include "pinsage/rng.h"

enum { N = 40, T = 5, WIDEST = 80 };

static float uniform(uint64_t *rng)
{
    return 2.0f * ps_rng_unit(rng) - 1.0f;
}

/* ------------------------------ A random case ----------------------------- */

typedef struct sample {
    ps_model_config config;
    ps_model model;
    ps_subgraph graph;
    uint32_t nbr[N * T];
    float weight[N * T], x[N * WIDEST], r[N * WIDEST];
} sample;

/* Nested prefixes, lists that stay inside the layer below, some slots and one whole list
 * empty. */
static void random_lists(sample *s, uint64_t *rng)
{
    uint32_t K = s->config.layers;
    s->graph.layers = K;
    s->graph.T = T;
    for (uint32_t k = 0; k <= K; k++)
        s->graph.n[k] = N * (K + 1 - k) / (K + 1);
    for (uint32_t u = 0; K && u < s->graph.n[1]; u++) {
        uint32_t k = K; /* the topmost layer that node u belongs to decides its range */
        while (k > 1 && u >= s->graph.n[k])
            k--;
        float total = 0.0f;
        for (uint32_t t = 0; t < T; t++) {
            bool empty = u == 1 || (t == T - 1 && u % 3 == 0);
            s->nbr[u * T + t] =
                empty ? u : (uint32_t)ps_rng_below(rng, s->graph.n[k - 1]);
            s->weight[u * T + t] = empty ? 0.0f : 0.1f + ps_rng_unit(rng);
            total += s->weight[u * T + t];
        }
        for (uint32_t t = 0; t < T && total > 0; t++)
            s->weight[u * T + t] /= total;
    }
    s->graph.nbr = s->nbr;
    s->graph.weight = s->weight;
}

static sample *random_sample(ps_model_config config, uint64_t seed)
{
    sample *s = calloc(1, sizeof *s);
    uint64_t rng = ps_rng_at(seed, 77);
    s->config = config;
    assert_int_equal(ps_model_new(&s->model, &config, NULL), PS_OK);
    ps_model_init(&s->model, seed);
    for (size_t i = 0; i < s->model.n_params; i++) /* biases too */
        s->model.params[i] += 0.05f * uniform(&rng);
    random_lists(s, &rng);
    for (size_t i = 0; i < (size_t)N * WIDEST; i++) {
        s->x[i] = uniform(&rng);
        s->r[i] = uniform(&rng);
    }
    return s;
}

static void free_sample(sample *s)
{
    ps_model_free(&s->model);
    free(s);
}

static const ps_model_config small = {
    .layers = 2, .d_in = 7, .m = 70, .d = 6, .e = 5, .neighbours = T};

/* ------------------------------ The oracle -------------------------------- */

static double relu(double a)
{
    return a > 0 ? a : 0;
}

static void unit(double *y, uint32_t n)
{
    double sum = 0;
    for (uint32_t j = 0; j < n; j++)
        sum += y[j] * y[j];
    for (uint32_t j = 0; j < n && sum > 0; j++)
        y[j] /= sqrt(sum);
}

static void slow_pool(const sample *s, uint32_t u, const double *p, double *out)
{
    const ps_model_config *c = &s->config;
    double kept = 0;
    for (uint32_t t = 0; t < T; t++)
        kept += s->weight[u * T + t] > 0;
    for (uint32_t j = 0; j < c->m; j++) {
        out[j] = 0;
        for (uint32_t t = 0; t < T; t++) {
            double a = s->weight[u * T + t], v = p[s->nbr[u * T + t] * c->m + j];
            if (a > 0 && c->pooling == PS_POOL_MAX)
                out[j] = v > out[j] ? v : out[j];
            else if (a > 0)
                out[j] += v * (c->pooling == PS_POOL_MEAN ? 1 / kept : a);
        }
    }
}

static void slow_layer(const sample *s, const ps_model *m, uint32_t k, const double *h,
                       double *out)
{
    const ps_model_config *c = &s->config;
    uint32_t in = k == 1 ? c->d_in : c->d;
    double *p = calloc((size_t)N * c->m, sizeof *p);
    double pooled[WIDEST];
    for (uint32_t v = 0; v < s->graph.n[k - 1]; v++)
        for (uint32_t j = 0; j < c->m; j++) {
            double sum = m->conv[k - 1].q[j];
            for (uint32_t i = 0; i < in; i++)
                sum += (double)m->conv[k - 1].Q[j * in + i] * h[v * in + i];
            p[v * c->m + j] = relu(sum);
        }
    for (uint32_t u = 0; u < s->graph.n[k]; u++) {
        slow_pool(s, u, p, pooled);
        for (uint32_t j = 0; j < c->d; j++) {
            const float *w = m->conv[k - 1].W + j * (in + c->m);
            double sum = m->conv[k - 1].w[j];
            for (uint32_t i = 0; i < in; i++)
                sum += (double)w[i] * h[u * in + i];
            for (uint32_t i = 0; i < c->m; i++)
                sum += (double)w[in + i] * pooled[i];
            out[u * c->d + j] = relu(sum);
        }
        unit(out + u * c->d, c->d);
    }
    free(p);
}

static void slow_head(const sample *s, const ps_model *m, const double *h, double *z)
{
    const ps_model_config *c = &s->config;
    uint32_t in = c->layers ? c->d : c->d_in;
    double a[WIDEST];
    for (uint32_t u = 0; u < s->graph.n[c->layers]; u++) {
        for (uint32_t j = 0; j < c->d; j++) {
            a[j] = m->g[j];
            for (uint32_t i = 0; i < in; i++)
                a[j] += (double)m->G1[j * in + i] * h[u * in + i];
            a[j] = relu(a[j]);
        }
        for (uint32_t j = 0; j < c->e; j++) {
            double sum = 0;
            for (uint32_t i = 0; i < c->d; i++)
                sum += (double)m->G2[j * c->d + i] * a[i];
            for (uint32_t i = 0; c->skip && i < c->d_in; i++)
                sum += (double)m->S[j * c->d_in + i] * (double)s->x[u * c->d_in + i];
            z[u * c->e + j] = sum;
        }
        if (c->similarity == PS_SIMILARITY_COSINE)
            unit(z + u * c->e, c->e);
    }
}

static void slow_forward(const sample *s, const ps_model *m, double *z)
{
    double h[N * WIDEST], next[N * WIDEST];
    for (size_t i = 0; i < (size_t)N * s->config.d_in; i++)
        h[i] = (double)s->x[i];
    for (uint32_t k = 1; k <= s->config.layers; k++) {
        slow_layer(s, m, k, h, next);
        memcpy(h, next, sizeof h);
    }
    slow_head(s, m, h, z);
}

/* sum of z r: a loss whose gradient with respect to z is r. */
static double slow_loss(const sample *s, const ps_model *m)
{
    double z[N * WIDEST], sum = 0;
    slow_forward(s, m, z);
    for (size_t i = 0; i < (size_t)s->graph.n[s->config.layers] * s->config.e; i++)
        sum += z[i] * (double)s->r[i];
    return sum;
}

/* ------------------------------ Checks ------------------------------------ */

static void check_forward(ps_model_config c, unsigned threads)
{
    sample *s = random_sample(c, 3);
    double z[N * WIDEST];
    ps_tape *tape;
    ps_workers *workers;
    const float *fast;
    assert_int_equal(ps_workers_new(&workers, threads), PS_OK);
    assert_int_equal(ps_tape_new(&tape, &c, workers), PS_OK);
    assert_int_equal(ps_forward(tape, &s->model, &s->graph, s->x, &fast), PS_OK);
    slow_forward(s, &s->model, z);
    for (size_t i = 0; i < (size_t)s->graph.n[c.layers] * c.e; i++)
        assert_true(fabs((double)fast[i] - z[i]) < 2e-5 * (1 + fabs(z[i])));
    ps_tape_free(tape);
    ps_workers_free(workers);
    free_sample(s);
}

/* Every parameter by central differences of the slow forward in double precision. A ReLU
 * or a maximum may switch inside the step: those few are tried again with a smaller one.
 */
static void check_parameter(sample *s, ps_model *bent, size_t i, float gradient)
{
    double error = 0, scale = 0;
    for (float step = 1e-3f; step > 5e-7f; step *= 0.1f) {
        float old = bent->params[i];
        volatile float up = old + step, down = old - step;
        bent->params[i] = up;
        double high = slow_loss(s, bent);
        bent->params[i] = down;
        double low = slow_loss(s, bent);
        bent->params[i] = old;
        double slope = (high - low) / ((double)up - (double)down);
        error = fabs(slope - (double)gradient);
        scale = 1e-3 + fabs(slope);
        if (error < 3e-3 * scale)
            return;
    }
    fail_msg("parameter %zu: error %g at scale %g", i, error, scale);
}

static void check_gradients(ps_model_config c)
{
    sample *s = random_sample(c, 5);
    ps_tape *tape;
    ps_model grad;
    const float *z;
    float *block = calloc(s->model.n_params, sizeof *block);
    ps_model_view(&grad, &c, block);
    assert_int_equal(ps_tape_new(&tape, &c, NULL), PS_OK);
    assert_int_equal(ps_forward(tape, &s->model, &s->graph, s->x, &z), PS_OK);
    assert_int_equal(ps_backward(tape, &s->model, &s->graph, s->x, s->r, &grad), PS_OK);
    for (size_t i = 0; i < s->model.n_params; i++)
        check_parameter(s, &s->model, i, block[i]);
    ps_tape_free(tape);
    free(block);
    free_sample(s);
}

static ps_model_config with(uint32_t layers, ps_pooling pooling, bool skip, bool cosine)
{
    ps_model_config c = small;
    c.layers = layers;
    c.pooling = pooling;
    c.skip = skip;
    c.similarity = cosine ? PS_SIMILARITY_COSINE : PS_SIMILARITY_IP;
    return c;
}

static void forward_equals_the_slow_one_in_every_variant(void **state)
{
    (void)state;
    for (uint32_t K = 0; K <= 3; K++)
        for (int pooling = 0; pooling < 3; pooling++)
            for (int bits = 0; bits < 4; bits++)
                check_forward(with(K, (ps_pooling)pooling, bits & 1, bits & 2),
                              1 + K % 3);
}

static void gradients_of_importance_pooling_are_the_slopes(void **state)
{
    (void)state;
    for (uint32_t K = 0; K <= 3; K++)
        for (int bits = 0; bits < 4; bits++)
            check_gradients(with(K, PS_POOL_IMPORTANCE, bits & 1, bits & 2));
}

static void gradients_of_mean_pooling_are_the_slopes(void **state)
{
    (void)state;
    check_gradients(with(2, PS_POOL_MEAN, true, true));
}

static void gradients_of_max_pooling_are_the_slopes(void **state)
{
    (void)state;
    check_gradients(with(2, PS_POOL_MAX, false, true));
}

static void any_team_gives_the_same_bits(void **state)
{
    (void)state;
    ps_model_config c = with(2, PS_POOL_IMPORTANCE, true, true);
    sample *s = random_sample(c, 9);
    float *block[2];
    for (unsigned i = 0; i < 2; i++) {
        ps_workers *workers;
        ps_tape *tape;
        ps_model grad;
        const float *z;
        block[i] = calloc(s->model.n_params, sizeof *block[i]);
        ps_model_view(&grad, &c, block[i]);
        assert_int_equal(ps_workers_new(&workers, 1 + 2 * i), PS_OK);
        assert_int_equal(ps_tape_new(&tape, &c, workers), PS_OK);
        assert_int_equal(ps_forward(tape, &s->model, &s->graph, s->x, &z), PS_OK);
        assert_int_equal(ps_backward(tape, &s->model, &s->graph, s->x, s->r, &grad), 0);
        ps_tape_free(tape);
        ps_workers_free(workers);
    }
    assert_memory_equal(block[0], block[1], s->model.n_params * sizeof(float));
    free(block[0]);
    free(block[1]);
    free_sample(s);
}

/* One layer of all nodes, stage by stage with f16 messages, against the minibatch. */
static void stages_give_what_the_minibatch_gives(void **state)
{
    (void)state;
    for (int pooling = 0; pooling < 3; pooling++) {
        ps_model_config c = with(1, (ps_pooling)pooling, true, true);
        sample *s = random_sample(c, 11);
        uint32_t n = s->graph.n[1];
        static uint16_t messages[N * WIDEST];
        static float pooled[N * WIDEST], h[N * WIDEST], z[N * WIDEST];
        ps_tape *tape;
        const float *whole;
        assert_int_equal(ps_tape_new(&tape, &c, NULL), PS_OK);
        assert_int_equal(ps_forward(tape, &s->model, &s->graph, s->x, &whole), PS_OK);
        assert_int_equal(ps_stage_map(&s->model, 1, s->x, N, messages), PS_OK);
        ps_stage_reduce(&s->model, s->nbr, s->weight, n, T, messages, pooled);
        assert_int_equal(ps_stage_update(&s->model, 1, s->x, pooled, n, h), PS_OK);
        assert_int_equal(ps_stage_head(&s->model, h, s->x, n, z), PS_OK);
        for (size_t i = 0; i < (size_t)n * c.e; i++)
            assert_true(fabsf(z[i] - whole[i]) < 2e-3f);
        ps_tape_free(tape);
        free_sample(s);
    }
}

static void the_stated_memory_covers_the_tape(void **state)
{
    (void)state;
    ps_model_config paper = {
        .layers = 2, .d_in = 4353, .m = 2048, .d = 1024, .e = 1024, .neighbours = 50};
    const uint32_t n[] = {100000, 50000, 1500};
    size_t bytes = ps_tape_bytes(&paper, n);
    assert_true(bytes > (size_t)100000 * 2048 * 4 * 2); /* messages and their gradient */
    assert_true(bytes < (size_t)8 << 30);
}

static void sizes_of_nothing_are_refused(void **state)
{
    (void)state;
    ps_model m;
    ps_why why;
    ps_model_config c = small;
    c.m = 0;
    assert_int_equal(ps_model_new(&m, &c, &why), PS_EINVAL);
    assert_non_null(strstr(why.text, "m width 0"));
    c = small;
    c.layers = 9;
    assert_int_equal(ps_model_new(&m, &c, &why), PS_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_equals_the_slow_one_in_every_variant),
        cmocka_unit_test(gradients_of_importance_pooling_are_the_slopes),
        cmocka_unit_test(gradients_of_mean_pooling_are_the_slopes),
        cmocka_unit_test(gradients_of_max_pooling_are_the_slopes),
        cmocka_unit_test(any_team_gives_the_same_bits),
        cmocka_unit_test(stages_give_what_the_minibatch_gives),
        cmocka_unit_test(the_stated_memory_covers_the_tape),
        cmocka_unit_test(sizes_of_nothing_are_refused),
    };
    ps_gemm_init();
    return cmocka_run_group_tests_name("convolve", tests, NULL, NULL);
}
