/* gunzip.c - zlib's inflate, a step of at most 16 KiB at a time.
 *
 * Threads: see gunzip.h.
 */
#include "server/base/gunzip.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#include "pinsage/err.h"

enum { GZIP_WRAPPER = 16, STEP = 16384 };

struct ps_gunzip {
    z_stream z;
    bool whole; /* at the end of a member */
};

int ps_gunzip_new(ps_gunzip **out)
{
    ps_gunzip *g = calloc(1, sizeof *g);
    if (!g || inflateInit2(&g->z, GZIP_WRAPPER + MAX_WBITS) != Z_OK) {
        free(g);
        return PS_ENOMEM;
    }
    *out = g;
    return PS_OK;
}

void ps_gunzip_free(ps_gunzip *g)
{
    if (!g)
        return;
    inflateEnd(&g->z);
    free(g);
}

/* One step, into out. One byte more than may be shows that there would be more. */
static int unpack_step(ps_gunzip *g, ps_buf *out, size_t limit)
{
    unsigned char text[STEP];
    size_t left = limit - out->size;
    g->z.next_out = text;
    g->z.avail_out = (uInt)(left < STEP ? left + 1 : STEP);
    int got = inflate(&g->z, Z_NO_FLUSH);
    if (got == Z_MEM_ERROR)
        return PS_ENOMEM;
    if (got != Z_OK && got != Z_STREAM_END && got != Z_BUF_ERROR)
        return PS_EFORMAT;
    g->whole = got == Z_STREAM_END;
    size_t n = (size_t)(g->z.next_out - text);
    if (n > left)
        return PS_ERANGE;
    ps_buf_add(out, text, n);
    return out->failed ? PS_ENOMEM : PS_OK;
}

int ps_gunzip_add(ps_gunzip *g, const void *data, size_t size, ps_buf *out, size_t limit)
{
    if (size > UINT_MAX)
        return PS_ERANGE;
    g->z.next_in = (Bytef *)(uintptr_t)data;
    g->z.avail_in = (uInt)size;
    int err = PS_OK;
    do {
        if (g->whole && g->z.avail_in && inflateReset(&g->z) != Z_OK)
            return PS_EFORMAT;
        err = unpack_step(g, out, limit);
    } while (!err && (g->z.avail_in || !g->z.avail_out));
    return err;
}

bool ps_gunzip_is_whole(const ps_gunzip *g)
{
    return g->whole;
}
