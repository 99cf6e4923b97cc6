/* file_names.h - what the four arrays of a graph are called in its folder.
 *
 * Threads: constants.
 */
#ifndef PINSAGE_CORE_GRAPH_FILE_NAMES_H
#define PINSAGE_CORE_GRAPH_FILE_NAMES_H

#include "pinsage/layout.h"

/* Offsets and indices by pin, then by board; the order of ps_graph.array. */
static const char *const ps_graph_file[4] = {
    PS_GRAPH_PINS ".indptr.npy",
    PS_GRAPH_PINS ".indices.npy",
    PS_GRAPH_BOARDS ".indptr.npy",
    PS_GRAPH_BOARDS ".indices.npy",
};

#endif
