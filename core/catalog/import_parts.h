/* import_parts.h - the steps of an import, and what they hand to each other.
 *
 * Threads: a job belongs to one thread. Not here: their order (import.c).
 */
#ifndef PINSAGE_CORE_CATALOG_IMPORT_PARTS_H
#define PINSAGE_CORE_CATALOG_IMPORT_PARTS_H

#include "core/catalog/idmap.h"
#include "core/data/tsv.h"
#include "pinsage/catalog.h"
#include "pinsage/graph.h"
#include "pinsage/import.h"
#include "pinsage/pins.h"

typedef struct ps_import_job {
    const ps_import_opts *opts;
    const ps_progress *progress;
    ps_why *why;
    ps_import_report *report;
    ps_draft *draft;
    ps_tsv *pins, *edges; /* open, headers read */
    size_t edge_pin, edge_board;
    ps_pins_writer *writer;    /* pins.mdb */
    ps_graph_builder *builder; /* edges */
    ps_idmap ids;              /* pin ids; numbers are rows */
    ps_idmap boards;           /* board names and numbers */
    bool products;             /* rows being copied are compared by inner product */
} ps_import_job;

/* All of pins.tsv: records into job->writer, ids into job->ids. */
int ps_import_pins(ps_import_job *job);
/* All of edges.tsv: edges into job->builder, boards into job->boards. */
int ps_import_edges(ps_import_job *job);
/* Both lists of names into job->writer; frees the lists. */
int ps_import_names(ps_import_job *job);
/* The four arrays of the graph; its counts and degrees into the report. */
int ps_import_graph(ps_import_job *job);

/* What can be said about a matrix before the pins are counted: type and dimensions. */
int ps_import_array_check(const char *path, ps_why *why);
typedef struct ps_import_array_found {
    uint64_t dim, filled; /* filled: rows that are not all zero */
    const char *dtype;
} ps_import_array_found;
/* Copy a matrix to the draft's file `name`: every number looked at, no row held. */
int ps_import_array(ps_import_job *job, const char *name, const char *path,
                    ps_import_array_found *found);

/* "-" is the standard input. */
const char *ps_import_path(const char *path);

/* A name as it may stand in a message: cut if long, control bytes as '?'. */
#define PS_SHOWN 84
const char *ps_import_shown(char out[PS_SHOWN], ps_text name);

int ps_import_two_columns(ps_tsv *t, const char *first, const char *second,
                          size_t column[2], ps_why *why);
/* Names of the columns but these two, as far as there is room, with ", " between; how
 * many there are. */
size_t ps_import_unused(const ps_tsv *t, const size_t column[2], char *out, size_t room);
/* PS_EINVAL for columns (NULL is fine) that are not NAME=OTHER,... with names we know. */
int ps_import_columns_check(const char *columns, ps_why *why);
/* ", line 7 of the pins" for a row, nothing when records had several lines. */
#define PS_LINE_SHOWN 48
const char *ps_import_line_shown(char out[PS_LINE_SHOWN], const ps_import_job *job,
                                 uint64_t row);

#endif
