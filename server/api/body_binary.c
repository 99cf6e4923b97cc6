/* body_binary.c - protobuf bytes into a generated message.
 *
 * The library unpacks; what it cannot tell afterwards is looked at before: a string with
 * a NUL inside, which it would silently cut there, and one that is not UTF-8.
 *
 * Threads: see body.h.
 */
#include <string.h>

#include "pinsage/buf.h"
#include "server/api/body_inside.h"

/* ------------------------------ The look before ---------------------------- */

/* Bytes that are still to be looked at. */
typedef struct rest {
    const uint8_t *at, *end;
} rest;

static bool take_varint(rest *r, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 64 && r->at < r->end; shift += 7) {
        uint8_t byte = *r->at++;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

static bool skip_bytes(rest *r, uint64_t n, rest *skipped)
{
    if ((uint64_t)(r->end - r->at) < n)
        return false;
    *skipped = (rest){r->at, r->at + n};
    r->at += n;
    return true;
}

/* One field's value; skipped is what a length stood before, else empty. */
static bool skip_value(rest *r, unsigned kind, rest *skipped)
{
    uint64_t n;
    *skipped = (rest){NULL, NULL};
    switch (kind) {
    case 0:
        return take_varint(r, &n);
    case 1:
        return skip_bytes(r, 8, skipped);
    case 2:
        return take_varint(r, &n) && skip_bytes(r, n, skipped);
    case 5:
        return skip_bytes(r, 4, skipped);
    default: /* groups: no message of ours has any */
        return false;
    }
}

static bool is_clean(rest text)
{
    size_t len = (size_t)(text.end - text.at);
    return !len ||
           (!memchr(text.at, 0, len) && ps_utf8_valid((const char *)text.at, len));
}

static int look(rest r, const ProtobufCMessageDescriptor *d, ps_why *why)
{
    unsigned pieces = 0;
    while (r.at < r.end) {
        uint64_t tag;
        rest value;
        if (!take_varint(&r, &tag) || tag >> 3 == 0 || tag >> 3 > UINT32_MAX >> 3 ||
            !skip_value(&r, tag & 7, &value))
            return ps_fail(why, PS_EINVAL, NULL, 0, "the body is not a %s", d->name);
        const ProtobufCFieldDescriptor *f =
            protobuf_c_message_descriptor_get_field(d, (unsigned)(tag >> 3));
        if (!f || (tag & 7) != 2)
            continue;
        if (f->type != PROTOBUF_C_TYPE_FLOAT && ++pieces > BODY_LIST_MAX)
            return ps_fail(why, PS_EINVAL, NULL, 0, "%s: far too many", f->name);
        if (f->type == PROTOBUF_C_TYPE_STRING && !is_clean(value))
            return ps_fail(why, PS_EINVAL, NULL, 0, "%s: not UTF-8, or a NUL inside",
                           f->name);
        int err =
            f->type == PROTOBUF_C_TYPE_MESSAGE ? look(value, f->descriptor, why) : 0;
        if (err)
            return err;
    }
    return PS_OK;
}

/* ------------------------------ Unpacking ---------------------------------- */

static void *on_alloc(void *cls, size_t size)
{
    return ps_arena_alloc(cls, size);
}

static void on_free(void *cls, void *memory)
{
    (void)cls;
    (void)memory; /* it goes with the arena */
}

int body_read_binary(const ps_body *b, const ProtobufCMessageDescriptor *d,
                     void **message, ps_why *why)
{
    const uint8_t *bytes = (const uint8_t *)(b->bytes.data ? b->bytes.data : "");
    ProtobufCAllocator memory = {on_alloc, on_free, b->arena};
    int err = look((rest){bytes, bytes + b->bytes.len}, d, why);
    if (err)
        return err;
    *message = protobuf_c_message_unpack(d, &memory, b->bytes.len, bytes);
    if (*message)
        return PS_OK;
    return ps_fail(why, PS_EINVAL, NULL, 0, "the body is not a %s", d->name);
}
