/* live.c - from records of the store to a view, and from stale rows to fresh ones.
 *
 * Records are applied in one version: pins first, then edges; then contents become
 * blocks, which needs the edges; then all of them are embedded together, layer by layer.
 *
 * Threads: see live.h.
 */
#include "server/live/live.h"

#include <stdlib.h>
#include <string.h>

#include "pinsage/catalog.h"

/* ------------------------------ Lifetime ----------------------------------- */

static uint32_t message_bytes(const ps_featurizer *featurizer)
{
    const ps_model_config *c = &featurizer->model.config;
    return featurizer->has_model ? c->layers * c->m * (uint32_t)sizeof(uint16_t) : 0;
}

/* What the store has let go of must be in the generation. */
static int check_compacted(const ps_live_view *l, const ps_generation *g, ps_store *store,
                           ps_why *why)
{
    ps_store_counts counts;
    int err = ps_store_count(store, &counts, why);
    if (err || counts.compacted <= l->lsn)
        return err;
    return ps_fail(why, PS_EMISMATCH, g->dir, 0,
                   "it lacks writes that a later generation had compacted: up to number "
                   "%llu, and it has them up to %llu. To give them up, remove the folder "
                   "live/ beside it",
                   (unsigned long long)counts.compacted, (unsigned long long)l->lsn);
}

int ps_live_view_open(ps_live_view *l, ps_generation *g, const ps_featurizer *featurizer,
                      ps_store *store, uint32_t room, const ps_progress *progress,
                      ps_why *why)
{
    *l = (ps_live_view){.room = room,
                        .lsn = ps_manifest_u64(g->manifest, PS_COMPACTED, 0)};
    int err = ps_view_new(&l->view, g, message_bytes(featurizer), why);
    if (err || !store)
        return err;
    err = check_compacted(l, g, store, why);
    if (err) {
        ps_live_view_close(l);
        return err;
    }
    l->queue = malloc((room + 1u) * sizeof *l->queue);
    if (!l->queue)
        err = ps_fail(why, PS_ENOMEM, NULL, 0, "no memory for a queue of %u", room);
    if (!err)
        err = ps_embedding_new(&l->embedding, l->view, featurizer, why);
    if (!err)
        err = ps_live_view_catch_up(l, store, progress, why);
    if (err)
        ps_live_view_close(l);
    return err;
}

void ps_live_view_close(ps_live_view *l)
{
    ps_embedding_free(l->embedding);
    ps_view_free(l->view);
    free(l->queue);
    *l = (ps_live_view){0};
}

/* ------------------------------ Catching up -------------------------------- */

typedef struct catching {
    ps_live_view *l;
    uint64_t after;
    const ps_progress *progress;
    uint64_t done, all;
    uint32_t *row; /* owned, (n): pins that were put */
    uint32_t n, room;
} catching;

static int step(catching *c, const char *stage)
{
    return ps_progress_at(c->progress, stage, ++c->done, c->all, "records");
}

static int remember(catching *c, uint32_t row)
{
    if (c->n == c->room) {
        uint32_t room = c->room ? 2 * c->room : 256;
        uint32_t *more = realloc(c->row, room * sizeof *more);
        if (!more)
            return PS_ENOMEM;
        c->row = more;
        c->room = room;
    }
    c->row[c->n++] = row;
    return PS_OK;
}

static void content_of(const ps_store_pin *p, ps_named_vector *vector,
                       ps_content *content)
{
    uint32_t n = p->n_features < PS_VECTORS_MAX ? p->n_features : PS_VECTORS_MAX;
    for (uint32_t i = 0; i < n; i++)
        vector[i] = (ps_named_vector){p->features[i].name, p->features[i].values,
                                      p->features[i].dim};
    *content = (ps_content){
        .title = p->title, .text = p->text, .feature = vector, .n_features = n};
}

static int on_pin(void *cls, const ps_store_pin *p)
{
    catching *c = cls;
    uint32_t row;
    ps_named_vector vector[PS_VECTORS_MAX];
    ps_content content;
    content_of(p, vector, &content);
    ps_row_state state = {.lsn = p->lsn,
                          .time = p->time,
                          .fresh = p->whole,
                          .title = p->title,
                          .text = p->text,
                          .image = p->image,
                          .n_meta = p->n_meta,
                          .meta = p->meta};
    ps_embedding_told(c->l->embedding, &content, &state);
    int err = p->deleted
                  ? ps_view_delete_pin(c->l->view, p->id, p->lsn, p->time, &row)
                  : ps_view_put_pin(c->l->view, p->id, &state, p->died > c->after, &row);
    if (!err && !p->deleted)
        err = remember(c, row);
    if (!err && p->deleted && row != PS_NO_ROW)
        ps_embedding_drop(c->l->embedding, row);
    return err ? err : step(c, "live pins");
}

static int on_edge(void *cls, const ps_store_edge *e)
{
    catching *c = cls;
    uint32_t row;
    int err = ps_view_put_edge(c->l->view, e->pin, e->board, e->saved, e->lsn, &row);
    if (!err && row != PS_NO_ROW)
        err = ps_live_view_touch(c->l, row, e->time);
    return err ? err : step(c, "live edges");
}

/* Pins come in the same order as before, so the i-th is row[i]. */
static int on_content(void *cls, const ps_store_pin *p)
{
    catching *c = cls;
    ps_named_vector vector[PS_VECTORS_MAX];
    ps_content content;
    if (p->deleted)
        return PS_OK;
    content_of(p, vector, &content);
    int err = ps_embedding_content(c->l->embedding, c->row[c->n++], &content);
    return err ? err : step(c, "live content");
}

/* Records and contents; c->row gets the pins to be embedded. */
static int read_records(catching *c, ps_store_reader *r, ps_why *why)
{
    ps_live_view *l = c->l;
    ps_view_begin(l->view);
    int err = ps_store_each_pin(r, c->after, on_pin, c, why);
    if (!err)
        err = ps_store_each_edge(r, c->after, on_edge, c, why);
    ps_view_publish(l->view);
    c->n = 0;
    if (!err)
        err = ps_store_each_pin(r, c->after, on_content, c, why);
    return err;
}

/* The store may want its file for itself: its snapshot is let go before the long part. */
static int read_store(catching *c, ps_store *store, uint64_t *lsn, ps_why *why)
{
    ps_store_reader *r = NULL;
    int err = ps_store_reader_new(&r, store);
    if (!err)
        err = ps_store_acquire(r, why);
    if (!err) {
        *lsn = ps_store_reader_lsn(r);
        err = read_records(c, r, why);
        ps_store_release(r);
    }
    ps_store_reader_free(r);
    return err;
}

int ps_live_view_catch_up(ps_live_view *l, ps_store *store, const ps_progress *progress,
                          ps_why *why)
{
    catching c = {.l = l, .after = l->lsn, .progress = progress};
    ps_store_counts counts;
    uint64_t lsn = l->lsn;
    int err = ps_store_count(store, &counts, why);
    if (err || counts.lsn <= l->lsn)
        return err;
    c.all = 2 * counts.pins + counts.edges;
    err = read_store(&c, store, &lsn, why);
    for (uint32_t i = 0; i < c.n && !err; i++)
        ps_view_settle(l->view, c.row[i]);
    if (!err)
        err = ps_embedding_rows(l->embedding, c.row, c.n);
    ps_view_begin(l->view);
    ps_view_publish(l->view);
    if (!err)
        l->lsn = lsn;
    free(c.row);
    return err;
}

/* ------------------------------ Stale rows --------------------------------- */

static void enqueue(ps_live_view *l, uint32_t row)
{
    if (l->n == l->room)
        l->overflowed = true;
    else
        l->queue[(l->first + l->n++) % l->room] = row;
}

int ps_live_view_touch(ps_live_view *l, uint32_t row, double time)
{
    bool first;
    int err = ps_view_touch(l->view, row, time, &first);
    if (!err && first)
        enqueue(l, row);
    return err;
}

static void enqueue_again(void *cls, uint32_t row, double since)
{
    (void)since;
    enqueue(cls, row);
}

void ps_live_view_retry(ps_live_view *l)
{
    l->overflowed = l->overflowed || l->failed;
    l->failed = false;
}

int ps_live_view_refresh(ps_live_view *l, uint32_t most)
{
    uint32_t row[64], n = 0;
    ps_staleness stale;
    if (!l->n && l->overflowed) {
        l->overflowed = false;
        ps_view_each_stale(l->view, enqueue_again, l);
    }
    while (n < most && n < 64 && l->n) {
        uint32_t next = l->queue[l->first];
        l->first = (l->first + 1) % l->room;
        l->n--;
        if (ps_view_staleness(l->view, next, &stale))
            row[n++] = next;
    }
    if (!n)
        return 0;
    int err = ps_embedding_rows(l->embedding, row, n);
    for (uint32_t i = 0; i < n && !err; i++)
        ps_view_settle(l->view, row[i]);
    l->failed = l->failed || err;
    ps_view_begin(l->view);
    ps_view_publish(l->view);
    return err ? err : (int)n;
}
