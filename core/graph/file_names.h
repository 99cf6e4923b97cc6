/* file_names.h - what the four arrays of a graph are called.
 *
 * Threads: constants.
 */
#ifndef PINSAGE_CORE_GRAPH_FILE_NAMES_H
#define PINSAGE_CORE_GRAPH_FILE_NAMES_H

/* Offsets and indices by pin, then by board; the order of ps_graph.array. */
static const char *const ps_graph_file[4] = {
    "pin_boards.indptr.npy",
    "pin_boards.indices.npy",
    "board_pins.indptr.npy",
    "board_pins.indices.npy",
};

#endif
