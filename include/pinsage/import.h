/* import.h - from a user's files to the first generation of a catalog.
 *
 * Pins and edges are streamed: memory holds the names of pins and boards and at most
 * some 70 bytes for each of them, nothing of features, text or edges. Formats: see README
 * "Input formats". A path "-" is the standard input (pins or edges, not both).
 *
 * Errors: PS_EFORMAT with file and line for what is wrong in a file; then, as after any
 * other failure, the catalog is as it was before, or not there if it was not.
 *
 * Threads: one import at a time for each catalog (the draft's lock).
 */
#ifndef PINSAGE_IMPORT_H
#define PINSAGE_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pinsage/err.h"
#include "pinsage/progress.h"

typedef struct ps_import_feature {
    const char *name; /* [a-z][a-z0-9_]{0,31} */
    const char *path; /* .npy, (pins, D) */
} ps_import_feature;

typedef struct ps_import_opts {
    const char *pins, *edges;          /* paths; .gz or not is found out by content */
    const ps_import_feature *features; /* (n_features) */
    size_t n_features;
    const char *embeddings; /* precomputed vectors, (pins, E); NULL for none */
    bool skip_unknown;      /* --unknown-pins=skip */
    const char *columns;    /* "pin=item_id,board=user_id": other names; NULL for none */
    unsigned threads;       /* 0 = all cores */
    unsigned keep;          /* older generations kept; default 1 */
    bool hold;              /* the result waits as `next` for steps that follow */
} ps_import_opts;

typedef struct ps_import_report {
    uint32_t pins, boards, isolated;
    uint64_t edges, duplicates, unknown;
    uint32_t pin_degree[5];         /* percentiles 0 50 90 99 100 of boards per pin */
    uint32_t board_degree[5];       /* the same of pins per board */
    long pins_quoted, edges_quoted; /* line of the first field in quotes, 0: none */
    char unused[128];               /* columns of the edges without use, "" for none */
    char generation[32];
} ps_import_report;

int ps_import(const char *catalog, const ps_import_opts *opts, ps_import_report *report,
              const ps_progress *progress, ps_why *why);

/* ---- Pairs files (query TAB related) ----
 *
 * The one reader of pairs for training, validation and evaluation, so that all three mean
 * the same by a pair: two different pins of the catalog, counted once however often the
 * file has it. What was left out is counted. PS_EFORMAT in words when nothing is left. */
typedef struct ps_left_out {
    uint64_t self;     /* of a pin with itself: a query is no candidate for itself */
    uint64_t repeated; /* the same query and related pin once more */
    uint64_t unknown;  /* of pins that are not in the catalog, when skip_unknown */
} ps_left_out;
typedef struct ps_pairs {
    uint32_t (*pair)[2]; /* (n) query row, related row; in the file's order; owned */
    size_t n;
    ps_left_out left_out;
} ps_pairs;
struct ps_pins_reader;
struct ps_buf;
/* "100 of a pin with itself, 3 repeated"; nothing when nothing was left out. */
void ps_left_out_print(const ps_left_out *l, struct ps_buf *out);
typedef struct ps_pairs_opts {
    bool skip_unknown;
    const char *columns; /* "query=viewed,related=bought": other names; NULL for none */
} ps_pairs_opts;
int ps_pairs_load(ps_pairs *p, const char *path, struct ps_pins_reader *pins,
                  ps_pairs_opts opts, ps_why *why);
/* One more at the end, *room being how many there is memory for (0 at first). PS_ENOMEM
 * changes nothing. */
int ps_pairs_add(ps_pairs *p, size_t *room, uint32_t query, uint32_t related);
void ps_pairs_free(ps_pairs *p);

#endif
