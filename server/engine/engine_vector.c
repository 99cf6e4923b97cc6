/* engine_vector.c - ranking by vectors: the index, the delta index, and both merged.
 *
 * The index holds the generation's rows. Rows of the delta index are newer: they are
 * skipped in the index and searched in the delta index, and the two lists are merged by
 * score. A board of moderate size is scored pin by pin instead.
 *
 * Threads: see engine.h.
 */
#include <math.h>
#include <string.h>

#include "pinsage/dot.h"
#include "server/engine/engine_inside.h"

static float norm_of(const float *v, uint64_t dim)
{
    float sum = 0;
    for (uint64_t i = 0; i < dim; i++)
        sum += v[i] * v[i];
    return sqrtf(sum);
}

/* ------------------------------ One vector --------------------------------- */

const float *engine_vector(const ps_reader *r, const method *m, uint32_t row, float *out)
{
    const ps_delta_index *delta = ps_view_delta_of(r->e->live.view, m->array);
    const float *own = delta ? ps_delta_index_find(delta, row, NULL) : NULL;
    if (own)
        return own;
    if (row < m->array->rows)
        ps_npy_row_f32(m->array, row, out);
    else
        memset(out, 0, m->array->cols * sizeof *out);
    return out;
}

bool engine_load_query(ps_reader *r, const method *m, uint32_t row, ps_source *source)
{
    const float *v = engine_vector(r, m, row, r->query);
    *source = v == r->query ? PS_STORED : PS_COMPUTED;
    if (v != r->query)
        memcpy(r->query, v, m->array->cols * sizeof *v);
    return norm_of(r->query, m->array->cols) > 0;
}

/* ------------------------------ A board's pins ----------------------------- */

/* The rows that have a vector in the delta index, moved to the end; returns how many have
 * not.
 */
static uint32_t part_rows(const filter *f, uint32_t n_base, uint32_t *row, uint32_t n)
{
    for (uint32_t i = 0; i < n;) {
        bool live =
            row[i] >= n_base || (f->delta && ps_delta_index_find(f->delta, row[i], NULL));
        if (!live) {
            i++;
            continue;
        }
        uint32_t last = row[--n];
        row[n] = row[i];
        row[i] = last;
    }
    return n;
}

/* False when the row has no vector there, or a zero one: then it is not found, as a
 * search of the delta index does not find it. */
static bool delta_score(const ps_reader *r, const method *m, const filter *f,
                        uint32_t row, float *score)
{
    float square;
    size_t dim = m->array->cols;
    const float *v = f->delta ? ps_delta_index_find(f->delta, row, NULL) : NULL;
    if (!v)
        return false;
    ps_dot_squares((ps_rows){v, dim, 0}, 0, 1, &square);
    ps_dot_block(r->query, 1, (ps_rows){v, dim, 0}, 0, 1, score, 1);
    if (m->cosine && square > 0)
        *score /= sqrtf(square);
    return square > 0;
}

static uint32_t scan_board(ps_reader *r, const method *m, filter *f, uint32_t k)
{
    uint32_t n = ps_graph_degree(&r->snap.graph, PS_BOARDS, f->board[0]), kept = 0;
    n = ps_graph_slice(&r->snap.graph, PS_BOARDS, f->board[0], 0, n, r->rows);
    ps_rows rows = {m->array->data, m->array->cols, m->array->dtype == PS_F16};
    uint32_t stored = part_rows(f, (uint32_t)m->array->rows, r->rows, n);
    ps_dot_list(r->query, rows, r->rows, stored, r->dots);
    float scale = m->cosine ? 1 / norm_of(r->query, rows.dim) : 1;
    for (uint32_t i = 0; i < n; i++) {
        ps_scored x = {r->rows[i], 0};
        float square = 1;
        if (engine_hidden(f, x.row))
            continue;
        if (i < stored && m->cosine)
            ps_dot_squares(rows, x.row, 1, &square);
        if (i < stored)
            x.score = square > 0 ? r->dots[i] * scale / sqrtf(square) : 0;
        else if (delta_score(r, m, f, x.row, &x.score))
            x.score *= scale;
        else
            continue;
        kept = engine_keep(r->found, kept, k, x);
    }
    return kept;
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

static int skip_stored(void *cls, uint32_t row)
{
    const filter *f = cls;
    return engine_skip(cls, row) ||
           (f->delta && ps_delta_index_find(f->delta, row, NULL));
}

int engine_by_vector(ps_reader *r, const method *m, filter *f, uint32_t k, uint32_t *n,
                     ps_why *why)
{
    uint32_t live = 0;
    f->delta = ps_view_delta_of(r->e->live.view, m->array);
    if (f->delta && !ps_delta_index_size(f->delta))
        f->delta = NULL;
    if (f->n_boards == 1 &&
        ps_graph_degree(&r->snap.graph, PS_BOARDS, f->board[0]) <= BOARD_SCAN) {
        *n = scan_board(r, m, f, k);
        return PS_OK;
    }
    int err = m->indexed ? ps_ann_search(r->e->ann, r->query, k, skip_stored, f, r->found,
                                         n, why)
                         : ps_exact_search(m->array, m->cosine, r->query, k, skip_stored,
                                           f, r->found, n);
    if (!err && f->delta)
        ps_delta_index_search(f->delta, r->query, k, engine_skip, f, r->near, &live);
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
    int err = ps_ann_search(r->e->ann, r->query, k, skip_stored, &f, r->found, &n, why);
    if (!err)
        err = ps_exact_search(m->array, m->cosine, r->query, k, skip_stored, &f, r->near,
                              wanted);
    for (uint32_t i = 0; i < *wanted && !err; i++)
        for (uint32_t j = 0; j < n; j++)
            *hits += r->near[i].row == r->found[j].row;
    return err;
}

/* ------------------------------ By the blend ------------------------------- */

static int blend_of(ps_reader *r, ps_blend **blend, ps_why *why)
{
    const ps_npy *z = &r->e->g->embeddings;
    ps_blend_source source = {.g = r->e->g, .z = {z->data, z->cols, z->dtype == PS_F16}};
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
        if (!engine_skip(f, list[i].row))
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
    int err = blend_of(r, &blend, why);
    if (!err)
        err = ps_ann_search(r->e->ann, r->query, k > first ? k : first, engine_skip, f,
                            r->near, &near, why);
    if (!err)
        err = engine_seed(r, row, &seed);
    if (!err)
        err = ps_blend_related(blend, row, seed, r->near, near, r->found, 2 * first,
                               &found);
    if (err)
        return err;
    found = keep_shown(r->found, found, k, f);
    out->n = add_rest(r, found, k, near);
    out->source = PS_COMPUTED;
    return PS_OK;
}
