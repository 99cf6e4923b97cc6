/* gzip.h - answers packed for clients that read gzip.
 *
 * Threads: a packer belongs to one thread; its state (a quarter of a megabyte) serves one
 * answer after the other.
 * Not here: pages that are stored packed (web.c).
 */
#ifndef PINSAGE_SERVER_BASE_GZIP_H
#define PINSAGE_SERVER_BASE_GZIP_H

#include "pinsage/buf.h"

typedef struct ps_gzip ps_gzip;

int ps_gzip_new(ps_gzip **g);
void ps_gzip_free(ps_gzip *g); /* NULL is fine */

/* data, packed, into out, whose content it replaces. False, and out is of no use, when
 * memory is exhausted or the result would not be shorter. */
bool ps_gzip_pack(ps_gzip *g, const void *data, size_t size, ps_buf *out);

#endif
