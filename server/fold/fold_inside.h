/* fold_inside.h - a fold as its own files see it.
 *
 * Threads: see fold.h.
 */
#ifndef PINSAGE_SERVER_FOLD_FOLD_INSIDE_H
#define PINSAGE_SERVER_FOLD_FOLD_INSIDE_H

#include "pinsage/catalog.h"
#include "pinsage/file.h"
#include "pinsage/workers.h"
#include "server/fold/fold.h"
#include "server/live/live.h"

/* What is folded: a view at one version, entered by whoever calls. All borrowed. */
typedef struct fold_source {
    const ps_view *view;
    const ps_kit *kit;
    ps_store *store;
    ps_snapshot s;
    uint64_t lsn; /* of the last operation that s shows */
} fold_source;

typedef struct fold {
    fold_source from;
    const ps_fold_opts *opts;
    const ps_progress *progress;
    ps_why *why;
    ps_fold_report *report;
    ps_generation *g; /* the one before; borrowed */
    ps_draft *draft;
    ps_pins_reader *base;
    ps_workers *team;
    uint32_t rows, boards; /* numbers in the view, those of the dead included */
    uint32_t *pin;         /* (rows) number in the new generation, PS_NO_ROW: none */
    uint32_t *board;       /* (boards) the same */
    uint64_t *moved;       /* (rows / 64 + 1) bit: on other boards than before */
} fold;

/* The next generation of the catalog, whose lock is taken here. */
int fold_source_into(const char *catalog, fold_source from, const ps_fold_opts *opts,
                     ps_fold_report *report, const ps_progress *progress, ps_why *why);

static inline bool fold_has_moved(const fold *f, uint32_t row)
{
    return f->moved[row / 64] >> row % 64 & 1;
}

static inline int fold_tell(const fold *f, const char *stage, uint64_t done,
                            uint64_t total, const char *unit)
{
    return ps_progress_at(f->progress, stage, done, total, unit);
}

/* ---- fold_names.c: numbers, pins.mdb ---- */
int fold_number(fold *f);
int fold_names(fold *f);

/* ---- fold_graph.c: edges; vectors of boards ---- */
int fold_graph(fold *f);
int fold_boards(fold *f);

/* ---- fold_arrays.c: what has a row a pin ---- */
int fold_blocks(fold *f);
int fold_vectors(fold *f); /* messages and embeddings */
/* A file of the draft, begun and listed. */
int fold_array_begin(fold *f, const char *name, ps_dtype type, uint64_t rows,
                     uint64_t cols, ps_out **out);
/* err: what came of writing it, returned when not 0. Takes out. */
int fold_array_end(fold *f, const char *name, ps_out *out, int err);

/* ---- fold_neighbours.c ---- */
int fold_neighbours(fold *f);

/* ---- fold_votes.c ---- */
int fold_votes(fold *f);

#endif
