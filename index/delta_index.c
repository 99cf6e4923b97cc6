/* delta_index.c - vectors side by side, scored a piece at a time like those of a
 * generation.
 *
 * A vector lies in a slot and is never changed there: a row's newer vector goes to
 * another slot, the row is led to that one, and the old slot is free again when no reader
 * can be at it any more. Changes are counted, and a slot knows by which it came and by
 * which it went. So a scan sees the delta index as of the change it began at: each row
 * once, whatever is put or dropped meanwhile, and never a slot that is being filled.
 *
 *     rowmap: row -> slot          chunk: vector vector vector ...   (CHUNK, dim)
 *                      |                  row    row    row    ...   came, went
 *                      +----------------> slot   slot   slot   ...
 *
 * Threads: see delta_index.h.
 */
#include "pinsage/delta_index.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "index/exact.h"
#include "pinsage/chunks.h"
#include "pinsage/dot.h"
#include "pinsage/rowmap.h"

#define CHUNK  512u
#define NOBODY UINT32_MAX
#define NEVER  UINT64_MAX

typedef struct slot {
    ps_retired retired;
    ps_delta_index *of;
    struct chunk *in;
    struct slot *next_free;
    double made; /* seconds since 1970 */
} slot;

typedef struct chunk {
    float *vector;                             /* owned, (CHUNK, dim) */
    char *extra;                               /* owned, (CHUNK, extra) */
    _Atomic uint32_t row[CHUNK];               /* NOBODY: free, or on its way */
    _Atomic uint64_t came[CHUNK], went[CHUNK]; /* by which change; NEVER */
    float inverse[CHUNK]; /* 1, or for cosine 1 / length; 0: see inverse_of */
    slot slot[CHUNK];
} chunk;

struct ps_delta_index {
    ps_delta_index_opts opts;
    ps_epoch *epoch; /* borrowed */
    ps_rowmap rows;  /* row -> slot */
    slot *spare;     /* the writer's: slots that may be taken */
    _Atomic uint32_t n_chunks, size;
    _Atomic uint64_t changes;
    chunk **chunk[PS_CHUNKS]; /* in a list of chunks.h */
};

int ps_delta_index_new(ps_delta_index **out, ps_delta_index_opts opts, ps_epoch *epoch)
{
    ps_delta_index *t = calloc(1, sizeof *t);
    if (!t)
        return PS_ENOMEM;
    t->opts = opts;
    t->epoch = epoch;
    int err = ps_rowmap_init(&t->rows, opts.base_rows, epoch);
    if (err)
        free(t);
    else
        *out = t;
    return err;
}

static chunk *chunk_at(const ps_delta_index *t, uint32_t i)
{
    uint32_t at, part = ps_chunk_of(i, &at);
    return t->chunk[part][at];
}

static void chunk_free(chunk *c)
{
    if (!c)
        return;
    free(c->vector);
    free(c->extra);
    free(c);
}

void ps_delta_index_free(ps_delta_index *t)
{
    if (!t)
        return;
    for (uint32_t i = 0; i < t->n_chunks; i++)
        chunk_free(chunk_at(t, i));
    for (uint32_t i = 0; i < PS_CHUNKS; i++)
        free(t->chunk[i]);
    ps_rowmap_done(&t->rows);
    free(t);
}

/* ------------------------------ Slots -------------------------------------- */

static size_t place_of(const slot *s)
{
    return (size_t)(s - s->in->slot);
}

static float *vector_of(const slot *s)
{
    return s->in->vector + place_of(s) * s->of->opts.dim;
}

static void *extra_of(const slot *s)
{
    return s->in->extra + place_of(s) * s->of->opts.extra;
}

static void spare_slot(slot *s)
{
    s->next_free = s->of->spare;
    s->of->spare = s;
}

static void on_retired(ps_retired *r)
{
    slot *s = (slot *)(void *)r;
    atomic_store_explicit(&s->in->row[place_of(s)], NOBODY, memory_order_relaxed);
    spare_slot(s);
}

static chunk *chunk_new(ps_delta_index *t)
{
    size_t bytes = (size_t)CHUNK * t->opts.dim * sizeof(float);
    chunk *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->vector = aligned_alloc(64, (bytes + 63) / 64 * 64);
    c->extra = calloc(CHUNK, t->opts.extra + 1u);
    if (!c->vector || !c->extra) {
        chunk_free(c);
        return NULL;
    }
    memset(c->vector, 0, bytes);
    for (uint32_t i = CHUNK; i-- > 0;) { /* the first is to be taken first */
        atomic_init(&c->row[i], NOBODY);
        c->slot[i].of = t;
        c->slot[i].in = c;
        spare_slot(&c->slot[i]);
    }
    return c;
}

static int add_chunk(ps_delta_index *t)
{
    uint32_t at, n = atomic_load_explicit(&t->n_chunks, memory_order_relaxed);
    chunk ***part = &t->chunk[ps_chunk_of(n, &at)];
    if (!*part)
        *part = calloc(ps_chunk_size(ps_chunk_of(n, &at)), sizeof **part);
    chunk *c = *part ? chunk_new(t) : NULL;
    if (!c)
        return PS_ENOMEM;
    (*part)[at] = c;
    atomic_store_explicit(&t->n_chunks, n + 1, memory_order_release);
    return PS_OK;
}

static slot *take_slot(ps_delta_index *t)
{
    if (!t->spare && add_chunk(t))
        return NULL;
    slot *s = t->spare;
    t->spare = s->next_free;
    return s;
}

/* ------------------------------ Writing ------------------------------------ */

/* What a product with this vector is multiplied with; 0 when only ps_sure_score knows. */
static float inverse_of(const ps_delta_index *t, const float *vector)
{
    float squares;
    if (!t->opts.cosine)
        return 1;
    ps_dot_squares((ps_rows){vector, t->opts.dim, 0}, 0, 1, &squares);
    return ps_inverse_root(squares);
}

static void fill(ps_delta_index *t, slot *s, const float *vector, const void *extra)
{
    memcpy(vector_of(s), vector, t->opts.dim * sizeof *vector);
    s->in->inverse[place_of(s)] = inverse_of(t, vector);
    s->made = (double)time(NULL);
    if (extra)
        memcpy(extra_of(s), extra, t->opts.extra);
    else
        memset(extra_of(s), 0, t->opts.extra);
}

/* The number of the change being made; scans that begin from its end on see it. */
static uint64_t change_of(const ps_delta_index *t)
{
    return atomic_load_explicit(&t->changes, memory_order_relaxed) + 1;
}

static void end_change(ps_delta_index *t)
{
    atomic_store_explicit(&t->changes, change_of(t), memory_order_release);
}

static void show(ps_delta_index *t, slot *s, uint32_t row)
{
    size_t at = place_of(s);
    atomic_store_explicit(&s->in->came[at], change_of(t), memory_order_relaxed);
    atomic_store_explicit(&s->in->went[at], NEVER, memory_order_release);
    atomic_store_explicit(&s->in->row[at], row, memory_order_release);
}

static void retire(ps_delta_index *t, uint64_t version, slot *s)
{
    atomic_store_explicit(&s->in->went[place_of(s)], change_of(t), memory_order_relaxed);
    ps_epoch_retire(t->epoch, version, &s->retired, on_retired);
}

int ps_delta_index_put(ps_delta_index *t, uint64_t version, uint32_t row,
                       const float *vector, const void *extra)
{
    slot *old = ps_rowmap_get(&t->rows, row), *s = take_slot(t);
    if (!s)
        return PS_ENOMEM;
    fill(t, s, vector, extra);
    if (ps_rowmap_put(&t->rows, version, row, s)) {
        spare_slot(s);
        return PS_ENOMEM;
    }
    show(t, s, row);
    if (old)
        retire(t, version, old);
    else
        atomic_fetch_add_explicit(&t->size, 1, memory_order_relaxed);
    end_change(t);
    return PS_OK;
}

void ps_delta_index_drop(ps_delta_index *t, uint64_t version, uint32_t row)
{
    slot *old = ps_rowmap_get(&t->rows, row);
    if (!old)
        return;
    ps_rowmap_put(&t->rows, version, row, NULL);
    retire(t, version, old);
    end_change(t);
    atomic_fetch_sub_explicit(&t->size, 1, memory_order_relaxed);
}

/* ------------------------------ Reading ------------------------------------ */

double ps_delta_index_made(const ps_delta_index *t, uint32_t row)
{
    const slot *s = ps_rowmap_get(&t->rows, row);
    return s ? s->made : 0;
}

const float *ps_delta_index_find(const ps_delta_index *t, uint32_t row,
                                 const void **extra)
{
    const slot *s = ps_rowmap_get(&t->rows, row);
    if (!s)
        return NULL;
    if (extra)
        *extra = extra_of(s);
    return vector_of(s);
}

uint32_t ps_delta_index_size(const ps_delta_index *t)
{
    return atomic_load_explicit(&t->size, memory_order_relaxed);
}

uint64_t ps_delta_index_bytes(const ps_delta_index *t)
{
    uint64_t each = t->opts.dim * sizeof(float) + t->opts.extra;
    return atomic_load_explicit(&t->n_chunks, memory_order_relaxed) *
           (sizeof(chunk) + CHUNK * each);
}

typedef struct scan {
    const ps_delta_index *t;
    uint64_t as_of; /* change */
    const float *query;
    const ps_filter *filter;
    ps_topk list;
} scan;

/* Places of the chunk with a vector as of the scan, and their rows; returns how many. A
 * slot that went by then may be filled again already: if its `went` is the newer one, so
 * is its `came`. */
static uint32_t list_places(const scan *s, const chunk *c, uint32_t *place, uint32_t *row)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < CHUNK; i++) {
        row[n] = atomic_load_explicit(&c->row[i], memory_order_acquire);
        if (row[n] == NOBODY ||
            atomic_load_explicit(&c->went[i], memory_order_acquire) <= s->as_of ||
            atomic_load_explicit(&c->came[i], memory_order_relaxed) > s->as_of)
            continue;
        place[n++] = i;
    }
    return n;
}

static void scan_chunk(scan *s, const chunk *c)
{
    uint32_t place[CHUNK], row[CHUNK];
    float score[CHUNK];
    ps_rows rows = {c->vector, s->t->opts.dim, 0};
    uint32_t n = list_places(s, c, place, row);
    if (n == CHUNK)
        ps_dot_block(s->query, 1, rows, 0, CHUNK, score, CHUNK);
    else
        ps_dot_list(s->query, rows, place, n, score);
    for (uint32_t i = 0; i < n; i++) {
        float x = ps_sure_score(s->t->opts.cosine, s->query, rows, place[i],
                                score[i] * c->inverse[place[i]]);
        if (x > PS_SCORE_NONE && ps_topk_wants(&s->list, row[i], x) &&
            ps_passes(s->filter, row[i]))
            ps_topk_keep(&s->list, row[i], x);
    }
}

int ps_delta_index_search(const ps_delta_index *t, const ps_search *q, ps_scored *out,
                          uint32_t *found)
{
    exact_query a;
    int err = exact_query_init(&a, t->opts.cosine, q->vector, t->opts.dim);
    scan s = {.t = t,
              .as_of = atomic_load_explicit(&t->changes, memory_order_acquire),
              .query = a.vector,
              .filter = q->filter,
              .list = {.at = out, .k = q->k}};
    uint32_t n = atomic_load_explicit(&t->n_chunks, memory_order_acquire);
    for (uint32_t i = 0; i < n && q->k && a.scale != 0; i++)
        scan_chunk(&s, chunk_at(t, i));
    *found = ps_topk_finish(&s.list, a.scale);
    exact_query_done(&a);
    return err;
}
