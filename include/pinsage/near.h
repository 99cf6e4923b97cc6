/* near.h - how far a name is from a misspelt one, byte by byte.
 *
 * The distance counts bytes replaced, left out, put in, and neighbours swapped (optimal
 * string alignment). The table is filled one byte of the candidate at a time, so that
 * candidates in sorted order share the rows of their common prefix, and a prefix
 * that is already too far rules out all that begin with it.
 *
 * Threads: one ps_near, one thread. Not here: which names to try
 * (core/catalog/pins_suggest.c, server/cli/guess.c).
 */
#ifndef PINSAGE_NEAR_H
#define PINSAGE_NEAR_H

#include <stddef.h>
#include <stdint.h>

#include "pinsage/text.h"

#define PS_NEAR_MAX     2   /* largest distance that is told apart */
#define PS_NEAR_LONGEST 511 /* bytes of a name that is compared, at most */
#define PS_NEAR_FAR     (PS_NEAR_MAX + 1)

typedef struct ps_near {
    const unsigned char *query; /* borrowed */
    size_t len;
    /* row[i][d]: distance of the candidate's first i bytes from the query's first
     * i + d - PS_NEAR_MAX; anything off this band is too far anyway. */
    uint8_t row[PS_NEAR_LONGEST + PS_NEAR_MAX + 2][2 * PS_NEAR_MAX + 1];
} ps_near;

/* query (at most PS_NEAR_LONGEST bytes) must stay as long as n. */
void ps_near_init(ps_near *n, const char *query, size_t len);
/* Fill row i (1-based) for a candidate whose i-th byte is name[i - 1]; rows before it
 * are filled. Returns the smallest distance that a name with these i bytes can have. */
unsigned ps_near_step(ps_near *n, const unsigned char *name, size_t i);
/* What that step returned: the smallest of row i. */
unsigned ps_near_least(const ps_near *n, size_t i);
/* Distance of a candidate of len bytes, all of whose rows are filled. */
unsigned ps_near_distance(const ps_near *n, size_t len);
/* The whole of it: distance of name, PS_NEAR_FAR when it is more than `most`. */
unsigned ps_near_compare(ps_near *n, const char *name, size_t len, unsigned most);

/* The nearest of names that are offered one after the other; of equals the first. */
typedef struct ps_guess {
    ps_near near;
    unsigned most;    /* a name must be no further than this to be kept */
    const char *best; /* borrowed from who offered it; NULL: none is near enough */
} ps_guess;
void ps_guess_init(ps_guess *g, ps_text wrong); /* borrowed; of any length */
void ps_guess_offer(ps_guess *g, const char *name);

#endif
