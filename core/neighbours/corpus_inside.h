/* corpus_inside.h - the graph, the seeds, and the neighbour tables made so far.
 *
 * Several runs over one catalog (trials, baselines) ask for the same tables: they are
 * made once.
 *
 * Threads: one thread of control.
 */
#ifndef PINSAGE_CORE_NEIGHBOURS_CORPUS_INSIDE_H
#define PINSAGE_CORE_NEIGHBOURS_CORPUS_INSIDE_H

#include "core/neighbours/tables.h"
#include "pinsage/corpus.h"

enum { PS_TABLES = 8 };

typedef struct kept_table {
    ps_table table;
    ps_walk_opts walk;
    bool khop;
} kept_table;

struct ps_corpus {
    ps_generation *generation; /* borrowed */
    const ps_graph *graph;     /* borrowed */
    uint64_t seed;
    uint64_t *seeds; /* (N) of the pins' walks */
    ps_workers *workers;
    kept_table kept[PS_TABLES];
    uint32_t n_kept;
};

/* The table of these walks; lives as long as the corpus. */
int ps_corpus_table(ps_corpus *c, ps_walk_opts walk, bool khop, const ps_table **out,
                    const ps_progress *progress, ps_why *why);

#endif
