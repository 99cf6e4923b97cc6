/* stages.c - cut rows into blocks that stay in cache, make x on the way.
 *
 * Threads: see stages.h.
 */
#include "core/embed/stages.h"
#include "core/neighbours/corpus_inside.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "pinsage/convolve.h"
#include "pinsage/embed.h"

enum { BLOCK = 1024 };

typedef struct job {
    const ps_stages *s;
    uint32_t k;
    const float *h;
    const uint16_t *messages;
    uint16_t *out_half;
    float *out;
    char stage[32];
    atomic_uint_fast64_t done;
} job;

static int tell(job *j, size_t n)
{
    uint64_t done = atomic_fetch_add(&j->done, n) + n;
    return ps_progress_at(j->s->progress, j->stage, done, j->s->n, "pins");
}

/* x of rows [begin, end) into memory of the caller's to free; h when there is one. */
static const float *input(const job *j, const float *h, size_t width, size_t begin,
                          size_t end, float **owned)
{
    *owned = NULL;
    if (h)
        return h + begin * width;
    size_t D = j->s->features->dim;
    *owned = malloc((end - begin) * D * sizeof **owned);
    for (size_t r = begin; *owned && r < end; r++)
        ps_features_row(j->s->features, (uint32_t)r, *owned + (r - begin) * D);
    return *owned;
}

static int map_block(void *cls, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    job *j = cls;
    const ps_model *m = j->s->model;
    float *owned;
    size_t width = ps_model_width(&m->config, j->k - 1);
    const float *h = input(j, j->h, width, begin, end, &owned);
    int err = h ? ps_stage_map(m, j->k, h, (uint32_t)(end - begin),
                               j->out_half + begin * m->config.m)
                : PS_ENOMEM;
    free(owned);
    return err ? err : tell(j, end - begin);
}

static int reduce_block(void *cls, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    job *j = cls;
    const ps_stages *s = j->s;
    const ps_model *m = s->model;
    uint32_t n = (uint32_t)(end - begin);
    float *owned, *pooled = malloc((size_t)n * m->config.m * sizeof *pooled);
    size_t width = ps_model_width(&m->config, j->k - 1);
    const float *h = input(j, j->h, width, begin, end, &owned);
    int err = h && pooled ? PS_OK : PS_ENOMEM;
    if (!err) {
        ps_stage_reduce(m, s->nbr + begin * s->T, s->weight + begin * s->T, n, s->T,
                        j->messages, pooled);
        err = ps_stage_update(m, j->k, h, pooled, n, j->out + begin * m->config.d);
    }
    free(owned);
    free(pooled);
    return err ? err : tell(j, n);
}

static int head_block(void *cls, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    job *j = cls;
    const ps_model *m = j->s->model;
    const ps_model_config *c = &m->config;
    float *owned;
    const float *x = input(j, NULL, 0, begin, end, &owned);
    const float *h = j->h ? j->h + begin * c->d : x;
    int err = x ? ps_stage_head(m, h, x, (uint32_t)(end - begin), j->out + begin * c->e)
                : PS_ENOMEM;
    free(owned);
    return err ? err : tell(j, end - begin);
}

int ps_stages_map(const ps_stages *s, uint32_t k, const float *h, uint16_t *messages)
{
    job j = {.s = s, .k = k, .h = h, .out_half = messages};
    snprintf(j.stage, sizeof j.stage, "map %u", k);
    return ps_workers_run(s->workers, s->n, BLOCK, map_block, &j);
}

int ps_stages_reduce(const ps_stages *s, uint32_t k, const float *h,
                     const uint16_t *messages, float *out)
{
    job j = {.s = s, .k = k, .h = h, .messages = messages, .out = out};
    snprintf(j.stage, sizeof j.stage, "reduce %u", k);
    return ps_workers_run(s->workers, s->n, BLOCK, reduce_block, &j);
}

int ps_stages_head(const ps_stages *s, const float *h, float *z)
{
    job j = {.s = s, .h = h, .out = z, .stage = "head"};
    return ps_workers_run(s->workers, s->n, BLOCK, head_block, &j);
}

/* ------------------------------ All in memory ----------------------------- */

int ps_embed_all(const ps_model *m, const ps_features *f, const uint32_t *nbr,
                 const float *weight, ps_workers *workers, float *out)
{
    const ps_model_config *c = &m->config;
    size_t n = f->generation->n_pins;
    ps_stages s = {.model = m,
                   .features = f,
                   .nbr = nbr,
                   .weight = weight,
                   .n = (uint32_t)n,
                   .T = c->neighbours,
                   .workers = workers};
    uint16_t *messages = malloc(n * c->m * sizeof *messages + 1);
    float *h[2] = {malloc(n * c->d * sizeof(float) + 1),
                   malloc(n * c->d * sizeof(float) + 1)};
    int err = messages && h[0] && h[1] ? PS_OK : PS_ENOMEM;
    const float *below = NULL;
    for (uint32_t k = 1; k <= c->layers && !err; k++) {
        err = ps_stages_map(&s, k, below, messages);
        if (!err)
            err = ps_stages_reduce(&s, k, below, messages, h[k % 2]);
        below = h[k % 2];
    }
    if (!err)
        err = ps_stages_head(&s, below, out);
    free(messages);
    free(h[0]);
    free(h[1]);
    return err;
}

int ps_corpus_embed(ps_corpus *corpus, const ps_model *model, float *out,
                    const ps_progress *progress, ps_why *why)
{
    const ps_model_config *c = &model->config;
    const ps_table *nbr = NULL;
    ps_features f;
    int err = ps_features_for(&f, corpus->generation, c, why);
    if (!err && c->layers)
        err =
            ps_corpus_table(corpus, ps_model_walk(c),
                            c->neighbourhood == PS_NEIGHBOURS_KHOP, &nbr, progress, why);
    if (!err)
        err = ps_embed_all(model, &f, nbr ? nbr->row : NULL, nbr ? nbr->weight : NULL,
                           corpus->workers, out);
    return err;
}
