/* assets.h - the pages and scripts of server/web/, carried inside the program.
 *
 * The build gzips every file of server/web/ and links the bytes in, in order of
 * name. A client that accepts gzip gets them as they are; for another one
 * they are inflated.
 *
 * Threads: constant data, any thread.
 * Not here: which URL serves which page, content types (the web transport).
 */
#ifndef PINSAGE_SERVER_BASE_ASSETS_H
#define PINSAGE_SERVER_BASE_ASSETS_H

#include <stdbool.h>
#include <stddef.h>

#include "pinsage/text.h"

typedef struct ps_asset {
    const char *name;          /* file name, "index.html" */
    const unsigned char *gzip; /* (gzip_size), a whole gzip member */
    size_t gzip_size;
    size_t size;      /* bytes once inflated */
    const char *etag; /* 16 hex digits of the page's SHA-256, without quotes */
} ps_asset;

extern const size_t ps_n_assets;   /* 0 when server/web/ is empty */
extern const ps_asset ps_assets[]; /* (ps_n_assets) */

const ps_asset *ps_asset_find(ps_text name); /* NULL when there is none */
/* The page as it was written into out (a->size). False when it is damaged. */
bool ps_asset_inflate(const ps_asset *a, void *out);

#endif
