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

/* ------------------------------ Files -------------------------------------- */

struct ps_blend_files {
    ps_pair_graph pairs;
    ps_inverted text;
};

int ps_blend_files_open(ps_blend_files **out, const ps_generation *g, ps_why *why)
{
    ps_blend_files *f = calloc(1, sizeof *f);
    if (!f)
        return ps_fail(why, PS_ENOMEM, "blend", 0, "no memory to open its files");
    int err = ps_pair_graph_open(&f->pairs, g, why);
    if (!err)
        err = ps_inverted_open(&f->text, g, why);
    if (err)
        ps_blend_files_close(f);
    else
        *out = f;
    return err;
}

void ps_blend_files_close(ps_blend_files *f)
{
    if (!f)
        return;
    ps_pair_graph_done(&f->pairs);
    ps_inverted_close(&f->text);
    free(f);
}

ps_blend_source ps_blend_source_of(const ps_generation *g, const ps_blend_files *f)
{
    const ps_npy *z = &g->embeddings;
    return (ps_blend_source){.g = g,
                             .z = {z->data, z->cols, z->dtype == PS_F16},
                             .pairs = f ? &f->pairs : NULL,
                             .text = f ? &f->text : NULL};
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

/* Shares of C that the sources beside index and walk may name. */
enum { FROM_COUNTS = 3, FROM_TEXT = 2, FROM_PAIRS = 2, POPULAR = 50 }; /* C / these */
enum { COUNT_BUDGET = 60000, TEXT_BUDGET = 400000 };

uint32_t ps_blend_most(const ps_blend_model *m)
{
    uint32_t c = m->candidates;
    return 2 * c + 2 * (c / FROM_COUNTS) + c / FROM_TEXT + 3 * (c / FROM_PAIRS) + POPULAR;
}

static int make_room(ps_blend *b)
{
    uint32_t pins = graph_of(&b->source)->pin_boards.rows, most;
    most = b->most = ps_blend_most(&b->model);
    b->room = b->model.steps < pins ? b->model.steps : pins;
    for (b->mask = 64; b->mask < 2 * most; b->mask *= 2)
        ;
    b->slot = malloc(b->mask * sizeof *b->slot);
    b->mask--;
    b->keys = most > COUNT_BUDGET ? most : COUNT_BUDGET;
    b->visited = malloc((b->room + (size_t)1) * sizeof *b->visited);
    b->row = malloc(most * sizeof *b->row);
    b->x = malloc((size_t)most * b->model.n * sizeof *b->x);
    b->dot = malloc(most * sizeof *b->dot);
    b->vector = malloc(widest(b) * sizeof *b->vector);
    b->key = malloc(b->keys * sizeof *b->key);
    b->popular = malloc(POPULAR * sizeof *b->popular);
    b->worded = malloc((b->model.candidates / FROM_TEXT + (size_t)1) * sizeof *b->worded);
    return b->slot && b->visited && b->row && b->x && b->dot && b->vector && b->key &&
                   b->popular && b->worded
               ? PS_OK
               : PS_ENOMEM;
}

/* The pins on most boards, in one pass over the degrees. */
static void find_popular(ps_blend *b)
{
    const ps_csr *m = &graph_of(&b->source)->pin_boards;
    uint32_t least = 0;
    for (uint32_t r = 0; r < m->rows; r++) {
        uint32_t degree = ps_csr_degree(m, r), i;
        if (degree <= least && b->n_popular == POPULAR)
            continue;
        b->n_popular += b->n_popular < POPULAR;
        for (i = b->n_popular - 1; i && ps_csr_degree(m, b->popular[i - 1]) < degree; i--)
            b->popular[i] = b->popular[i - 1];
        b->popular[i] = r;
        least = ps_csr_degree(m, b->popular[b->n_popular - 1]);
    }
}

static int open_sources(ps_blend *b)
{
    const ps_blend_source *s = &b->source;
    int err = ps_two_hop_new(&b->hops, graph_of(s), COUNT_BUDGET);
    if (!err && s->pairs && s->pairs->csr.edges && !b->model.grouped)
        err = ps_pair_hops_new(&b->pair_hops, s->pairs, graph_of(s));
    if (!err && s->text && s->text->n_words) {
        err = ps_text_search_new(&b->words, s->text, TEXT_BUDGET);
        if (!err)
            err = ps_pins_reader_new(&b->reader, s->g->pins);
    }
    if (!err)
        find_popular(b);
    return err;
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
    if (!err && (err = open_sources(b)) != PS_OK)
        ps_fail(why, err, "blend", 0, "no memory to look for candidates");
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
    ps_two_hop_free(b->hops);
    ps_pair_hops_free(b->pair_hops);
    ps_text_search_free(b->words);
    ps_pins_reader_free(b->reader);
    free(b->visited);
    free(b->slot);
    free(b->row);
    free(b->x);
    free(b->dot);
    free(b->vector);
    free(b->key);
    free(b->popular);
    free(b->worded);
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
    if (row == b->query)
        return;
    uint32_t *slot = slot_of(b, row);
    if (*slot || b->n == b->most)
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
    bool known = b->source.z.dim > 0;
    if (known) {
        blend_read_row(b->source.z, query, b->vector);
        ps_dot_list(b->vector, b->source.z, b->row, b->n, b->dot);
    }
    for (uint32_t i = 0; i < b->n; i++)
        *input(b, i, PS_BLEND_SIMILARITY) = known ? b->dot[i] : 0;
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

/* log((v + floor) / floor): 0 for nothing, and differences of small chances count. */
static float log_above(float v, float floor)
{
    return logf((v + floor) / floor);
}

static void fill_counts(ps_blend *b, const ps_row_sums *hops)
{
    for (uint32_t i = 0; i < b->n; i++) {
        const ps_row_sum *h = ps_row_sums_find(hops, b->row[i]);
        *input(b, i, PS_BLEND_WALK) = h ? log_above(h->sum[PS_HOP_WALK], 1e-5f) : 0;
        *input(b, i, PS_BLEND_ROOT) = h ? log_above(h->sum[PS_HOP_ROOT], 1e-2f) : 0;
        *input(b, i, PS_BLEND_RARE) = h ? log_above(h->sum[PS_HOP_RARE], 1e-1f) : 0;
        *input(b, i, PS_BLEND_APART) = !h;
    }
}

static void fill_pairs(ps_blend *b, const ps_row_sums *hops)
{
    for (uint32_t i = 0; i < b->n; i++) {
        const ps_row_sum *h = hops ? ps_row_sums_find(hops, b->row[i]) : NULL;
        const float none[PS_SUMS] = {0}, *sum = h ? h->sum : none;
        double paired = hops ? ps_pair_total(b->source.pairs, b->row[i]) : 0;
        *input(b, i, PS_BLEND_PAIR_PAIR) = log_above(sum[PS_HOP_PAIR_PAIR], 1e-4f);
        *input(b, i, PS_BLEND_BOARD_PAIR) = log_above(sum[PS_HOP_BOARD_PAIR], 1e-5f);
        *input(b, i, PS_BLEND_PAIR_BOARD) = log_above(sum[PS_HOP_PAIR_BOARD], 1e-5f);
        *input(b, i, PS_BLEND_UNPAIRED) = hops && !(sum[PS_HOP_PAIR_PAIR] > 0);
        *input(b, i, PS_BLEND_ENGAGED) = log1pf((float)paired);
    }
}

static void fill_text(ps_blend *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        float score = b->words ? ps_text_search_score(b->words, b->row[i]) : 0;
        *input(b, i, PS_BLEND_TEXT) = score;
        *input(b, i, PS_BLEND_TEXT_RARE) = score / (1 + *input(b, i, PS_BLEND_DEGREE));
    }
}

/* The k rows with the largest of one sum. */
static void add_best(ps_blend *b, const ps_row_sums *s, int which, uint32_t k)
{
    size_t n = 0;
    for (uint32_t i = 0; i < s->n && n < b->keys; i++)
        if (s->at[i].sum[which] > 0)
            b->key[n++] = ps_key_score(s->at[i].sum[which], s->at[i].row);
    n = ps_top(b->key, n, k);
    for (size_t i = 0; i < n; i++)
        add(b, ps_key_row(b->key[i]));
}

static int search_words(ps_blend *b, uint32_t query)
{
    ps_pin pin;
    uint32_t most = b->model.candidates / FROM_TEXT;
    int err = b->words ? ps_pins_get(b->reader, query, &pin) : PS_OK;
    if (err || !b->words)
        return err;
    ps_text_search_run(b->words, pin.title, pin.text);
    most = ps_text_search_best(b->words, query, most, b->worded);
    for (uint32_t i = 0; i < most; i++)
        add(b, b->worded[i].row);
    return PS_OK;
}

int blend_gather(ps_blend *b, uint32_t query, uint64_t seed, const ps_scored *near,
                 uint32_t n_near)
{
    uint32_t found, c = b->model.candidates;
    int err = walk(b, query, seed, &found);
    if (err)
        return err;
    memset(b->slot, 0, (b->mask + (size_t)1) * sizeof *b->slot);
    b->n = 0;
    b->query = query;
    for (uint32_t i = 0; i < n_near && i < c; i++)
        add(b, near[i].row);
    for (uint32_t i = 0; i < found && i < c; i++)
        add(b, b->visited[i].row);
    const ps_row_sums *hops = ps_two_hop_of(b->hops, query), *pairs = NULL;
    add_best(b, hops, PS_HOP_WALK, c / FROM_COUNTS);
    add_best(b, hops, PS_HOP_RARE, c / FROM_COUNTS);
    if (b->pair_hops)
        pairs = ps_pair_hops_of(b->pair_hops, query, hops);
    for (int i = 0; pairs && i < PS_SUMS; i++)
        add_best(b, pairs, i, c / FROM_PAIRS);
    for (uint32_t i = 0; i < b->n_popular; i++)
        add(b, b->popular[i]);
    err = search_words(b, query);
    if (err)
        return err;
    fill_visits(b, found);
    fill_similarity(b, query);
    fill_degree(b);
    fill_counts(b, hops);
    fill_pairs(b, pairs);
    fill_text(b);
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
