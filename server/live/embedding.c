/* embedding.c - content to blocks, blocks to x, x to messages and z.
 *
 * Threads: see embedding.h.
 */
#include "server/live/embedding.h"

#include <stdlib.h>
#include <string.h>

#include "pinsage/hash.h"
#include "pinsage/length.h"

struct ps_embedding {
    ps_view *v;
    const ps_featurizer *featurizer;
    ps_pins_reader *base;
    ps_embedder *embedder; /* NULL without a model */
    uint32_t *boards;      /* (room) of one pin */
    uint32_t room;
    float *block;       /* (widest block) */
    float *content;     /* (all blocks of x) */
    float *x, *z;       /* (d_in) (e) */
    uint16_t *messages; /* (layers, m) */
};

/* ------------------------------ Lifetime ----------------------------------- */

static size_t widest_block(const ps_generation *g)
{
    size_t most = 1;
    for (uint32_t b = 0; b < g->n_blocks; b++)
        most = g->blocks[b].array.cols > most ? g->blocks[b].array.cols : most;
    return most;
}

const uint16_t *ps_embedding_messages(void *delta, uint32_t row)
{
    const void *extra;
    return ps_delta_index_find(delta, row, &extra) ? extra : NULL;
}

static int take_model(ps_embedding *e, ps_why *why)
{
    const ps_model_config *c = &e->featurizer->model.config;
    size_t messages = (size_t)c->layers * c->m;
    int err = ps_embedder_new(&e->embedder, e->featurizer->g, &e->featurizer->model, why);
    if (err)
        return err;
    e->content = malloc(ps_embedder_features(e->embedder)->dim * sizeof(float));
    e->x = malloc(c->d_in * sizeof *e->x);
    e->z = malloc(c->e * sizeof *e->z);
    e->messages = malloc(messages * sizeof *e->messages + 1);
    return e->content && e->x && e->z && e->messages ? PS_OK : PS_ENOMEM;
}

int ps_embedding_new(ps_embedding **out, ps_view *v, const ps_featurizer *featurizer,
                     ps_why *why)
{
    ps_embedding *e = calloc(1, sizeof *e);
    if (!e)
        return ps_fail(why, PS_ENOMEM, NULL, 0, "no memory to embed live pins");
    *e = (ps_embedding){.v = v, .featurizer = featurizer};
    e->block = malloc(widest_block(featurizer->g) * sizeof *e->block);
    int err = e->block ? ps_pins_reader_new(&e->base, featurizer->g->pins) : PS_ENOMEM;
    if (!err && featurizer->has_model)
        err = take_model(e, why);
    if (err)
        ps_embedding_free(e);
    else
        *out = e;
    return err;
}

void ps_embedding_free(ps_embedding *e)
{
    if (!e)
        return;
    ps_embedder_free(e->embedder);
    ps_pins_reader_free(e->base);
    free(e->boards), free(e->block), free(e->content);
    free(e->x), free(e->z), free(e->messages);
    free(e);
}

/* ------------------------------ Blocks ------------------------------------- */

static int boards_of(ps_embedding *e, const ps_snapshot *s, uint32_t row, uint32_t *n)
{
    uint32_t degree = ps_graph_degree(&s->graph, PS_PINS, row);
    if (degree > e->room) {
        uint32_t *more = realloc(e->boards, degree * sizeof *more);
        if (!more)
            return PS_ENOMEM;
        e->boards = more;
        e->room = degree;
    }
    *n = ps_graph_slice(&s->graph, PS_PINS, row, 0, degree, e->boards);
    return PS_OK;
}

void ps_embedding_told(const ps_embedding *e, const ps_content *c, ps_row_state *state)
{
    for (uint32_t i = 0; i < c->n_features; i++) {
        int b = ps_featurizer_fits(e->featurizer, &c->feature[i]);
        if (b >= 0)
            state->told |= UINT32_C(1) << b;
        else
            state->unfit += c->feature[i].dim > 0;
    }
}

/* Nothing is told of the block, and the generation's vector is the user's own. */
static bool stays(const ps_embedding *e, uint32_t b, uint32_t row, const ps_content *c)
{
    ps_snapshot s;
    const ps_generation *g = e->featurizer->g;
    if (row >= g->n_pins || !(e->featurizer->own >> b & 1))
        return false;
    for (uint32_t i = 0; i < c->n_features; i++)
        if (ps_text_is(c->feature[i].name, g->blocks[b].name) &&
            (!c->feature[i].dim || c->feature[i].dim == g->blocks[b].array.cols))
            return false;
    ps_view_newest(e->v, &s);
    const ps_row_state *state = ps_view_state(e->v, &s, row);
    return !state || !state->fresh;
}

static int put_block(ps_embedding *e, uint32_t b, uint32_t row, const ps_content *c,
                     uint32_t n_boards)
{
    const ps_generation *g = e->featurizer->g;
    if (stays(e, b, row, c))
        ps_npy_row_f32(&g->blocks[b].array, row, e->block);
    else
        ps_featurizer_block(e->featurizer, b, c, e->boards, n_boards, e->block);
    return ps_delta_index_put(ps_view_block(e->v, b), ps_view_next(e->v), row, e->block,
                              NULL);
}

int ps_embedding_content(ps_embedding *e, uint32_t row, const ps_content *c)
{
    ps_snapshot s;
    uint32_t n = 0;
    ps_view_unsettle(e->v);
    ps_view_newest(e->v, &s);
    int err = boards_of(e, &s, row, &n);
    for (uint32_t b = 0; b < e->featurizer->g->n_blocks && !err; b++)
        err = put_block(e, b, row, c, n);
    return err;
}

void ps_embedding_drop(ps_embedding *e, uint32_t row)
{
    ps_view_unsettle(e->v);
    for (uint32_t b = 0; b < e->featurizer->g->n_blocks; b++)
        ps_delta_index_drop(ps_view_block(e->v, b), ps_view_next(e->v), row);
    if (ps_view_embeddings(e->v))
        ps_delta_index_drop(ps_view_embeddings(e->v), ps_view_next(e->v), row);
}

/* ------------------------------ Vectors ------------------------------------ */

/* What came with a pin is known by its delta index; the boards' share of it is made anew.
 */
static int refresh_structure(ps_embedding *e, const ps_snapshot *s, uint32_t row)
{
    uint32_t n = 0;
    const ps_row_state *state = ps_view_state(e->v, s, row);
    if (!e->featurizer->boards.rows ||
        (state && state->told >> e->featurizer->structure & 1))
        return PS_OK;
    int err = boards_of(e, s, row, &n);
    return err ? err
               : put_block(e, (uint32_t)e->featurizer->structure, row, &(ps_content){0},
                           n);
}

/* x of a row from the delta indexes, and from the generation where those have nothing.
 * False when there is nothing at all: neither content nor boards. */
static bool make_x(ps_embedding *e, const ps_snapshot *s, uint32_t row)
{
    const ps_features *f = ps_embedder_features(e->embedder);
    const float *content[PS_BLOCKS_MAX];
    for (uint32_t i = 0; i < f->n_blocks; i++) {
        ps_delta_index *delta = ps_view_delta_of(e->v, &f->block[i]->array);
        content[i] = ps_delta_index_find(delta, row, NULL);
        if (content[i] || row >= e->featurizer->g->n_pins)
            continue;
        ps_npy_row_f32(&f->block[i]->array, row, e->content + f->at[i]);
        content[i] = e->content + f->at[i];
    }
    ps_features_make(f, content, ps_graph_degree(&s->graph, PS_PINS, row), e->x);
    return !ps_row_is_none((ps_rows){e->x, f->dim, 0}, 0);
}

static int id_hash(ps_embedding *e, const ps_snapshot *s, uint32_t row, uint64_t *hash)
{
    ps_pin pin;
    int err = ps_view_pin(e->v, s, e->base, row, &pin);
    if (!err)
        *hash = ps_hash(pin.id.data, pin.id.len);
    return err;
}

/* What the row has so far: messages of lower layers, a vector. */
static void recall(ps_embedding *e, uint32_t row)
{
    const ps_model_config *c = &e->featurizer->model.config;
    const void *extra;
    const float *z = ps_delta_index_find(ps_view_embeddings(e->v), row, &extra);
    size_t bytes = (size_t)c->layers * c->m * sizeof *e->messages;
    if (z) {
        memcpy(e->z, z, c->e * sizeof *z);
        memcpy(e->messages, extra, bytes);
    } else {
        memset(e->z, 0, c->e * sizeof *z);
        memset(e->messages, 0, bytes);
    }
}

/* A row of the generation has a vector there, which must not come back. */
static int put_nothing(ps_embedding *e, uint32_t row)
{
    const ps_model_config *c = &e->featurizer->model.config;
    ps_delta_index *delta = ps_view_embeddings(e->v);
    memset(e->z, 0, c->e * sizeof *e->z);
    if (row < e->featurizer->g->n_pins)
        return ps_delta_index_put(delta, ps_view_next(e->v), row, e->z, NULL);
    ps_delta_index_drop(delta, ps_view_next(e->v), row);
    return PS_OK;
}

/* Message of layer `step`, or the vector itself after the last. */
static int embed_row(ps_embedding *e, const ps_snapshot *s, uint32_t row, uint32_t step)
{
    const ps_model_config *c = &e->featurizer->model.config;
    uint64_t hash = 0;
    if (!ps_view_alive(e->v, s, row))
        return PS_OK;
    int err = id_hash(e, s, row, &hash);
    if (!err && step == 1)
        err = refresh_structure(e, s, row);
    if (err)
        return err;
    if (!make_x(e, s, row))
        return put_nothing(e, row);
    recall(e, row);
    if (step <= c->layers)
        err = ps_embedder_message(e->embedder, row, hash, e->x, step,
                                  e->messages + (size_t)(step - 1) * c->m);
    else
        err = ps_embedder_live(e->embedder, row, hash, e->x, e->z);
    return err ? err
               : ps_delta_index_put(ps_view_embeddings(e->v), ps_view_next(e->v), row,
                                    e->z, e->messages);
}

int ps_embedding_rows(ps_embedding *e, const uint32_t *rows, uint32_t n)
{
    ps_snapshot s;
    if (!e->embedder || !n)
        return PS_OK;
    int err = PS_OK;
    for (uint32_t step = 1; step <= e->featurizer->model.config.layers + 1 && !err;
         step++) {
        ps_view_unsettle(e->v);
        ps_view_newest(e->v, &s);
        err = ps_embedder_on(
            e->embedder, &s.graph,
            (ps_live_messages){ps_embedding_messages, ps_view_embeddings(e->v)});
        for (uint32_t i = 0; i < n && !err; i++)
            err = embed_row(e, &s, rows[i], step);
        ps_view_begin(e->v); /* the next step may have the room of the last one */
        ps_view_publish(e->v);
    }
    return err;
}
