/* tail.c - a list of vectors, each in memory of its own, that is read from end to end.
 *
 * A row keeps its place in the list for good, and the place leads to its newest vector:
 * replacing one is a single store, and no reader ever meets a row twice. Places are in
 * chunks that do not move. Search asks for the next vectors while it scores one.
 *
 *     rowmap: row -> place -> vector | extra
 *                       ^
 *     chunk[i] ---- place 0, 1, 2 ...
 *
 * Threads: see tail.h.
 */
#include "pinsage/tail.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pinsage/dot.h"
#include "pinsage/rowmap.h"
#include "top.h"

#define CHUNK  4096u
#define CHUNKS 8192u /* 33 million live rows */
#define AHEAD  4u    /* vectors asked for before they are scored */

typedef struct entry {
    ps_retired retired;
    double made; /* seconds since 1970 */
    uint32_t row;
    float inverse;  /* 0 for a zero vector; 1, or for cosine 1 / length */
    float vector[]; /* (dim), then extra */
} entry;

typedef struct place {
    _Atomic(entry *) at; /* NULL: the row has no vector now */
} place;

struct ps_tail {
    ps_tail_opts opts;
    ps_epoch *epoch;          /* borrowed */
    ps_rowmap rows;           /* row -> place */
    _Atomic uint32_t n, size; /* places; those that hold a vector */
    place *chunk[CHUNKS];
};

int ps_tail_new(ps_tail **out, ps_tail_opts opts, ps_epoch *epoch)
{
    ps_tail *t = calloc(1, sizeof *t);
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

void ps_tail_free(ps_tail *t)
{
    if (!t)
        return;
    for (uint32_t i = 0; i < t->n; i++)
        free(t->chunk[i / CHUNK][i % CHUNK].at);
    for (uint32_t i = 0; i < CHUNKS && t->chunk[i]; i++)
        free(t->chunk[i]);
    ps_rowmap_done(&t->rows);
    free(t);
}

/* ------------------------------ Writing ------------------------------------ */

static size_t entry_size(const ps_tail *t)
{
    return sizeof(entry) + t->opts.dim * sizeof(float) + t->opts.extra;
}

static void *extra_of(const ps_tail *t, entry *e)
{
    return e->vector + t->opts.dim;
}

static entry *entry_new(const ps_tail *t, uint32_t row, const float *vector,
                        const void *extra)
{
    entry *e = malloc(entry_size(t));
    if (!e)
        return NULL;
    float squares;
    ps_dot_squares((ps_rows){vector, t->opts.dim, 0}, 0, 1, &squares);
    e->made = (double)time(NULL);
    e->row = row;
    e->inverse = squares > 0 ? t->opts.cosine ? 1 / sqrtf(squares) : 1 : 0;
    memcpy(e->vector, vector, t->opts.dim * sizeof *vector);
    if (extra)
        memcpy(extra_of(t, e), extra, t->opts.extra);
    else
        memset(extra_of(t, e), 0, t->opts.extra);
    return e;
}

static void free_entry(ps_retired *r)
{
    free(r);
}

/* A new place at the end of the list, empty; NULL when memory is exhausted. */
static place *place_new(ps_tail *t, uint64_t version, uint32_t row)
{
    uint32_t n = atomic_load_explicit(&t->n, memory_order_relaxed);
    if (n / CHUNK == CHUNKS)
        return NULL;
    place **chunk = &t->chunk[n / CHUNK];
    if (!*chunk)
        *chunk = calloc(CHUNK, sizeof **chunk);
    place *p = *chunk ? &(*chunk)[n % CHUNK] : NULL;
    if (!p || ps_rowmap_put(&t->rows, version, row, p))
        return NULL;
    atomic_store_explicit(&t->n, n + 1, memory_order_release);
    return p;
}

int ps_tail_put(ps_tail *t, uint64_t version, uint32_t row, const float *vector,
                const void *extra)
{
    entry *e = entry_new(t, row, vector, extra);
    place *p = ps_rowmap_get(&t->rows, row);
    if (e && !p)
        p = place_new(t, version, row);
    if (!e || !p) {
        free(e);
        return PS_ENOMEM;
    }
    entry *old = atomic_exchange_explicit(&p->at, e, memory_order_acq_rel);
    if (old)
        ps_epoch_retire(t->epoch, version, &old->retired, free_entry);
    else
        atomic_fetch_add_explicit(&t->size, 1, memory_order_relaxed);
    return PS_OK;
}

void ps_tail_drop(ps_tail *t, uint64_t version, uint32_t row)
{
    place *p = ps_rowmap_get(&t->rows, row);
    entry *old = p ? atomic_exchange_explicit(&p->at, NULL, memory_order_acq_rel) : NULL;
    if (!old)
        return;
    ps_epoch_retire(t->epoch, version, &old->retired, free_entry);
    atomic_fetch_sub_explicit(&t->size, 1, memory_order_relaxed);
}

/* ------------------------------ Reading ------------------------------------ */

static entry *entry_of(const ps_tail *t, uint32_t row)
{
    const place *p = ps_rowmap_get(&t->rows, row);
    return p ? atomic_load_explicit(&p->at, memory_order_acquire) : NULL;
}

double ps_tail_made(const ps_tail *t, uint32_t row)
{
    const entry *e = entry_of(t, row);
    return e ? e->made : 0;
}

const float *ps_tail_find(const ps_tail *t, uint32_t row, const void **extra)
{
    entry *e = entry_of(t, row);
    if (!e)
        return NULL;
    if (extra)
        *extra = extra_of(t, e);
    return e->vector;
}

uint32_t ps_tail_size(const ps_tail *t)
{
    return atomic_load_explicit(&t->size, memory_order_relaxed);
}

uint64_t ps_tail_bytes(const ps_tail *t)
{
    return ps_tail_size(t) * (uint64_t)entry_size(t);
}

static entry *entry_at(const ps_tail *t, uint32_t i)
{
    return atomic_load_explicit(&t->chunk[i / CHUNK][i % CHUNK].at, memory_order_acquire);
}

void ps_tail_search(const ps_tail *t, const float *query, uint32_t k, ps_ann_skip skip,
                    void *cls, ps_scored *out, uint32_t *found)
{
    uint32_t n = atomic_load_explicit(&t->n, memory_order_acquire);
    top list = {.at = out, .k = k};
    float scale = 1;
    if (t->opts.cosine) {
        ps_dot_squares((ps_rows){query, t->opts.dim, 0}, 0, 1, &scale);
        scale = scale > 0 ? 1 / sqrtf(scale) : 0;
    }
    for (uint32_t i = 0; i < n && k; i++) {
        if (i + AHEAD < n)
            __builtin_prefetch(entry_at(t, i + AHEAD));
        const entry *e = entry_at(t, i);
        float score;
        if (!e || e->inverse == 0)
            continue;
        ps_dot_block(query, 1, (ps_rows){e->vector, t->opts.dim, 0}, 0, 1, &score, 1);
        score *= e->inverse;
        if (top_wants(&list, e->row, score) && !(skip && skip(cls, e->row)))
            top_keep(&list, e->row, score);
    }
    top_sort(&list);
    for (uint32_t i = 0; i < list.n; i++)
        out[i].score *= scale;
    *found = list.n;
}
