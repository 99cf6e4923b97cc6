/* store_record.c - records of the live store as bytes, in the machine's order.
 *
 *     pin   lsn u64  died u64  time f64  bytes of title, text, image u32 each
 *           n_features u32  format u8  deleted u8  zero u8[6]
 *           title text image, from version 2 on n_meta u32, bytes of meta u32, meta,
 *           then for each feature: bytes of name u32, dim u32, name, dim x f32
 *     edge  lsn u64  time f64  bytes of pin, board u16 each  format u8  saved u8
 *           zero u8[2]  pin board
 *
 * LMDB aligns a value to two bytes, so everything is read by copying.
 *
 * Threads: pure functions.
 */
#include <stddef.h>
#include <string.h>

#include "pinsage/hash.h"
#include "pinsage/pins.h"
#include "server/live/store_inside.h"

typedef struct pin_head {
    uint64_t lsn, died;
    double time;
    uint32_t title, text, image, n_features;
    uint8_t format, deleted, zero[6];
} pin_head;
_Static_assert(sizeof(pin_head) == 48, "written to disk");

typedef struct meta_head {
    uint32_t n, bytes;
} meta_head;

typedef struct feature_head {
    uint32_t name, dim;
} feature_head;

typedef struct edge_head {
    uint64_t lsn;
    double time;
    uint16_t pin, board;
    uint8_t format, saved, zero[2];
} edge_head;
_Static_assert(sizeof(edge_head) == 24, "written to disk");

void ps_edge_key(ps_text pin, ps_text board, unsigned char key[PS_EDGE_KEY])
{
    char names[2 + 2 * PS_ID_MAX];
    uint16_t len = (uint16_t)pin.len;
    memcpy(names, &len, sizeof len);
    memcpy(names + 2, pin.data, pin.len);
    memcpy(names + 2 + pin.len, board.data, board.len);
    uint64_t of_pin = ps_hash(pin.data, pin.len);
    ps_hash_wide of_both = ps_hash128(names, 2 + pin.len + board.len);
    memcpy(key, &of_pin, 8);
    memcpy(key + 8, &of_both, 16);
}

/* ------------------------------ Writing ----------------------------------- */

void ps_record_pin(ps_buf *b, const ps_store_pin *pin)
{
    pin_head head = {pin->lsn,
                     pin->died,
                     pin->time,
                     (uint32_t)pin->title.len,
                     (uint32_t)pin->text.len,
                     (uint32_t)pin->image.len,
                     pin->n_features,
                     PS_PIN_FORMAT,
                     pin->deleted,
                     {0}};
    ps_buf_add(b, &head, sizeof head);
    ps_buf_add(b, pin->title.data, pin->title.len);
    ps_buf_add(b, pin->text.data, pin->text.len);
    ps_buf_add(b, pin->image.data, pin->image.len);
    meta_head meta = {pin->n_meta, pin->n_meta ? (uint32_t)pin->meta.len : 0};
    ps_buf_add(b, &meta, sizeof meta);
    ps_buf_add(b, pin->meta.data, meta.bytes);
    for (uint32_t i = 0; i < pin->n_features; i++) {
        const ps_store_feature *f = &pin->features[i];
        feature_head of = {(uint32_t)f->name.len, f->dim};
        ps_buf_add(b, &of, sizeof of);
        ps_buf_add(b, f->name.data, f->name.len);
        ps_buf_add(b, f->values, (size_t)f->dim * sizeof *f->values);
    }
}

void ps_record_edge(ps_buf *b, const ps_store_edge *edge)
{
    edge_head head = {edge->lsn,
                      edge->time,
                      (uint16_t)edge->pin.len,
                      (uint16_t)edge->board.len,
                      PS_STORE_FORMAT,
                      edge->saved,
                      {0}};
    ps_buf_add(b, &head, sizeof head);
    ps_buf_add(b, edge->pin.data, edge->pin.len);
    ps_buf_add(b, edge->board.data, edge->board.len);
}

void ps_record_set_died(void *record, uint64_t died)
{
    memcpy((char *)record + offsetof(pin_head, died), &died, sizeof died);
}

/* ------------------------------ Reading ----------------------------------- */

typedef struct cursor {
    const char *at;
    size_t left;
} cursor;

static bool take(cursor *c, void *out, size_t size)
{
    if (c->left < size)
        return false;
    memcpy(out, c->at, size);
    c->at += size;
    c->left -= size;
    return true;
}

static bool take_text(cursor *c, size_t size, ps_text *text)
{
    if (c->left < size)
        return false;
    *text = (ps_text){c->at, size};
    c->at += size;
    c->left -= size;
    return true;
}

static bool take_feature(cursor *c, ps_store_feature *f, ps_arena *arena)
{
    feature_head head;
    if (!take(c, &head, sizeof head) || !take_text(c, head.name, &f->name))
        return false;
    size_t size = (size_t)head.dim * sizeof *f->values;
    float *values = c->left < size ? NULL : ps_arena_alloc(arena, size ? size : 1);
    if (!values || !take(c, values, size))
        return false;
    f->dim = head.dim;
    f->values = values;
    return true;
}

static bool take_features(cursor *c, ps_store_pin *pin, ps_arena *arena)
{
    if (pin->n_features > c->left / sizeof(feature_head))
        return false;
    ps_store_feature *f = ps_arena_alloc(arena, (pin->n_features + 1) * sizeof *f);
    if (!f)
        return false;
    pin->features = f;
    for (uint32_t i = 0; i < pin->n_features; i++)
        if (!take_feature(c, &f[i], arena))
            return false;
    return c->left == 0;
}

static bool take_meta(cursor *c, ps_store_pin *pin)
{
    meta_head head;
    if (pin->whole)
        return true;
    if (!take(c, &head, sizeof head) || !take_text(c, head.bytes, &pin->meta))
        return false;
    pin->n_meta = head.n;
    return head.n ? ps_pin_meta_check(pin->meta, head.n) : !head.bytes;
}

bool ps_record_read_pin(MDB_val value, ps_store_pin *pin, ps_arena *arena)
{
    pin_head head;
    cursor c = {value.mv_data, value.mv_size};
    if (!take(&c, &head, sizeof head) || head.format < 1 || head.format > PS_PIN_FORMAT)
        return false;
    *pin = (ps_store_pin){.lsn = head.lsn,
                          .died = head.died,
                          .time = head.time,
                          .deleted = head.deleted,
                          .whole = head.format == 1,
                          .n_features = head.n_features};
    return take_text(&c, head.title, &pin->title) &&
           take_text(&c, head.text, &pin->text) &&
           take_text(&c, head.image, &pin->image) && take_meta(&c, pin) &&
           (!arena || take_features(&c, pin, arena));
}

bool ps_record_read_edge(MDB_val value, ps_store_edge *edge)
{
    edge_head head;
    cursor c = {value.mv_data, value.mv_size};
    if (!take(&c, &head, sizeof head) || head.format != PS_STORE_FORMAT)
        return false;
    *edge = (ps_store_edge){.lsn = head.lsn, .time = head.time, .saved = head.saved};
    return take_text(&c, head.pin, &edge->pin) &&
           take_text(&c, head.board, &edge->board) && c.left == 0;
}

uint64_t ps_record_lsn(MDB_val value)
{
    uint64_t lsn = UINT64_MAX;
    if (value.mv_size >= sizeof lsn)
        memcpy(&lsn, value.mv_data, sizeof lsn);
    return lsn;
}

uint64_t ps_record_died(MDB_val value)
{
    uint64_t died = 0;
    if (value.mv_size >= sizeof(pin_head))
        memcpy(&died, (char *)value.mv_data + offsetof(pin_head, died), sizeof died);
    return died;
}
