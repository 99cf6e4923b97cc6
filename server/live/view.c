/* view.c - names, states, edges and vectors under one epoch.
 *
 * Threads: see view.h.
 */
#include "server/live/view_inside.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Which operation changed the boards of a row. */
typedef struct edged {
    ps_retired retired;
    uint64_t version, lsn;
    struct edged *older;
} edged;

typedef struct touched {
    ps_retired retired;
    _Atomic uint32_t changes;
    double since;
} touched;

/* ------------------------------ Lifetime ----------------------------------- */

static int make_delta(ps_view *v, uint32_t message_bytes)
{
    const ps_generation *g = v->g;
    ps_delta_index_opts opts = {.dim = (uint32_t)g->embeddings.cols,
                                .extra = message_bytes,
                                .base_rows = g->n_pins};
    int err =
        g->embeddings.rows ? ps_delta_index_new(&v->embeddings, opts, v->epoch) : PS_OK;
    opts.extra = 0;
    opts.cosine = true;
    for (uint32_t b = 0; b < g->n_blocks && b < PS_BLOCKS_MAX && !err; b++) {
        opts.dim = (uint32_t)g->blocks[b].array.cols;
        err = ps_delta_index_new(&v->block[b], opts, v->epoch);
    }
    return err;
}

int ps_view_new(ps_view **out, ps_generation *g, uint32_t message_bytes, ps_why *why)
{
    ps_view *v = calloc(1, sizeof *v);
    if (!v)
        return ps_fail(why, PS_ENOMEM, g->dir, 0, "no memory for live pins");
    v->g = ps_generation_acquire(g);
    v->version = FIRST_VERSION;
    v->next = FIRST_VERSION + 1;
    v->identity = ps_manifest_identity(g->manifest);
    int err = ps_epoch_new(&v->epoch, v->version);
    if (!err && getrandom(&v->number, sizeof v->number, 0) != sizeof v->number)
        err = PS_EIO;
    if (!err)
        err = ps_names_new(&v->pins, g->n_pins, v->epoch);
    if (!err)
        err = ps_names_new(&v->boards, g->n_boards, v->epoch);
    if (!err)
        err = ps_overlay_new(&v->overlay, &g->graph, v->epoch);
    if (!err)
        err = ps_rowmap_init(&v->states, g->n_pins, v->epoch);
    if (!err)
        err = ps_rowmap_init(&v->edged, g->n_pins, v->epoch);
    if (!err)
        err = ps_rowmap_init(&v->stale, g->n_pins, v->epoch);
    if (!err)
        err = make_delta(v, message_bytes);
    if (!err)
        err = ps_pins_reader_new(&v->base, g->pins);
    if (err) {
        ps_view_free(v);
        return ps_fail(why, err, g->dir, 0, "no memory for live pins");
    }
    *out = v;
    return PS_OK;
}

static void free_value(void *cls, uint32_t row, void *value)
{
    (void)cls;
    (void)row;
    free(value); /* those behind it are retired */
}

void ps_view_free(ps_view *v)
{
    if (!v)
        return;
    if (v->epoch) { /* nobody is left to see what was retired */
        ps_epoch_publish(v->epoch, v->next);
        ps_epoch_reclaim(v->epoch);
    }
    ps_rowmap *const maps[] = {&v->states, &v->edged, &v->stale};
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        if (maps[i]->bits)
            ps_rowmap_each(maps[i], free_value, NULL);
        ps_rowmap_done(maps[i]);
    }
    ps_delta_index_free(v->embeddings);
    for (uint32_t b = 0; b < PS_BLOCKS_MAX; b++)
        ps_delta_index_free(v->block[b]);
    ps_overlay_free(v->overlay);
    ps_names_free(v->pins);
    ps_names_free(v->boards);
    ps_pins_reader_free(v->base);
    ps_epoch_free(v->epoch); /* and all that was retired */
    ps_generation_release(v->g);
    free(v);
}

/* ------------------------------ Snapshots ---------------------------------- */

int ps_view_join(ps_view *v, ps_epoch_slot **slot)
{
    return ps_epoch_join(v->epoch, slot);
}

static void look(const ps_view *v, uint64_t version, ps_snapshot *s)
{
    *s = (ps_snapshot){version, ps_graph_view(&v->g->graph, v->overlay, version)};
}

void ps_view_enter(const ps_view *v, ps_epoch_slot *slot, ps_snapshot *s)
{
    look(v, ps_epoch_enter(slot), s);
}

uint64_t ps_view_next(const ps_view *v)
{
    return v->next;
}

uint64_t ps_view_version(const ps_view *v)
{
    return ps_epoch_version(v->epoch);
}

void ps_view_newest(const ps_view *v, ps_snapshot *s)
{
    look(v, v->version, s);
}

void ps_view_begin(ps_view *v)
{
    ps_overlay_begin(v->overlay, v->next);
}

void ps_view_publish(ps_view *v)
{
    v->version = v->next++;
    ps_overlay_commit(v->overlay);
    ps_epoch_publish(v->epoch, v->version);
    atomic_store(&v->unsettled, false); /* after the version: see ps_view_settled */
    ps_epoch_reclaim(v->epoch);
}

size_t ps_view_reclaim(ps_view *v)
{
    ps_epoch_reclaim(v->epoch);
    return ps_epoch_waiting(v->epoch);
}

/* ------------------------------ Who is who --------------------------------- */

ps_generation *ps_view_generation(const ps_view *v)
{
    return v->g;
}

ps_pins_reader *ps_view_base(const ps_view *v)
{
    return v->base;
}

const ps_row_state *ps_view_state(const ps_view *v, const ps_snapshot *s, uint32_t row)
{
    const ps_row_state *state = ps_rowmap_get(&v->states, row);
    while (state && state->version > s->version)
        state = state->older;
    return state;
}

bool ps_view_alive(const ps_view *v, const ps_snapshot *s, uint32_t row)
{
    const ps_row_state *state = ps_view_state(v, s, row);
    return state ? !state->dead : row < v->g->n_pins;
}

uint64_t ps_view_lsn(const ps_view *v, const ps_snapshot *s, uint32_t row)
{
    const ps_row_state *state = ps_view_state(v, s, row);
    const edged *e = ps_rowmap_get(&v->edged, row);
    while (e && e->version > s->version)
        e = e->older;
    if (!state && !e)
        return PS_STORED_IN | v->identity;
    uint64_t content = state ? state->lsn : 0, boards = e ? e->lsn : 0;
    return content > boards ? content : boards;
}

static uint32_t row_of(const ps_view *v, ps_pins_reader *base, ps_text id)
{
    if (id.len > PS_ID_MAX)
        return PS_NO_ROW;
    uint32_t row = ps_pins_row(base, id.data, id.len);
    return row == PS_NO_ROW ? ps_names_find(v->pins, id) : row;
}

uint32_t ps_view_row_of(const ps_view *v, ps_text id)
{
    return row_of(v, v->base, id);
}

uint32_t ps_view_pin_row(const ps_view *v, const ps_snapshot *s, ps_pins_reader *base,
                         ps_text id)
{
    uint32_t row = row_of(v, base, id);
    return row != PS_NO_ROW && ps_view_alive(v, s, row) ? row : PS_NO_ROW;
}

static uint32_t board_of(const ps_view *v, ps_pins_reader *base, ps_text name)
{
    if (name.len > PS_ID_MAX)
        return PS_NO_ROW;
    uint32_t board = ps_pins_board(base, name.data, name.len);
    return board == PS_NO_ROW ? ps_names_find(v->boards, name) : board;
}

uint32_t ps_view_board_number(const ps_view *v, const ps_snapshot *s,
                              ps_pins_reader *base, ps_text name)
{
    uint32_t board = board_of(v, base, name);
    if (board == PS_NO_ROW || board < v->g->n_boards ||
        ps_graph_degree(&s->graph, PS_BOARDS, board))
        return board;
    return PS_NO_ROW;
}

int ps_view_pin(const ps_view *v, const ps_snapshot *s, ps_pins_reader *base,
                uint32_t row, ps_pin *pin)
{
    const ps_row_state *state = ps_view_state(v, s, row);
    int err = PS_OK;
    *pin = (ps_pin){.id = ps_names_get(v->pins, row)};
    if (row < v->g->n_pins)
        err = ps_pins_get(base, row, pin);
    else if (!pin->id.data || !state)
        err = PS_ENOENT;
    if (err || !state)
        return err;
    *pin = (ps_pin){.id = pin->id,
                    .title = state->title,
                    .text = state->text,
                    .image = state->image,
                    .n_meta = state->n_meta,
                    .meta = state->meta.data};
    return PS_OK;
}

int ps_view_board_name(const ps_view *v, ps_pins_reader *base, uint32_t board,
                       ps_text *name)
{
    if (board < v->g->n_boards)
        return ps_pins_board_name(base, board, name);
    *name = ps_names_get(v->boards, board);
    return name->data ? PS_OK : PS_ENOENT;
}

uint32_t ps_view_rows(const ps_view *v)
{
    return ps_names_end(v->pins);
}

uint32_t ps_view_boards(const ps_view *v)
{
    return ps_names_end(v->boards);
}

/* ------------------------------ Vectors ------------------------------------ */

ps_delta_index *ps_view_embeddings(const ps_view *v)
{
    return v->embeddings;
}

ps_delta_index *ps_view_block(const ps_view *v, uint32_t block)
{
    return v->block[block];
}

ps_delta_index *ps_view_delta_of(const ps_view *v, const ps_npy *array)
{
    if (array == &v->g->embeddings)
        return v->embeddings;
    for (uint32_t b = 0; b < v->g->n_blocks && b < PS_BLOCKS_MAX; b++)
        if (array == &v->g->blocks[b].array)
            return v->block[b];
    return NULL;
}

ps_view_counts ps_view_count(const ps_view *v)
{
    ps_view_counts c = {.version = ps_view_version(v),
                        .pins = ps_view_rows(v) - v->g->n_pins,
                        .boards = ps_view_boards(v) - v->g->n_boards,
                        .dead = atomic_load(&v->dead),
                        .unfit = atomic_load(&v->unfit),
                        .edges = ps_overlay_count(v->overlay)};
    if (v->embeddings) {
        c.delta = ps_delta_index_size(v->embeddings);
        c.bytes = ps_delta_index_bytes(v->embeddings);
    }
    for (uint32_t b = 0; b < v->g->n_blocks && b < PS_BLOCKS_MAX; b++)
        c.bytes += ps_delta_index_bytes(v->block[b]);
    return c;
}

/* ------------------------------ Staleness ---------------------------------- */

bool ps_view_staleness(const ps_view *v, uint32_t row, ps_staleness *s)
{
    const touched *t = ps_rowmap_get(&v->stale, row);
    if (t)
        *s = (ps_staleness){atomic_load(&t->changes), t->since};
    return t != NULL;
}

int ps_view_touch(ps_view *v, uint32_t row, double time, bool *first)
{
    touched *t = ps_rowmap_get(&v->stale, row);
    *first = !t;
    if (t) {
        atomic_fetch_add(&t->changes, 1);
        return PS_OK;
    }
    t = calloc(1, sizeof *t);
    if (!t)
        return PS_ENOMEM;
    atomic_init(&t->changes, 1);
    t->since = time;
    int err = ps_rowmap_put(&v->stale, v->next, row, t);
    if (err)
        free(t);
    return err;
}

static void free_retired(ps_retired *r)
{
    free(r);
}

void ps_view_settle(ps_view *v, uint32_t row)
{
    touched *t = ps_rowmap_get(&v->stale, row);
    if (!t)
        return;
    ps_rowmap_put(&v->stale, v->next, row, NULL);
    ps_epoch_retire(v->epoch, v->next, &t->retired, free_retired);
}

typedef struct stale_visit {
    void (*each)(void *cls, uint32_t row, double since);
    void *cls;
} stale_visit;

static void visit_stale(void *cls, uint32_t row, void *value)
{
    stale_visit *visit = cls;
    const touched *t = value;
    visit->each(visit->cls, row, t->since);
}

void ps_view_each_stale(ps_view *v, void (*each)(void *cls, uint32_t row, double since),
                        void *cls)
{
    stale_visit visit = {each, cls};
    ps_rowmap_each(&v->stale, visit_stale, &visit);
}

/* ------------------------------ Writing ------------------------------------ */

static ps_text copy_text(char **at, ps_text text)
{
    char *to = *at;
    if (text.len)
        memcpy(to, text.data, text.len);
    *at += text.len;
    return (ps_text){to, text.len};
}

/* A new state in front of the row's others. Who enters from this version on stops at it,
 * so the one behind it goes when those who entered before have left. */
static int push_state(ps_view *v, uint32_t row, const ps_row_state *from)
{
    ps_row_state *s = malloc(sizeof *s + from->title.len + from->text.len +
                             from->image.len + from->meta.len);
    if (!s)
        return PS_ENOMEM;
    char *at = (char *)(s + 1);
    *s = *from;
    s->title = copy_text(&at, from->title);
    s->text = copy_text(&at, from->text);
    s->image = copy_text(&at, from->image);
    s->meta = copy_text(&at, from->meta);
    ps_row_state *older = ps_rowmap_get(&v->states, row);
    s->fresh = s->fresh || (older && (older->dead || older->fresh));
    s->older = older;
    if (ps_rowmap_put(&v->states, s->version, row, s)) {
        free(s);
        return PS_ENOMEM;
    }
    bool was_dead = older && older->dead;
    atomic_fetch_add(&v->unfit, (uint64_t)s->unfit - (older ? older->unfit : 0));
    if (older)
        ps_epoch_retire(v->epoch, s->version, &older->retired, free_retired);
    if (s->dead != was_dead)
        atomic_fetch_add(&v->dead, s->dead ? 1u : UINT32_MAX);
    return PS_OK;
}

int ps_view_put_pin(ps_view *v, ps_text id, const ps_row_state *state, bool fresh,
                    uint32_t *row)
{
    ps_row_state s = *state;
    s.version = v->next;
    s.dead = false;
    s.fresh = s.fresh || fresh;
    *row = row_of(v, v->base, id);
    int err = *row == PS_NO_ROW ? ps_names_add(v->pins, v->next, id, row) : PS_OK;
    if (!err && fresh)
        err = ps_overlay_clear_pin(v->overlay, *row, NULL);
    return err ? err : push_state(v, *row, &s);
}

int ps_view_delete_pin(ps_view *v, ps_text id, uint64_t lsn, double time, uint32_t *row)
{
    ps_row_state s = {.version = v->next, .lsn = lsn, .time = time, .dead = true};
    *row = row_of(v, v->base, id);
    if (*row == PS_NO_ROW)
        return PS_OK;
    int err = ps_overlay_clear_pin(v->overlay, *row, NULL);
    return err ? err : push_state(v, *row, &s);
}

/* The store tells edges in the order of names: the highest number counts. */
static int push_edged(ps_view *v, uint32_t row, uint64_t lsn)
{
    edged *older = ps_rowmap_get(&v->edged, row);
    if (older && older->lsn > lsn)
        lsn = older->lsn;
    if (older && older->version == v->next) { /* nobody has seen it yet */
        older->lsn = lsn;
        return PS_OK;
    }
    edged *e = calloc(1, sizeof *e);
    if (!e)
        return PS_ENOMEM;
    *e = (edged){.version = v->next, .lsn = lsn, .older = older};
    int err = ps_rowmap_put(&v->edged, v->next, row, e);
    if (err)
        free(e);
    else if (older)
        ps_epoch_retire(v->epoch, v->next, &older->retired, free_retired);
    return err;
}

int ps_view_put_edge(ps_view *v, ps_text pin, ps_text board, bool saved, uint64_t lsn,
                     uint32_t *row)
{
    uint32_t number = board_of(v, v->base, board);
    *row = row_of(v, v->base, pin);
    if (*row == PS_NO_ROW) /* an edge of a pin that is gone */
        return PS_OK;
    int err = push_edged(v, *row, lsn);
    if (err || (number == PS_NO_ROW && !saved)) /* from a board that never was */
        return err;
    if (number == PS_NO_ROW)
        err = ps_names_add(v->boards, v->next, board, &number);
    if (!err && saved)
        err = ps_overlay_save(v->overlay, *row, number);
    else if (!err)
        err = ps_overlay_unsave(v->overlay, *row, number);
    return err == PS_EEXIST || err == PS_ENOENT ? PS_OK : err;
}
