/* compact_inside.h - a compaction as its own files see it.
 *
 * Threads: see compact.h.
 */
#ifndef PINSAGE_SERVER_COMPACT_COMPACT_INSIDE_H
#define PINSAGE_SERVER_COMPACT_COMPACT_INSIDE_H

#include "pinsage/catalog.h"
#include "pinsage/file.h"
#include "pinsage/workers.h"
#include "server/compact/compact.h"
#include "server/live/live.h"

/* What is compacted: a view at one version, entered by whoever calls. All borrowed. */
typedef struct compact_source {
    const ps_view *view;
    const ps_featurizer *featurizer;
    ps_store *store;
    ps_snapshot s;
    uint64_t lsn; /* of the last operation that s shows */
} compact_source;

typedef struct compaction {
    compact_source from;
    const ps_compact_opts *opts;
    const ps_progress *progress;
    ps_why *why;
    ps_compact_report *report;
    ps_generation *g; /* the one before; borrowed */
    ps_draft *draft;
    ps_pins_reader *base;
    ps_workers *workers;
    uint32_t rows, boards; /* numbers in the view, those of the dead included */
    uint32_t *pin;         /* (rows) number in the new generation, PS_NO_ROW: none */
    uint32_t *board;       /* (boards) the same */
    uint64_t read;         /* bytes of files checked */
    uint64_t *moved;       /* (rows / 64 + 1) bit: on other boards than before */
} compaction;

/* The next generation of the catalog, whose lock is taken here. */
int compact_source_into(const char *catalog, compact_source from,
                        const ps_compact_opts *opts, ps_compact_report *report,
                        const ps_progress *progress, ps_why *why);

static inline bool compact_has_moved(const compaction *f, uint32_t row)
{
    return f->moved[row / 64] >> row % 64 & 1;
}

static inline int compact_tell(const compaction *f, const char *stage, uint64_t done,
                               uint64_t total, const char *unit)
{
    return ps_progress_at(f->progress, stage, done, total, unit);
}

/* ---- compact_names.c: numbers, pins.mdb ---- */
int compact_number(compaction *f);
int compact_names(compaction *f);

/* ---- compact_graph.c: edges; vectors of boards ---- */
int compact_graph(compaction *f);
int compact_boards(compaction *f);

/* ---- compact_arrays.c: what has a row a pin ---- */
int compact_blocks(compaction *f);
int compact_vectors(compaction *f); /* messages and embeddings */
/* A file of the draft, begun and listed. */
int compact_array_begin(compaction *f, const char *name, ps_dtype type, uint64_t rows,
                        uint64_t cols, ps_out **out);
/* err: what came of writing it, returned when not 0. Takes out. */
int compact_array_end(compaction *f, const char *name, ps_out *out, int err);

/* ---- compact_neighbours.c ---- */
int compact_neighbours(compaction *f);

/* ---- compact_rank.c: what the ranker reads beside graph and blocks ---- */
int compact_text(compaction *f);
int compact_pairs(compaction *f);

/* ---- compact_votes.c ---- */
int compact_votes(compaction *f);

#endif
