/* gunzip.h - request bodies that came packed, unpacked as they arrive.
 *
 * The result has a limit, and not a byte beyond it is kept: a bomb costs no more than a
 * body may anyway. Several members in a row are one stream.
 *
 * Threads: an unpacker belongs to whoever has the request.
 * Not here: files (pinsage/gz.h), answers (gzip.h).
 */
#ifndef PINSAGE_SERVER_BASE_GUNZIP_H
#define PINSAGE_SERVER_BASE_GUNZIP_H

#include "pinsage/buf.h"

#define PS_GUNZIP_BYTES 49152 /* memory of one, about */

typedef struct ps_gunzip ps_gunzip;

int ps_gunzip_new(ps_gunzip **g);
void ps_gunzip_free(ps_gunzip *g); /* NULL is fine */

/* Unpack the next bytes behind what out holds, up to limit bytes in all. PS_ERANGE: it
 * would be longer; PS_EFORMAT: this is not gzip, or damaged; PS_ENOMEM. Of no use after
 * any of these. */
int ps_gunzip_add(ps_gunzip *g, const void *data, size_t size, ps_buf *out, size_t limit);
/* True when the bytes so far do not end in the middle. */
bool ps_gunzip_is_whole(const ps_gunzip *g);

#endif
