/* slab.h - blocks of whole cache lines, from large chunks.
 *
 * What a live graph is made of are millions of small things that walks read at random.
 * A block of up to a line never lies across two, its neighbours are on the same huge
 * page, and all of them go at once when the slab is freed.
 *
 * Threads: one; ps_slab_bytes: any. Not here: memory of a request (arena.h).
 */
#ifndef PINSAGE_CORE_GRAPH_SLAB_H
#define PINSAGE_CORE_GRAPH_SLAB_H

#include <stddef.h>
#include <stdint.h>

#define PS_LINE ((size_t)64)

typedef struct ps_slab ps_slab;

ps_slab *ps_slab_new(void);    /* NULL: no memory */
void ps_slab_free(ps_slab *s); /* and every block */

/* What a block for this many bytes really holds: 1, 2, 3, 4, 8, 16, 32, ... lines. */
size_t ps_slab_size(size_t size);
/* A block, not cleared; NULL if there is no memory. */
void *ps_slab_take(ps_slab *s, size_t size);
/* The block may be taken again; NULL is fine. */
void ps_slab_give(ps_slab *s, void *block, size_t size);
/* Held, in use or not. */
uint64_t ps_slab_bytes(const ps_slab *s);

#endif
