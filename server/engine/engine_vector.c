/* engine_vector.c - ranking by vectors: the index, the delta index, and both merged.
 *
 * The index holds the generation's rows. Rows of the delta index are newer: they are
 * skipped in the index and searched in the delta index, and the two lists are merged by
 * score. Boards of moderate size are scored pin by pin instead.
 *
 * Threads: see engine.h.
 */
#include <stdlib.h>
#include <string.h>

#include "pinsage/length.h"
#include "server/engine/engine_inside.h"

/* ------------------------------ One vector --------------------------------- */

static const float *vector_of(const ps_reader *r, const ps_npy *array, uint32_t row,
                              float *out)
{
    const ps_delta_index *delta = ps_view_delta_of(r->e->live.view, array);
    const float *own = delta ? ps_delta_index_find(delta, row, NULL) : NULL;
    if (own)
        return own;
    if (row < array->rows)
        ps_npy_row_f32(array, row, out);
    else
        memset(out, 0, array->cols * sizeof *out);
    return out;
}

const float *engine_vector(const ps_reader *r, const method *m, uint32_t row, float *out)
{
    return vector_of(r, m->array, row, out);
}

static bool is_zero(const float *v, uint32_t n)
{
    uint32_t i = 0;
    while (i < n && v[i] == 0)
        i++;
    return i == n;
}

int ps_reader_block(ps_reader *r, uint32_t row, uint32_t b, ps_arena *arena,
                    ps_named_vector *out)
{
    const ps_generation *g = r->e->g;
    if (b >= g->n_blocks || b >= PS_BLOCKS_MAX)
        return PS_ENOENT;
    const ps_row_state *state = ps_view_state(r->e->live.view, &r->snap, row);
    uint32_t dim = (uint32_t)g->blocks[b].array.cols;
    uint32_t shown = r->e->featurizer.own | (state ? state->told : 0);
    *out = (ps_named_vector){.name = ps_text_of(g->blocks[b].name)};
    if (!(shown >> b & 1))
        return PS_OK;
    float *room = ps_arena_alloc(arena, dim * sizeof *room);
    if (!room)
        return PS_ENOMEM;
    out->value = vector_of(r, &g->blocks[b].array, row, room);
    out->dim = is_zero(out->value, dim) ? 0 : dim;
    return PS_OK;
}

bool engine_load_query(ps_reader *r, const method *m, uint32_t row, ps_source *source)
{
    const float *v = engine_vector(r, m, row, r->query);
    *source = v == r->query ? PS_STORED : PS_COMPUTED;
    if (v != r->query)
        memcpy(r->query, v, m->array->cols * sizeof *v);
    return !ps_row_is_none((ps_rows){r->query, m->array->cols, 0}, 0);
}

/* ------------------------------ Boards' pins ------------------------------- */

static int compare_rows(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Pins on the boards asked for, one on two of them counted twice. */
static uint64_t count_on_boards(const ps_reader *r, const filter *f)
{
    uint64_t n = 0;
    for (uint32_t b = 0; b < f->n_boards; b++)
        n += ps_graph_degree(&r->snap.graph, PS_BOARDS, f->board[b]);
    return n;
}

/* Those that are left of them and have no vector in the delta index, into r->rows
 * (BOARD_SCAN); returns how many. */
static uint32_t list_on_boards(ps_reader *r, const filter *f)
{
    uint32_t n = 0, kept = 0;
    for (uint32_t b = 0; b < f->n_boards; b++) {
        uint32_t degree = ps_graph_degree(&r->snap.graph, PS_BOARDS, f->board[b]);
        n += ps_graph_slice(&r->snap.graph, PS_BOARDS, f->board[b], 0, degree,
                            r->rows + n);
    }
    qsort(r->rows, n, sizeof *r->rows, compare_rows);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = r->rows[i];
        if ((!kept || r->rows[kept - 1] != row) &&
            !(f->delta && ps_delta_index_find(f->delta, row, NULL)))
            r->rows[kept++] = row;
    }
    return kept;
}

/* Rows beyond the generation's have a vector in the delta index or none. */
static uint32_t stored_of(const uint32_t *rows, uint32_t n, uint64_t n_base)
{
    while (n && rows[n - 1] >= n_base)
        n--;
    return n;
}

/* ------------------------------ Index and delta index ----------------------------- */

/* The k best of r->found (n) and r->near (m), into r->found. A row that came into the
 * delta index while the index was searched stands in both: the delta index's is newer. */
static uint32_t merge(ps_reader *r, uint32_t n, uint32_t m, uint32_t k)
{
    ps_scored *out = r->near + m; /* room for k more */
    uint32_t i = 0, j = 0, kept = 0;
    while (kept < k && (i < n || j < m)) {
        bool delta = j < m && (i == n || engine_is_better(r->near[j], r->found[i]));
        ps_scored x = delta ? r->near[j++] : r->found[i++];
        bool twice = false;
        for (uint32_t t = 0; t < m && !delta && !twice; t++)
            twice = r->near[t].row == x.row;
        if (!twice)
            out[kept++] = x;
    }
    memcpy(r->found, out, kept * sizeof *out);
    return kept;
}

static bool passes_stored(void *cls, uint32_t row)
{
    const filter *f = cls;
    return !(f->delta && ps_delta_index_find(f->delta, row, NULL)) &&
           engine_passes(cls, row);
}

/* Of the generation's rows: what was written since is in the delta index. */
static int search_stored(ps_reader *r, const method *m, filter *f, const ps_search *q,
                         uint32_t *n, ps_why *why)
{
    if (f->n_boards && q->filter->passing <= BOARD_SCAN) {
        uint32_t listed = stored_of(r->rows, list_on_boards(r, f), m->array->rows);
        return ps_exact_among(m->array, m->cosine, q, r->rows, listed, r->found, n);
    }
    return m->indexed ? ps_ann_search(r->e->ann, q, r->found, n, why)
                      : ps_exact_search(m->array, m->cosine, q, r->found, n);
}

int engine_by_vector(ps_reader *r, const method *m, filter *f, uint32_t k, uint32_t *n,
                     ps_why *why)
{
    uint32_t live = 0;
    f->delta = ps_view_delta_of(r->e->live.view, m->array);
    if (f->delta && !ps_delta_index_size(f->delta))
        f->delta = NULL;
    ps_filter stored = {passes_stored, f, count_on_boards(r, f)};
    ps_filter fresh = {engine_passes, f, 0};
    ps_search q = {r->query, k, &stored, f->wider};
    int err = search_stored(r, m, f, &q, n, why);
    if (!err && f->delta) {
        q.filter = &fresh;
        err = ps_delta_index_search(f->delta, &q, r->near, &live);
    }
    if (!err && live)
        *n = merge(r, *n, live, k);
    return err;
}

/* ------------------------------ Recall ------------------------------------- */

int ps_reader_recall(ps_reader *r, uint32_t row, uint32_t k, uint32_t *hits,
                     uint32_t *wanted, ps_why *why)
{
    const method *m = &r->e->methods[0];
    filter f;
    ps_source source;
    uint32_t n = 0;
    *hits = *wanted = 0;
    engine_filter_begin(&f, r);
    engine_hide(&f, row);
    if (k > PS_K_MAX || m->kind != BY_VECTOR || !m->indexed ||
        !ps_view_alive(r->e->live.view, &r->snap, row) ||
        !engine_load_query(r, m, row, &source))
        return PS_OK;
    f.delta = ps_view_delta_of(r->e->live.view, m->array);
    ps_filter stored = {passes_stored, &f, 0};
    ps_search q = {.vector = r->query, .k = k, .filter = &stored};
    int err = ps_ann_search(r->e->ann, &q, r->found, &n, why);
    if (!err)
        err = ps_exact_search(m->array, m->cosine, &q, r->near, wanted);
    for (uint32_t i = 0; i < *wanted && !err; i++)
        for (uint32_t j = 0; j < n; j++)
            *hits += r->near[i].row == r->found[j].row;
    return err;
}

/* ------------------------------ By the blend ------------------------------- */

static int blend_of(ps_reader *r, ps_blend **blend, ps_why *why)
{
    ps_blend_source source = ps_blend_source_of(r->e->g, r->e->blend_files);
    int err = PS_OK;
    if (!r->blend)
        err = ps_blend_new(&r->blend, &source, &r->e->blend, why);
    *blend = r->blend;
    return err;
}

/* What the filter lets through of a ranking (n), at most k, in place. */
static uint32_t keep_shown(ps_scored *list, uint32_t n, uint32_t k, filter *f)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n && kept < k; i++)
        if (engine_passes(f, list[i].row))
            list[kept++] = list[i];
    return kept;
}

/* Near pins that were no candidates follow below, by their similarity. */
static uint32_t add_rest(ps_reader *r, uint32_t n, uint32_t k, uint32_t near)
{
    uint32_t first = r->e->blend.candidates;
    float below = n ? r->found[n - 1].score : 0;
    for (uint32_t i = first; i < near && n < k; i++) {
        bool there = false;
        for (uint32_t j = 0; j < n && !there; j++)
            there = r->found[j].row == r->near[i].row;
        if (!there)
            r->found[n++] = (ps_scored){
                r->near[i].row, below - 1 - (r->near[first].score - r->near[i].score)};
    }
    return n;
}

/* One search of the index and one walk over the generation; the walk's pins are filtered
 * after ranking. Pins of the delta index are not known to it: their own questions go to
 * the vectors alone. */
int engine_by_blend(ps_reader *r, const method *m, uint32_t row, filter *f, uint32_t k,
                    ps_ranking *out, ps_why *why)
{
    ps_blend *blend;
    uint64_t seed;
    uint32_t near = 0, found = 0, first = r->e->blend.candidates;
    if (!engine_load_query(r, m, row, &out->source))
        return PS_OK;
    if (row >= r->e->g->n_pins)
        return engine_by_vector(r, m, f, k, &out->n, why);
    ps_filter shown = {engine_passes, f, count_on_boards(r, f)};
    ps_search q = {.vector = r->query, .k = k > first ? k : first, .filter = &shown};
    int err = blend_of(r, &blend, why);
    if (!err)
        err = ps_ann_search(r->e->ann, &q, r->near, &near, why);
    if (!err)
        err = engine_seed(r, row, &seed);
    if (!err)
        err = ps_blend_related(blend, row, seed, r->near, near, r->found,
                               ps_blend_most(&r->e->blend), &found);
    if (err)
        return err;
    found = keep_shown(r->found, found, k, f);
    out->n = add_rest(r, found, k, near);
    out->source = PS_COMPUTED;
    return PS_OK;
}
