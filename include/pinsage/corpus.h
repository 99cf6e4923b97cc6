/* corpus.h - a generation's graph as training and batch inference see it.
 *
 * The seeds of the pins' walks, and the neighbour tables made so far: several runs over
 * one catalog (trials, baselines) ask for the same tables, which are made once.
 *
 * Threads: one thread of control.
 * Not here: what is in it (core/neighbours/corpus_inside.h).
 */
#ifndef PINSAGE_CORPUS_H
#define PINSAGE_CORPUS_H

#include <stdint.h>

#include "pinsage/err.h"
#include "pinsage/generation.h"
#include "pinsage/graph.h"
#include "pinsage/progress.h"

/* The graph's side of training, made once for several runs over one catalog. */
typedef struct ps_corpus ps_corpus;
/* graph may differ from the generation's (label boards held out); borrowed like g. */
int ps_corpus_new(ps_corpus **c, ps_generation *g, const ps_graph *graph, uint64_t seed,
                  unsigned threads, ps_why *why);
void ps_corpus_free(ps_corpus *c);

/* Put a model of the same tensor names, made here or elsewhere, in the place of the
 * current one, with the lists of its walks, as a new generation; `pinsage embed` does the
 * rest. PS_EMISMATCH in words when its blocks or widths are not the catalog's. */
typedef struct ps_model_import_opts {
    unsigned threads, keep;
} ps_model_import_opts;
int ps_model_import(const char *catalog, const char *path, ps_model_import_opts opts,
                    const ps_progress *progress, ps_why *why);

#endif
