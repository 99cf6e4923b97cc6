/* spool.h - edges on disk in lanes: written a few at a time, read back in order.
 *
 * A spool is one scratch file cut into lanes of known length; each lane has a small
 * buffer, so that edges scattered over many lanes still reach the disk in long pieces.
 * The file has no name: it is gone when the process is, however it ends.
 *
 * Threads: one at a time.
 */
#ifndef PINSAGE_CORE_GRAPH_SPOOL_H
#define PINSAGE_CORE_GRAPH_SPOOL_H

#include <stddef.h>
#include <stdint.h>

#include "pinsage/err.h"

typedef struct ps_edge {
    uint32_t row, index;
} ps_edge;

typedef struct ps_spool ps_spool;

/* start: (n_lanes + 1), in edges; borrowed until this returns. NULL: one lane without
 * an end. dir is where the scratch file takes its room. */
int ps_spool_new(ps_spool **s, const char *dir, unsigned n_lanes, const uint64_t *start,
                 ps_why *why);
void ps_spool_free(ps_spool *s); /* NULL is fine */

/* Append to a lane. A failed write is told now and at every later call. */
int ps_spool_add(ps_spool *s, unsigned lane, ps_edge e);
int ps_spool_failed(const ps_spool *s, ps_why *why); /* the same, in words */
uint64_t ps_spool_count(const ps_spool *s, unsigned lane);

/* All edges of a lane in the order they came, some at a time; stops at the first error,
 * of the disk or of on_edges. */
typedef int (*ps_on_edges)(void *cls, const ps_edge *e, size_t n);
int ps_spool_each(ps_spool *s, unsigned lane, ps_on_edges on_edges, void *cls,
                  ps_why *why);

/* Once its edges are no longer needed the file serves as plain scratch room: indices
 * appended from its beginning, then read back. */
void ps_spool_reuse(ps_spool *s);
int ps_spool_append(ps_spool *s, const uint32_t *index, size_t n, ps_why *why);
typedef int (*ps_on_indices)(void *cls, const uint32_t *index, size_t n);
int ps_spool_indices(ps_spool *s, ps_on_indices on_indices, void *cls, ps_why *why);

#endif
