/* target.c - splits a request target and decodes its pieces.
 *
 * Done here and not by the HTTP library, which decodes the whole path at once: then
 * %2F is a slash like any other, and %00 ends the string.
 *
 * Threads: no state.
 */
#include "server/message/target.h"

#include <string.h>

#include "pinsage/buf.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Value of the escape at raw[i], -1 when it is none. */
static int escape_at(ps_text raw, size_t i)
{
    if (raw.len - i < 3)
        return -1;
    int high = hex_value(raw.data[i + 1]), low = hex_value(raw.data[i + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static int decode_into(char *out, size_t *len, ps_text raw, int plus_is_space,
                       ps_why *why)
{
    size_t n = 0;
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.data[i];
        if (c == '%') {
            int value = escape_at(raw, i);
            if (value <= 0)
                return ps_fail(why, PS_EINVAL, NULL, 0, "%s in the request target",
                               value ? "a \"%\" begins no escape" : "%00 is refused");
            c = (char)value;
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        out[n++] = c;
    }
    *len = n;
    return PS_OK;
}

static int decode(ps_text *out, ps_text raw, int plus_is_space, ps_arena *arena,
                  ps_why *why)
{
    *out = raw;
    if (memchr(raw.data, '%', raw.len) ||
        (plus_is_space && memchr(raw.data, '+', raw.len))) {
        char *text = ps_arena_alloc(arena, raw.len);
        if (!text)
            return PS_ENOMEM;
        out->data = text;
        int err = decode_into(text, &out->len, raw, plus_is_space, why);
        if (err)
            return err;
    }
    if (!ps_utf8_valid(out->data, out->len))
        return ps_fail(why, PS_EINVAL, NULL, 0, "the request target is not UTF-8");
    return PS_OK;
}

static int split_path(ps_target *t, ps_text path, ps_arena *arena, ps_why *why)
{
    ps_text rest = {path.data + 1, path.len - 1}, piece;
    while (ps_text_cut(&rest, '/', &piece)) {
        if (t->n_segments == PS_SEGMENTS_MAX)
            return ps_fail(why, PS_EINVAL, NULL, 0, "the path has too many parts");
        int err = decode(&t->segment[t->n_segments++], piece, 0, arena, why);
        if (err)
            return err;
    }
    return PS_OK;
}

static int split_query(ps_target *t, ps_text query, ps_arena *arena, ps_why *why)
{
    size_t room = 1;
    for (size_t i = 1; i < query.len; i++)
        room += query.data[i] != '&' && query.data[i - 1] == '&';
    t->param = ps_arena_alloc(arena, room * sizeof *t->param);
    if (!t->param)
        return PS_ENOMEM;
    ps_text rest = query, piece, name;
    while (ps_text_cut(&rest, '&', &piece)) {
        if (!piece.len)
            continue;
        ps_param *p = &t->param[t->n_params++];
        ps_text_cut(&piece, '=', &name);
        int err = decode(&p->name, name, 1, arena, why);
        ps_text value = piece.data ? piece : (ps_text){"", 0};
        if (!err)
            err = decode(&p->value, value, 1, arena, why);
        if (err)
            return err;
    }
    return PS_OK;
}

static int check_bytes(ps_text raw, ps_why *why)
{
    for (size_t i = 0; i < raw.len; i++) {
        unsigned char c = (unsigned char)raw.data[i];
        if (c <= ' ' || c == 0x7f || c == '#')
            return ps_fail(why, PS_EINVAL, NULL, 0,
                           "byte 0x%02x cannot stand in a request target", c);
    }
    return PS_OK;
}

/* "http://host/path" becomes "/path"; "http://host" becomes "/". */
static ps_text strip_authority(ps_text raw)
{
    if (!raw.len || raw.data[0] == '/')
        return raw;
    const char *slashes = memmem(raw.data, raw.len, "://", 3);
    if (!slashes)
        return raw;
    const char *end = raw.data + raw.len, *at = slashes + 3;
    while (at < end && *at != '/' && *at != '?')
        at++;
    return at < end && *at == '/' ? (ps_text){at, (size_t)(end - at)} : (ps_text){"/", 1};
}

int ps_target_parse(ps_target *t, ps_text raw, ps_arena *arena, ps_why *why)
{
    t->n_segments = t->n_params = 0;
    t->param = NULL;
    int err = check_bytes(raw, why);
    if (err)
        return err;
    ps_text rest = strip_authority(raw), path = {0};
    ps_text_cut(&rest, '?', &path);
    if (!path.len || path.data[0] != '/')
        return ps_fail(why, PS_EINVAL, NULL, 0, "the request target is not a path");
    err = split_path(t, path, arena, why);
    if (!err && rest.data)
        err = split_query(t, rest, arena, why);
    return err;
}
