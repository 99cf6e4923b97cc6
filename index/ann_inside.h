/* ann_inside.h - an index as the files that build, tune and search it see it.
 *
 * Threads: see pinsage/ann.h.
 */
#ifndef PINSAGE_INDEX_ANN_INSIDE_H
#define PINSAGE_INDEX_ANN_INSIDE_H

#include "index/exact.h"
#include "index/faiss.h"
#include "pinsage/ann.h"
#include "pinsage/workers.h"

/* Results of the searches that an index is tuned with. */
enum { OVERFETCH_MAX = 256, TUNED_K = 10 };

/* How a search goes on when a filter left out many of the nearest rows. */
typedef enum wider { WIDER_BY_SCAN, WIDER_BY_LISTS, WIDER_BY_FETCH } wider;

struct ps_ann {
    struct ps_generation *g; /* a reference; NULL while building */
    char vectors[40];
    const ps_npy *array; /* borrowed from g */
    space space;
    ps_faiss *faiss;    /* owned */
    uint64_t filled;    /* rows that hold a vector; known while building */
    uint32_t overfetch; /* candidates asked for, for each result */
    wider wider;
};

/* Set a->wider, once there is a->faiss. */
void ann_widen_by(ps_ann *a, const char *factory);

/* Build, measure and tune an index over vectors in memory or mapped, which a borrows.
 * Fills the report but for its generation and bytes. */
int ann_make(ps_ann **a, const ps_npy *vectors, const char *name,
             const ps_ann_build_opts *opts, ps_ann_report *report,
             const ps_progress *progress, ps_why *why);

/* Set the knob and the overfetch that reach opts->recall at the least work, and fill in
 * recall, times and the knob. factory is the real one, not "auto". */
int ann_tune(ps_ann *a, const char *factory, const ps_ann_build_opts *opts,
             ps_ann_report *report, const ps_progress *progress, ps_why *why);

/* Lists of an inverted file "IVF1024,..", 0 when factory is of another kind. */
uint32_t factory_lists(const char *factory);
/* The string that "auto" stands for; filled of the rows hold a vector. */
void factory_auto(uint64_t rows, uint64_t filled, uint64_t dim, char out[128]);

/* Rows that hold a vector. */
uint64_t ann_count_filled(const space *s);
/* n of them, or all when there are fewer, into rows (n), ascending; returns how many. */
size_t ann_draw(const space *s, uint64_t filled, size_t n, uint64_t rng, uint32_t *rows);

/* Rows are searched by cosine unless they are embeddings. */
int vectors_cosine(const char *name);
/* Vectors of a generation by name, NULL when there are none; and their file's name. */
const ps_npy *vectors_find(const struct ps_generation *g, const char *name);
void vectors_file(const char *name, char *out, size_t n);

#endif
