/* edit.c - field by field: told, or as it was.
 *
 * Vectors are told from the store's record and not from the view: there they are as they
 * were written, also those that fit no block of today's generation. A pin that was not
 * written since the generation has none of its own: the generation's are its vectors, and
 * stay so by not being named.
 *
 * Threads: see edit.h.
 */
#include "server/live/edit.h"

#include <string.h>

typedef struct edit {
    const ps_standing *now;
    const ps_content *told;
    ps_arena *arena;
    ps_edited *out;
    ps_why *why;
} edit;

/* ------------------------------ Texts -------------------------------------- */

static int take_text(const edit *e, ps_text told, ps_text was, ps_text *out)
{
    *out = told;
    if (told.data)
        return PS_OK;
    out->len = was.len;
    out->data = ps_arena_copy(e->arena, was.len ? was.data : "", was.len);
    return out->data ? PS_OK : PS_ENOMEM;
}

static int take_texts(const edit *e, const ps_pin *was)
{
    ps_content *c = &e->out->content;
    int err = take_text(e, e->told->title, was->title, &c->title);
    if (!err)
        err = take_text(e, e->told->text, was->text, &c->text);
    return err ? err : take_text(e, e->told->image, was->image, &c->image);
}

/* ------------------------------ Metadata ----------------------------------- */

static uint32_t find_pair(const ps_text *pair, uint32_t n, ps_text name)
{
    uint32_t i = 0;
    while (i < n && !ps_text_same(pair[2 * i], name))
        i++;
    return i;
}

/* A value without data takes its pair away. */
static uint32_t change_pair(ps_text *pair, uint32_t n, const ps_text *told)
{
    uint32_t i = find_pair(pair, n, told[0]);
    if (told[1].data) {
        pair[2 * i] = told[0];
        pair[2 * i + 1] = told[1];
        return n + (i == n);
    }
    if (i == n)
        return n;
    memmove(pair + 2 * i, pair + 2 * i + 2, 2 * (n - i - 1) * sizeof *pair);
    return n - 1;
}

static int write_pairs(const edit *e, const ps_text *pair, uint32_t n)
{
    ps_buf b = {0};
    ps_pin_meta_write(&b, pair, n);
    const char *bytes = b.failed ? NULL : ps_arena_copy(e->arena, b.data, b.size);
    e->out->n_meta = n;
    e->out->meta = (ps_text){bytes, b.size};
    ps_buf_done(&b);
    return bytes ? PS_OK : PS_ENOMEM;
}

static int take_metadata(const edit *e, ps_edit_how how, const ps_pin *was)
{
    const ps_content *c = e->told;
    size_t at = 0;
    uint32_t n = 0, most = was->n_meta + c->n_meta;
    if (how == PS_REPLACE)
        return c->n_meta ? write_pairs(e, c->meta, c->n_meta) : PS_OK;
    ps_text *pair = ps_arena_alloc(e->arena, 2 * ((size_t)most + 1) * sizeof *pair);
    if (!pair)
        return PS_ENOMEM;
    while (ps_pin_meta(was, &at, &pair[2 * n], &pair[2 * n + 1]))
        n++;
    for (uint32_t i = 0; i < c->n_meta && how == PS_MERGE; i++)
        n = change_pair(pair, n, &c->meta[2 * i]);
    if (n > PS_METADATA_MAX)
        return ps_fail(e->why, PS_EINVAL, NULL, 0, "metadata: would be more than %d",
                       PS_METADATA_MAX);
    return n ? write_pairs(e, pair, n) : PS_OK;
}

/* ------------------------------ Vectors ------------------------------------ */

typedef struct vectors {
    ps_named_vector *list; /* (PS_VECTORS_MAX) */
    uint32_t n;
} vectors;

static int put_vector(const edit *e, vectors *v, ps_named_vector told)
{
    uint32_t i = 0;
    while (i < v->n && !ps_text_same(v->list[i].name, told.name))
        i++;
    if (i == PS_VECTORS_MAX)
        return ps_fail(e->why, PS_EINVAL, NULL, 0,
                       "features: would be more than %d, with those kept from before",
                       PS_VECTORS_MAX);
    v->list[i] = told;
    v->n += i == v->n;
    return PS_OK;
}

static int copy_vector(const edit *e, vectors *v, const ps_store_feature *f)
{
    size_t size = f->dim * sizeof *f->values;
    float *value = ps_arena_alloc(e->arena, size + 1);
    const char *name = ps_arena_copy(e->arena, f->name.data, f->name.len);
    if (!value || !name)
        return PS_ENOMEM;
    memcpy(value, f->values, size);
    return put_vector(
        e, v, (ps_named_vector){{name, f->name.len}, .value = value, .dim = f->dim});
}

static int read_vectors(const edit *e, ps_store_reader *r, ps_text pin, vectors *v)
{
    ps_store_pin stored;
    int err = ps_store_acquire(r, e->why);
    if (err)
        return err;
    err = ps_store_get_pin(r, pin, &stored, e->why);
    for (uint32_t i = 0; !err && i < stored.n_features; i++)
        err = copy_vector(e, v, &stored.features[i]);
    ps_store_release(r);
    return err;
}

/* The generation's blocks that came with an import, none of which a record of version 1
 * or a put that tells its vectors leaves as it was. */
static int put_none(const edit *e, vectors *v)
{
    const ps_generation *g = ps_view_generation(e->now->v);
    int err = PS_OK;
    for (uint32_t b = 0; b < g->n_blocks && !err; b++) {
        const char *name = g->blocks[b].name;
        if (ps_manifest_own_block(g->manifest, name))
            err = put_vector(e, v, (ps_named_vector){.name = ps_text_of(name)});
    }
    return err;
}

static int take_vectors(const edit *e, ps_edit_how how, ps_store *store, ps_text pin)
{
    const ps_standing *now = e->now;
    const ps_row_state *state =
        now->row == PS_NO_ROW ? NULL : ps_view_state(now->v, &now->s, now->row);
    vectors v = {ps_arena_alloc(e->arena, PS_VECTORS_MAX * sizeof *v.list), 0};
    ps_store_reader *r = NULL;
    int err = v.list ? PS_OK : PS_ENOMEM;
    if (!err && now->row != PS_NO_ROW && (how == PS_REPLACE || (state && state->fresh)))
        err = put_none(e, &v);
    if (!err && state && how != PS_REPLACE)
        err = ps_store_reader_new(&r, store);
    if (r)
        err = read_vectors(e, r, pin, &v);
    ps_store_reader_free(r);
    for (uint32_t i = 0; i < e->told->n_features && how != PS_KEEP && !err; i++)
        err = put_vector(e, &v, e->told->feature[i]);
    e->out->content.feature = v.list;
    e->out->content.n_features = v.n;
    return err;
}

/* ------------------------------ The whole ---------------------------------- */

int ps_edit(const ps_standing *now, ps_store *store, const ps_write *w, ps_arena *arena,
            ps_edited *out, ps_why *why)
{
    edit e = {now, &w->content, arena, out, why};
    ps_pin was = {0};
    *out = (ps_edited){0};
    int err = now->row == PS_NO_ROW
                  ? PS_OK
                  : ps_view_pin(now->v, &now->s, now->base, now->row, &was);
    if (!err)
        err = take_texts(&e, &was);
    if (!err)
        err = take_metadata(&e, w->metadata, &was);
    return err ? err : take_vectors(&e, w->features, store, w->pin);
}
