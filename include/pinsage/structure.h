/* structure.h - the graph itself as a feature block: `structure`.
 *
 * Truncated singular value decomposition of the normalised pin-board matrix
 * D_p^-1/2 A D_b^-1/2, randomised (Halko, Martinsson and Tropp, 2011); D holds each
 * degree and a little more, which keeps loose ends from taking all directions. The first
 * component says only how many boards a pin is on and is dropped; the next `dim`,
 * weighted by their singular values, are a pin's vector, normalised to length 1.
 *
 * structure.boards.npy (boards, dim) f32 holds a vector for each board such that a pin's
 * row is the normalised sum of its boards' vectors: that is how the block is filled, and
 * how a pin that nobody has seen is folded in.
 *
 * Threads: ps_structure starts its own; the result is the same for any number.
 */
#ifndef PINSAGE_STRUCTURE_H
#define PINSAGE_STRUCTURE_H

#include <stdint.h>

#include "pinsage/err.h"
#include "pinsage/npy.h"
#include "pinsage/progress.h"

/* Defaults and ranges: server/cli/structure.c. */
typedef struct ps_structure_opts {
    uint32_t dim;        /* of a vector; less on a graph that has less */
    uint32_t iterations; /* power iterations */
    unsigned threads;    /* 0 = all cores */
    uint64_t seed;
    unsigned keep; /* older generations kept */
    bool replace;  /* also a block `structure` that was imported */
} ps_structure_opts;

typedef struct ps_structure_report {
    uint32_t dim, filled;       /* pins with a vector: those on a board */
    double first, second, last; /* singular values: the dropped one, the largest and the
                                   smallest kept */
    double seconds;
    char generation[32];
} ps_structure_report;

/* Write the block and the boards' vectors as a new generation. PS_ENOENT in words when
 * there are fewer than three pins or boards: nothing is changed then. */
int ps_structure(const char *catalog, const ps_structure_opts *opts,
                 ps_structure_report *report, const ps_progress *progress, ps_why *why);

/* The row of a pin saved on n boards into out (dim), zeros when n is 0; returns how many
 * of them have a vector: boards that are newer than the vectors, structure.boards.npy,
 * add nothing. */
uint32_t ps_structure_fold_in(const ps_npy *vectors, const uint32_t *boards, uint32_t n,
                              float *out);

#endif
