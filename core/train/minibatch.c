/* minibatch.c - draw the pairs, then walk down the layers, each pin once.
 *
 *     [ queries, related, negatives, hard | their neighbours | the neighbours of those ]
 *
 * A pin gets its place when it is first met; a stamp tells places of this minibatch from
 * older ones, so nothing is cleared in between.
 *
 * Threads: see sampler.h.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/order.h"
#include "core/train/sampler.h"
#include "pinsage/rng.h"

#define NONE UINT32_MAX

/* ------------------------------ Memory ------------------------------------ */

int ps_minibatch_new(ps_minibatch **out, const ps_sampler *s)
{
    size_t n = s->features->generation->n_pins, B = s->batch;
    ps_minibatch *b = calloc(1, sizeof *b);
    if (!b)
        return PS_ENOMEM;
    b->query = malloc(B * sizeof *b->query);
    b->related = malloc(B * sizeof *b->related);
    b->negative = malloc(((size_t)s->negatives + 1) * sizeof *b->negative);
    b->sorted = malloc(((size_t)s->negatives + 1) * sizeof *b->sorted);
    b->masked = malloc(B * s->negatives + 1);
    b->place = malloc((n + 1) * sizeof *b->place);
    b->stamp = calloc(n + 1, sizeof *b->stamp);
    if (b->query && b->related && b->negative && b->sorted && b->masked && b->place &&
        b->stamp) {
        *out = b;
        return PS_OK;
    }
    ps_minibatch_free(b);
    return PS_ENOMEM;
}

void ps_minibatch_free(ps_minibatch *b)
{
    if (!b)
        return;
    free(b->query), free(b->related), free(b->negative), free(b->own);
    free(b->sorted), free(b->masked), free(b->row), free(b->nbr), free(b->weight);
    free(b->place), free(b->stamp), free(b->x);
    free(b);
}

/* *slot holds at least n items of this size; content is kept. */
static int grow(void *slot, size_t *room, size_t n, size_t size)
{
    void **at = slot;
    if (n <= *room)
        return PS_OK;
    size_t more = n + n / 4 + 64;
    void *bigger = realloc(*at, more * size);
    if (!bigger)
        return PS_ENOMEM;
    *at = bigger;
    *room = more;
    return PS_OK;
}

/* ------------------------------ Targets ----------------------------------- */

/* First of the sorted keys [low, high) that is not below key. */
static size_t lower_bound(const uint64_t *keys, size_t low, size_t high, uint64_t key)
{
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (keys[mid] < key)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* The pins that are known to be related to one query: a short range of the keys. */
typedef struct known {
    const uint64_t *keys;
    size_t low, high;
    uint64_t query;
} known;

static known known_of(const ps_sampler *s, uint32_t q)
{
    uint64_t key = (uint64_t)q << 32;
    known k = {.keys = s->known, .query = key};
    k.low = lower_bound(s->known, 0, s->n_known, key);
    k.high = lower_bound(s->known, k.low, s->n_known, key + ((uint64_t)1 << 32));
    return k;
}

static bool is_known(const known *k, uint32_t r)
{
    size_t at = lower_bound(k->keys, k->low, k->high, k->query | r);
    return at < k->high && k->keys[at] == (k->query | r);
}

/* v from u's nearest visits, with the chance of its count. */
static uint32_t draw_near(const ps_table *near, uint32_t u, uint64_t *rng)
{
    const float *weight = near->weight + (size_t)u * near->T;
    float r = ps_rng_unit(rng);
    uint32_t t = 0;
    while (t + 1 < near->T && weight[t + 1] > 0.0f && r >= weight[t])
        r -= weight[t++];
    return near->row[(size_t)u * near->T + t];
}

static void draw_pair(const ps_sampler *s, size_t i, uint64_t *rng, uint32_t *q,
                      uint32_t *r)
{
    if (s->n_walkable && ps_rng_unit(rng) < s->walk_pairs) {
        *q = s->walkable[ps_rng_below(rng, s->n_walkable)];
        *r = draw_near(s->near, *q, rng);
        return;
    }
    *q = s->pair[s->shuffled[i]][0];
    *r = s->pair[s->shuffled[i]][1];
}

static void draw_hard(const ps_sampler *s, const known *k, uint32_t q, uint32_t r,
                      uint32_t n, uint64_t *rng, uint32_t *out)
{
    const uint32_t *line =
        s->slot[q] == NONE ? NULL : s->hard + (size_t)s->slot[q] * PS_HARD_MAX;
    uint32_t filled = 0;
    while (line && filled < PS_HARD_MAX && line[filled] != NONE)
        filled++;
    for (uint32_t j = 0; j < n; j++) {
        uint32_t v = filled ? line[ps_rng_below(rng, filled)] : NONE;
        out[j] = v == NONE || v == r || is_known(k, v) ? NONE : v;
    }
}

/* Negatives in order of their pins: (pin << 32 | which). */
static void sort_negatives(ps_minibatch *b, uint32_t n)
{
    for (uint32_t j = 0; j < n; j++)
        b->sorted[j] = (uint64_t)b->negative[j] << 32 | j;
    qsort(b->sorted, n, sizeof *b->sorted, ps_by_u64);
}

static void mask_pin(const ps_minibatch *b, uint32_t v, uint32_t p)
{
    uint32_t n = b->loss.negatives;
    uint8_t *masked = b->masked + (size_t)p * n;
    size_t at = lower_bound(b->sorted, 0, n, (uint64_t)v << 32);
    for (; at < n && b->sorted[at] >> 32 == v; at++)
        masked[(uint32_t)b->sorted[at]] = 1;
}

/* A right answer is no negative. A query has few right answers and a minibatch many
 * negatives: the former are looked up among the latter. */
static void mask_known(ps_minibatch *b, const known *k, uint32_t p)
{
    memset(b->masked + (size_t)p * b->loss.negatives, 0, b->loss.negatives);
    mask_pin(b, b->query[p], p);
    mask_pin(b, b->related[p], p);
    for (size_t i = k->low; i < k->high; i++)
        mask_pin(b, (uint32_t)k->keys[i], p);
}

/* Rows (not yet places) of everything that the loss looks at. */
static void draw(ps_minibatch *b, const ps_sampler *s, uint32_t epoch, uint64_t index)
{
    ps_loss_batch *l = &b->loss;
    size_t first = (size_t)index * s->batch, N = s->features->generation->n_pins;
    size_t left = s->n_pairs - first;
    uint64_t rng = ps_rng_at(ps_mix64(s->seed + epoch), index);
    l->pairs = left < s->batch ? (uint32_t)left : s->batch;
    l->negatives = s->negatives;
    for (uint32_t j = 0; j < l->negatives; j++)
        b->negative[j] = (uint32_t)ps_rng_below(&rng, N);
    sort_negatives(b, l->negatives);
    for (uint32_t p = 0; p < l->pairs; p++) {
        draw_pair(s, first + p, &rng, &b->query[p], &b->related[p]);
        known k = known_of(s, b->query[p]);
        if (l->hard)
            draw_hard(s, &k, b->query[p], b->related[p], l->hard, &rng,
                      b->own + (size_t)p * l->hard);
        mask_known(b, &k, p);
    }
}

/* ------------------------------ Places ------------------------------------ */

static int place(ps_minibatch *b, uint32_t *n, uint32_t *row)
{
    uint32_t pin = *row;
    if (b->stamp[pin] != b->epoch) {
        int err = grow(&b->row, &b->room_rows, (size_t)*n + 1, sizeof *b->row);
        if (err)
            return err;
        b->stamp[pin] = b->epoch;
        b->place[pin] = *n;
        b->row[(*n)++] = pin;
    }
    *row = b->place[pin];
    return PS_OK;
}

static int place_all(ps_minibatch *b, uint32_t *n, uint32_t *rows, size_t count)
{
    int err = PS_OK;
    for (size_t i = 0; i < count && !err; i++)
        if (rows[i] != NONE)
            err = place(b, n, &rows[i]);
    return err;
}

static int place_targets(ps_minibatch *b, uint32_t *n)
{
    ps_loss_batch *l = &b->loss;
    int err = place_all(b, n, b->query, l->pairs);
    if (!err)
        err = place_all(b, n, b->related, l->pairs);
    if (!err)
        err = place_all(b, n, b->negative, l->negatives);
    if (!err)
        err = place_all(b, n, b->own, (size_t)l->pairs * l->hard);
    return err;
}

/* Lists of the nodes [from, to), whose members get places behind all that have one. */
static int expand(ps_minibatch *b, const ps_table *t, uint32_t from, uint32_t to,
                  uint32_t *n)
{
    size_t cells = (size_t)to * t->T;
    int err = grow(&b->nbr, &b->room_nbr, cells, sizeof *b->nbr);
    if (!err)
        err = grow(&b->weight, &b->room_weight, cells, sizeof *b->weight);
    for (uint32_t u = from; u < to && !err; u++) {
        size_t here = (size_t)u * t->T, there = (size_t)b->row[u] * t->T;
        memcpy(b->nbr + here, t->row + there, t->T * sizeof *b->nbr);
        memcpy(b->weight + here, t->weight + there, t->T * sizeof *b->weight);
        err = place_all(b, n, b->nbr + here, t->T);
    }
    return err;
}

/* Each of n numbers is 0 with the chance `share`, the others grow so that sums stay the
 * same on average. Eight draws come from one random number. */
static void drop_out(float *x, size_t n, float share, uint64_t rng)
{
    uint64_t bits = 0, limit = (uint64_t)(256 * share + 0.5f);
    float scale = 256.0f / (256.0f - (float)limit);
    for (size_t j = 0; j < n; j++, bits >>= 8) {
        if (j % 8 == 0)
            bits = ps_rng_next(&rng);
        x[j] = (bits & 0xff) < limit ? 0.0f : x[j] * scale;
    }
}

/* Whole rows are read; the degree is never left out. rng: of this minibatch. */
static int gather_x(ps_minibatch *b, const ps_sampler *s, uint32_t n, uint64_t rng)
{
    size_t D = s->features->dim;
    int err = grow(&b->x, &b->room_x, n * D, sizeof *b->x);
    if (err)
        return err;
    if (!s->x)
        ps_features_rows(s->features, b->row, n, b->x);
    for (uint32_t i = 0; s->x && i < n; i++)
        memcpy(b->x + i * D, s->x + b->row[i] * D, D * sizeof *b->x);
    for (uint32_t i = 0; s->dropout > 0 && i < n; i++)
        drop_out(b->x + i * D, D - 1, s->dropout, ps_rng_at(rng, b->row[i]));
    return PS_OK;
}

static void point(ps_minibatch *b, const ps_sampler *s)
{
    ps_loss_batch *l = &b->loss;
    l->query = b->query;
    l->related = b->related;
    l->negative = b->negative;
    l->own = b->own;
    l->masked = b->masked;
    l->n = b->graph.n[s->layers];
    b->graph.layers = s->layers;
    b->graph.T = s->nbr ? s->nbr->T : 0;
    b->graph.row = b->row;
    b->graph.nbr = b->nbr;
    b->graph.weight = b->weight;
}

int ps_minibatch_fill(ps_minibatch *b, const ps_sampler *s, uint32_t epoch, uint64_t i,
                      uint32_t n_hard)
{
    uint32_t n = 0, expanded = 0;
    b->loss.hard = s->hard ? n_hard : 0;
    int err =
        grow(&b->own, &b->room_hard, (size_t)s->batch * b->loss.hard, sizeof *b->own);
    if (err)
        return err;
    b->epoch++;
    draw(b, s, epoch, i);
    err = place_targets(b, &n);
    b->graph.n[s->layers] = n;
    for (uint32_t k = s->layers; k >= 1 && !err; k--) {
        uint32_t to = n;
        err = expand(b, s->nbr, expanded, to, &n);
        expanded = to;
        b->graph.n[k - 1] = n;
    }
    if (!err)
        err = gather_x(b, s, n, ps_rng_at(ps_mix64(s->seed ^ 0xd20b0u) + epoch, i));
    point(b, s);
    return err;
}
