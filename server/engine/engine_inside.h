/* engine_inside.h - an engine as its own files see it.
 *
 * Threads: see engine.h.
 */
#ifndef PINSAGE_SERVER_ENGINE_ENGINE_INSIDE_H
#define PINSAGE_SERVER_ENGINE_ENGINE_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "pinsage/ann.h"
#include "pinsage/blend.h"
#include "server/engine/engine.h"
#include "server/live/writer.h"

#define ENGINE_METHODS 40
#define ENGINE_SAMPLE  12
/* Popular pins kept: enough for the largest answer when everything excluded is popular.
 */
#define ENGINE_POPULAR (PS_K_MAX + PS_EXCLUDE_MAX + 1)

typedef enum method_kind { BY_VECTOR, BY_BLEND, BY_WALK, BY_POPULARITY } method_kind;

typedef struct method {
    const char *name; /* borrowed from the generation, or constant */
    method_kind kind;
    const ps_npy *array; /* BY_VECTOR, BY_BLEND: borrowed from the generation */
    bool cosine, indexed;
    unsigned walk; /* BY_WALK: which kind of walk */
} method;

/* The most near pins a blend may take: answers and candidates fit one buffer. */
#define ENGINE_BLEND 4000

enum { WALK_PLAIN, WALK_CORRECTED, WALK_SHORT, WALK_KINDS };

/* Ways to an answer whose time is known, so that one is chosen that fits. */
typedef enum way {
    EMBED_FULL,
    EMBED_FEW,  /* fewer walks */
    EMBED_BARE, /* no walks */
    WALK_FULL,
    WALK_FEW,
    SEARCH,
    WAYS
} way;

struct ps_engine {
    _Atomic int refs;
    ps_generation *g;
    ps_ann *ann; /* NULL: the catalog has no vectors */
    ps_featurizer featurizer;
    ps_live_view live;           /* what was written since the generation */
    const ps_writes *writes;     /* borrowed; NULL: nothing is written */
    bool attached;               /* the writer keeps live up to date */
    double created;              /* of the generation, seconds since 1970; 0: not known */
    _Atomic uint64_t cost[WAYS]; /* ns that each took lately */
    method methods[ENGINE_METHODS];
    unsigned n_methods;
    ps_blend_model blend; /* of the method, when it is there */
    ps_blend_files *blend_files;
    uint32_t sample[ENGINE_SAMPLE], n_sample;
    pthread_mutex_t lock; /* popular is made by the first who asks */
    ps_scored *popular;   /* owned, (n_popular); guarded by lock until made */
    uint32_t n_popular;
};

/* ------------------------------ Readers ------------------------------------ */

#define BOARD_SCAN 4096   /* boards of as many pins together are scored pin by pin */
#define WALK_STEPS 20000u /* and so the most pins a walk can reach */
#define WALK_FEWER 2000u  /* when there is little time */
#define WALK_SEED  1
#define HIDDEN_MAX (PS_EXCLUDE_MAX + PS_EXAMPLES_MAX + 1)

struct ps_reader {
    ps_engine *e; /* a reference */
    ps_pins_reader *pins;
    ps_epoch_slot *slot;
    ps_snapshot snap; /* what this question sees */
    bool begun;
    ps_pixie *walk[WALK_KINDS]; /* made when first asked for */
    float *query;               /* (largest dim) */
    uint32_t *rows;             /* (BOARD_SCAN) */
    ps_scored *found;           /* (WALK_STEPS) */
    ps_scored *near;            /* (ENGINE_BLEND, at least PS_K_MAX) */
    ps_blend *blend;            /* made when first asked for */
    ps_embedder *embedder;      /* made when first asked for, with: */
    float *unstored;            /* content (dim), x (dim), z (e) of a pin not stored */
    bool embedded_unstored;     /* the last question embedded one */
    uint64_t deadline;          /* 0: none */
    ps_stages_spent spent;
};

/* What a ranking may not show. */
typedef struct filter {
    const ps_reader *r;
    const ps_delta_index *delta; /* rows of it are not taken from the index; NULL: none */
    uint32_t hidden[HIDDEN_MAX]; /* (n_hidden) sorted */
    uint32_t n_hidden;
    uint32_t board[PS_BOARDS_MAX]; /* (n_boards) only pins of one of these; none: any */
    uint32_t n_boards;
    bool *wider; /* of ps_search; NULL: as widely as needed */
} filter;

/* A ps_filter's pass: not rows that are gone, hidden, or on no board that was asked for.
 */
bool engine_passes(void *filter, uint32_t row);
bool engine_hidden(const filter *f, uint32_t row);
void engine_filter_begin(filter *f, const ps_reader *r);
void engine_hide(filter *f, uint32_t row); /* before engine_filter_ready */
void engine_filter_ready(filter *f);
int engine_hide_all(filter *f, ps_reader *r, const ps_text *list, uint32_t n,
                    ps_why *why);

/* The row's vector in a method's array, live or stored, into r->query; its source. False
 * when it has none. */
bool engine_load_query(ps_reader *r, const method *m, uint32_t row, ps_source *source);
/* The k best rows for r->query into r->found. */
int engine_by_vector(ps_reader *r, const method *m, filter *f, uint32_t k, uint32_t *n,
                     ps_why *why);
/* The row's vector now (dim), into out when it is not in memory as float. */
const float *engine_vector(const ps_reader *r, const method *m, uint32_t row, float *out);
int engine_by_blend(ps_reader *r, const method *m, uint32_t row, filter *f, uint32_t k,
                    ps_ranking *out, ps_why *why);
/* Walks from n query pins. */
int engine_by_walk(ps_reader *r, unsigned kind, const ps_pixie_query *q, uint32_t n,
                   filter *f, uint32_t k, uint32_t *found);
int engine_by_popularity(ps_reader *r, filter *f, uint32_t k, uint32_t *n);
/* True if the time left is enough for this way. */
bool engine_fits(const ps_reader *r, way w);
/* It was begun at that time (ps_now_ns). */
void engine_took(ps_reader *r, way w, uint64_t since);
/* Seed of a row's walks. */
int engine_seed(ps_reader *r, uint32_t row, uint64_t *seed);

/* The order of rankings: best first, ties by row. */
static inline bool engine_is_better(ps_scored a, ps_scored b)
{
    return a.score > b.score || (a.score == b.score && a.row < b.row);
}
/* Insert x into a list kept in that order, of at most max; returns the new length. For
 * small max, or many x that lose at the first comparison. */
uint32_t engine_keep(ps_scored *list, uint32_t n, uint32_t max, ps_scored x);
/* The pins on most boards, best first: made once, by the first who asks. */
int engine_popular(ps_engine *e, const ps_scored **list, uint32_t *n);
const method *engine_find_method(const ps_engine *e, ps_text name);
int engine_refuse_method(const ps_engine *e, ps_text name, ps_why *why);

#endif
