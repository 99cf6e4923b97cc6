/* ann.c - an index that is searched: open, ask, re-rank.
 *
 * FAISS is asked for some times more rows than wanted; the exact scores of those, read
 * from the mapped vectors, decide the order. When too few rows are left after skipping,
 * four times as many are asked for, and when that would be a good part of all rows, or
 * the index has no more to give, every row is looked at: slow and right.
 *
 *     query ──> FAISS: overfetch * k rows ──> skip ──> exact scores ──> best k
 *
 * Threads: an open index is only read. Scratch belongs to the calling thread and goes
 * with it.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index/ann_inside.h"
#include "pinsage/generation.h"

/* ------------------------------ Scratch ------------------------------------ */

typedef struct scratch {
    size_t room, dim;
    float *query;    /* (dim) at length 1 */
    float *distance; /* (room) FAISS's */
    int64_t *label;  /* (room) */
    uint32_t *row;   /* (room) candidates */
    float *score;    /* (room) theirs */
} scratch;

static pthread_key_t scratch_key;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;

static void free_scratch(void *cls)
{
    scratch *s = cls;
    free(s->query);
    free(s->distance);
    free(s->label);
    free(s->row);
    free(s->score);
    free(s);
}

static void make_key(void)
{
    if (pthread_key_create(&scratch_key, free_scratch))
        abort();
}

/* The calling thread's scratch, made at its first search. NULL: no memory. */
static scratch *own_scratch(void)
{
    pthread_once(&scratch_once, make_key);
    scratch *s = pthread_getspecific(scratch_key);
    if (s)
        return s;
    s = calloc(1, sizeof *s);
    if (s && pthread_setspecific(scratch_key, s)) {
        free(s);
        s = NULL;
    }
    ps_faiss_alone();
    return s;
}

static int grow(void *pointer, size_t n, size_t size)
{
    void **p = pointer, *bigger = realloc(*p, n * size);
    if (bigger)
        *p = bigger;
    return bigger ? PS_OK : PS_ENOMEM;
}

static int make_room(scratch *s, size_t room, size_t dim)
{
    if (dim > s->dim) {
        if (grow(&s->query, dim, sizeof *s->query))
            return PS_ENOMEM;
        s->dim = dim;
    }
    if (room <= s->room)
        return PS_OK;
    if (grow(&s->distance, room, sizeof *s->distance) ||
        grow(&s->label, room, sizeof *s->label) || grow(&s->row, room, sizeof *s->row) ||
        grow(&s->score, room, sizeof *s->score))
        return PS_ENOMEM;
    s->room = room;
    return PS_OK;
}

/* ------------------------------ Search ------------------------------------- */

typedef struct asked {
    const float *query, *direction; /* as given, and as FAISS is asked */
    uint32_t k;
    ps_ann_skip skip;
    void *cls;
} asked;

/* Candidates of FAISS that may be shown, into s->row. *all: the index gave all it has. */
static int collect(const ps_ann *a, const asked *q, size_t fetch, scratch *s, size_t *n,
                   int *all, ps_why *why)
{
    int err = ps_faiss_search(a->faiss, q->direction, fetch, s->distance, s->label, why);
    if (err)
        return err;
    *n = 0;
    *all = 0;
    for (size_t i = 0; i < fetch; i++) {
        if (s->label[i] < 0 || (uint64_t)s->label[i] >= a->space.n) {
            *all = 1;
            continue;
        }
        uint32_t row = (uint32_t)s->label[i];
        if (!(q->skip && q->skip(q->cls, row)))
            s->row[(*n)++] = row;
    }
    return PS_OK;
}

static void rerank(const ps_ann *a, const asked *q, scratch *s, size_t n, ps_topk *best)
{
    space_scores(&a->space, q->query, s->row, n, s->score, s->distance);
    for (size_t i = 0; i < n; i++)
        if (ps_topk_wants(best, s->row[i], s->score[i]))
            ps_topk_keep(best, s->row[i], s->score[i]);
}

/* Asking for an eighth of all rows costs more than looking at them. */
static int worth_asking(const ps_ann *a, uint64_t fetch)
{
    return fetch * 8 <= a->space.n;
}

static int search(const ps_ann *a, const asked *q, scratch *s, ps_topk *best, ps_why *why)
{
    /* A few more for what is nearly always skipped: the query itself, what it excludes.
     * Asked for in any case, so that the measured recall is the one of every search. */
    uint64_t fetch = (uint64_t)q->k * a->overfetch + 8;
    for (; worth_asking(a, fetch); fetch *= 4) {
        size_t n;
        int all, err = make_room(s, fetch, 0);
        if (!err)
            err = collect(a, q, fetch, s, &n, &all, why);
        if (err)
            return err;
        if (n >= q->k) {
            rerank(a, q, s, n, best);
            return PS_OK;
        }
        if (all)
            break;
    }
    exact_block(&a->space, q->query, 1, q->skip, q->cls, 0, best);
    return PS_OK;
}

/* Query at length 1, for cosine and for kinds of index that know directions only. */
static const float *direction(const ps_ann *a, const float *query, float *out)
{
    if (!a->space.cosine && !ps_faiss_unit(a->faiss))
        return query;
    size_t dim = a->space.rows.dim;
    float scale = inverse_length(query, dim);
    for (size_t i = 0; i < dim; i++)
        out[i] = query[i] * scale;
    return out;
}

int ps_ann_search(const ps_ann *a, const float *query, uint32_t k, ps_ann_skip skip,
                  void *cls, ps_scored *out, uint32_t *found, ps_why *why)
{
    *found = 0;
    scratch *s = own_scratch();
    if (!s || make_room(s, 0, a->space.rows.dim))
        return ps_fail(why, PS_ENOMEM, NULL, 0, "no memory to search");
    asked q = {query, direction(a, query, s->query), k, skip, cls};
    ps_topk best = {.at = out, .k = k};
    int err = k ? search(a, &q, s, &best, why) : PS_OK;
    if (err)
        return err;
    *found = ps_topk_finish(&best, space_scale(&a->space, query));
    return PS_OK;
}

/* ------------------------------ Opening ------------------------------------ */

int vectors_cosine(const char *name)
{
    return strcmp(name, "embeddings") != 0;
}

void vectors_file(const char *name, char *out, size_t n)
{
    if (vectors_cosine(name))
        snprintf(out, n, "features/%s.npy", name);
    else
        snprintf(out, n, "embeddings.npy");
}

const ps_npy *vectors_find(const ps_generation *g, const char *name)
{
    if (!vectors_cosine(name))
        return g->embeddings.rows ? &g->embeddings : NULL;
    const ps_block *block = ps_generation_block(g, name);
    return block ? &block->array : NULL;
}

/* The whole file is checked by its sum: FAISS believes what it reads. It is about to be
 * read anyway, so this costs memory speed, not the disk. */
static int check_file(const ps_generation *g, const char *path, ps_why *why)
{
    uint64_t size, hash, real_size, real_hash;
    if (!ps_manifest_file(g->manifest, "index.faiss", &size, &hash))
        return ps_fail(why, PS_ENOENT, path, 0,
                       "the catalog has no index: run pinsage index");
    int err = ps_file_hash(path, &real_hash, &real_size, why);
    if (err)
        return err;
    if (real_size != size)
        return ps_fail(why, PS_EFORMAT, path, 0,
                       "%llu bytes, but the manifest says %llu: cut short or replaced",
                       (unsigned long long)real_size, (unsigned long long)size);
    if (real_hash != hash)
        return ps_fail(why, PS_EFORMAT, path, 0,
                       "the checksum is not the manifest's: the file is damaged");
    return PS_OK;
}

/* FAISS's own idea of the file must be the manifest's, and of these vectors. */
static int check_shape(const ps_ann *a, const char *path, ps_why *why)
{
    if (ps_faiss_dim(a->faiss) == a->space.rows.dim &&
        ps_faiss_rows(a->faiss) == a->space.n)
        return PS_OK;
    return ps_fail(why, PS_EMISMATCH, path, 0,
                   "holds %llu rows of %u numbers, but %s has %zu of %zu",
                   (unsigned long long)ps_faiss_rows(a->faiss), ps_faiss_dim(a->faiss),
                   a->vectors, a->space.n, a->space.rows.dim);
}

static int check_origin(const ps_generation *g, const char *path, const char *vectors,
                        ps_why *why)
{
    char file[64], now[17];
    uint64_t hash = 0;
    vectors_file(vectors, file, sizeof file);
    ps_manifest_file(g->manifest, file, NULL, &hash);
    snprintf(now, sizeof now, "%016llx", (unsigned long long)hash);
    if (!strcmp(ps_manifest_text(g->manifest, "index.of", ""), now))
        return PS_OK;
    return ps_fail(why, PS_EMISMATCH, path, 0,
                   "was built on another version of %s: run pinsage index again", file);
}

static int open_vectors(ps_ann *a, ps_generation *g, const char *path, ps_why *why)
{
    const char *name = ps_manifest_text(g->manifest, "index.vectors", "embeddings");
    a->array = vectors_find(g, name);
    if (!a->array)
        return ps_fail(why, PS_EMISMATCH, path, 0,
                       "was built on %s, which the catalog does not have", name);
    strncpy(a->vectors, name, sizeof a->vectors - 1);
    a->space = space_of(a->array, vectors_cosine(name));
    uint64_t times = ps_manifest_u64(g->manifest, "index.overfetch", 1);
    a->overfetch = times < 1               ? 1
                   : times > OVERFETCH_MAX ? OVERFETCH_MAX
                                           : (uint32_t)times;
    return check_origin(g, path, name, why);
}

static int read_index(ps_ann *a, const ps_generation *g, const char *path, ps_why *why)
{
    int err = ps_faiss_read(&a->faiss, path, why);
    if (!err)
        err = check_shape(a, path, why);
    const char *knob = ps_manifest_text(g->manifest, "index.knob", "");
    if (!err && *knob)
        err = ps_faiss_tune(a->faiss, knob, why);
    return err;
}

int ps_ann_open(ps_ann **out, ps_generation *g, ps_why *why)
{
    char path[PS_PATH_MAX];
    int err = ps_path_join(path, sizeof path, g->dir, "index.faiss");
    if (err)
        return ps_fail(why, err, g->dir, 0, "the path is too long");
    err = ps_ann_cpu_check(why);
    if (!err)
        err = check_file(g, path, why);
    if (err)
        return err;
    ps_ann *a = calloc(1, sizeof *a);
    if (!a)
        return ps_fail(why, PS_ENOMEM, path, 0, "no memory for an index");
    a->g = ps_generation_acquire(g);
    err = open_vectors(a, g, path, why);
    if (!err)
        err = read_index(a, g, path, why);
    if (err)
        ps_ann_close(a);
    else
        *out = a;
    return err;
}

void ps_ann_close(ps_ann *a)
{
    if (!a)
        return;
    ps_faiss_free(a->faiss);
    ps_generation_release(a->g);
    free(a);
}

const char *ps_ann_vectors(const ps_ann *a)
{
    return a->vectors;
}
