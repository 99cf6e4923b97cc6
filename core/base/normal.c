/* normal.c - clusters of characters through utf8proc.
 *
 * Normalising needs a letter and its accents together and nothing else, so text is taken
 * cluster by cluster into a buffer of fixed size: nothing is allocated and nothing can
 * fail. Most text is ASCII, where a character that an ASCII one follows is a cluster and
 * its folding is arithmetic: utf8proc is not asked.
 *
 * Threads: see normal.h.
 */
#include "pinsage/normal.h"

#include <utf8proc.h>

void ps_normal_init(ps_normal *n, ps_text text)
{
    n->at = (const unsigned char *)(text.len ? text.data : "");
    n->end = n->at + text.len;
    n->i = n->n = 0;
}

/* Bytes of the cluster at n->at, 0 when no UTF-8 begins there. */
static size_t cluster_size(const ps_normal *n)
{
    utf8proc_int32_t before, c;
    utf8proc_ssize_t size = utf8proc_iterate(n->at, n->end - n->at, &before);
    if (size <= 0)
        return 0;
    const unsigned char *at = n->at + size;
    for (int i = 1; i < PS_CLUSTER_MAX && at < n->end && *at >= 0x80; i++) {
        size = utf8proc_iterate(at, n->end - at, &c);
        if (size <= 0 || utf8proc_grapheme_break(before, c))
            break;
        before = c;
        at += size;
    }
    return (size_t)(at - n->at);
}

static void take_cluster(ps_normal *n)
{
    const utf8proc_option_t how = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD;
    size_t size = cluster_size(n);
    utf8proc_ssize_t got = -1;
    if (size)
        got = utf8proc_decompose(n->at, (utf8proc_ssize_t)size, n->ready, PS_CLUSTER_ROOM,
                                 how);
    if (got > 0 && got <= PS_CLUSTER_ROOM)
        got = utf8proc_normalize_utf32(n->ready, got, how);
    if (got < 0 || got > PS_CLUSTER_ROOM) {
        n->ready[0] = ' ';
        got = 1;
    }
    n->at += size ? size : 1;
    n->n = (unsigned)got;
}

int32_t ps_normal_peek(ps_normal *n)
{
    while (n->i == n->n) {
        n->i = n->n = 0;
        if (n->at == n->end)
            return -1;
        unsigned char byte = *n->at;
        if (byte < 0x80 && (n->at + 1 == n->end || n->at[1] < 0x80)) {
            n->ready[n->n++] = byte >= 'A' && byte <= 'Z' ? byte + 32 : byte;
            n->at++;
        } else {
            take_cluster(n);
        }
    }
    return n->ready[n->i];
}

bool ps_normal_rest(const ps_normal *n, ps_text *rest)
{
    *rest = (ps_text){(const char *)n->at, (size_t)(n->end - n->at)};
    return n->i == n->n;
}

size_t ps_normal_encode(int32_t c, char *out)
{
    return (size_t)utf8proc_encode_char(c, (utf8proc_uint8_t *)out);
}

void ps_normal_add(ps_buf *out, ps_text text)
{
    ps_normal n;
    char bytes[4];
    ps_normal_init(&n, text);
    for (int32_t c; (c = ps_normal_peek(&n)) >= 0; ps_normal_skip(&n))
        ps_buf_add(out, bytes, ps_normal_encode(c, bytes));
}
