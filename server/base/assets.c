/* assets.c - finding a page, and unpacking one for who cannot read gzip.
 *
 * Threads: any.
 */
#include "server/base/assets.h"

#include <string.h>
#include <zlib.h>

const ps_asset *ps_asset_find(ps_text name)
{
    for (size_t i = 0; i < ps_n_assets; i++)
        if (ps_text_is(name, ps_assets[i].name))
            return &ps_assets[i];
    return NULL;
}

bool ps_asset_inflate(const ps_asset *a, void *out)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)a->gzip,
                  .avail_in = (uInt)a->gzip_size,
                  .next_out = out,
                  .avail_out = (uInt)a->size};
    if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
        return false;
    bool whole = inflate(&z, Z_FINISH) == Z_STREAM_END && z.total_out == a->size;
    inflateEnd(&z);
    return whole;
}
