/* install.h - a model's files in a draft: weights, neighbour lists, what they came from.
 *
 * Threads: one thread of control.
 */
#ifndef PINSAGE_CORE_NEIGHBOURS_INSTALL_H
#define PINSAGE_CORE_NEIGHBOURS_INSTALL_H

#include "pinsage/catalog.h"
#include "pinsage/corpus.h"
#include "pinsage/model.h"

/* model.safetensors, neighbours.*.npy by the model's own walks over the corpus's graph,
 * and "model.*" of the manifest. */
int ps_install_model(ps_draft *d, ps_corpus *c, const ps_model *model,
                     const ps_progress *progress, ps_why *why);

/* The lists alone. */
int ps_install_neighbours(ps_draft *d, ps_corpus *c, const ps_model_config *m,
                          const ps_progress *progress, ps_why *why);

/* A file of n_pins rows. */
int ps_install_array(ps_draft *d, const ps_generation *g, const char *name, ps_dtype type,
                     uint64_t cols, const void *data, ps_why *why);
/* Which versions of graph and blocks (comma-separated) a file was made from, so that a
 * later change of one of them drops it. blocks NULL: the graph alone. */
int ps_install_sign(ps_draft *d, const ps_generation *g, const char *file,
                    const char *blocks);

#endif
