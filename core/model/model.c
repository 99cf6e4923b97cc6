/* model.c - where each tensor lies in the block, and what it holds before training.
 *
 * Threads: see model.h. Not here: files (model_file.c), arithmetic (convolve.c).
 */
#include "pinsage/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/rng.h"

static const char *const losses[] = {"margin", "xent"};
static const char *const poolings[] = {"importance", "mean", "max"};
static const char *const similarities[] = {"ip", "cosine"};
static const char *const neighbourhoods[] = {"walk", "khop"};
const ps_enum ps_loss_names = PS_ENUM(losses);
const ps_enum ps_pooling_names = PS_ENUM(poolings);
const ps_enum ps_similarity_names = PS_ENUM(similarities);
const ps_enum ps_neighbourhood_names = PS_ENUM(neighbourhoods);

#define SIZE_LIMIT 65536u

/* Hands out pieces of the block; with a NULL block it only counts. */
typedef struct cutter {
    float *block;
    size_t used;
} cutter;

static float *cut(cutter *c, size_t rows, size_t cols)
{
    float *at = c->block ? c->block + c->used : NULL;
    c->used += rows * cols;
    return at;
}

static size_t lay_out(ps_model *m, float *block)
{
    const ps_model_config *c = &m->config;
    cutter at = {.block = block};
    for (uint32_t k = 0; k < c->layers; k++) {
        size_t in = ps_model_width(c, k);
        m->conv[k].Q = cut(&at, c->m, in);
        m->conv[k].q = cut(&at, c->m, 1);
        m->conv[k].W = cut(&at, c->d, in + c->m);
        m->conv[k].w = cut(&at, c->d, 1);
    }
    m->G1 = cut(&at, c->d, ps_model_width(c, c->layers));
    m->g = cut(&at, c->d, 1);
    m->G2 = cut(&at, c->e, c->d);
    m->S = c->skip ? cut(&at, c->e, c->d_in) : NULL;
    m->params = block;
    return at.used;
}

size_t ps_model_count(const ps_model_config *c)
{
    ps_model m = {.config = *c};
    return lay_out(&m, NULL);
}

void ps_model_view(ps_model *m, const ps_model_config *c, float *params)
{
    *m = (ps_model){.config = *c};
    m->n_params = lay_out(m, params);
}

static int check(const ps_model_config *c, ps_why *why)
{
    const struct {
        const char *name;
        uint32_t value;
    } size[] = {{"input", c->d_in}, {"m", c->m}, {"d", c->d}, {"embedding", c->e}};
    if (c->layers > PS_LAYERS_MAX)
        return ps_fail(why, PS_EINVAL, NULL, 0, "%u layers are more than %d", c->layers,
                       PS_LAYERS_MAX);
    for (size_t i = 0; i < sizeof size / sizeof size[0]; i++)
        if (size[i].value == 0 || size[i].value > SIZE_LIMIT)
            return ps_fail(why, PS_EINVAL, NULL, 0, "the %s width %u is not in 1..%u",
                           size[i].name, size[i].value, SIZE_LIMIT);
    return PS_OK;
}

int ps_model_new(ps_model *m, const ps_model_config *c, ps_why *why)
{
    int err = check(c, why);
    if (err)
        return err;
    float *params = calloc(ps_model_count(c), sizeof *params);
    if (!params)
        return ps_fail(why, PS_ENOMEM, NULL, 0, "no memory for %zu parameters",
                       ps_model_count(c));
    ps_model_view(m, c, params);
    return PS_OK;
}

void ps_model_free(ps_model *m)
{
    free(m->params);
    *m = (ps_model){0};
}

/* Uniform in [-limit, limit]; each tensor has its own random stream. */
static void fill(float *at, size_t n, float limit, uint64_t seed, uint64_t stream)
{
    uint64_t rng = ps_rng_at(seed, stream);
    for (size_t i = 0; i < n; i++)
        at[i] = (2.0f * ps_rng_unit(&rng) - 1.0f) * limit;
}

static float he(size_t fan_in)
{
    return sqrtf(6.0f / (float)fan_in);
}

static float glorot(size_t fan_in, size_t fan_out)
{
    return sqrtf(6.0f / (float)(fan_in + fan_out));
}

void ps_model_init(ps_model *m, uint64_t seed)
{
    const ps_model_config *c = &m->config;
    memset(m->params, 0, m->n_params * sizeof *m->params);
    uint64_t stream = 0;
    for (uint32_t k = 0; k < c->layers; k++) {
        size_t in = ps_model_width(c, k);
        fill(m->conv[k].Q, c->m * in, he(in), seed, stream++);
        fill(m->conv[k].W, c->d * (in + c->m), he(in + c->m), seed, stream++);
    }
    size_t in = ps_model_width(c, c->layers);
    fill(m->G1, c->d * in, he(in), seed, stream++);
    fill(m->G2, (size_t)c->e * c->d, glorot(c->d, c->e), seed, stream++);
    if (m->S)
        fill(m->S, (size_t)c->e * c->d_in, glorot(c->d_in, c->e), seed, stream++);
}
