/* compact_neighbours.c - who pools over whom: lists that stay, and lists of pins that
 * were embedded live.
 *
 * A list that stays gets the new numbers; pins that are gone are taken out, and the other
 * weights make up for them. Of a pin that is new, was embedded anew or is on other
 * boards, the list is what walks over the view find, as when it was embedded.
 *
 * Threads: see compact.h.
 */
#include <stdlib.h>
#include <string.h>

#include "pinsage/hash.h"
#include "pinsage/layout.h"
#include "pinsage/model.h"
#include "pinsage/walk.h"
#include "server/compact/compact_inside.h"

#define BLOCK 1024 /* rows at a time */

typedef struct lists {
    compaction *f;
    ps_model model;
    ps_walker *walker; /* NULL: live pins have no lists */
    uint32_t T;
    ps_out *rows, *weights;
    uint32_t *row;  /* (BLOCK, T) */
    float *weight;  /* (BLOCK, T) */
    uint32_t *pin;  /* (BLOCK) numbers in the view */
    bool *walked;   /* (BLOCK) */
    uint32_t *who;  /* (BLOCK) those that are walked from */
    uint64_t *seed; /* (BLOCK) theirs */
    uint32_t *to;   /* (BLOCK, T) where their walks lead */
    float *share;   /* (BLOCK, T) */
} lists;

/* ------------------------------ Scratch ------------------------------------ */

static int take_model(lists *l)
{
    char path[PS_PATH_MAX];
    const ps_model_config *c = &l->model.config;
    if (!ps_generation_file(l->f->g, PS_FILE_MODEL, path))
        return PS_OK;
    int err = ps_model_load(&l->model, path, l->f->why);
    if (err || c->neighbourhood == PS_NEIGHBOURS_KHOP || c->neighbours != l->T)
        return err;
    return ps_walker_new(&l->walker, &l->f->from.s.graph,
                         (ps_walk_opts){c->n_walks, c->length, c->neighbours});
}

static int lists_init(lists *l)
{
    size_t all = (size_t)BLOCK * l->T;
    l->row = malloc(all * sizeof *l->row);
    l->to = malloc(all * sizeof *l->to);
    l->weight = malloc(all * sizeof *l->weight);
    l->share = malloc(all * sizeof *l->share);
    l->pin = malloc(BLOCK * sizeof *l->pin);
    l->who = malloc(BLOCK * sizeof *l->who);
    l->walked = malloc(BLOCK * sizeof *l->walked);
    l->seed = malloc(BLOCK * sizeof *l->seed);
    if (!l->row || !l->to || !l->weight || !l->share || !l->pin || !l->who ||
        !l->walked || !l->seed)
        return ps_fail(l->f->why, PS_ENOMEM, l->f->g->dir, 0,
                       "no memory for lists of neighbours");
    return take_model(l);
}

static void lists_done(lists *l)
{
    free(l->row), free(l->to), free(l->weight), free(l->share);
    free(l->pin), free(l->who), free(l->walked), free(l->seed);
    ps_walker_free(l->walker);
    ps_model_free(&l->model);
}

/* ------------------------------ One list ----------------------------------- */

/* The same list under the new numbers, without who is gone. */
static void renumber(const compaction *f, uint32_t T, uint32_t self, uint32_t *row,
                     float *weight)
{
    uint32_t kept = 0;
    float sum = 0;
    for (uint32_t t = 0; t < T; t++) {
        uint32_t to = weight[t] > 0 ? f->pin[row[t]] : PS_NO_ROW;
        if (to == PS_NO_ROW)
            continue;
        row[kept] = to;
        weight[kept] = weight[t];
        sum += weight[kept++];
    }
    bool whole =
        sum > 0.9999f && sum < 1.0001f; /* nobody is gone: bit by bit as before */
    for (uint32_t t = 0; t < T; t++) {
        if (t >= kept)
            row[t] = self;
        if (t >= kept || !whole)
            weight[t] = t < kept ? weight[t] / sum : 0;
    }
}

static bool is_walked(const compaction *f, uint32_t row)
{
    const ps_delta_index *delta = ps_view_embeddings(f->from.view);
    return row >= f->g->n_pins || compact_has_moved(f, row) ||
           (delta && ps_delta_index_find(delta, row, NULL));
}

static int find_seed(const lists *l, uint32_t row, uint64_t *seed)
{
    const compaction *f = l->f;
    ps_pin pin;
    int err = ps_view_pin(f->from.view, &f->from.s, f->base, row, &pin);
    if (err)
        return ps_fail(f->why, err, f->g->dir, 0, "pin %u cannot be read", row);
    *seed = ps_pin_seed(l->model.config.seed, pin.id.data, pin.id.len);
    return PS_OK;
}

/* ------------------------------ A block of them ---------------------------- */

/* The list that row has in the generation before, or an empty one, at place i. */
static void load(lists *l, uint32_t i)
{
    const ps_generation *g = l->f->g;
    size_t T = l->T, from = l->pin[i] * T;
    if (l->pin[i] < g->n_pins) {
        memcpy(l->row + i * T, (const uint32_t *)g->nbr_rows.data + from,
               T * sizeof *l->row);
        memcpy(l->weight + i * T, (const float *)g->nbr_weights.data + from,
               T * sizeof *l->weight);
        return;
    }
    for (size_t t = 0; t < T; t++) {
        l->row[i * T + t] = l->pin[i];
        l->weight[i * T + t] = 0;
    }
}

static int walk(lists *l, uint32_t n)
{
    uint32_t m = 0, T = l->T;
    int err = PS_OK;
    for (uint32_t i = 0; i < n && !err; i++) {
        l->walked[i] = l->walker && is_walked(l->f, l->pin[i]);
        if (!l->walked[i])
            continue;
        l->who[m] = l->pin[i];
        err = find_seed(l, l->pin[i], &l->seed[m++]);
    }
    if (err || !m)
        return err;
    ps_walk_neighbours(l->walker, l->who, l->seed, m, l->to, l->share);
    for (uint32_t i = 0, j = 0; i < n; i++)
        if (l->walked[i]) {
            memcpy(l->row + (size_t)i * T, l->to + (size_t)j * T, T * sizeof *l->to);
            memcpy(l->weight + (size_t)i * T, l->share + (size_t)j * T,
                   T * sizeof *l->share);
            j++;
        }
    return PS_OK;
}

static int write_block(lists *l, uint32_t n)
{
    const compaction *f = l->f;
    for (uint32_t i = 0; i < n; i++)
        load(l, i);
    int err = walk(l, n);
    for (uint32_t i = 0; i < n && !err; i++)
        renumber(f, l->T, f->pin[l->pin[i]], l->row + (size_t)i * l->T,
                 l->weight + (size_t)i * l->T);
    ps_out_write(l->rows, l->row, (size_t)n * l->T * sizeof *l->row);
    ps_out_write(l->weights, l->weight, (size_t)n * l->T * sizeof *l->weight);
    return err;
}

static int write_lists(lists *l)
{
    const compaction *f = l->f;
    uint32_t n = 0;
    int err = PS_OK;
    for (uint32_t row = 0; row < f->rows && !err; row++) {
        if (f->pin[row] != PS_NO_ROW)
            l->pin[n++] = row;
        if (n < BLOCK && row + 1 < f->rows)
            continue;
        err = write_block(l, n);
        n = 0;
        if (!err)
            err = compact_tell(f, "neighbours", row + 1, f->rows, "pins");
    }
    return err;
}

int compact_neighbours(compaction *f)
{
    static const char *const rows = PS_FILE_NEAR_ROWS, *const weights =
                                                           PS_FILE_NEAR_WEIGHTS;
    lists l = {.f = f, .T = (uint32_t)f->g->nbr_rows.cols};
    uint32_t n = f->report->pins;
    if (!f->g->nbr_rows.rows)
        return PS_OK;
    int err = lists_init(&l);
    if (!err)
        err = compact_array_begin(f, rows, PS_U32, n, l.T, &l.rows);
    if (!err)
        err = compact_array_begin(f, weights, PS_F32, n, l.T, &l.weights);
    if (!err)
        err = write_lists(&l);
    if (l.rows)
        err = compact_array_end(f, rows, l.rows, err);
    if (l.weights)
        err = compact_array_end(f, weights, l.weights, err);
    lists_done(&l);
    return err;
}
