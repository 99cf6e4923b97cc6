/* faiss.h - the few things we ask of FAISS, in our own words.
 *
 * A handle is an index of any kind that the factory knows. What FAISS throws arrives as
 * PS_ELIBRARY with its own sentence, without the paths of the machine it was built on.
 *
 * Metric: inner product. A kind that only knows L2 (LSH) is given unit vectors, for
 * which both orders are the same; ps_faiss_unit tells.
 *
 * Threads: searched by many at once; trained and added to by one.
 * Not here: which kind and which knobs (ann_build.c, ann_tune.c), scores of the
 * answer (ann.c).
 */
#ifndef PINSAGE_INDEX_FAISS_H
#define PINSAGE_INDEX_FAISS_H

#include <stddef.h>
#include <stdint.h>

#include "pinsage/err.h"

typedef struct ps_faiss ps_faiss;

/* An empty index from a factory string ("IVF1024,SQ8"). */
int ps_faiss_new(ps_faiss **f, uint32_t dim, const char *factory, ps_why *why);
/* From a file. Any damage that FAISS notices is PS_EFORMAT; what it would not notice
 * must have been found out by checksum before. */
int ps_faiss_read(ps_faiss **f, const char *path, ps_why *why);
int ps_faiss_write(const ps_faiss *f, const char *path, ps_why *why);
void ps_faiss_free(ps_faiss *f); /* NULL is fine */

uint32_t ps_faiss_dim(const ps_faiss *f);
uint64_t ps_faiss_rows(const ps_faiss *f);
/* 1 when the rows and queries must have length 1. */
int ps_faiss_unit(const ps_faiss *f);

/* rows (n, dim). threads: what FAISS may use inside. */
int ps_faiss_train(ps_faiss *f, const float *rows, size_t n, unsigned threads,
                   ps_why *why);
int ps_faiss_add(ps_faiss *f, const float *rows, size_t n, unsigned threads, ps_why *why);

/* Search-time knobs as FAISS writes them: "nprobe=16", "efSearch=64". Not while another
 * thread searches. PS_ELIBRARY when this kind has no such knob. */
int ps_faiss_tune(ps_faiss *f, const char *knobs, ps_why *why);

/* The k nearest of query (dim), by FAISS's own approximate scores, as rows (k); -1 fills
 * what is missing. distance (k) is scratch. Call ps_faiss_alone first in each thread. */
int ps_faiss_search(const ps_faiss *f, const float *query, size_t k, float *distance,
                    int64_t *rows, ps_why *why);
/* An inverted file's lists, so that rows can be looked at that a search did not reach. 0
 * when this kind has none, or hides them behind a transform. */
size_t ps_faiss_lists(const ps_faiss *f);
/* How many of them a search visits. */
size_t ps_faiss_probes(const ps_faiss *f);
/* The n lists (at most all) nearest to query, nearest first; distance (n) is scratch. */
int ps_faiss_nearest_lists(const ps_faiss *f, const float *query, size_t n,
                           float *distance, int64_t *lists, ps_why *why);
size_t ps_faiss_list_size(const ps_faiss *f, int64_t list);
/* Rows of a list, as many as its size. */
void ps_faiss_list_rows(const ps_faiss *f, int64_t list, int64_t *rows);

/* Keep FAISS from starting threads inside the calling thread's searches. */
void ps_faiss_alone(void);

#endif
