/* erased.h - proof that nothing is left of a pin's id in a catalog's files.
 *
 * After DELETE a pin is in no answer; after the next compaction it is in no file of the
 * current generation and of live/. Generations that are kept still have it. This looks
 * for the id's bytes, raw, in whatever file can hold names, wherever they would stand: as
 * a key, also in pages that are free; in a record; in an edge, whose key begins with the
 * id's hash; in a vote. So it does not believe what a table of contents says.
 *
 * Arrays, index and model hold numbers alone and are not read. What a pin had to say (its
 * title, its text) cannot be looked for, for nobody knows it any more: it stood in the
 * same records. Words that it shared with other pins stay words.
 *
 * Threads: one. A server may be at work meanwhile.
 */
#ifndef PINSAGE_SERVER_COMPACT_ERASED_H
#define PINSAGE_SERVER_COMPACT_ERASED_H

#include "pinsage/generation.h"
#include "pinsage/text.h"

/* A check for each generation, for live/ and for whatever else lies there: err 0 when no
 * trace is in it. PS_EEXIST, in words, when there is one anywhere. */
int ps_erased_check(const char *catalog, ps_text id, ps_check_fn fn, void *cls,
                    const ps_progress *progress, ps_why *why);

#endif
