/* engine_inside.h - an engine as its own files see it.
 *
 * Threads: see engine.h.
 */
#ifndef PINSAGE_SERVER_ENGINE_INSIDE_H
#define PINSAGE_SERVER_ENGINE_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "pinsage/ann.h"
#include "pinsage/blend.h"
#include "server/engine.h"

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
#define ENGINE_BLEND 5000

enum { WALK_PLAIN, WALK_CORRECTED, WALK_KINDS };

struct ps_engine {
    _Atomic int refs;
    ps_generation *g;
    ps_ann *ann; /* NULL: the catalog has no vectors */
    method methods[ENGINE_METHODS];
    unsigned n_methods;
    ps_blend_model blend; /* of the method, when it is there */
    uint32_t sample[ENGINE_SAMPLE], n_sample;
    pthread_mutex_t lock; /* popular is made by the first who asks */
    ps_scored *popular;   /* owned, (n_popular); guarded by lock until made */
    uint32_t n_popular;
};

/* Insert x into a list kept sorted, best first, ties by row, of at most max; returns the
 * new length. For small max, or many x that lose at the first comparison. */
uint32_t engine_keep(ps_scored *list, uint32_t n, uint32_t max, ps_scored x);
/* The pins on most boards, best first: made once, by the first who asks. */
int engine_popular(ps_engine *e, const ps_scored **list, uint32_t *n);
const method *engine_find_method(const ps_engine *e, ps_text name);

#endif
