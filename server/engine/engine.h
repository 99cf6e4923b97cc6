/* engine.h - the recommender without HTTP: one opened generation that answers questions.
 *
 * An engine is a generation, its index, the table of methods that these allow, and a view
 * of what was written since. The default method ranks by the vectors the index was built
 * on; a catalog that has no vectors at all is ranked by walks. A pin whose vector is
 * missing (a zero row) falls back to walks, then to what is popular, and the answer says
 * so.
 *
 * Threads: an engine is shared and counted; each thread asks through a ps_reader of its
 * own, which holds a reference.
 * Not here: answers (ops.c), caching (http_reply.c), writing (live/).
 */
#ifndef PINSAGE_SERVER_ENGINE_ENGINE_H
#define PINSAGE_SERVER_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "pinsage/arena.h"
#include "pinsage/buf.h"
#include "pinsage/err.h"
#include "pinsage/generation.h"
#include "pinsage/pixie.h"
#include "pinsage/text.h"
#include "server/live/view.h"
#include "server/message/questions.h"

typedef struct ps_engine ps_engine;
typedef struct ps_reader ps_reader;

/* Where an answer's ranking came from. */
typedef enum ps_source { PS_STORED, PS_COMPUTED, PS_FALLBACK, PS_SOURCES } ps_source;
extern const char *const ps_source_name[PS_SOURCES];

/* How an answer was made cheaper because time was short. */
typedef enum ps_degradation {
    PS_DEGRADED_FULL,
    PS_DEGRADED_WALKS,   /* fewer walks */
    PS_DEGRADED_CONTENT, /* no neighbours */
    PS_DEGRADED_PIXIE,   /* walks in place of vectors */
    PS_DEGRADED_POPULAR,
    PS_DEGRADATIONS
} ps_degradation;
extern const char *const ps_degradation_name[PS_DEGRADATIONS]; /* "" for full */

/* Open the catalog's current generation, and what the store has beyond it (writes NULL:
 * nothing; without a writer: as the store is now, and nothing can be written; the store
 * is not needed afterwards). Fails in words, too when there are vectors but no index.
 * progress may be NULL. */
struct ps_writes;
int ps_engine_open(ps_engine **e, const char *catalog, const struct ps_writes *writes,
                   const ps_progress *progress, ps_why *why);
/* The same of one generation; takes it, also when that fails. */
int ps_engine_open_generation(ps_engine **e, ps_generation *g,
                              const struct ps_writes *writes, const ps_progress *progress,
                              ps_why *why);
/* From here on the engine sees what is written, until it is closed. */
int ps_engine_attach(ps_engine *e, ps_why *why);
/* Grows whenever an answer may be another than before. */
uint64_t ps_engine_version(const ps_engine *e);
struct ps_view;
struct ps_live_view;
struct ps_featurizer;
struct ps_view *ps_engine_view(const ps_engine *e); /* borrowed, as all of these */
const struct ps_live_view *ps_engine_live(const ps_engine *e);
const struct ps_featurizer *ps_engine_featurizer(const ps_engine *e);
const struct ps_writes *ps_engine_writes(const ps_engine *e); /* borrowed; NULL: none */
/* Whether content may be written: its vectors are those of blocks. PS_EINVAL names the
 * field. */
int ps_engine_check(const ps_engine *e, const ps_content *c, ps_why *why);
ps_engine *ps_engine_acquire(ps_engine *e);
void ps_engine_release(ps_engine *e); /* NULL is fine; the last one closes */
ps_generation *ps_engine_generation(const ps_engine *e); /* borrowed */
/* Factory string of the index, "" when there is none. Borrowed. */
const char *ps_engine_index(const ps_engine *e);
/* Name of method i, the default first; NULL past the end. Borrowed. */
const char *ps_engine_method(const ps_engine *e, unsigned i);

int ps_reader_new(ps_reader **r, ps_engine *e);
void ps_reader_free(ps_reader *r); /* NULL is fine */
ps_engine *ps_reader_engine(const ps_reader *r);
/* A new reader has begun: it sees the newest version. begin again to see what was written
 * since; end when there is nothing to ask for a while, so that memory is given back.
 * Texts and vectors are valid until either. */
void ps_reader_begin(ps_reader *r);
void ps_reader_end(ps_reader *r);
/* Rows to begin a look around with: pins on many boards, spread over the catalog. In the
 * reader until its next question. */
uint32_t ps_reader_sample(ps_reader *r, const uint32_t **rows);
/* What the reader's answers are made of, and whether all that it read since it began is
 * of that (ps_view_settled). */
ps_view_identity ps_reader_identity(const ps_reader *r);
bool ps_reader_settled(const ps_reader *r);
/* The graph as the reader sees it. */
const ps_graph *ps_reader_graph(const ps_reader *r);

/* ---- Questions ---- */

typedef struct ps_ranking {
    uint32_t row;       /* of the query pin */
    bool later;         /* it would take longer: there is no answer */
    const char *method; /* the one that answered */
    ps_source source;
    ps_degradation degraded;
    const ps_scored *result; /* (n) best first; in the reader until its next question */
    uint32_t n;
} ps_ranking;

/* PS_ENOENT for an unknown pin or board, PS_EINVAL for a method that is not there; both
 * in words. */
int ps_reader_related(ps_reader *r, const ps_related *q, ps_ranking *out, ps_why *why);

/* Pins by examples. With a method of vectors the query is the sum of the positives less
 * that of the negatives, each times its weight; with walks, visits are. missing (n of
 * positives and negatives) gets the examples that are left out. PS_ENOENT, PS_EINVAL in
 * words that name the field. A query that comes to nothing falls back to what is popular.
 */
typedef struct ps_recommended {
    ps_ranking ranking;
    ps_text *missing; /* the caller's */
    uint32_t n_missing;
} ps_recommended;
int ps_reader_recommend(ps_reader *r, const ps_recommend *q, ps_recommended *out,
                        ps_why *why);

/* The vector of a pin that is not stored, and pins related to it: from its content alone,
 * its boards alone, or both; of neither there is no vector, and what is popular comes
 * instead. */
typedef struct ps_embedded {
    ps_ranking ranking;
    const float *vector; /* (dim) in the reader until its next question */
    uint32_t dim;        /* 0: there is none */
} ps_embedded;
int ps_reader_embed(ps_reader *r, const ps_embed_pin *q, ps_embedded *out, ps_why *why);

/* Why an answer is what it is: of a pin's row, or PS_NO_ROW after ps_reader_embed. Arrays
 * are in the reader until its next question. */
typedef struct ps_explained {
    const uint32_t *neighbour; /* (n) heaviest first */
    const float *weight;
    uint32_t n;
    double age; /* seconds since the vector was made */
    bool stale; /* its boards have changed since */
} ps_explained;
int ps_reader_explain(ps_reader *r, uint32_t row, ps_explained *out, ps_why *why);
/* Boards that two pins share, at most max. */
uint32_t ps_reader_shared(ps_reader *r, uint32_t a, uint32_t b, uint32_t *board,
                          uint32_t max);
/* Seconds that the last question spent by stage. */
typedef struct ps_stages_spent {
    double walk, embed, search;
} ps_stages_spent;
ps_stages_spent ps_reader_spent(const ps_reader *r);

/* Answers must be there by then (CLOCK_MONOTONIC, ns; 0: none): what the full way
 * would not reach is answered by a cheaper one, and says so. */
void ps_reader_set_deadline(ps_reader *r, uint64_t deadline);

/* PS_ENOENT in words. */
int ps_reader_find_pin(ps_reader *r, ps_text id, uint32_t *row, ps_why *why);
int ps_reader_find_board(ps_reader *r, ps_text name, uint32_t *board, ps_why *why);
/* What made the pin what it is, for its ETag (ps_view_lsn). */
uint64_t ps_reader_lsn(const ps_reader *r, uint32_t row);
/* What was written and has no place in e's generation (view.h); zeros when it cannot be
 * told for want of memory. */
void ps_engine_unfit(ps_engine *e, ps_unfit *out);
/* Records of rows that exist. */
int ps_reader_pin(ps_reader *r, uint32_t row, ps_pin *pin);
/* The records of all these will be asked for. */
void ps_reader_expect(ps_reader *r, const ps_scored *list, uint32_t n);
/* The vector that a pin has in block b, dim 0 when it has none of its own: those that we
 * make of text and boards are not told. Made in the arena, or borrowed until the reader
 * ends. PS_ENOENT past the last block; PS_ENOMEM. */
int ps_reader_block(ps_reader *r, uint32_t row, uint32_t b, ps_arena *arena,
                    ps_named_vector *out);
int ps_reader_board(ps_reader *r, uint32_t board, ps_text *name);
/* Ids near a misspelt one. */
size_t ps_reader_suggest(ps_reader *r, ps_text id, ps_text *out, size_t max);

/* Of the k pins nearest to a row's vector, how many does the index find? 0 of 0 for a row
 * without a vector, or without an index. Reads every vector: for a monitor that is in no
 * urgent. */
int ps_reader_recall(ps_reader *r, uint32_t row, uint32_t k, uint32_t *hits,
                     uint32_t *wanted, ps_why *why);

/* Ask the default method about a pin of the sample: numbers must be finite and in order.
 * What readiness waits for. */
int ps_reader_canary(ps_reader *r, ps_why *why);

#endif
