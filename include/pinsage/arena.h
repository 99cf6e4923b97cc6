/* arena.h - memory that dies together: one request, one minibatch, one file's ids.
 *
 * Bump allocation in growing chunks; ps_arena_reset keeps the largest chunk, so a
 * loop that resets allocates nothing after its first turns.
 *
 * Threads: one arena, one thread.
 */
#ifndef PINSAGE_ARENA_H
#define PINSAGE_ARENA_H

#include <stddef.h>

typedef struct ps_arena {
    struct ps_arena_chunk *chunk; /* newest */
    size_t used;                  /* bytes of the newest chunk */
    size_t total;                 /* bytes held in all chunks */
} ps_arena;                       /* zero-initialised is ready */

/* size bytes, aligned to 16; NULL when memory is exhausted. Not zeroed. */
void *ps_arena_alloc(ps_arena *a, size_t size);
/* A NUL-terminated copy of len bytes; NULL when memory is exhausted. */
char *ps_arena_copy(ps_arena *a, const char *text, size_t len);
void ps_arena_reset(ps_arena *a);
void ps_arena_done(ps_arena *a);

#endif
