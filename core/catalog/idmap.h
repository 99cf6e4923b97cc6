/* idmap.h - names to dense numbers, in the order they first appear.
 *
 * The names stand one after the other in one block, ended by nothing: name i lies
 * between offsets i and i + 1. A table of slots, a power of two and at most two thirds
 * full, leads from a name's hash to its number:
 *
 *     slot     [ hash 32 | number + 1 ]   place = hash * slots / 2^32, then linear
 *     offset   0   2     9   ...          8 bytes a name
 *     text     a1 library7 ...
 *
 * Since places follow the order of hashes, the table grows by one pass from front to
 * back. A lookup misses the cache three times (slot, offset, text); looking up many
 * names at once overlaps these misses by prefetching, which is worth a factor of three.
 *
 * Threads: one writer, or many readers.
 */
#ifndef PINSAGE_CORE_CATALOG_IDMAP_H
#define PINSAGE_CORE_CATALOG_IDMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pinsage/text.h"

#define PS_NO_NUMBER UINT32_MAX

typedef struct ps_idmap {
    uint64_t *slot;   /* (slots), 0 = free; owned */
    uint64_t *offset; /* (room + 1); owned */
    char *text;       /* (text_room); owned */
    size_t slots, room, text_room;
    uint32_t n;
} ps_idmap; /* zero-initialised is ready */

void ps_idmap_done(ps_idmap *m);

/* Number of a name, a new one if it is new (then *added is true). PS_ENOMEM; PS_ERANGE
 * when there are 2^32 - 1 names already. */
int ps_idmap_add(ps_idmap *m, ps_text name, uint32_t *number, bool *added);
uint32_t ps_idmap_find(const ps_idmap *m, ps_text name); /* PS_NO_NUMBER: not there */
/* The same for n names at once, numbers into out (n). */
int ps_idmap_add_all(ps_idmap *m, const ps_text *names, size_t n, uint32_t *out);
void ps_idmap_find_all(const ps_idmap *m, const ps_text *names, size_t n, uint32_t *out);

/* Borrowed until the next add. */
static inline ps_text ps_idmap_name(const ps_idmap *m, uint32_t number)
{
    uint64_t at = m->offset[number];
    return (ps_text){m->text + at, (size_t)(m->offset[number + 1] - at)};
}

/* Free the slots when nothing more will be looked up; names stay. */
void ps_idmap_forget_slots(ps_idmap *m);

#endif
