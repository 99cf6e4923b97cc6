/* idmap.c - the open-addressing table of names.
 *
 * Threads: see idmap.h.
 */
#include "core/catalog/idmap.h"

#include <stdlib.h>
#include <string.h>

#include "pinsage/err.h"
#include "pinsage/hash.h"

#define FIRST_SLOTS ((size_t)1 << 10)
#define GROUP       ((size_t)64) /* lookups under way at once */

/* ------------------------------ The table --------------------------------- */

static uint32_t hash_of(ps_text name)
{
    return (uint32_t)(ps_hash(name.data, name.len) >> 32);
}

static size_t place_of(const ps_idmap *m, uint32_t hash)
{
    return (size_t)(((unsigned __int128)hash * m->slots) >> 32);
}

static uint64_t slot_of(uint32_t hash, uint32_t number)
{
    return (uint64_t)hash << 32 | (number + 1);
}

/* Where the name stands, or the free slot where it would. */
static size_t find_slot(const ps_idmap *m, uint32_t hash, ps_text name)
{
    size_t at = place_of(m, hash);
    for (; m->slot[at]; at = (at + 1) & (m->slots - 1))
        if (m->slot[at] >> 32 == hash &&
            ps_text_same(ps_idmap_name(m, (uint32_t)m->slot[at] - 1), name))
            break;
    return at;
}

static void insert(ps_idmap *m, uint64_t slot)
{
    size_t at = place_of(m, (uint32_t)(slot >> 32));
    while (m->slot[at])
        at = (at + 1) & (m->slots - 1);
    m->slot[at] = slot;
}

static int grow_slots(ps_idmap *m)
{
    uint64_t *old = m->slot;
    size_t n = m->slots;
    m->slots = n ? 2 * n : FIRST_SLOTS;
    m->slot = calloc(m->slots, sizeof *m->slot);
    if (!m->slot) {
        m->slot = old;
        m->slots = n;
        return PS_ENOMEM;
    }
    for (size_t i = 0; i < n; i++)
        if (old[i])
            insert(m, old[i]);
    free(old);
    return PS_OK;
}

/* ------------------------------ The names --------------------------------- */

static int grow(void *block, size_t *room, size_t need, size_t item)
{
    void *old, *grown;
    size_t n = *room ? *room : 1024;
    while (n < need)
        n += n / 2;
    memcpy(&old, block, sizeof old);
    if (n > SIZE_MAX / item - 1 || !(grown = realloc(old, (n + 1) * item)))
        return PS_ENOMEM;
    memcpy(block, &grown, sizeof grown);
    *room = n;
    return PS_OK;
}

static int append(ps_idmap *m, ps_text name)
{
    int err = PS_OK;
    if (m->n == PS_NO_NUMBER)
        return PS_ERANGE;
    if (m->n == m->room)
        err = grow(&m->offset, &m->room, (size_t)m->n + 1, sizeof *m->offset);
    if (err)
        return err;
    if (m->n == 0)
        m->offset[0] = 0;
    size_t at = (size_t)m->offset[m->n];
    if (at + name.len > m->text_room || !m->text)
        err = grow(&m->text, &m->text_room, at + name.len, 1);
    if (err)
        return err;
    memcpy(m->text + at, name.data, name.len);
    m->offset[++m->n] = at + name.len;
    return PS_OK;
}

/* Slots are made first, so that a failure changes nothing. */
static int add_hashed(ps_idmap *m, uint32_t hash, ps_text name, uint32_t *number,
                      bool *added)
{
    int err = PS_OK;
    if (((size_t)m->n + 1) * 3 > m->slots * 2)
        err = grow_slots(m);
    if (err)
        return err;
    size_t at = find_slot(m, hash, name);
    *added = !m->slot[at];
    if (*added) {
        err = append(m, name);
        if (err)
            return err;
        m->slot[at] = slot_of(hash, m->n - 1);
    }
    *number = (uint32_t)m->slot[at] - 1;
    return PS_OK;
}

int ps_idmap_add(ps_idmap *m, ps_text name, uint32_t *number, bool *added)
{
    return add_hashed(m, hash_of(name), name, number, added);
}

uint32_t ps_idmap_find(const ps_idmap *m, ps_text name)
{
    if (!m->slots)
        return PS_NO_NUMBER;
    uint64_t slot = m->slot[find_slot(m, hash_of(name), name)];
    return slot ? (uint32_t)slot - 1 : PS_NO_NUMBER;
}

/* ------------------------------ Many at once ------------------------------ */

/* Hashes of a group, and its three cache misses asked for one after the other: all
 * slots, then all offsets, then all texts. */
static void prefetch(const ps_idmap *m, const ps_text *names, size_t n, uint32_t *hash)
{
    uint32_t guess[GROUP];
    for (size_t i = 0; i < n; i++) {
        hash[i] = hash_of(names[i]);
        if (m->slots)
            __builtin_prefetch(&m->slot[place_of(m, hash[i])]);
    }
    for (size_t i = 0; i < n && m->slots; i++) {
        size_t at = place_of(m, hash[i]);
        while (m->slot[at] && m->slot[at] >> 32 != hash[i])
            at = (at + 1) & (m->slots - 1);
        guess[i] = (uint32_t)m->slot[at];
        if (guess[i])
            __builtin_prefetch(&m->offset[guess[i] - 1]);
    }
    for (size_t i = 0; i < n && m->slots; i++)
        if (guess[i])
            __builtin_prefetch(m->text + m->offset[guess[i] - 1]);
}

void ps_idmap_find_all(const ps_idmap *m, const ps_text *names, size_t n, uint32_t *out)
{
    uint32_t hash[GROUP];
    for (size_t done = 0; done < n;) {
        size_t group = n - done < GROUP ? n - done : GROUP;
        prefetch(m, names + done, group, hash);
        for (size_t i = 0; i < group; i++, done++) {
            uint64_t slot = 0;
            if (m->slots)
                slot = m->slot[find_slot(m, hash[i], names[done])];
            out[done] = slot ? (uint32_t)slot - 1 : PS_NO_NUMBER;
        }
    }
}

int ps_idmap_add_all(ps_idmap *m, const ps_text *names, size_t n, uint32_t *out)
{
    uint32_t hash[GROUP];
    bool added;
    int err = PS_OK;
    for (size_t done = 0; done < n && !err;) {
        size_t group = n - done < GROUP ? n - done : GROUP;
        prefetch(m, names + done, group, hash);
        for (size_t i = 0; i < group && !err; i++, done++)
            err = add_hashed(m, hash[i], names[done], &out[done], &added);
    }
    return err;
}

/* ------------------------------ Lifetime ---------------------------------- */

void ps_idmap_forget_slots(ps_idmap *m)
{
    free(m->slot);
    m->slot = NULL;
    m->slots = 0;
}

void ps_idmap_done(ps_idmap *m)
{
    free(m->slot);
    free(m->offset);
    free(m->text);
    *m = (ps_idmap){0};
}
