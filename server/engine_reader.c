/* engine_reader.c - one thread's way into the engine: lookups and rankings.
 *
 * A ranking leaves out the query pin, excluded pins, and pins that are not on the wished
 * board. A board of moderate size is scored pin by pin; a larger one, and any other
 * question, goes through the index, which widens its search until enough is left. The
 * blend joins what the index finds with what a walk visits.
 *
 * Threads: a reader belongs to one thread.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/dot.h"
#include "pinsage/hash.h"
#include "server/engine_inside.h"

#define BOARD_SCAN 4096   /* boards up to this are scored pin by pin */
#define WALK_STEPS 20000u /* and so the most pins a walk can reach */
#define WALK_SEED  1

struct ps_reader {
    ps_engine *e; /* a reference */
    ps_pins_reader *pins;
    ps_pixie *walk[WALK_KINDS]; /* made when first asked for */
    float *query;               /* (largest dim) */
    float *dots;                /* (BOARD_SCAN) */
    ps_scored *found;           /* (WALK_STEPS) */
    ps_blend *blend;            /* made when first asked for, with: */
    ps_scored *near;            /* (ENGINE_BLEND, at least PS_K_MAX) */
};

/* What a ranking may not show. */
typedef struct filter {
    const ps_graph *graph;
    uint32_t query, board;           /* board PS_NO_ROW: any */
    uint32_t hidden[PS_EXCLUDE_MAX]; /* (n_hidden) */
    uint32_t n_hidden;
} filter;

/* ------------------------------ Lifetime ----------------------------------- */

static uint64_t largest_dim(const ps_engine *e)
{
    uint64_t dim = 1;
    for (unsigned i = 0; i < e->n_methods; i++)
        if (e->methods[i].array && e->methods[i].array->cols > dim)
            dim = e->methods[i].array->cols;
    return dim;
}

int ps_reader_new(ps_reader **out, ps_engine *e)
{
    ps_reader *r = calloc(1, sizeof *r);
    if (!r)
        return PS_ENOMEM;
    r->e = ps_engine_acquire(e);
    r->query = malloc(largest_dim(e) * sizeof *r->query);
    r->dots = malloc(BOARD_SCAN * sizeof *r->dots);
    r->found = malloc(WALK_STEPS * sizeof *r->found);
    int err = r->query && r->dots && r->found ? PS_OK : PS_ENOMEM;
    if (!err)
        err = ps_pins_reader_new(&r->pins, e->g->pins);
    if (err)
        ps_reader_free(r);
    else
        *out = r;
    return err;
}

void ps_reader_free(ps_reader *r)
{
    if (!r)
        return;
    for (int i = 0; i < WALK_KINDS; i++)
        ps_pixie_free(r->walk[i]);
    ps_blend_free(r->blend);
    free(r->near);
    ps_pins_reader_free(r->pins);
    free(r->query);
    free(r->dots);
    free(r->found);
    ps_engine_release(r->e);
    free(r);
}

ps_engine *ps_reader_engine(const ps_reader *r)
{
    return r->e;
}

/* ------------------------------ Lookups ------------------------------------ */

static int refuse_name(const char *kind, ps_text name, ps_why *why)
{
    return ps_fail(why, PS_ENOENT, NULL, 0, "there is no %s \"%.*s\"", kind,
                   (int)(name.len < 100 ? name.len : 100), name.data);
}

int ps_reader_find_pin(ps_reader *r, ps_text id, uint32_t *row, ps_why *why)
{
    *row = id.len <= PS_ID_MAX ? ps_pins_row(r->pins, id.data, id.len) : PS_NO_ROW;
    return *row == PS_NO_ROW ? refuse_name("pin", id, why) : PS_OK;
}

int ps_reader_find_board(ps_reader *r, ps_text name, uint32_t *board, ps_why *why)
{
    *board =
        name.len <= PS_ID_MAX ? ps_pins_board(r->pins, name.data, name.len) : PS_NO_ROW;
    return *board == PS_NO_ROW ? refuse_name("board", name, why) : PS_OK;
}

int ps_reader_pin(ps_reader *r, uint32_t row, ps_pin *pin)
{
    return ps_pins_get(r->pins, row, pin);
}

int ps_reader_board(ps_reader *r, uint32_t board, ps_text *name)
{
    return ps_pins_board_name(r->pins, board, name);
}

size_t ps_reader_suggest(ps_reader *r, ps_text id, ps_text *out, size_t max)
{
    return ps_pins_suggest(r->pins, id.data, id.len, out, max);
}

/* ------------------------------ The filter --------------------------------- */

static int compare_rows(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static int make_filter(filter *f, ps_reader *r, const ps_related *q, ps_why *why)
{
    f->graph = &r->e->g->graph;
    f->board = PS_NO_ROW;
    f->n_hidden = 0;
    if (q->n_exclude > PS_EXCLUDE_MAX)
        return ps_fail(why, PS_ERANGE, NULL, 0, "more than %d excluded pins",
                       PS_EXCLUDE_MAX);
    int err = ps_reader_find_pin(r, q->pin, &f->query, why);
    if (!err && q->board.data)
        err = ps_reader_find_board(r, q->board, &f->board, why);
    for (uint32_t i = 0; i < q->n_exclude && !err; i++) {
        uint32_t row;
        if (!ps_reader_find_pin(r, q->exclude[i], &row, NULL))
            f->hidden[f->n_hidden++] = row;
    }
    qsort(f->hidden, f->n_hidden, sizeof *f->hidden, compare_rows);
    return err;
}

static int is_hidden(const filter *f, uint32_t row)
{
    return row == f->query || (f->n_hidden && bsearch(&row, f->hidden, f->n_hidden,
                                                      sizeof row, compare_rows));
}

static int skip(void *cls, uint32_t row)
{
    const filter *f = cls;
    return is_hidden(f, row) ||
           (f->board != PS_NO_ROW && !ps_csr_has(&f->graph->pin_boards, row, f->board));
}

/* ------------------------------ By vector ---------------------------------- */

static float norm_of(const float *v, uint64_t dim)
{
    float sum = 0;
    for (uint64_t i = 0; i < dim; i++)
        sum += v[i] * v[i];
    return sqrtf(sum);
}

/* Scores of the board's pins, one by one. */
static uint32_t scan_board(ps_reader *r, const method *m, filter *f, uint32_t k)
{
    const ps_csr *boards = &f->graph->board_pins;
    const uint32_t *row = ps_csr_row(boards, f->board);
    uint32_t n = ps_csr_degree(boards, f->board), kept = 0;
    ps_rows rows = {m->array->data, m->array->cols, m->array->dtype == PS_F16};
    ps_dot_list(r->query, rows, row, n, r->dots);
    float scale = m->cosine ? 1 / norm_of(r->query, rows.dim) : 1;
    for (uint32_t i = 0; i < n; i++) {
        ps_scored x = {row[i], r->dots[i] * scale};
        float square = 1;
        if (is_hidden(f, x.row))
            continue;
        if (m->cosine)
            ps_dot_squares(rows, x.row, 1, &square);
        x.score = square > 0 ? x.score / sqrtf(square) : 0;
        kept = engine_keep(r->found, kept, k, x);
    }
    return kept;
}

static int rank_by_vector(ps_reader *r, const method *m, filter *f, uint32_t k,
                          ps_ranking *out, ps_why *why)
{
    ps_npy_row_f32(m->array, f->query, r->query);
    out->n = 0;
    if (!(norm_of(r->query, m->array->cols) > 0))
        return PS_OK; /* no such content: the caller falls back */
    out->source = PS_STORED;
    if (f->board != PS_NO_ROW &&
        ps_csr_degree(&f->graph->board_pins, f->board) <= BOARD_SCAN) {
        out->n = scan_board(r, m, f, k);
        return PS_OK;
    }
    if (m->indexed)
        return ps_ann_search(r->e->ann, r->query, k, skip, f, r->found, &out->n, why);
    return ps_exact_search(m->array, m->cosine, r->query, k, skip, f, r->found, &out->n);
}

/* ------------------------------ By the blend ------------------------------- */

static int blend_of(ps_reader *r, ps_blend **blend, ps_why *why)
{
    const ps_npy *z = &r->e->g->embeddings;
    ps_blend_source source = {.g = r->e->g, .z = {z->data, z->cols, z->dtype == PS_F16}};
    int err = PS_OK;
    if (!r->near)
        r->near = malloc(ENGINE_BLEND * sizeof *r->near);
    if (!r->near)
        return PS_ENOMEM;
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
        if (!skip(f, list[i].row))
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

/* One search of the index and one walk; the walk's pins are filtered after ranking. */
static int rank_by_blend(ps_reader *r, const method *m, filter *f, uint32_t k,
                         ps_ranking *out, ps_why *why)
{
    ps_blend *blend;
    ps_pin pin;
    uint32_t near = 0, found = 0, first = r->e->blend.candidates;
    int err = blend_of(r, &blend, why);
    ps_npy_row_f32(m->array, f->query, r->query);
    if (err || !(norm_of(r->query, m->array->cols) > 0))
        return err;
    err = ps_ann_search(r->e->ann, r->query, k > first ? k : first, skip, f, r->near,
                        &near, why);
    if (!err)
        err = ps_pins_get(r->pins, f->query, &pin);
    if (err)
        return err;
    uint64_t seed = ps_pin_seed(WALK_SEED, pin.id.data, pin.id.len);
    err = ps_blend_related(blend, f->query, seed, r->near, near, r->found, 2 * first,
                           &found);
    if (err)
        return err;
    found = keep_shown(r->found, found, k, f);
    out->n = add_rest(r, found, k, near);
    out->source = PS_COMPUTED;
    return PS_OK;
}

/* ------------------------------ By walks and popularity -------------------- */

static int walker_of(ps_reader *r, unsigned kind, ps_pixie **walk)
{
    int err = PS_OK;
    ps_pixie_opts opts = PS_PIXIE_DEFAULTS;
    opts.steps = WALK_STEPS;
    opts.correction = kind == WALK_CORRECTED ? 0.5f : 0;
    if (!r->walk[kind])
        err = ps_pixie_new(&r->walk[kind], &r->e->g->graph, opts);
    *walk = r->walk[kind];
    return err;
}

static int rank_by_walk(ps_reader *r, unsigned kind, filter *f, uint32_t k,
                        ps_ranking *out)
{
    ps_pixie *walk;
    ps_pin pin;
    int err = walker_of(r, kind, &walk);
    if (!err)
        err = ps_pins_get(r->pins, f->query, &pin);
    if (err)
        return err;
    ps_pixie_query q = {f->query, 1, ps_pin_seed(WALK_SEED, pin.id.data, pin.id.len)};
    uint32_t found = 0;
    uint32_t max = f->board == PS_NO_ROW ? k + f->n_hidden + 1 : WALK_STEPS;
    err = ps_pixie_related(walk, &q, 1, r->found, max, &found, NULL);
    out->n = err ? 0 : keep_shown(r->found, found, k, f);
    out->source = PS_COMPUTED;
    return err;
}

static int rank_by_popularity(ps_reader *r, filter *f, uint32_t k, ps_ranking *out)
{
    const ps_scored *list;
    uint32_t n_list, n = 0;
    out->source = PS_STORED;
    if (f->board != PS_NO_ROW) {
        const uint32_t *row = ps_csr_row(&f->graph->board_pins, f->board);
        for (uint32_t i = 0; i < ps_csr_degree(&f->graph->board_pins, f->board); i++) {
            float score = (float)ps_csr_degree(&f->graph->pin_boards, row[i]);
            if (!is_hidden(f, row[i]))
                n = engine_keep(r->found, n, k, (ps_scored){row[i], score});
        }
        out->n = n;
        return PS_OK;
    }
    int err = engine_popular(r->e, &list, &n_list);
    for (uint32_t i = 0; i < n_list && n < k && !err; i++)
        if (!is_hidden(f, list[i].row))
            r->found[n++] = list[i];
    out->n = n;
    return err;
}

/* ------------------------------ Ranking ------------------------------------ */

static int rank(ps_reader *r, const method *m, filter *f, uint32_t k, ps_ranking *out,
                ps_why *why)
{
    out->method = m->name;
    if (m->kind == BY_VECTOR)
        return rank_by_vector(r, m, f, k, out, why);
    if (m->kind == BY_BLEND)
        return rank_by_blend(r, m, f, k, out, why);
    if (m->kind == BY_WALK)
        return rank_by_walk(r, m->walk, f, k, out);
    return rank_by_popularity(r, f, k, out);
}

/* What the wished method cannot answer, walks can, and at last popularity. */
static int fall_back(ps_reader *r, const method *asked, filter *f, uint32_t k,
                     ps_ranking *out, ps_why *why)
{
    static const char *const ladder[] = {"pixie", "popular"};
    for (unsigned i = asked->kind == BY_WALK; i < 2; i++) {
        const method *m =
            engine_find_method(r->e, (ps_text){ladder[i], strlen(ladder[i])});
        int err = rank(r, m, f, k, out, why);
        out->source = PS_FALLBACK;
        if (err || out->n)
            return err;
    }
    return PS_OK;
}

static int refuse_method(const ps_engine *e, ps_text name, ps_why *why)
{
    ps_buf list = {0};
    for (unsigned i = 0; i < e->n_methods; i++)
        ps_buf_printf(&list, "%s%s", i ? ", " : "", e->methods[i].name);
    int err = ps_fail(why, PS_EINVAL, NULL, 0, "no method \"%.*s\"; there are %s",
                      (int)(name.len < 60 ? name.len : 60), name.data,
                      list.failed ? "others" : list.data);
    ps_buf_done(&list);
    return err;
}

int ps_reader_related(ps_reader *r, const ps_related *q, ps_ranking *out, ps_why *why)
{
    filter f;
    const method *m = engine_find_method(r->e, q->method);
    *out = (ps_ranking){.result = r->found};
    if (!m)
        return refuse_method(r->e, q->method, why);
    if (q->k < 1 || q->k > PS_K_MAX)
        return ps_fail(why, PS_ERANGE, NULL, 0, "k is not in 1..%d", PS_K_MAX);
    int err = make_filter(&f, r, q, why);
    if (err)
        return err;
    out->row = f.query;
    err = rank(r, m, &f, q->k, out, why);
    if (!err && !out->n && m->kind != BY_POPULARITY)
        err = fall_back(r, m, &f, q->k, out, why);
    return err;
}

int ps_reader_canary(ps_reader *r, ps_why *why)
{
    ps_pin pin;
    ps_ranking answer;
    int err = r->e->n_sample ? ps_pins_get(r->pins, r->e->sample[0], &pin) : PS_ENOENT;
    if (err)
        return ps_fail(why, err, r->e->g->dir, 0, "no pin to ask a test question about");
    ps_related q = {.pin = pin.id, .k = 10};
    err = ps_reader_related(r, &q, &answer, why);
    for (uint32_t i = 0; i < answer.n && !err; i++) {
        bool ordered = !i || answer.result[i].score <= answer.result[i - 1].score;
        if (!isfinite(answer.result[i].score) || !ordered)
            err = ps_fail(why, PS_EFORMAT, r->e->g->dir, 0,
                          "the answer to a test question makes no sense");
    }
    return err;
}
