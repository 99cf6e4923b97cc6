/* slab.c - a chunk that is used up from its begin, and a list of given blocks by size.
 *
 * Chunks double from 64 KiB to 2 MiB, the size of a huge page: walks then seldom wait
 * for the page table. What is left of a chunk when the next begins is lost, less than
 * the block that did not fit. The address sanitizer is told which blocks are not in use.
 *
 * Threads: see slab.h.
 */
#include "core/graph/slab.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#if defined __SANITIZE_ADDRESS__
void __asan_poison_memory_region(const volatile void *addr, size_t size);
void __asan_unpoison_memory_region(const volatile void *addr, size_t size);
#define FENCE(p, n)   __asan_poison_memory_region(p, n)
#define UNFENCE(p, n) __asan_unpoison_memory_region(p, n)
#else
#define FENCE(p, n)   ((void)0)
#define UNFENCE(p, n) ((void)0)
#endif

#define FIRST_CHUNK ((size_t)64 << 10)
#define HUGE_PAGE   ((size_t)2 << 20)
#define KINDS       32 /* up to 2^30 lines */

typedef struct chunk {
    struct chunk *older;
    size_t size;
} chunk;

typedef struct block {
    struct block *next;
} block;

struct ps_slab {
    chunk *newest; /* owned; its head takes the first line */
    char *at, *end;
    block *given[KINDS];
    _Atomic uint64_t bytes;
};

ps_slab *ps_slab_new(void)
{
    return calloc(1, sizeof(ps_slab));
}

void ps_slab_free(ps_slab *s)
{
    for (chunk *c = s ? s->newest : NULL, *older; c; c = older) {
        older = c->older;
        UNFENCE(c, c->size);
        free(c);
    }
    free(s);
}

/* By size: 1, 2, 3, 4 lines, then twice as many each. */
static unsigned kind_of(size_t size, size_t *whole)
{
    size_t lines = size ? (size - 1) / PS_LINE + 1 : 1;
    unsigned kind = (unsigned)lines - 1;
    if (lines > 4) {
        size_t held = 8;
        for (kind = 4; held < lines; kind++)
            held *= 2;
        lines = held;
    }
    *whole = lines * PS_LINE;
    return kind;
}

size_t ps_slab_size(size_t size)
{
    size_t whole;
    kind_of(size, &whole);
    return whole;
}

/* A chunk that this much fits into. */
static int next_chunk(ps_slab *s, size_t size)
{
    size_t room = s->newest ? s->newest->size * 2 : FIRST_CHUNK;
    room = room < HUGE_PAGE ? room : HUGE_PAGE;
    while (room < size + PS_LINE)
        room *= 2;
    chunk *c = aligned_alloc(room < HUGE_PAGE ? PS_LINE : HUGE_PAGE, room);
    if (!c)
        return -1;
    if (room >= HUGE_PAGE)
        madvise(c, room, MADV_HUGEPAGE); /* slower without */
    *c = (chunk){s->newest, room};
    s->newest = c;
    s->at = (char *)c + PS_LINE;
    s->end = (char *)c + room;
    FENCE(s->at, room - PS_LINE);
    atomic_fetch_add_explicit(&s->bytes, room, memory_order_relaxed);
    return 0;
}

void *ps_slab_take(ps_slab *s, size_t size)
{
    size_t whole;
    unsigned kind = kind_of(size, &whole);
    block *b = s->given[kind];
    if (b) {
        UNFENCE(b, whole);
        s->given[kind] = b->next;
        return b;
    }
    if ((size_t)(s->end - s->at) < whole && next_chunk(s, whole))
        return NULL;
    b = (block *)s->at;
    s->at += whole;
    UNFENCE(b, whole);
    return b;
}

void ps_slab_give(ps_slab *s, void *p, size_t size)
{
    size_t whole;
    unsigned kind = kind_of(size, &whole);
    block *b = p;
    if (!b)
        return;
    b->next = s->given[kind];
    s->given[kind] = b;
    FENCE(b, whole);
}

uint64_t ps_slab_bytes(const ps_slab *s)
{
    return atomic_load_explicit(&s->bytes, memory_order_relaxed);
}
