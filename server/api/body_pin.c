/* body_pin.c - messages that store or change a pin.
 *
 * Which fields are told? proto3 has no "absent": a text that was not told is the one that
 * the library's defaults point to, a list or map that was not told has no address. In
 * JSON an empty one has; in protobuf it is not sent, and PatchPinRequest.remove says it.
 *
 * Threads: see body.h.
 */
#include <string.h>

#include "server/api/body_inside.h"

#define REFUSE(...) ps_fail(why, PS_EINVAL, NULL, 0, __VA_ARGS__)

typedef Pinsage__V1__PutPinRequest put;
typedef Pinsage__V1__PatchPinRequest patch;
typedef Pinsage__V1__PutPinRequest__MetadataEntry pair;
BODY_SAME_PAIR(Pinsage__V1__PutPinRequest__FeaturesEntry, BODY_FEATURE);
BODY_SAME_PAIR(Pinsage__V1__PatchPinRequest__FeaturesEntry, BODY_FEATURE);
BODY_SAME_PAIR(Pinsage__V1__PatchPinRequest__MetadataEntry, pair);

/* ------------------------------ Fields ------------------------------------- */

static ps_text told_or_not(const char *s)
{
    return s == protobuf_c_empty_string ? (ps_text){NULL, 0} : ps_text_of(s);
}

/* more: pairs that room is left for behind them. */
static int take_metadata(const ps_body *b, pair *const *pairs, size_t n, size_t more,
                         ps_content *out, ps_why *why)
{
    if (n > PS_METADATA_MAX)
        return REFUSE("metadata: more than %d", PS_METADATA_MAX);
    ps_text *list = ps_arena_alloc(b->arena, 2 * (n + more) * sizeof *list);
    if (!list)
        return PS_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        list[2 * i] = ps_text_of(pairs[i]->key);
        list[2 * i + 1] = ps_text_of(pairs[i]->value);
        for (size_t j = 0; j < i && b->dialect == PS_BINARY; j++) /* JSON has looked */
            if (ps_text_same(list[2 * j], list[2 * i]))
                return REFUSE("metadata.%.80s: is told twice", pairs[i]->key);
    }
    out->meta = list;
    out->n_meta = (uint32_t)n;
    return PS_OK;
}

/* A page of the boards, put back, would take the pin off all others. */
static int check_board_count(const put *m, ps_why *why)
{
    if (!m->boards || m->board_count <= m->n_boards)
        return PS_OK;
    return REFUSE(
        "board_count: %u, and %zu boards are told, a part of them? Leave boards "
        "out to keep them all, or board_count to have these alone",
        m->board_count, m->n_boards);
}

/* What a put and a patch have in common. */
static int take_fields(const ps_body *b, const put *m, size_t more, ps_put_pin *q,
                       ps_why *why)
{
    ps_content *c = &q->content;
    const char *match = *m->if_match ? m->if_match : m->etag;
    *c = (ps_content){.title = told_or_not(m->title),
                      .text = told_or_not(m->text),
                      .image = told_or_not(m->image)};
    q->if_match = b->if_match;
    if (!b->if_match.data && *match)
        q->if_match = ps_text_of(match);
    int err = body_take_pin(b, m->pin, &q->pin, why);
    if (!err)
        err = body_take_features(b, (BODY_FEATURE *const *)m->features, m->n_features,
                                 more, c, why);
    if (!err)
        err = take_metadata(b, m->metadata, m->n_metadata, more, c, why);
    if (!err)
        err = body_take_boards(b, m->boards, m->n_boards, &c->board, &c->n_boards, why);
    return err ? err : check_board_count(m, why);
}

int ps_body_put_pin(const ps_body *b, ps_put_pin *q, ps_why *why)
{
    void *message;
    int err = body_read(b, &pinsage__v1__put_pin_request__descriptor, &message, why);
    if (err)
        return err;
    const put *m = message;
    *q = (ps_put_pin){.features = m->features ? PS_REPLACE : PS_KEEP,
                      .metadata = m->metadata ? PS_REPLACE : PS_KEEP,
                      .boards = m->boards ? PS_REPLACE : PS_KEEP};
    return take_fields(b, m, 0, q, why);
}

/* ------------------------------ Taking away -------------------------------- */

static int remove_text(ps_text *text, const char *path, ps_why *why)
{
    if (text->data)
        return REFUSE("remove: %s is told as well", path);
    *text = (ps_text){"", 0};
    return PS_OK;
}

/* All of a list or map. */
static int remove_all(ps_edit_how *how, const char *path, ps_why *why)
{
    if (*how != PS_KEEP)
        return REFUSE("remove: %s is told as well", path);
    *how = PS_REPLACE;
    return PS_OK;
}

/* "metadata.price": the name behind the dot, data NULL when path begins otherwise. */
static ps_text name_in(const char *path, const char *map)
{
    size_t len = strlen(map);
    if (strncmp(path, map, len) != 0 || path[len] != '.')
        return (ps_text){NULL, 0};
    return ps_text_of(path + len + 1);
}

static int remove_pair(ps_put_pin *q, ps_text name, ps_why *why)
{
    ps_content *c = &q->content;
    ps_text *list = (ps_text *)(uintptr_t)c->meta; /* ours: there is room left behind */
    for (uint32_t i = 0; i < c->n_meta; i++)
        if (ps_text_same(list[2 * i], name) && list[2 * i + 1].data)
            return REFUSE("remove: metadata.%.80s is told as well", name.data);
    if (q->metadata == PS_REPLACE) /* all of it goes */
        return PS_OK;
    list[2 * c->n_meta] = name;
    list[2 * c->n_meta++ + 1] = (ps_text){NULL, 0};
    q->metadata = PS_MERGE;
    return PS_OK;
}

static int remove_vector(ps_put_pin *q, ps_text name, ps_why *why)
{
    ps_content *c = &q->content;
    ps_named_vector *list = (ps_named_vector *)(uintptr_t)c->feature;
    for (uint32_t i = 0; i < c->n_features; i++)
        if (ps_text_same(list[i].name, name) && list[i].dim)
            return REFUSE("remove: features.%.80s is told as well", name.data);
    if (q->features == PS_REPLACE)
        return PS_OK;
    list[c->n_features++] = (ps_named_vector){.name = name};
    q->features = PS_MERGE;
    return PS_OK;
}

static int remove_one(ps_put_pin *q, const char *path, ps_why *why)
{
    ps_text name = name_in(path, "metadata"), vector = name_in(path, "features");
    if (name.data)
        return remove_pair(q, name, why);
    if (vector.data)
        return remove_vector(q, vector, why);
    if (strcmp(path, "title") == 0)
        return remove_text(&q->content.title, path, why);
    if (strcmp(path, "text") == 0)
        return remove_text(&q->content.text, path, why);
    if (strcmp(path, "image") == 0)
        return remove_text(&q->content.image, path, why);
    if (strcmp(path, "boards") == 0)
        return remove_all(&q->boards, path, why);
    if (strcmp(path, "metadata") == 0)
        return remove_all(&q->metadata, path, why);
    if (strcmp(path, "features") == 0)
        return remove_all(&q->features, path, why);
    return REFUSE("remove: \"%.80s\" cannot be taken away", path);
}

static put as_put(const patch *m)
{
    return (put){.pin = m->pin,
                 .title = m->title,
                 .text = m->text,
                 .image = m->image,
                 .n_features = m->n_features,
                 .features = (Pinsage__V1__PutPinRequest__FeaturesEntry **)m->features,
                 .n_boards = m->n_boards,
                 .boards = m->boards,
                 .if_match = m->if_match,
                 .n_metadata = m->n_metadata,
                 .metadata = (pair **)m->metadata,
                 .etag = m->etag,
                 .board_count = m->board_count};
}

int ps_body_patch_pin(const ps_body *b, ps_put_pin *q, ps_why *why)
{
    void *message;
    int err = body_read(b, &pinsage__v1__patch_pin_request__descriptor, &message, why);
    if (err)
        return err;
    const patch *m = message;
    *q = (ps_put_pin){.features = m->n_features ? PS_MERGE : PS_KEEP,
                      .metadata = m->n_metadata ? PS_MERGE : PS_KEEP,
                      .boards = m->boards ? PS_REPLACE : PS_KEEP};
    put fields = as_put(m);
    err = take_fields(b, &fields, m->n_remove, q, why);
    for (size_t i = 0; i < m->n_remove && !err; i++)
        err = remove_one(q, m->remove[i], why);
    return err;
}
