/* gz.h - bytes of a file, unpacked on the way if they are gzip.
 *
 * Whether a file is gzip is found out from its first two bytes, never from its name.
 * Several gzip members in a row read as one stream, as gzip itself does; zeros after
 * the last member (tapes) are passed over. Pipes are fine.
 *
 * Threads: a handle belongs to one thread. Not here: lines and fields (tsv.h).
 */
#ifndef PINSAGE_CORE_DATA_GZ_H
#define PINSAGE_CORE_DATA_GZ_H

#include <stddef.h>
#include <stdint.h>

#include "pinsage/err.h"

typedef struct ps_gz ps_gz;

int ps_gz_open(ps_gz **z, const char *path, ps_why *why);
/* Up to size bytes into out; *got is 0 at the end only. PS_EFORMAT when packed data is
 * damaged or ends in the middle. */
int ps_gz_read(ps_gz *z, void *out, size_t size, size_t *got, ps_why *why);
void ps_gz_close(ps_gz *z); /* NULL is fine */

/* Bytes of the file read so far, packed as they are, and its size (0 for a pipe). */
uint64_t ps_gz_done(const ps_gz *z);
uint64_t ps_gz_total(const ps_gz *z);

#endif
