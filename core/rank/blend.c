/* blend.c - candidates of two kinds, described alike and scored by one sum.
 *
 * A pin that only the index found may still have been visited, and one that only the
 * walk found has a similarity: every input is filled for every candidate, so that the
 * score does not depend on who named it.
 *
 * Threads: see blend.h. Not here: where weights come from (blend_fit.c).
 */
#include "pinsage/blend.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rank/blend_inside.h"
#include "core/rank/blend_newton.h"
#include "pinsage/half.h"
#include "pinsage/length.h"
#include "pinsage/topk.h"

static const ps_graph *graph_of(const ps_blend_source *s)
{
    return s->graph ? s->graph : &s->g->graph;
}

/* ------------------------------ Lifetime ----------------------------------- */

static size_t widest(const ps_blend *b)
{
    size_t most = b->source.z.dim;
    for (uint32_t i = 0; i < b->model.n - PS_BLEND_COSINES; i++)
        most = b->block[i]->cols > most ? b->block[i]->cols : most;
    return most;
}

static int find_blocks(ps_blend *b, ps_why *why)
{
    for (uint32_t i = 0; i < b->model.n - PS_BLEND_COSINES; i++) {
        const ps_block *block = ps_generation_block(b->source.g, b->model.block[i]);
        if (!block)
            return ps_fail(why, PS_EMISMATCH, "blend", 0,
                           "it was fitted with the feature block %s, which is not there",
                           b->model.block[i]);
        b->block[i] = &block->array;
    }
    return PS_OK;
}

static int make_room(ps_blend *b)
{
    uint32_t pins = graph_of(&b->source)->pin_boards.rows, most = 2 * b->model.candidates;
    b->room = b->model.steps < pins ? b->model.steps : pins;
    for (b->mask = 64; b->mask < 2 * most; b->mask *= 2)
        ;
    b->slot = malloc(b->mask * sizeof *b->slot);
    b->mask--;
    b->visited = malloc((b->room + (size_t)1) * sizeof *b->visited);
    b->row = malloc(most * sizeof *b->row);
    b->x = malloc((size_t)most * b->model.n * sizeof *b->x);
    b->dot = malloc(most * sizeof *b->dot);
    b->vector = malloc(widest(b) * sizeof *b->vector);
    b->key = malloc(most * sizeof *b->key);
    return b->slot && b->visited && b->row && b->x && b->dot && b->vector && b->key
               ? PS_OK
               : PS_ENOMEM;
}

int ps_blend_new(ps_blend **out, const ps_blend_source *s, const ps_blend_model *m,
                 ps_why *why)
{
    if (m->candidates < 1 || m->candidates > 1u << 20 || m->n < PS_BLEND_COSINES ||
        m->n > PS_BLEND_MAX)
        return ps_fail(why, PS_EINVAL, "blend", 0, "its sizes are out of range");
    ps_blend *b = calloc(1, sizeof *b);
    if (!b)
        return ps_fail(why, PS_ENOMEM, "blend", 0, "no memory for a ranking");
    b->source = *s;
    b->model = *m;
    ps_pixie_opts walk = PS_PIXIE_DEFAULTS;
    walk.steps = m->steps;
    walk.n_v = 0;
    int err = find_blocks(b, why);
    if (!err && (err = ps_pixie_new(&b->pixie, graph_of(s), walk)) != PS_OK)
        ps_fail(why, err, "blend", 0, "cannot walk %u steps a pin", m->steps);
    if (!err && (err = make_room(b)) != PS_OK)
        ps_fail(why, err, "blend", 0, "no memory for %u candidates", m->candidates);
    if (err)
        ps_blend_free(b);
    else
        *out = b;
    return err;
}

void ps_blend_free(ps_blend *b)
{
    if (!b)
        return;
    ps_pixie_free(b->pixie);
    free(b->visited);
    free(b->slot);
    free(b->row);
    free(b->x);
    free(b->dot);
    free(b->vector);
    free(b->key);
    free(b);
}

/* ------------------------------ Candidates --------------------------------- */

static uint32_t *slot_of(const ps_blend *b, uint32_t row)
{
    uint32_t i = (row * 0x9e3779b1u) & b->mask;
    while (b->slot[i] && b->row[b->slot[i] - 1] != row)
        i = (i + 1) & b->mask;
    return &b->slot[i];
}

static void add(ps_blend *b, uint32_t row)
{
    uint32_t *slot = slot_of(b, row);
    if (*slot)
        return;
    b->row[b->n] = row;
    *slot = ++b->n;
}

static int walk(ps_blend *b, uint32_t query, uint64_t seed, uint32_t *found)
{
    ps_pixie_query q = {query, 1, seed};
    return ps_pixie_related(b->pixie, &q, 1, b->visited, b->room, found, NULL);
}

static float *input(const ps_blend *b, uint32_t i, uint32_t which)
{
    return &b->x[(size_t)i * b->model.n + which];
}

static void fill_visits(ps_blend *b, uint32_t found)
{
    for (uint32_t i = 0; i < b->n; i++) {
        *input(b, i, PS_BLEND_VISITS) = 0;
        *input(b, i, PS_BLEND_UNVISITED) = 1;
    }
    for (uint32_t v = 0; v < found; v++) {
        uint32_t at = *slot_of(b, b->visited[v].row);
        if (!at)
            continue;
        *input(b, at - 1, PS_BLEND_VISITS) = log1pf(b->visited[v].score);
        *input(b, at - 1, PS_BLEND_UNVISITED) = 0;
    }
}

/* ------------------------------ Inputs ------------------------------------- */

void blend_read_row(ps_rows rows, uint32_t row, float *out)
{
    if (rows.half)
        ps_f16_to_f32((const uint16_t *)rows.data + row * rows.dim, out, rows.dim);
    else
        memcpy(out, (const float *)rows.data + row * rows.dim, rows.dim * sizeof *out);
}

static void fill_similarity(ps_blend *b, uint32_t query)
{
    blend_read_row(b->source.z, query, b->vector);
    ps_dot_list(b->vector, b->source.z, b->row, b->n, b->dot);
    for (uint32_t i = 0; i < b->n; i++)
        *input(b, i, PS_BLEND_SIMILARITY) = b->dot[i];
}

static void fill_degree(ps_blend *b)
{
    const ps_csr *m = &graph_of(&b->source)->pin_boards;
    for (uint32_t i = 0; i < b->n; i++)
        *input(b, i, PS_BLEND_DEGREE) = log1pf((float)ps_csr_degree(m, b->row[i]));
}

/* Of two rows whose squares a float does not hold; 0 when either holds no vector. */
static float wide_cosine(const float *vector, ps_rows rows, uint32_t query, uint32_t row)
{
    double length = sqrt(ps_row_squares(rows, query) * ps_row_squares(rows, row));
    return length > 0 ? (float)(ps_dot_plain(vector, rows, row) / length) : 0;
}

static void fill_cosine(ps_blend *b, uint32_t query, uint32_t block)
{
    const ps_npy *a = b->block[block];
    ps_rows rows = {a->data, a->cols, a->dtype == PS_F16};
    float own, other;
    blend_read_row(rows, query, b->vector);
    ps_dot_list(b->vector, rows, b->row, b->n, b->dot);
    ps_dot_squares(rows, query, 1, &own);
    for (uint32_t i = 0; i < b->n; i++) {
        ps_dot_squares(rows, b->row[i], 1, &other);
        *input(b, i, PS_BLEND_COSINES + block) =
            ps_squares_fit(own) && ps_squares_fit(other)
                ? b->dot[i] / sqrtf(own) / sqrtf(other)
                : wide_cosine(b->vector, rows, query, b->row[i]);
    }
}

int blend_gather(ps_blend *b, uint32_t query, uint64_t seed, const ps_scored *near,
                 uint32_t n_near)
{
    uint32_t found, most = b->model.candidates;
    int err = walk(b, query, seed, &found);
    if (err)
        return err;
    memset(b->slot, 0, (b->mask + (size_t)1) * sizeof *b->slot);
    b->n = 0;
    for (uint32_t i = 0; i < n_near && i < most; i++)
        if (near[i].row != query)
            add(b, near[i].row);
    for (uint32_t i = 0; i < found && i < most; i++)
        add(b, b->visited[i].row);
    fill_visits(b, found);
    fill_similarity(b, query);
    fill_degree(b);
    for (uint32_t i = 0; i < b->model.n - PS_BLEND_COSINES; i++)
        fill_cosine(b, query, i);
    return PS_OK;
}

/* ------------------------------ Ranking ------------------------------------ */

static float score_of(const ps_blend *b, uint32_t i)
{
    return (float)newton_dot(b->model.weight, input(b, i, 0), b->model.n);
}

void blend_leave_out(const float *query, ps_rows z, size_t n, float *scores)
{
    for (size_t r = 0; r < n; r++)
        scores[r] = ps_sure_score(false, query, z, r, scores[r]);
}

uint32_t blend_nearest(const float *scores, uint32_t n, uint32_t not, uint32_t k,
                       ps_scored *out)
{
    ps_topk best = {.at = out, .k = k};
    for (uint32_t r = 0; r < n; r++)
        if (r != not &&scores[r] > PS_SCORE_NONE && ps_topk_wants(&best, r, scores[r]))
            ps_topk_keep(&best, r, scores[r]);
    return ps_topk_finish(&best, 1);
}

int ps_blend_related(ps_blend *b, uint32_t row, uint64_t seed, const ps_scored *near,
                     uint32_t n_near, ps_scored *out, uint32_t max, uint32_t *found)
{
    int err = blend_gather(b, row, seed, near, n_near);
    if (err)
        return err;
    for (uint32_t i = 0; i < b->n; i++) {
        b->dot[i] = score_of(b, i);
        b->key[i] = ps_key_score(b->dot[i], b->row[i]);
    }
    *found = (uint32_t)ps_top(b->key, b->n, max);
    for (uint32_t i = 0; i < *found; i++) {
        out[i] = (ps_scored){ps_key_row(b->key[i]), ps_key_as_score(b->key[i])};
    }
    return PS_OK;
}

/* ------------------------------ The model ---------------------------------- */

void blend_model_init(ps_blend_model *m, const ps_generation *g, uint32_t candidates,
                      uint32_t steps)
{
    *m =
        (ps_blend_model){.candidates = candidates, .steps = steps, .n = PS_BLEND_COSINES};
    for (uint32_t b = 0; b < g->n_blocks && m->n < PS_BLEND_MAX; b++) {
        size_t len = strlen(g->blocks[b].name);
        if (len < sizeof m->block[0])
            memcpy(m->block[m->n++ - PS_BLEND_COSINES], g->blocks[b].name, len + 1);
    }
}
