/* compact.h - what was written through the server becomes part of the next generation.
 *
 *     generation + live  --snapshot at operation L-->  next generation  -->  live, from L
 *
 * The new generation is what the live view showed at L: pins that are gone are out, live
 * pins have rows behind the others, each with the vectors that it was answered with, so
 * an answer before the switch and one after it are the same but for the index. Numbers
 * of pins and boards keep their order, so walks are the same too. Boards without pins
 * are left out. The index is built anew, as the one before was asked to be.
 *
 * What is not made anew: messages and lists of neighbours of pins that nobody wrote to
 * (of the latter, pins that are gone are taken out), the words, vectors of boards that
 * are new (zeros, as they had live), the model. `embed` makes vectors of one piece again,
 * `structure` and `annotate` their blocks.
 *
 * Crashes. The draft is nothing until it is committed. From then on live records up to L
 * are passed over by whoever opens the generation, so whether they were removed from the
 * store (ps_writer_trim) makes no difference but for room, and for erasure.
 *
 * Memory: 4 bytes a pin and a board, 32 a pin while names are sorted, and what the
 * graph's builder and the index need; everything else streams.
 *
 * Threads: a call is one thread's, beside those it starts; a server goes on meanwhile.
 * Not here: switching a server to what came out (serve_open.c).
 */
#ifndef PINSAGE_SERVER_COMPACT_COMPACT_H
#define PINSAGE_SERVER_COMPACT_COMPACT_H

#include <stdbool.h>
#include <stdint.h>

#include "pinsage/err.h"
#include "pinsage/progress.h"
#include "server/engine/engine.h"

typedef struct ps_compact_opts {
    unsigned threads; /* 0 = all cores */
    unsigned keep;    /* 1, 0..1000: older generations kept */
    uint64_t seed;    /* 1: of the index's training */
} ps_compact_opts;

typedef struct ps_compact_report {
    char generation[32]; /* the current one, new or not */
    bool nothing;        /* nothing was written since it was made */
    uint64_t lsn;        /* L: of the last write that it contains */
    uint32_t pins, boards;
    uint64_t edges, votes;
    uint32_t added, replaced, deleted; /* pins, of the generation before */
    uint32_t embedded; /* rows whose vector was made since the generation before */
    /* What was written and has no place in the new generation, and now is gone. */
    ps_unfit dropped;
    char index[128]; /* factory string, "" without an index */
    double recall_at_10, seconds;
} ps_compact_report;

/* `pinsage compact`: without a server; trims and rewrites the store, prunes generations.
 * PS_EBUSY in words while a server has the store. */
int ps_compact_catalog(const char *catalog, const ps_compact_opts *opts,
                       ps_compact_report *report, const ps_progress *progress,
                       ps_why *why);

/* From an engine that is attached to a writer, which goes on writing. The caller then
 * switches to the new generation, and only when that answers has the writer trim it
 * and older generations pruned: until then this keeps at least one. PS_EMISMATCH in
 * words when the engine's generation is not the catalog's current one. */
int ps_compact_engine(ps_engine *e, const char *catalog, const ps_compact_opts *opts,
                      ps_compact_report *report, const ps_progress *progress,
                      ps_why *why);

/* For keep 0: what is to be found nowhere any more may be in an update under way, so that
 * is given up. Its folder goes when generations are pruned. */
int ps_compact_erase_next(const char *catalog, ps_why *why);

#endif
