/* sampler.c - the tables that minibatches are drawn from.
 *
 * Threads: see sampler.h. Not here: drawing them (minibatch.c).
 */
#include "core/train/sampler.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/order.h"
#include "pinsage/rng.h"

/* x of all pins is kept when it takes less than this; else rows are made on demand. */
#define X_LIMIT ((size_t)1 << 30)

/* Both directions: a pair says that each is a right answer to the other. */
static int list_known(ps_sampler *s)
{
    s->n_known = 2 * s->n_pairs;
    s->known = malloc((s->n_known + 1) * sizeof *s->known);
    if (!s->known)
        return PS_ENOMEM;
    for (size_t i = 0; i < s->n_pairs; i++) {
        uint64_t q = s->pair[i][0], r = s->pair[i][1];
        s->known[2 * i] = q << 32 | r;
        s->known[2 * i + 1] = r << 32 | q;
    }
    qsort(s->known, s->n_known, sizeof *s->known, ps_by_u64);
    return PS_OK;
}

static int list_walkable(ps_sampler *s)
{
    if (!s->near)
        return PS_OK;
    s->walkable = malloc(((size_t)s->near->n + 1) * sizeof *s->walkable);
    if (!s->walkable)
        return PS_ENOMEM;
    for (uint32_t u = 0; u < s->near->n; u++)
        if (s->near->weight[(size_t)u * s->near->T] > 0.0f)
            s->walkable[s->n_walkable++] = u;
    return PS_OK;
}

static int make_x(void *cls, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    ps_sampler *s = cls;
    for (size_t r = begin; r < end; r++)
        ps_features_row(s->features, (uint32_t)r, s->x + r * s->features->dim);
    return PS_OK;
}

static int keep_x(ps_sampler *s, ps_workers *workers)
{
    size_t n = s->features->generation->n_pins;
    size_t bytes = n * s->features->dim * sizeof *s->x;
    if (bytes > X_LIMIT)
        return PS_OK;
    s->x = malloc(bytes + 1);
    return s->x ? ps_workers_run(workers, n, 256, make_x, s) : PS_ENOMEM;
}

int ps_sampler_init(ps_sampler *s, ps_workers *workers)
{
    s->shuffled = malloc((s->n_pairs + 1) * sizeof *s->shuffled);
    int err = s->shuffled ? PS_OK : PS_ENOMEM;
    if (!err)
        err = list_known(s);
    if (!err)
        err = list_walkable(s);
    return err ? err : keep_x(s, workers);
}

void ps_sampler_done(ps_sampler *s)
{
    free(s->hard);
    free(s->slot);
    free(s->known);
    free(s->shuffled);
    free(s->walkable);
    free(s->x);
    *s = (ps_sampler){0};
}

uint32_t *ps_sampler_queries(const ps_sampler *s, size_t *n)
{
    uint32_t *out = malloc((s->n_known + 1) * sizeof *out);
    *n = 0;
    for (size_t i = 0; out && i < s->n_known; i++) {
        uint32_t q = (uint32_t)(s->known[i] >> 32);
        if (*n == 0 || out[*n - 1] != q)
            out[(*n)++] = q;
    }
    return out;
}

int ps_sampler_hard(ps_sampler *s, const uint32_t *queries, size_t n, uint32_t *hard)
{
    size_t pins = s->features->generation->n_pins;
    s->slot = malloc((pins + 1) * sizeof *s->slot);
    if (!s->slot)
        return PS_ENOMEM;
    memset(s->slot, 0xff, pins * sizeof *s->slot);
    for (size_t i = 0; i < n; i++)
        s->slot[queries[i]] = (uint32_t)i;
    s->hard = hard;
    return PS_OK;
}

void ps_sampler_shuffle(ps_sampler *s, uint32_t epoch)
{
    uint64_t rng = ps_rng_at(s->seed ^ 0x5bd1e995u, epoch);
    for (size_t i = 0; i < s->n_pairs; i++) {
        size_t j = (size_t)ps_rng_below(&rng, i + 1);
        s->shuffled[i] = s->shuffled[j];
        s->shuffled[j] = (uint32_t)i;
    }
}

uint64_t ps_sampler_batches(const ps_sampler *s)
{
    return (s->n_pairs + s->batch - 1) / s->batch;
}
