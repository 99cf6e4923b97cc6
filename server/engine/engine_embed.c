/* engine_embed.c - a pin that is not stored: its vector, and what is near it; and why.
 *
 * When time is short the pin is embedded from fewer walks, or from its content alone, or
 * what is popular comes in its place: what each way took lately tells which still fits.
 *
 * Threads: see engine.h.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pinsage/clock.h"
#include "pinsage/hash.h"
#include "pinsage/length.h"
#include "server/engine/engine_inside.h"

#define SPARE 2 /* a way fits when this many times what it takes is left */

/* ------------------------------ Time --------------------------------------- */

void ps_reader_set_deadline(ps_reader *r, uint64_t deadline)
{
    r->deadline = deadline;
}

ps_stages_spent ps_reader_spent(const ps_reader *r)
{
    return r->spent;
}

bool engine_fits(const ps_reader *r, way w)
{
    if (!r->deadline)
        return true;
    uint64_t now = ps_now_ns();
    uint64_t left = r->deadline > now ? r->deadline - now : 0;
    return left > SPARE * atomic_load_explicit(&r->e->cost[w], memory_order_relaxed);
}

/* A moving mean; races between readers lose a sample and no more. */
void engine_took(ps_reader *r, way w, uint64_t since)
{
    _Atomic uint64_t *cost = &r->e->cost[w];
    uint64_t ns = ps_now_ns() - since;
    uint64_t mean = atomic_load_explicit(cost, memory_order_relaxed);
    mean = mean ? mean - mean / 16 + ns / 16 : ns;
    atomic_store_explicit(cost, mean, memory_order_relaxed);
}

/* ------------------------------ The vector --------------------------------- */

static int embedder_of(ps_reader *r, ps_why *why)
{
    int err = PS_OK;
    if (!r->embedder)
        err = ps_embedder_new(&r->embedder, r->e->g, &r->e->featurizer.model, why);
    if (!err && !r->unstored) {
        const ps_features *f = ps_embedder_features(r->embedder);
        r->unstored = malloc((2 * (size_t)f->dim + r->e->featurizer.model.config.e) *
                             sizeof(float));
        err = r->unstored ? PS_OK : PS_ENOMEM;
    }
    if (!err)
        err = ps_embedder_on(r->embedder, &r->snap.graph,
                             (ps_live_messages){ps_embedding_messages,
                                                ps_view_embeddings(r->e->live.view)});
    return err;
}

/* x of the unstored pin into out (d_in); false when there is nothing in it. */
static bool unstored_x(ps_reader *r, const ps_content *c, const uint32_t *boards,
                       uint32_t n, float *out)
{
    const ps_features *f = ps_embedder_features(r->embedder);
    const float *content[PS_BLOCKS_MAX];
    for (uint32_t i = 0; i < f->n_blocks; i++) {
        float *raw = r->unstored + f->at[i];
        uint32_t b = (uint32_t)(f->block[i] - r->e->g->blocks);
        bool filled = ps_featurizer_block(&r->e->featurizer, b, c, boards, n, raw);
        content[i] = filled ? raw : NULL;
    }
    ps_features_make(f, content, n, out);
    return !ps_row_is_none((ps_rows){out, f->dim, 0}, 0);
}

/* EMBED_FULL .. EMBED_BARE are the degradation levels from PS_DEGRADED_FULL on. */
static ps_degradation choose(const ps_reader *r)
{
    for (way w = EMBED_FULL; w <= EMBED_BARE; w++)
        if (engine_fits(r, w))
            return (ps_degradation)w;
    return PS_DEGRADED_POPULAR;
}

/* The vector of an unstored pin by the model; *z stays NULL when there is none. */
static int embed_unstored(ps_reader *r, const ps_content *c, const uint32_t *boards,
                          uint32_t n, ps_degradation *degraded, const float **z,
                          ps_why *why)
{
    int err = embedder_of(r, why);
    if (err)
        return err;
    size_t dim = ps_embedder_features(r->embedder)->dim;
    float *x = r->unstored + dim, *out = x + dim;
    uint64_t began = ps_now_ns(), id = ps_hash(c->title.data, c->title.len);
    *degraded = choose(r);
    if (*degraded == PS_DEGRADED_POPULAR || !unstored_x(r, c, boards, n, x))
        return PS_OK;
    uint32_t walks = r->e->featurizer.model.config.n_walks;
    if (*degraded == PS_DEGRADED_WALKS)
        walks = walks / 4 + 1;
    err = ps_embedder_unstored(
        r->embedder, *degraded == PS_DEGRADED_CONTENT ? NULL : boards,
        *degraded == PS_DEGRADED_CONTENT ? 0 : n, walks, id, x, out);
    engine_took(r, (way)*degraded, began);
    r->spent.embed = (double)(ps_now_ns() - began) * 1e-9;
    *z = err ? NULL : out;
    r->embedded_unstored = !err;
    return err;
}

/* Without a model: the default method's block is the vector. */
static int block_of_unstored(ps_reader *r, const ps_content *c, const uint32_t *boards,
                             uint32_t n, const float **z)
{
    const method *m = &r->e->methods[0];
    if (!m->array || m->array == &r->e->g->embeddings)
        return PS_OK;
    for (uint32_t b = 0; b < r->e->g->n_blocks; b++)
        if (m->array == &r->e->g->blocks[b].array &&
            ps_featurizer_block(&r->e->featurizer, b, c, boards, n, r->query) &&
            !ps_row_is_none((ps_rows){r->query, m->array->cols, 0}, 0))
            *z = r->query;
    return PS_OK;
}

/* ------------------------------ The question ------------------------------- */

/* Numbers of the boards that are known into out; returns how many. */
static uint32_t known_boards(ps_reader *r, const ps_content *c, uint32_t *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n_boards && n < PS_BOARDS_MAX; i++) {
        uint32_t board;
        bool twice = false;
        if (ps_reader_find_board(r, c->board[i], &board, NULL))
            continue;
        for (uint32_t j = 0; j < n && !twice; j++)
            twice = out[j] == board;
        if (!twice)
            out[n++] = board;
    }
    return n;
}

static int rank_unstored(ps_reader *r, const ps_embed_pin *q, ps_embedded *out,
                         ps_why *why)
{
    filter f;
    const method *m = &r->e->methods[0];
    ps_ranking *a = &out->ranking;
    engine_filter_begin(&f, r);
    int err = engine_hide_all(&f, r, q->exclude, q->n_exclude, why);
    engine_filter_ready(&f);
    if (err || !q->k)
        return err;
    if (out->vector) {
        if (r->query != out->vector)
            memcpy(r->query, out->vector, out->dim * sizeof *r->query);
        return engine_by_vector(r, m, &f, q->k, &a->n, why);
    }
    a->method = "popular";
    a->source = PS_FALLBACK;
    return engine_by_popularity(r, &f, q->k, &a->n);
}

int ps_reader_embed(ps_reader *r, const ps_embed_pin *q, ps_embedded *out, ps_why *why)
{
    const ps_content *c = &q->content;
    uint32_t boards[PS_BOARDS_MAX];
    const method *m = &r->e->methods[0];
    *out = (ps_embedded){.ranking = {.row = PS_NO_ROW,
                                     .method = m->name,
                                     .source = PS_COMPUTED,
                                     .result = r->found}};
    r->spent = (ps_stages_spent){0};
    r->embedded_unstored = false;
    if (q->k > PS_K_MAX)
        return ps_fail(why, PS_ERANGE, NULL, 0, "k is not in 0..%d", PS_K_MAX);
    int err = ps_featurizer_check(&r->e->featurizer, c->feature, c->n_features, why);
    if (err)
        return err;
    uint32_t n = known_boards(r, c, boards);
    bool by_model = r->e->featurizer.has_model && m->array == &r->e->g->embeddings;
    err = by_model
              ? embed_unstored(r, c, boards, n, &out->ranking.degraded, &out->vector, why)
              : block_of_unstored(r, c, boards, n, &out->vector);
    if (err)
        return err;
    out->dim = out->vector ? (uint32_t)m->array->cols : 0;
    double began = ps_now();
    err = rank_unstored(r, q, out, why);
    r->spent.search = ps_now() - began;
    return err;
}

/* ------------------------------ Why ---------------------------------------- */

static double vector_age(const ps_reader *r, uint32_t row)
{
    const ps_delta_index *delta = ps_view_embeddings(r->e->live.view);
    double now = (double)time(NULL), made = delta ? ps_delta_index_made(delta, row) : 0;
    made = made > 0 ? made : r->e->created;
    return made > 0 && now > made ? now - made : 0;
}

int ps_reader_explain(ps_reader *r, uint32_t row, ps_explained *out, ps_why *why)
{
    ps_pin pin;
    ps_staleness stale;
    int err = PS_OK;
    *out = (ps_explained){.age = 0};
    if (row != PS_NO_ROW) {
        out->age = vector_age(r, row);
        out->stale = ps_view_staleness(r->e->live.view, row, &stale);
    }
    if (!r->e->featurizer.has_model || !r->e->featurizer.model.config.layers)
        return PS_OK;
    if (row != PS_NO_ROW) {
        double began = ps_now();
        err = embedder_of(r, why);
        if (!err)
            err = ps_reader_pin(r, row, &pin);
        if (!err)
            err = ps_embedder_walk(r->embedder, row, ps_hash(pin.id.data, pin.id.len));
        r->spent.walk = ps_now() - began;
    }
    if (err || !r->embedder || (row == PS_NO_ROW && !r->embedded_unstored))
        return err;
    uint32_t T = ps_embedder_neighbours(r->embedder, &out->neighbour, &out->weight);
    while (out->n < T && out->weight[out->n] > 0)
        out->n++;
    return PS_OK;
}

uint32_t ps_reader_shared(ps_reader *r, uint32_t a, uint32_t b, uint32_t *board,
                          uint32_t max)
{
    const ps_graph *g = &r->snap.graph;
    uint32_t n = 0, degree = ps_graph_degree(g, PS_PINS, a);
    if (ps_graph_degree(g, PS_PINS, b) < degree) {
        uint32_t swap = a;
        a = b;
        b = swap;
        degree = ps_graph_degree(g, PS_PINS, a);
    }
    for (uint32_t i = 0; i < degree && n < max; i++) {
        uint32_t number = ps_graph_edge(g, PS_PINS, a, i);
        if (ps_graph_has(g, b, number))
            board[n++] = number;
    }
    return n;
}
