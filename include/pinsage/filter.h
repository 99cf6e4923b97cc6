/* filter.h - which rows may be an answer.
 *
 * A filter is one callback, so that whatever decides (deleted, excluded, on a board, an
 * attribute) is told to every kind of search in one way. How many rows pass need not be
 * known; when it is, a search of few goes to them directly.
 *
 * Threads: the callback is called by the thread that searches.
 */
#ifndef PINSAGE_FILTER_H
#define PINSAGE_FILTER_H

#include <stdbool.h>
#include <stdint.h>

typedef struct ps_filter {
    bool (*pass)(void *cls, uint32_t row); /* NULL: every row passes */
    void *cls;
    uint64_t passing; /* about how many rows pass; 0: not known, and taken for most */
} ps_filter;

static inline bool ps_passes(const ps_filter *f, uint32_t row)
{
    return !f || !f->pass || f->pass(f->cls, row);
}

#endif
