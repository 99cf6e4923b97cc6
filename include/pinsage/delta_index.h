/* delta_index.h - vectors of live rows: what the index does not hold yet, searched
 * exactly.
 *
 * The index and the arrays of a generation never change; a pin posted since, replaced,
 * or embedded anew has its vector here. A row has one vector in the delta index or none;
 * one that is here overrides the generation's. Beside the vector an owner may keep bytes
 * of its own (the messages of a pin).
 *
 * Threads: one writer; readers are inside the epoch (epoch.h).
 * Not here: the built index (ann.h), which rows may be shown.
 */
#ifndef PINSAGE_DELTA_INDEX_H
#define PINSAGE_DELTA_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pinsage/ann.h"
#include "pinsage/epoch.h"

typedef struct ps_delta_index ps_delta_index;

typedef struct ps_delta_index_opts {
    uint32_t dim;       /* numbers of a vector */
    uint32_t extra;     /* bytes kept beside it */
    uint32_t base_rows; /* rows of the generation */
    bool cosine;        /* scores are divided by both lengths */
} ps_delta_index_opts;

int ps_delta_index_new(ps_delta_index **t, ps_delta_index_opts opts, ps_epoch *epoch);
/* No reader may be left, and the epoch must have nothing retired any more. NULL is fine.
 */
void ps_delta_index_free(ps_delta_index *t);

/* Writer: vector (dim) and extra (NULL: zeros) of a row, in place of what it had.
 * PS_ENOMEM changes nothing. version: the next one, at which what it had is retired. */
int ps_delta_index_put(ps_delta_index *t, uint64_t version, uint32_t row,
                       const float *vector, const void *extra);
/* Writer: the row has no vector here any more. */
void ps_delta_index_drop(ps_delta_index *t, uint64_t version, uint32_t row);

/* The row's vector (dim), NULL when it has none here; extra may be NULL. */
const float *ps_delta_index_find(const ps_delta_index *t, uint32_t row,
                                 const void **extra);
/* When the row's vector came, seconds since 1970; 0 when it has none here. */
double ps_delta_index_made(const ps_delta_index *t, uint32_t row);
uint32_t ps_delta_index_size(const ps_delta_index *t);
uint64_t ps_delta_index_bytes(const ps_delta_index *t); /* of its chunks, taken or not */

/* The k best rows of the delta index, best first, ties by row; equal in value to what the
 * index would give for the same vectors. A zero vector is none, and not found. PS_ENOMEM
 * only for a vector whose squares leave the range of float. */
int ps_delta_index_search(const ps_delta_index *t, const ps_search *s, ps_scored *out,
                          uint32_t *found);

#endif
