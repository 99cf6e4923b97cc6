/* arena.c - chunks in a list, newest first; the newest is bumped.
 *
 * Threads: one arena, one thread.
 */
#include "pinsage/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CHUNK ((size_t)4096)
#define ALIGN       ((size_t)16)

struct ps_arena_chunk {
    struct ps_arena_chunk *older;
    size_t room;
    _Alignas(16) char data[];
};

static struct ps_arena_chunk *chunk_new(ps_arena *a, size_t size)
{
    size_t room = a->chunk ? a->chunk->room * 2 : FIRST_CHUNK;
    while (room < size)
        room *= 2;
    struct ps_arena_chunk *c = malloc(sizeof *c + room);
    if (!c)
        return NULL;
    *c = (struct ps_arena_chunk){.older = a->chunk, .room = room};
    a->chunk = c;
    a->used = 0;
    a->total += room;
    return c;
}

void *ps_arena_alloc(ps_arena *a, size_t size)
{
    if (size > SIZE_MAX / 4)
        return NULL;
    size = (size + ALIGN - 1) & ~(ALIGN - 1);
    if ((!a->chunk || a->chunk->room - a->used < size) && !chunk_new(a, size))
        return NULL;
    void *at = a->chunk->data + a->used;
    a->used += size;
    return at;
}

char *ps_arena_copy(ps_arena *a, const char *text, size_t len)
{
    char *copy = ps_arena_alloc(a, len + 1);
    if (!copy)
        return NULL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

static void free_list(struct ps_arena_chunk *c)
{
    while (c) {
        struct ps_arena_chunk *older = c->older;
        free(c);
        c = older;
    }
}

/* The newest chunk is the largest, because each is twice the one before. */
void ps_arena_reset(ps_arena *a)
{
    if (!a->chunk)
        return;
    free_list(a->chunk->older);
    a->chunk->older = NULL;
    a->total = a->chunk->room;
    a->used = 0;
}

void ps_arena_done(ps_arena *a)
{
    free_list(a->chunk);
    *a = (ps_arena){0};
}
