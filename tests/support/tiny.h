/* tiny.h - a whole catalog of five pins, with every kind of part, for tests.
 *
 *     pins p0..p4    boards b0 {p0 p1 p2}  b1 {p1 p2 p3}  b2 {p0}    p4 is on none
 */
#ifndef PINSAGE_TESTS_SUPPORT_TINY_H
#define PINSAGE_TESTS_SUPPORT_TINY_H

#include "pinsage/catalog.h"
#include "pinsage/npy.h"

#define TINY_PINS   5
#define TINY_BOARDS 3
#define TINY_EDGES  7

/* Import it as the next generation of `catalog` (changes.h): pins.mdb, graph/, blocks
 * annotation (5, 2) f16 and visual (5, 3) f32. */
void tiny_import(void);
/* pins.mdb of a draft. swapped: "p1" and "p2" lead to each other's rows. */
void tiny_pins(ps_draft *d, int swapped);
/* And embeddings.npy (5, 2) f32 of length 1, neighbours (5, 2), messages.1.npy (5, 4)
 * f16, index.faiss (some bytes), with fingerprints. */
void tiny_embed(void);
/* Write an array into a draft and list it; cols 0 makes one dimension. */
void tiny_array(ps_draft *d, const char *name, ps_dtype t, uint64_t rows, uint64_t cols,
                const void *data);
/* A draft of the catalog in use. */
ps_draft *tiny_begin(bool fresh);
void tiny_commit(ps_draft *d);
/* Path of a file in the current generation, by name. */
const char *tiny_path(const char *name);
/* List a file of the current generation anew, as it is now: for damage that no checksum
 * tells. */
void tiny_relist(const char *name);

#endif
