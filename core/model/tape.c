/* tape.c - the buffers of a training pass, and how much they take.
 *
 * Threads: see tape.h.
 */
#include "core/model/tape.h"

#include <stdlib.h>
#include <string.h>

int ps_tape_new(ps_tape **out, const ps_model_config *c, ps_workers *workers)
{
    ps_tape *t = calloc(1, sizeof *t);
    if (!t)
        return PS_ENOMEM;
    t->config = *c;
    t->workers = workers;
    *out = t;
    return PS_OK;
}

static void drop(void *slot)
{
    void **at = slot;
    free(*at);
    *at = NULL;
}

static void drop_buffers(ps_tape *t)
{
    for (uint32_t k = 0; k < t->config.layers; k++) {
        ps_tape_layer *l = &t->layer[k];
        drop(&l->message), drop(&l->pooled), drop(&l->h), drop(&l->norm), drop(&l->best);
    }
    drop(&t->weight), drop(&t->hidden), drop(&t->z), drop(&t->z_norm), drop(&t->dz);
    drop(&t->dhidden), drop(&t->dh[0]), drop(&t->dh[1]), drop(&t->dpooled);
    drop(&t->dmessage), drop(&t->start), drop(&t->entry);
}

void ps_tape_free(ps_tape *t)
{
    if (!t)
        return;
    drop_buffers(t);
    free(t);
}

/* Allocates, or with NULL counts. */
typedef struct claim {
    size_t bytes;
    bool count_only, failed;
} claim;

static void take(claim *c, void *slot, size_t n, size_t size)
{
    c->bytes += n * size;
    if (c->count_only)
        return;
    void **at = slot;
    /* 64-byte lines, so that rows do not straddle more of them than they must. */
    *at = aligned_alloc(64, (n * size + 127) / 64 * 64);
    c->failed |= *at == NULL;
}

static void take_all(ps_tape *t, const size_t *n, uint32_t T, claim *c)
{
    const ps_model_config *cfg = &t->config;
    uint32_t K = cfg->layers;
    for (uint32_t k = 0; k < K; k++) {
        ps_tape_layer *l = &t->layer[k];
        take(c, &l->message, n[k] * cfg->m, sizeof(float));
        take(c, &l->pooled, n[k + 1] * cfg->m, sizeof(float));
        take(c, &l->h, n[k + 1] * cfg->d, sizeof(float));
        take(c, &l->norm, n[k + 1], sizeof(float));
        if (cfg->pooling == PS_POOL_MAX)
            take(c, &l->best, n[k + 1] * cfg->m, sizeof(uint16_t));
    }
    take(c, &t->hidden, n[K] * cfg->d, sizeof(float));
    take(c, &t->dhidden, n[K] * cfg->d, sizeof(float));
    take(c, &t->z, n[K] * cfg->e, sizeof(float));
    take(c, &t->dz, n[K] * cfg->e, sizeof(float));
    take(c, &t->z_norm, n[K], sizeof(float));
    if (K == 0)
        return;
    take(c, &t->weight, n[1] * T, sizeof(float));
    take(c, &t->dh[0], n[1] * cfg->d, sizeof(float));
    take(c, &t->dh[1], n[1] * cfg->d, sizeof(float));
    take(c, &t->dpooled, n[1] * cfg->m, sizeof(float));
    take(c, &t->dmessage, n[0] * cfg->m, sizeof(float));
    take(c, &t->start, n[0] + 1, sizeof(uint32_t));
    take(c, &t->entry, n[1] * T, sizeof(uint32_t));
}

int ps_tape_fit(ps_tape *t, const ps_subgraph *s)
{
    uint32_t K = t->config.layers;
    bool fits = s->T <= t->T;
    for (uint32_t k = 0; k <= K; k++)
        fits = fits && s->n[k] <= t->room[k];
    if (fits)
        return PS_OK;
    for (uint32_t k = 0; k <= K; k++) /* an eighth more, so that few batches grow it */
        if (s->n[k] > t->room[k])
            t->room[k] = s->n[k] + s->n[k] / 8;
    t->T = s->T > t->T ? s->T : t->T;
    claim c = {0};
    drop_buffers(t);
    take_all(t, t->room, t->T, &c);
    if (!c.failed)
        return PS_OK;
    drop_buffers(t);
    memset(t->room, 0, sizeof t->room);
    return PS_ENOMEM;
}

size_t ps_tape_bytes(const ps_model_config *cfg, const uint32_t *n)
{
    ps_tape t = {.config = *cfg};
    size_t room[PS_LAYERS_MAX + 1];
    claim c = {.count_only = true};
    for (uint32_t k = 0; k <= cfg->layers; k++)
        room[k] = (size_t)n[k] + n[k] / 8;
    take_all(&t, room, cfg->neighbours, &c);
    return c.bytes;
}

ps_pool ps_tape_pool(const ps_tape *t, const ps_subgraph *s, uint32_t k)
{
    return (ps_pool){.n = s->n[k],
                     .T = s->T,
                     .m = t->config.m,
                     .nbr = s->nbr,
                     .weight = t->weight,
                     .how = t->config.pooling,
                     .best = t->layer[k - 1].best};
}
