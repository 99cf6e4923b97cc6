/* ann.c - an index that is opened: its file, and whose vectors it was built on.
 *
 * Threads: an open index is only read.
 * Not here: searching it (ann_search.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index/ann_inside.h"
#include "pinsage/generation.h"
#include "pinsage/layout.h"

int vectors_cosine(const char *name)
{
    return strcmp(name, "embeddings") != 0;
}

void vectors_file(const char *name, char *out, size_t n)
{
    if (vectors_cosine(name))
        snprintf(out, n, PS_FILE_BLOCK, name);
    else
        snprintf(out, n, PS_FILE_EMBEDDINGS);
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
    if (!ps_manifest_file(g->manifest, PS_FILE_INDEX, &size, &hash))
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
    if (!strcmp(ps_manifest_text(g->manifest, PS_KEY_INDEX_OF, ""), now))
        return PS_OK;
    return ps_fail(why, PS_EMISMATCH, path, 0,
                   "was built on another version of %s: run pinsage index again", file);
}

static int open_vectors(ps_ann *a, ps_generation *g, const char *path, ps_why *why)
{
    const char *name = ps_manifest_text(g->manifest, PS_KEY_INDEX_VECTORS, "embeddings");
    a->array = vectors_find(g, name);
    if (!a->array)
        return ps_fail(why, PS_EMISMATCH, path, 0,
                       "was built on %s, which the catalog does not have", name);
    strncpy(a->vectors, name, sizeof a->vectors - 1);
    a->space = space_of(a->array, vectors_cosine(name));
    uint64_t times = ps_manifest_u64(g->manifest, PS_KEY_INDEX_WIDER, 1);
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
    if (!err)
        ann_widen_by(a, ps_manifest_text(g->manifest, PS_KEY_INDEX_FACTORY, ""));
    const char *knob = ps_manifest_text(g->manifest, PS_KEY_INDEX_KNOB, "");
    if (!err && *knob)
        err = ps_faiss_tune(a->faiss, knob, why);
    return err;
}

int ps_ann_open(ps_ann **out, ps_generation *g, ps_why *why)
{
    char path[PS_PATH_MAX];
    int err = ps_path_join(path, sizeof path, g->dir, PS_FILE_INDEX);
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
