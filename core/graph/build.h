/* build.h - the builder's one knob, for tests.
 *
 * Threads: see graph.h.
 */
#ifndef PINSAGE_CORE_GRAPH_BUILD_H
#define PINSAGE_CORE_GRAPH_BUILD_H

#include "pinsage/graph.h"

/* Edges sorted at a time (4 bytes of memory each); as many more as its last row has. */
#define PS_GRAPH_WINDOW ((uint64_t)1 << 23)
void ps_graph_builder_window(ps_graph_builder *b, uint64_t edges);

#endif
