/* ann.h - nearest vectors by inner product: built once, searched by many.
 *
 * A FAISS index behind its C API. Build picks a factory string by size and dimension, or
 * takes the user's; measures recall@10 against exact search on sampled rows; and picks
 * the search-time knob (nprobe, efSearch) that reaches the target recall. What it chose
 * stands in the manifest under "index". Searching asks for more than k rows and re-ranks
 * them by the exact inner product on the mapped vectors, so codes may be compressed.
 *
 * Threads: an open index is searched from any number of threads; never added to.
 * Not here: rows added since the build (delta_index.h), and which rows may be shown
 * (filter.h).
 */
#ifndef PINSAGE_ANN_H
#define PINSAGE_ANN_H

#include <stdbool.h>
#include <stdint.h>

#include "pinsage/err.h"
#include "pinsage/filter.h"
#include "pinsage/npy.h"
#include "pinsage/progress.h"
#include "pinsage/scored.h"

typedef struct ps_ann ps_ann;

/* What is built when nobody says otherwise; a compaction takes them for what a manifest
 * does not tell. */
#define PS_ANN_FACTORY "auto"
#define PS_ANN_RECALL  0.95
#define PS_ANN_SAMPLE  500

/* Defaults and ranges: server/cli/index.c. */
typedef struct ps_ann_build_opts {
    const char *factory; /* "auto" or any FAISS factory string */
    const char *vectors; /* "embeddings", or the name of a feature block;
                            NULL: embeddings, else the only or the best-filled block */
    double recall;       /* target recall@10 */
    uint32_t sample;     /* queries of the measurement; fewer than 50 are taken for 50 */
    unsigned threads;    /* 0 = all cores */
    uint64_t seed;
    unsigned keep; /* older generations kept */
} ps_ann_build_opts;

typedef struct ps_ann_report {
    char factory[128], knob[64],
        vectors[40]; /* knob "efSearch=48", "" when there is none */
    double recall_at_10, search_us, exact_us; /* per query, one thread */
    uint32_t overfetch; /* candidates re-ranked exactly, for each result */
    double build_s;
    uint64_t bytes;
    int reached;      /* recall_at_10 >= target */
    uint32_t queries; /* that it was measured with; 0: there is no vector at all */
    char generation[32];
} ps_ann_report;

/* Build index.faiss for the current generation as a new one. */
int ps_ann_build(const char *catalog, const ps_ann_build_opts *opts,
                 ps_ann_report *report, const ps_progress *progress, ps_why *why);

/* The same as a part of another step: into its draft, of vectors that were written there
 * under this name. The report's generation stays empty. */
struct ps_draft;
int ps_ann_build_in(struct ps_draft *draft, const ps_npy *vectors, const char *name,
                    const ps_ann_build_opts *opts, ps_ann_report *report,
                    const ps_progress *progress, ps_why *why);
/* What a generation's index was asked to be, when it has one. Borrows. */
struct ps_generation;
ps_ann_build_opts ps_ann_asked(const struct ps_generation *g);

/* Open the generation's index; checks that it belongs to the vectors it names. */
int ps_ann_open(ps_ann **a, struct ps_generation *g, ps_why *why);
void ps_ann_close(ps_ann *a);
/* Name of the vectors it was built on: "embeddings" or a block. Borrowed. */
const char *ps_ann_vectors(const ps_ann *a);

/* What is searched for, in an index or in any array of vectors. */
typedef struct ps_search {
    const float *vector; /* (dim) */
    uint32_t k;
    const ps_filter *filter; /* NULL: every row passes */
    bool *wider; /* NULL: an index is searched as widely as it needs. Else one look that
                    was not enough finds nothing, and this is set */
} ps_search;

/* The k best rows for s->vector, best first, with exact scores, into out (k); found rows
 * into *found. Blocks are scored by cosine, embeddings by inner product; equal scores
 * stand by row. A row without a vector (length.h) is not found, and for one nothing is.
 *
 * Rows that the filter leaves out cost no recall: when more than a few of them stand
 * before the k-th answer, the search visits further lists of an inverted file, or asks
 * for more of the kinds that look at every code, and in the end looks at every row. So
 * fewer than k are found only when fewer pass. Scratch memory is thread-local. */
int ps_ann_search(const ps_ann *a, const ps_search *s, ps_scored *out, uint32_t *found,
                  ps_why *why);

/* Exact search over any (N, D) f32/f16 array: the oracle, and the method of feature
 * blocks that have no index. cosine: scores are divided by both lengths. */
int ps_exact_search(const ps_npy *vectors, int cosine, const ps_search *s, ps_scored *out,
                    uint32_t *found);
/* The same among listed rows (n), each once. */
int ps_exact_among(const ps_npy *vectors, int cosine, const ps_search *s,
                   const uint32_t *list, size_t n, ps_scored *out, uint32_t *found);

/* PS_EUNSUPPORTED in words when this binary needs a CPU feature that is missing. */
int ps_ann_cpu_check(ps_why *why);

#endif
