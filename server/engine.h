/* engine.h - the recommender without HTTP: one opened generation that answers questions.
 *
 * An engine is immutable: a generation, its index, and the table of methods that these
 * allow. The default method ranks by the vectors the index was built on; a catalog that
 * has no vectors at all is ranked by walks. A pin whose vector is missing (a zero row)
 * falls back to walks, then to what is popular, and the answer says so.
 *
 * Threads: an engine is shared and counted; each thread asks through a ps_reader of its
 * own, which holds a reference. Texts in answers live as long as the reader.
 * Not here: JSON (ops.c), caching (http.c), live writes.
 */
#ifndef PINSAGE_SERVER_ENGINE_H
#define PINSAGE_SERVER_ENGINE_H

#include <stdint.h>

#include "pinsage/buf.h"
#include "pinsage/err.h"
#include "pinsage/generation.h"
#include "pinsage/pixie.h"
#include "pinsage/text.h"

#define PS_K_MAX       1000
#define PS_EXCLUDE_MAX 1024

typedef struct ps_engine ps_engine;
typedef struct ps_reader ps_reader;

/* Where an answer's ranking came from. */
typedef enum ps_source { PS_STORED, PS_COMPUTED, PS_FALLBACK, PS_SOURCES } ps_source;
extern const char *const ps_source_name[PS_SOURCES];

/* Open the catalog's current generation. Fails in words, too when there are vectors but
 * no index. */
int ps_engine_open(ps_engine **e, const char *catalog, ps_why *why);
ps_engine *ps_engine_acquire(ps_engine *e);
void ps_engine_release(ps_engine *e); /* NULL is fine; the last one closes */
ps_generation *ps_engine_generation(const ps_engine *e); /* borrowed */
/* Factory string of the index, "" when there is none. Borrowed. */
const char *ps_engine_index(const ps_engine *e);
/* Name of method i, the default first; NULL past the end. Borrowed. */
const char *ps_engine_method(const ps_engine *e, unsigned i);
/* Rows to begin a look around with: pins on many boards, spread over the catalog. */
uint32_t ps_engine_sample(const ps_engine *e, const uint32_t **rows);

int ps_reader_new(ps_reader **r, ps_engine *e);
void ps_reader_free(ps_reader *r); /* NULL is fine */
ps_engine *ps_reader_engine(const ps_reader *r);

/* ---- Questions ---- */

typedef struct ps_related {
    ps_text pin;
    ps_text method;         /* data NULL: the default */
    uint32_t k;             /* 1..PS_K_MAX */
    ps_text board;          /* data NULL: any; else only pins of that board */
    const ps_text *exclude; /* (n_exclude) pins left out; unknown ones are no error */
    uint32_t n_exclude;     /* 0..PS_EXCLUDE_MAX */
} ps_related;

typedef struct ps_ranking {
    uint32_t row;       /* of the query pin */
    const char *method; /* the one that answered */
    ps_source source;
    const ps_scored *result; /* (n) best first; in the reader until its next question */
    uint32_t n;
} ps_ranking;

/* PS_ENOENT for an unknown pin or board, PS_EINVAL for a method that is not there; both
 * in words. */
int ps_reader_related(ps_reader *r, const ps_related *q, ps_ranking *out, ps_why *why);

/* PS_ENOENT in words. */
int ps_reader_find_pin(ps_reader *r, ps_text id, uint32_t *row, ps_why *why);
int ps_reader_find_board(ps_reader *r, ps_text name, uint32_t *board, ps_why *why);
/* Records of rows that exist. */
int ps_reader_pin(ps_reader *r, uint32_t row, ps_pin *pin);
int ps_reader_board(ps_reader *r, uint32_t board, ps_text *name);
/* Ids near a misspelt one. */
size_t ps_reader_suggest(ps_reader *r, ps_text id, ps_text *out, size_t max);

/* Ask the default method about a pin of the sample: numbers must be finite and in order.
 * What readiness waits for. */
int ps_reader_canary(ps_reader *r, ps_why *why);

#endif
