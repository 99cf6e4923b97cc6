/* engine_reader.c - one thread's way into the engine: lookups, filters, one ranking.
 *
 * A ranking leaves out the query pin, excluded pins, pins that are gone, and pins that
 * are not on a board that was asked for.
 *
 * Threads: a reader belongs to one thread.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/clock.h"
#include "server/engine/engine_inside.h"

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
    r->rows = malloc(BOARD_SCAN * sizeof *r->rows);
    r->found = malloc(WALK_STEPS * sizeof *r->found);
    r->near = malloc((ENGINE_BLEND + PS_K_MAX) * sizeof *r->near);
    int err = r->query && r->rows && r->found && r->near ? PS_OK : PS_ENOMEM;
    if (!err)
        err = ps_pins_reader_new(&r->pins, e->g->pins);
    if (!err)
        err = ps_view_join(e->live.view, &r->slot);
    if (err) {
        ps_reader_free(r);
        return err;
    }
    ps_reader_begin(r);
    *out = r;
    return PS_OK;
}

void ps_reader_free(ps_reader *r)
{
    if (!r)
        return;
    ps_reader_end(r);
    ps_epoch_leave(r->slot);
    for (int i = 0; i < WALK_KINDS; i++)
        ps_pixie_free(r->walk[i]);
    ps_blend_free(r->blend);
    ps_embedder_free(r->embedder);
    free(r->unstored);
    free(r->near);
    free(r->rows);
    ps_pins_reader_free(r->pins);
    free(r->query);
    free(r->found);
    ps_engine_release(r->e);
    free(r);
}

ps_engine *ps_reader_engine(const ps_reader *r)
{
    return r->e;
}

uint32_t ps_reader_sample(ps_reader *r, const uint32_t **rows)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->e->n_sample; i++)
        if (ps_view_alive(r->e->live.view, &r->snap, r->e->sample[i]))
            r->rows[n++] = r->e->sample[i];
    *rows = r->rows;
    return n;
}

void ps_reader_begin(ps_reader *r)
{
    ps_reader_end(r);
    ps_view_enter(r->e->live.view, r->slot, &r->snap);
    r->begun = true;
}

void ps_reader_end(ps_reader *r)
{
    if (r->begun)
        ps_epoch_exit(r->slot);
    r->begun = false;
}

uint64_t ps_reader_lsn(const ps_reader *r, uint32_t row)
{
    return ps_view_lsn(r->e->live.view, &r->snap, row);
}

ps_view_identity ps_reader_identity(const ps_reader *r)
{
    return ps_view_identify(r->e->live.view, &r->snap);
}

bool ps_reader_settled(const ps_reader *r)
{
    return ps_view_settled(r->e->live.view, &r->snap);
}

const ps_graph *ps_reader_graph(const ps_reader *r)
{
    return &r->snap.graph;
}

/* ------------------------------ Lookups ------------------------------------ */

static int refuse_name(const char *kind, ps_text name, ps_why *why)
{
    return ps_fail(why, PS_ENOENT, NULL, 0, "there is no %s \"%.*s\"", kind,
                   (int)(name.len < 100 ? name.len : 100), name.data);
}

int ps_reader_find_pin(ps_reader *r, ps_text id, uint32_t *row, ps_why *why)
{
    *row = ps_view_pin_row(r->e->live.view, &r->snap, r->pins, id);
    return *row == PS_NO_ROW ? refuse_name("pin", id, why) : PS_OK;
}

int ps_reader_find_board(ps_reader *r, ps_text name, uint32_t *board, ps_why *why)
{
    *board = ps_view_board_number(r->e->live.view, &r->snap, r->pins, name);
    return *board == PS_NO_ROW ? refuse_name("board", name, why) : PS_OK;
}

int ps_reader_pin(ps_reader *r, uint32_t row, ps_pin *pin)
{
    return ps_view_pin(r->e->live.view, &r->snap, r->pins, row, pin);
}

void ps_reader_expect(ps_reader *r, const ps_scored *list, uint32_t n)
{
    uint32_t row[64];
    for (uint32_t i = 0; i < n;) {
        uint32_t m = 0;
        while (i < n && m < 64)
            row[m++] = list[i++].row;
        ps_pins_prefetch(r->pins, row, m);
    }
}

void ps_engine_unfit(ps_engine *e, ps_unfit *out)
{
    ps_reader *r;
    *out = (ps_unfit){0};
    if (!ps_view_count(e->live.view).unfit || ps_reader_new(&r, e))
        return;
    ps_view_unfit(e->live.view, &r->snap, r->pins, out);
    ps_reader_free(r);
}

int ps_reader_board(ps_reader *r, uint32_t board, ps_text *name)
{
    return ps_view_board_name(r->e->live.view, r->pins, board, name);
}

size_t ps_reader_suggest(ps_reader *r, ps_text id, ps_text *out, size_t max)
{
    return ps_view_suggest(r->e->live.view, &r->snap, r->pins, id, out, max);
}

/* ------------------------------ The filter --------------------------------- */

static int compare_rows(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

void engine_filter_begin(filter *f, const ps_reader *r)
{
    f->r = r;
    f->delta = NULL;
    f->n_hidden = f->n_boards = 0;
    f->wider = NULL;
}

void engine_hide(filter *f, uint32_t row)
{
    if (f->n_hidden < HIDDEN_MAX)
        f->hidden[f->n_hidden++] = row;
}

void engine_filter_ready(filter *f)
{
    qsort(f->hidden, f->n_hidden, sizeof *f->hidden, compare_rows);
}

int engine_hide_all(filter *f, ps_reader *r, const ps_text *list, uint32_t n, ps_why *why)
{
    if (n > PS_EXCLUDE_MAX)
        return ps_fail(why, PS_ERANGE, NULL, 0, "more than %d excluded pins",
                       PS_EXCLUDE_MAX);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row;
        if (!ps_reader_find_pin(r, list[i], &row, NULL))
            engine_hide(f, row);
    }
    return PS_OK;
}

static int make_filter(filter *f, ps_reader *r, const ps_related *q, uint32_t *row,
                       ps_why *why)
{
    engine_filter_begin(f, r);
    int err = ps_reader_find_pin(r, q->pin, row, why);
    if (!err && q->board.data)
        err = ps_reader_find_board(r, q->board, &f->board[f->n_boards++], why);
    if (!err)
        err = engine_hide_all(f, r, q->exclude, q->n_exclude, why);
    engine_hide(f, *row);
    engine_filter_ready(f);
    return err;
}

bool engine_hidden(const filter *f, uint32_t row)
{
    return !ps_view_alive(f->r->e->live.view, &f->r->snap, row) ||
           (f->n_hidden &&
            bsearch(&row, f->hidden, f->n_hidden, sizeof row, compare_rows));
}

bool engine_passes(void *cls, uint32_t row)
{
    const filter *f = cls;
    bool on_board = !f->n_boards;
    if (engine_hidden(f, row))
        return false;
    for (uint32_t i = 0; i < f->n_boards && !on_board; i++)
        on_board = ps_graph_has(&f->r->snap.graph, row, f->board[i]);
    return on_board;
}

/* ------------------------------ Ranking ------------------------------------ */

/* All walks, or fewer when time is short; *n is 0 when there is not even time for those.
 */
static int rank_by_walk(ps_reader *r, unsigned kind, uint32_t row, filter *f, uint32_t k,
                        ps_ranking *out)
{
    ps_pixie_query q = {.row = row, .weight = 1};
    uint64_t since = ps_now_ns();
    bool full = engine_fits(r, WALK_FULL);
    int err = engine_seed(r, row, &q.seed);
    if (err || (!full && !engine_fits(r, WALK_FEW)))
        return err;
    out->source = PS_COMPUTED;
    out->degraded = full ? PS_DEGRADED_FULL : PS_DEGRADED_WALKS;
    err = engine_by_walk(r, full ? kind : WALK_SHORT, &q, 1, f, k, &out->n);
    engine_took(r, full ? WALK_FULL : WALK_FEW, since);
    r->spent.walk = (double)(ps_now_ns() - since) * 1e-9;
    return err;
}

/* Nothing when there is no such content, or no time for a search. */
static int rank_by_vector(ps_reader *r, const method *m, uint32_t row, filter *f,
                          uint32_t k, ps_ranking *out, ps_why *why)
{
    uint64_t since = ps_now_ns();
    bool indexed = m->indexed && !f->n_boards;
    if (!engine_load_query(r, m, row, &out->source) ||
        (indexed && !engine_fits(r, SEARCH)))
        return PS_OK;
    int err = engine_by_vector(r, m, f, k, &out->n, why);
    if (indexed)
        engine_took(r, SEARCH, since);
    r->spent.search = (double)(ps_now_ns() - since) * 1e-9;
    return err;
}

static int rank(ps_reader *r, const method *m, uint32_t row, filter *f, uint32_t k,
                ps_ranking *out, ps_why *why)
{
    out->method = m->name;
    out->n = 0;
    switch (m->kind) {
    case BY_VECTOR:
        return rank_by_vector(r, m, row, f, k, out, why);
    case BY_BLEND:
        return engine_by_blend(r, m, row, f, k, out, why);
    case BY_WALK:
        return rank_by_walk(r, m->walk, row, f, k, out);
    default:
        out->source = PS_STORED;
        return engine_by_popularity(r, f, k, &out->n);
    }
}

/* What the method asked for cannot answer, walks can, and at last popularity. */
static int fall_back(ps_reader *r, const method *asked, uint32_t row, filter *f,
                     uint32_t k, ps_ranking *out, ps_why *why)
{
    static const char *const levels[] = {"pixie", "popular"};
    bool hurried = r->deadline && (asked->kind == BY_WALK || !engine_fits(r, SEARCH));
    for (unsigned i = asked->kind == BY_WALK; i < 2; i++) {
        const method *m = engine_find_method(r->e, ps_text_of(levels[i]));
        int err = rank(r, m, row, f, k, out, why);
        out->source = PS_FALLBACK;
        if (hurried)
            out->degraded = i ? PS_DEGRADED_POPULAR : PS_DEGRADED_PIXIE;
        if (err || out->n)
            return err;
    }
    return PS_OK;
}

/* Does ranking take more than one search of the index? */
static bool is_long(const ps_reader *r, const method *m, const filter *f)
{
    if (m->kind != BY_VECTOR)
        return true;
    if (f->n_boards)
        return ps_graph_degree(&r->snap.graph, PS_BOARDS, f->board[0]) > BOARD_SCAN;
    return !m->indexed;
}

int ps_reader_related(ps_reader *r, const ps_related *q, ps_ranking *out, ps_why *why)
{
    filter f;
    const method *m = engine_find_method(r->e, q->method);
    *out = (ps_ranking){.result = r->found};
    if (!m)
        return engine_refuse_method(r->e, q->method, why);
    if (q->k < 1 || q->k > PS_K_MAX)
        return ps_fail(why, PS_ERANGE, NULL, 0, "k is not in 1..%d", PS_K_MAX);
    int err = make_filter(&f, r, q, &out->row, why);
    if (err)
        return err;
    out->later = q->quick && (q->explain || is_long(r, m, &f));
    if (out->later)
        return PS_OK;
    r->spent = (ps_stages_spent){0};
    f.wider = q->quick ? &out->later : NULL;
    err = rank(r, m, out->row, &f, q->k, out, why);
    if (err || out->later || out->n || m->kind == BY_POPULARITY)
        return err;
    out->later = q->quick;
    return out->later ? PS_OK : fall_back(r, m, out->row, &f, q->k, out, why);
}

/* A vector of NaNs would pass for none at all, and be answered by walks. */
static int check_vectors(ps_reader *r, const uint32_t *row, uint32_t n, ps_why *why)
{
    const method *m = &r->e->methods[0];
    for (uint32_t i = 0; i < n && m->array; i++) {
        const float *v = engine_vector(r, m, row[i], r->query);
        for (uint64_t j = 0; j < m->array->cols; j++)
            if (!isfinite(v[j]))
                return ps_fail(why, PS_EFORMAT, r->e->g->dir, 0,
                               "a test question found a vector that is no number");
    }
    return PS_OK;
}

int ps_reader_canary(ps_reader *r, ps_why *why)
{
    ps_pin pin;
    ps_ranking answer;
    const uint32_t *row;
    uint32_t n = ps_reader_sample(r, &row);
    if (!n)
        return r->e->n_sample ? PS_OK /* all of them were deleted since */
                              : ps_fail(why, PS_ENOENT, r->e->g->dir, 0,
                                        "no pin to ask a test question about");
    int err = check_vectors(r, row, n, why);
    if (!err)
        err = ps_reader_pin(r, row[0], &pin);
    if (err)
        return err;
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
