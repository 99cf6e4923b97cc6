/* gzip.c - zlib at its fastest level: answers are packed while somebody waits.
 *
 * Threads: see gzip.h.
 */
#include "server/base/gzip.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#include "pinsage/err.h"

enum { GZIP_WRAPPER = 16, MEMORY_LEVEL = 8 };

struct ps_gzip {
    z_stream z;
};

int ps_gzip_new(ps_gzip **out)
{
    ps_gzip *g = calloc(1, sizeof *g);
    if (!g || deflateInit2(&g->z, Z_BEST_SPEED, Z_DEFLATED, GZIP_WRAPPER + MAX_WBITS,
                           MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(g);
        return PS_ENOMEM;
    }
    *out = g;
    return PS_OK;
}

void ps_gzip_free(ps_gzip *g)
{
    if (!g)
        return;
    deflateEnd(&g->z);
    free(g);
}

bool ps_gzip_pack(ps_gzip *g, const void *data, size_t size, ps_buf *out)
{
    if (!size || size > UINT_MAX || deflateReset(&g->z) != Z_OK)
        return false;
    ps_buf_clear(out);
    ps_buf_add(out, data, size); /* for its room */
    if (out->failed)
        return false;
    g->z.next_in = (Bytef *)(uintptr_t)data;
    g->z.avail_in = (uInt)size;
    g->z.next_out = (Bytef *)out->data;
    g->z.avail_out = (uInt)size - 1;
    bool whole = deflate(&g->z, Z_FINISH) == Z_STREAM_END;
    out->size = g->z.total_out;
    return whole;
}
