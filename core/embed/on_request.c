/* on_request.c - one pin's vector now, from the messages that the batch left.
 *
 *     x -> h1 = update(x, pool of messages.1) -> h2 = update(h1, pool of messages.2) -> z
 *
 * Pooling reads T rows a layer, so nothing but the pin itself is computed: T x m
 * multiply-adds and a few small products, instead of the pin's whole two-hop
 * surroundings. A row's messages are mapped, or its own when it has been embedded since
 * the batch; they are brought together first, so that pooling sees one array.
 *
 * Threads: a ps_embedder is scratch for one thread.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/convolve.h"
#include "pinsage/embed.h"
#include "pinsage/gemm.h"
#include "pinsage/hash.h"
#include "pinsage/layout.h"

_Static_assert(PS_LAYERS_MAX <= PS_MESSAGES_MAX, "a generation has too few messages");

struct ps_embedder {
    ps_generation *g;      /* borrowed */
    const ps_model *model; /* borrowed */
    ps_features features;
    ps_walker *walker;
    ps_pins_reader *reader;
    ps_live_messages live;
    uint32_t *nbr;          /* (T) */
    float *weight, *scaled; /* (T) */
    uint16_t *gathered;     /* (T, m) messages */
    uint32_t *place;        /* (T) 0, 1, 2 ... */
    float *x, *pooled, *h[2];
};

/* Of the generation, which has them mapped: one that was replaced meanwhile has no files
 * left that could be opened. */
static int take_messages(ps_embedder *e, ps_why *why)
{
    const ps_model_config *c = &e->model->config;
    if (e->g->n_messages < c->layers)
        return ps_fail(why, PS_EUNSUPPORTED, e->g->name, 0,
                       "has no messages: run `pinsage embed` first");
    for (uint32_t k = 0; k < c->layers; k++) {
        char name[32];
        snprintf(name, sizeof name, PS_FILE_MESSAGES, k + 1);
        if (e->g->messages[k].dtype != PS_F16 || e->g->messages[k].cols != c->m)
            return ps_fail(why, PS_EFORMAT, name, 0, "is not of (%u, %u) <f2",
                           e->g->n_pins, c->m);
    }
    return PS_OK;
}

static int take_scratch(ps_embedder *e)
{
    const ps_model_config *c = &e->model->config;
    size_t T = c->neighbours;
    e->nbr = malloc(T * sizeof *e->nbr + 1);
    e->weight = malloc(T * sizeof *e->weight + 1);
    e->scaled = malloc(T * sizeof *e->scaled + 1);
    e->gathered = malloc(T * c->m * sizeof *e->gathered + 1);
    e->place = malloc(T * sizeof *e->place + 1);
    e->x = malloc(c->d_in * sizeof *e->x);
    e->pooled = malloc(c->m * sizeof *e->pooled);
    e->h[0] = malloc(c->d * sizeof(float));
    e->h[1] = malloc(c->d * sizeof(float));
    if (!e->nbr || !e->weight || !e->scaled || !e->gathered || !e->place || !e->x ||
        !e->pooled || !e->h[0] || !e->h[1])
        return PS_ENOMEM;
    for (uint32_t t = 0; t < T; t++)
        e->place[t] = t;
    int err = ps_pins_reader_new(&e->reader, e->g->pins);
    if (!err && c->layers)
        err = ps_walker_new(&e->walker, &e->g->graph, ps_model_walk(c));
    return err;
}

int ps_embedder_new(ps_embedder **out, ps_generation *g, const ps_model *m, ps_why *why)
{
    ps_embedder *e = calloc(1, sizeof *e);
    if (!e)
        return ps_fail(why, PS_ENOMEM, NULL, 0, "out of memory");
    *e = (ps_embedder){.g = g, .model = m};
    ps_gemm_init();
    int err = ps_features_for(&e->features, g, &m->config, why);
    if (!err && m->config.layers && m->config.neighbourhood == PS_NEIGHBOURS_KHOP &&
        g->nbr_rows.cols != m->config.neighbours)
        err = ps_fail(why, PS_EUNSUPPORTED, g->name, 0,
                      "has no lists of %u neighbours, which a k-hop model needs",
                      m->config.neighbours);
    if (!err)
        err = take_messages(e, why);
    if (!err)
        err = take_scratch(e);
    *out = e;
    if (err) {
        ps_embedder_free(e);
        *out = NULL;
    }
    return err;
}

void ps_embedder_free(ps_embedder *e)
{
    if (!e)
        return;
    ps_walker_free(e->walker);
    ps_pins_reader_free(e->reader);
    free(e->nbr), free(e->weight), free(e->scaled), free(e->gathered), free(e->place);
    free(e->x), free(e->pooled);
    free(e->h[0]), free(e->h[1]);
    free(e);
}

const ps_features *ps_embedder_features(const ps_embedder *e)
{
    return &e->features;
}

/* ------------------------------ One pin ----------------------------------- */

/* Layer k's message of a row (m), NULL when it has none yet. */
static const uint16_t *message_of(const ps_embedder *e, uint32_t k, uint32_t row)
{
    size_t m = e->model->config.m;
    const uint16_t *own = e->live.of ? e->live.of(e->live.cls, row) : NULL;
    if (own)
        return own + (k - 1) * m;
    const uint16_t *mapped = e->g->messages[k - 1].data;
    return row < e->g->n_pins ? mapped + row * m : NULL;
}

/* Messages of layer k side by side. A neighbour that has none yet does not count, and
 * the others' weights make up for it. */
static void gather(ps_embedder *e, uint32_t k, const uint32_t *nbr, const float *weight,
                   uint32_t T)
{
    size_t m = e->model->config.m;
    float kept = 0, all = 0, *scaled = e->scaled;
    for (uint32_t t = 0; t < T; t++)
        if (weight[t] != 0 && nbr[t] < e->g->n_pins)
            __builtin_prefetch((const uint16_t *)e->g->messages[k - 1].data + nbr[t] * m);
    for (uint32_t t = 0; t < T; t++) {
        const uint16_t *row = weight[t] != 0 ? message_of(e, k, nbr[t]) : NULL;
        scaled[t] = row ? weight[t] : 0;
        all += weight[t];
        kept += scaled[t];
        if (row)
            memcpy(e->gathered + t * m, row, m * sizeof *row);
        else
            memset(e->gathered + t * m, 0, m * sizeof *row);
    }
    for (uint32_t t = 0; t < T && kept > 0 && kept < all; t++)
        scaled[t] *= all / kept;
}

/* h after `layers` layers: borrowed, x itself for 0. */
static int convolve(ps_embedder *e, const float *x, const uint32_t *nbr,
                    const float *weight, uint32_t T, uint32_t layers, const float **out)
{
    const ps_model *m = e->model;
    const float *h = x;
    int err = PS_OK;
    for (uint32_t k = 1; k <= layers && !err; k++) {
        gather(e, k, nbr, weight, T);
        ps_stage_reduce(m, e->place, e->scaled, 1, T, e->gathered, e->pooled);
        err = ps_stage_update(m, k, h, e->pooled, 1, e->h[k % 2]);
        h = e->h[k % 2];
    }
    *out = h;
    return err;
}

int ps_embedder_vector(ps_embedder *e, const float *x, const uint32_t *nbr,
                       const float *weight, uint32_t T, float *z)
{
    const float *h;
    if (T > e->model->config.neighbours)
        return PS_ERANGE;
    int err = convolve(e, x, nbr, weight, T, e->model->config.layers, &h);
    return err ? err : ps_stage_head(e->model, h, x, 1, z);
}

int ps_embedder_on(ps_embedder *e, const ps_graph *view, ps_live_messages live)
{
    e->live = live;
    return e->walker ? ps_walker_on(e->walker, view) : PS_OK;
}

/* A walk gives what the lists on disk hold; those of k-hop are drawn another way. */
static int neighbours(ps_embedder *e, uint32_t row)
{
    const ps_model_config *c = &e->model->config;
    ps_pin pin;
    if (c->neighbourhood == PS_NEIGHBOURS_KHOP) {
        const uint32_t *nbr = e->g->nbr_rows.data;
        const float *weight = e->g->nbr_weights.data;
        memcpy(e->nbr, nbr + (size_t)row * c->neighbours, c->neighbours * sizeof *nbr);
        memcpy(e->weight, weight + (size_t)row * c->neighbours,
               c->neighbours * sizeof *weight);
        for (uint32_t t = 0; t < c->neighbours; t++) /* as the file has it */
            e->nbr[t] = e->nbr[t] < e->g->n_pins ? e->nbr[t] : row;
        return PS_OK;
    }
    int err = ps_pins_get(e->reader, row, &pin);
    if (err)
        return err;
    uint64_t seed = ps_pin_seed(c->seed, pin.id.data, pin.id.len);
    ps_walk_neighbours(e->walker, &row, &seed, 1, e->nbr, e->weight);
    return PS_OK;
}

/* From where the pin stands now. A k-hop model has the lists of the generation alone: the
 * neighbourhood of a live pin is empty there. */
int ps_embedder_walk(ps_embedder *e, uint32_t row, uint64_t id_hash)
{
    const ps_model_config *c = &e->model->config;
    uint64_t seed = ps_pin_seed_of(c->seed, id_hash);
    if (c->neighbourhood == PS_NEIGHBOURS_KHOP && row < e->g->n_pins)
        return neighbours(e, row);
    if (c->layers && c->neighbourhood == PS_NEIGHBOURS_WALK)
        ps_walk_neighbours(e->walker, &row, &seed, 1, e->nbr, e->weight);
    else
        memset(e->weight, 0, c->neighbours * sizeof *e->weight);
    return PS_OK;
}

int ps_embedder_message(ps_embedder *e, uint32_t row, uint64_t id_hash, const float *x,
                        uint32_t k, uint16_t *message)
{
    const float *h;
    int err = k > 1 ? ps_embedder_walk(e, row, id_hash) : PS_OK;
    if (!err)
        err = convolve(e, x, e->nbr, e->weight, e->model->config.neighbours, k - 1, &h);
    return err ? err : ps_stage_map(e->model, k, h, 1, message);
}

int ps_embedder_live(ps_embedder *e, uint32_t row, uint64_t id_hash, const float *x,
                     float *z)
{
    int err = ps_embedder_walk(e, row, id_hash);
    return err ? err
               : ps_embedder_vector(e, x, e->nbr, e->weight, e->model->config.neighbours,
                                    z);
}

int ps_embedder_unstored(ps_embedder *e, const uint32_t *boards, uint32_t n,
                         uint32_t n_walks, uint64_t id_hash, const float *x, float *z)
{
    const ps_model_config *c = &e->model->config;
    memset(e->weight, 0, c->neighbours * sizeof *e->weight);
    if (c->layers && c->neighbourhood == PS_NEIGHBOURS_WALK && n)
        ps_walk_unstored(e->walker, boards, n, n_walks, ps_pin_seed_of(c->seed, id_hash),
                         e->nbr, e->weight);
    return ps_embedder_vector(e, x, e->nbr, e->weight, c->neighbours, z);
}

uint32_t ps_embedder_neighbours(const ps_embedder *e, const uint32_t **rows,
                                const float **weights)
{
    *rows = e->nbr;
    *weights = e->weight;
    return e->model->config.neighbours;
}

int ps_embedder_pin(ps_embedder *e, uint32_t row, float *z)
{
    int err = e->model->config.layers ? neighbours(e, row) : PS_OK;
    if (err)
        return err;
    ps_features_row(&e->features, row, e->x);
    return ps_embedder_vector(e, e->x, e->nbr, e->weight, e->model->config.neighbours, z);
}

/* ------------------------------ Parity ------------------------------------ */

/* Differences are in units of the stored vector's length: raw inner-product embeddings
 * may be long. */
static void compare(const float *a, const float *b, uint32_t n, ps_parity *out)
{
    double dot = 0, aa = 0, bb = 0, largest = 0;
    for (uint32_t i = 0; i < n; i++) {
        double x = (double)a[i], y = (double)b[i], difference = fabs(x - y);
        dot += x * y;
        aa += x * x;
        bb += y * y;
        largest = difference > largest ? difference : largest;
    }
    double cosine = aa > 0 && bb > 0 ? dot / sqrt(aa * bb) : aa == bb ? 1.0 : 0.0;
    largest = bb > 0 ? largest / sqrt(bb) : largest;
    out->least_cosine = cosine < out->least_cosine ? cosine : out->least_cosine;
    out->largest_difference =
        largest > out->largest_difference ? largest : out->largest_difference;
}

static int sample(ps_embedder *e, uint32_t n, ps_parity *out)
{
    uint32_t E = e->model->config.e, N = e->g->n_pins;
    float *pair = malloc(2 * (size_t)E * sizeof *pair);
    int err = pair ? PS_OK : PS_ENOMEM;
    *out = (ps_parity){.pins = n < N ? n : N, .least_cosine = 1};
    for (uint32_t i = 0; i < out->pins && !err; i++) {
        uint32_t row = (uint32_t)((uint64_t)i * N / out->pins);
        err = ps_embedder_pin(e, row, pair);
        ps_npy_row_f32(&e->g->embeddings, row, pair + E);
        compare(pair, pair + E, E, out);
    }
    free(pair);
    return err;
}

int ps_embed_parity(ps_generation *g, uint32_t n, ps_parity *out, ps_why *why)
{
    char path[PS_PATH_MAX];
    ps_model model;
    ps_embedder *e = NULL;
    ps_generation_file(g, PS_FILE_MODEL, path);
    int err = ps_model_load(&model, path, why);
    if (err)
        return err;
    err = ps_embedder_new(&e, g, &model, why);
    if (!err && g->embeddings.cols != model.config.e)
        err = ps_fail(why, PS_EMISMATCH, g->name, 0, "embeddings are not the model's");
    if (!err)
        err = sample(e, n, out);
    ps_embedder_free(e);
    ps_model_free(&model);
    return err;
}
