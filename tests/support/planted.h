/* planted.h - pins in groups that boards and pairs follow and features hardly show, so
 * that a model has something to learn and a test can say whether it did.
 *
 *     pin i is of group i % groups; a board holds pins of one group, now and then a
 *     stranger; the last pin is on no board
 *
 * Threads: one. Everything aborts the test when it fails.
 */
#ifndef PINSAGE_TESTS_SUPPORT_PLANTED_H
#define PINSAGE_TESTS_SUPPORT_PLANTED_H

#include "pinsage/generation.h"
#include "pinsage/import.h"

enum { PLANTED_VISUAL = 8, PLANTED_ANNOTATION = 4 };

typedef struct planted {
    uint32_t n_pins, n_boards, groups;
    uint64_t seed;
    float *visual;        /* (n_pins, 8): a little of the group, and noise */
    uint16_t *annotation; /* (n_pins, 4) f16: noise; every seventh row is zero */
    ps_graph graph;
    ps_block block[2];        /* annotation, visual */
    ps_generation generation; /* of the above, in memory: no files, no pins.mdb */
} planted;

void planted_make(planted *p, uint32_t n_pins, uint32_t groups, uint64_t seed);
void planted_free(planted *p);

/* n pairs of two pins of a group; to ps_pairs_free. */
ps_pairs planted_pairs(const planted *p, size_t n, uint64_t seed);

/* Import the same as the next generation of `catalog` (changes.h), pin i called "p<i>" in
 * row i. */
void planted_import(const planted *p);
/* planted_pairs as a file in the scratch directory; its path. */
const char *planted_pairs_file(const planted *p, const char *name, size_t n,
                               uint64_t seed);
/* The current generation of `catalog`, opened. */
ps_generation *planted_open(void);
/* Each part of it is whole, by its checksum and its invariants. */
void planted_verify(void);

#endif
