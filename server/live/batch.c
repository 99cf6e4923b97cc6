/* batch.c - what each write comes to, given what stands.
 *
 * No two writes of a batch are of one pin, but for saves to different boards, so each is
 * judged by the state before the batch. Edges that a put takes away or brings are written
 * one by one, and absolutely (a board is "saved" or "not saved", never "as the generation
 * has it"): the store then means the same beside any generation.
 *
 * Threads: see batch.h.
 */
#include "server/live/batch.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RESERVE  ((size_t)1 << 20) /* bytes set aside for showing a batch */
#define SHARE    8                 /* and so many for each byte of it */
#define RETRY_US 1000

#include "pinsage/layout.h"

/* ------------------------------ What stands -------------------------------- */

static ps_standing look(const write_batch *g, ps_text pin)
{
    ps_standing now = {.v = g->views->view, .base = ps_view_base(g->views->view)};
    ps_view_newest(now.v, &now.s);
    now.row = ps_view_pin_row(now.v, &now.s, now.base, pin);
    now.lsn = now.row == PS_NO_ROW ? 0 : ps_view_lsn(now.v, &now.s, now.row);
    return now;
}

static int check_match(ps_write *w, const ps_standing *now)
{
    bool there = now->row != PS_NO_ROW;
    if (w->match == PS_MATCH_ANY || (there && w->match == PS_MATCH_THERE) ||
        (there && w->match == PS_MATCH_LSN && w->match_lsn == now->lsn))
        return PS_OK;
    return ps_fail(&w->why, PS_EMISMATCH, NULL, 0, "the pin is %s",
                   there ? "another version than If-Match wants" : "not there");
}

static int refuse_missing(ps_write *w)
{
    return ps_fail(&w->why, PS_ENOENT, NULL, 0, "there is no pin \"%.*s\"",
                   (int)(w->pin.len < 100 ? w->pin.len : 100), w->pin.data);
}

/* ------------------------------ Gathering ---------------------------------- */

static int gather_edge(write_batch *g, pending_write *m, ps_text pin, ps_text board,
                       bool saved)
{
    ps_store_edge edge = {.pin = pin, .board = board, .time = g->time, .saved = saved};
    change *c = ps_arena_alloc(&g->arena, sizeof *c);
    if (!c)
        return PS_ENOMEM;
    *c = (change){.pin = pin, .board = board, .saved = saved};
    *m->last = c;
    m->last = &c->next;
    int err = ps_store_put_edge(g->store, &edge, &c->lsn, &m->w->why);
    if (!err)
        m->w->lsn = c->lsn; /* the pin's version is that of the last change */
    return err;
}

static int by_text(const void *a, const void *b)
{
    const ps_text *x = a, *y = b;
    size_t n = x->len < y->len ? x->len : y->len;
    int order = n ? memcmp(x->data, y->data, n) : 0;
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* The boards a put names, sorted, each once. */
static ps_text *sort_boards(write_batch *g, const ps_content *c, uint32_t *n)
{
    ps_text *list = ps_arena_alloc(&g->arena, (c->n_boards + 1u) * sizeof *list);
    *n = 0;
    if (!list)
        return NULL;
    if (c->n_boards)
        memcpy(list, c->board, c->n_boards * sizeof *list);
    qsort(list, c->n_boards, sizeof *list, by_text);
    for (uint32_t i = 0; i < c->n_boards; i++)
        if (!*n || by_text(&list[*n - 1], &list[i]))
            list[(*n)++] = list[i];
    return list;
}

static int gather_taken(write_batch *g, pending_write *m, const ps_standing *now,
                        const ps_text *wanted, uint32_t n)
{
    uint32_t degree = ps_graph_degree(&now->s.graph, PS_PINS, now->row);
    int err = PS_OK;
    for (uint32_t i = 0; i < degree && !err; i++) {
        ps_text name;
        err = ps_view_board_name(
            now->v, now->base, ps_graph_edge(&now->s.graph, PS_PINS, now->row, i), &name);
        if (!err && (!n || !bsearch(&name, wanted, n, sizeof name, by_text)))
            err = gather_edge(g, m, m->w->pin, name, false);
    }
    return err;
}

static bool is_saved(const ps_standing *now, ps_text board)
{
    uint32_t number = ps_view_board_number(now->v, &now->s, now->base, board);
    return now->row != PS_NO_ROW && number != PS_NO_ROW &&
           ps_graph_has(&now->s.graph, now->row, number);
}

/* A list tells at most so many boards: of a pin that is on more it would take away some
 * that whoever wrote it cannot have named. (None at all is no part of them.) */
static int check_boards(ps_write *w, const ps_standing *now)
{
    uint32_t degree =
        now->row == PS_NO_ROW ? 0 : ps_graph_degree(&now->s.graph, PS_PINS, now->row);
    if (degree <= PS_BOARDS_MAX || !w->content.n_boards)
        return PS_OK;
    return ps_fail(&w->why, PS_EINVAL, NULL, 0,
                   "boards: the pin is on %u, more than the %d that a list may have: "
                   "leave them out, and save and take away single ones by "
                   "/boards/{board}/pins/{pin}",
                   degree, PS_BOARDS_MAX);
}

static int gather_boards(write_batch *g, pending_write *m, const ps_standing *now)
{
    uint32_t n;
    const ps_text *wanted = sort_boards(g, &m->w->content, &n);
    int err = wanted ? check_boards(m->w, now) : PS_ENOMEM;
    if (!err && now->row != PS_NO_ROW)
        err = gather_taken(g, m, now, wanted, n);
    for (uint32_t i = 0; i < n && !err; i++)
        if (!is_saved(now, wanted[i]))
            err = gather_edge(g, m, m->w->pin, wanted[i], true);
    return err;
}

static int gather_put(write_batch *g, pending_write *m, const ps_standing *now)
{
    ps_write *w = m->w;
    const ps_content *c = &m->edited.content;
    ps_store_feature feature[PS_VECTORS_MAX];
    int err = ps_edit(now, g->store, w, &g->arena, &m->edited, &w->why);
    if (err)
        return err;
    for (uint32_t i = 0; i < c->n_features; i++)
        feature[i] = (ps_store_feature){c->feature[i].name, c->feature[i].dim,
                                        c->feature[i].value};
    ps_store_pin pin = {.id = w->pin,
                        .time = g->time,
                        .title = c->title,
                        .text = c->text,
                        .image = c->image,
                        .n_meta = m->edited.n_meta,
                        .meta = m->edited.meta,
                        .n_features = c->n_features,
                        .features = feature};
    m->puts = true;
    w->changed = w->kind == PS_WRITE_PATCH || now->row == PS_NO_ROW;
    err = ps_store_put_pin(g->store, &pin, &w->lsn, &w->why);
    return err || w->boards == PS_KEEP ? err : gather_boards(g, m, now);
}

static int gather_save(write_batch *g, pending_write *m, const ps_standing *now,
                       bool saved)
{
    ps_write *w = m->w;
    if (now->row == PS_NO_ROW)
        return refuse_missing(w);
    w->lsn = now->lsn;
    w->changed = is_saved(now, w->board) != saved;
    return w->changed ? gather_edge(g, m, w->pin, w->board, saved) : PS_OK;
}

static int gather(write_batch *g, pending_write *m)
{
    ps_write *w = m->w;
    m->last = &m->changes;
    m->changes = NULL;
    if (w->kind == PS_WRITE_VOTE)
        return ps_store_put_vote(g->store, w->json, &w->lsn, &w->why);
    ps_standing now = look(g, w->pin);
    int err = check_match(w, &now);
    if (err)
        return err;
    switch (w->kind) {
    case PS_WRITE_PUT:
        return gather_put(g, m, &now);
    case PS_WRITE_PATCH:
        return now.row == PS_NO_ROW ? refuse_missing(w) : gather_put(g, m, &now);
    case PS_WRITE_DELETE:
        if (now.row == PS_NO_ROW)
            return refuse_missing(w);
        m->drops = w->changed = true;
        return ps_store_drop_pin(g->store, w->pin, g->time, &w->lsn, &w->why);
    default:
        return gather_save(g, m, &now, w->kind == PS_WRITE_SAVE);
    }
}

/* One that cannot be gathered may have left half of itself: the others are gathered once
 * more without it. One that only does not fit beside the others waits for another batch,
 * with all behind it. */
static void gather_all(write_batch *g)
{
    for (uint32_t i = 0; i < g->n; i++) {
        ps_write *w = g->pending[i].w;
        if (w->err)
            continue;
        size_t before = ps_store_gathered(g->store);
        w->err = gather(g, &g->pending[i]);
        if (w->err == PS_ERANGE && before) {
            w->err = PS_OK;
            w->why = (ps_why){0};
            g->n = i;
        } else if (!w->err) {
            continue;
        }
        if (ps_store_gathered(g->store) == before)
            continue;
        ps_store_abort(g->store);
        i = UINT32_MAX; /* from the first again */
    }
}

/* ------------------------------ Showing ------------------------------------ */

static void refuse_all(write_batch *g)
{
    for (uint32_t i = 0; i < g->n; i++)
        g->pending[i].w->err =
            ps_fail(&g->pending[i].w->why, PS_EBUSY, NULL, 0,
                    "no generation is served that could be written to");
}

/* What is durable has to be shown. Memory for it is set aside before the commit, and
 * given back for this; should others have taken it meanwhile, it is waited for: each of
 * these steps may be done again. Reads go on. Any other error breaks an invariant: then a
 * fresh start reads what is durable from the store. */
static bool again(int err)
{
    if (err && err != PS_ENOMEM)
        abort();
    if (err)
        usleep(RETRY_US);
    return err;
}

static void show_graph(ps_live_view *l, const pending_write *m, double time)
{
    const ps_write *w = m->w;
    uint32_t row;
    const ps_content *c = &m->edited.content;
    ps_row_state state = {.lsn = w->lsn,
                          .time = time,
                          .title = c->title,
                          .text = c->text,
                          .image = c->image,
                          .n_meta = m->edited.n_meta,
                          .meta = m->edited.meta};
    ps_embedding_told(l->embedding, c, &state);
    if (m->puts)
        while (again(ps_view_put_pin(l->view, w->pin, &state, false, &row)))
            ;
    if (m->drops)
        while (again(ps_view_delete_pin(l->view, w->pin, w->lsn, time, &row)))
            ;
    for (const change *e = m->changes; e; e = e->next)
        while (again(ps_view_put_edge(l->view, e->pin, e->board, e->saved, e->lsn, &row)))
            ;
}

/* Content, once the edges are there; returns the row of a pin to be embedded. */
static uint32_t show_content(write_batch *g, ps_live_view *l, const pending_write *m)
{
    uint32_t row = ps_view_row_of(l->view, m->w->pin);
    if (row == PS_NO_ROW)
        return row;
    if (m->drops)
        ps_embedding_drop(l->embedding, row);
    if (m->drops || m->puts)
        ps_view_settle(l->view, row);
    if (m->puts) {
        while (again(ps_embedding_content(l->embedding, row, &m->edited.content)))
            ;
        return row;
    }
    while (m->changes && again(ps_live_view_touch(l, row, g->time)))
        ;
    return PS_NO_ROW;
}

static void show(write_batch *g, ps_live_view *l, uint32_t *row)
{
    uint32_t n = 0;
    ps_view_begin(l->view);
    for (uint32_t i = 0; i < g->n; i++)
        if (!g->pending[i].w->err)
            show_graph(l, &g->pending[i], g->time);
    ps_view_publish(l->view);
    for (uint32_t i = 0; i < g->n; i++) {
        const pending_write *m = &g->pending[i];
        row[n] =
            m->w->err || m->w->kind == PS_WRITE_VOTE ? PS_NO_ROW : show_content(g, l, m);
        n += row[n] != PS_NO_ROW;
    }
    while (again(ps_embedding_rows(l->embedding, row, n)))
        ;
    ps_view_begin(l->view); /* with the vectors, answers are others again */
    ps_view_publish(l->view);
    l->lsn = ps_store_lsn(g->store);
}

/* Those of the store, and those that compactions have put into the generation. */
static void count_votes(write_batch *g)
{
    ps_store_counts counts;
    bool any = false;
    for (uint32_t i = 0; i < g->n; i++)
        any = any || g->pending[i].w->kind == PS_WRITE_VOTE;
    if (!any || !g->views || ps_store_count(g->store, &counts, NULL))
        return;
    const ps_generation *base = ps_view_generation(g->views->view);
    uint64_t compacted = ps_manifest_u64(base->manifest, PS_KEY_COUNT_VOTES, 0);
    for (uint32_t i = 0; i < g->n; i++)
        g->pending[i].w->votes = counts.votes + compacted;
}

/* Commit, if the memory is there that showing will need; *row is part of it. */
static int commit(write_batch *g, uint32_t **row, ps_why *why)
{
    size_t gathered = ps_store_gathered(g->store);
    *row = ps_arena_alloc(&g->arena, (g->n + 1u) * sizeof **row);
    char *reserve = malloc(RESERVE + SHARE * gathered);
    int err = *row && reserve ? PS_OK : PS_ENOMEM;
    if (err) {
        ps_store_abort(g->store);
        ps_fail(why, err, NULL, 0, "no memory to show what would be written");
    } else if (gathered) {
        err = ps_store_commit(g->store, why);
    }
    free(reserve);
    return err;
}

int ps_batch_run(write_batch *g)
{
    ps_why why = {0};
    uint32_t *row;
    if (!g->views)
        refuse_all(g);
    gather_all(g);
    int err = commit(g, &row, &why);
    for (uint32_t i = 0; i < g->n && err; i++)
        if (!g->pending[i].w->err) {
            g->pending[i].w->err = err;
            g->pending[i].w->why = why;
        }
    for (ps_live_view *l = g->views; l && !err; l = l->next)
        show(g, l, row);
    count_votes(g);
    ps_arena_reset(&g->arena);
    return err;
}
