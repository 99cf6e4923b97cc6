/* model_file.c - a model as safetensors: tensors by name, configuration as metadata.
 *
 * Sizes are read from the tensors' own shapes, so a model that was made elsewhere with
 * the same names loads too; metadata that it lacks gets the defaults below.
 *
 * Threads: see model.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/hash.h"
#include "pinsage/model.h"
#include "pinsage/safetensors.h"

enum { TENSORS = 4 * PS_LAYERS_MAX + 4, NAME = 32, META = 16 };

/* The tensors of a model by name, in file order. */
typedef struct listing {
    ps_tensor tensor[TENSORS];
    char name[TENSORS][NAME];
    size_t n;
} listing;

static void list(listing *l, const char *name, float *data, uint64_t rows, uint64_t cols)
{
    snprintf(l->name[l->n], NAME, "%s", name);
    l->tensor[l->n] = (ps_tensor){.name = l->name[l->n],
                                  .ndim = cols ? 2 : 1,
                                  .shape = {rows, cols ? cols : 1},
                                  .data = data};
    l->n++;
}

static void list_all(listing *l, const ps_model *m)
{
    const ps_model_config *c = &m->config;
    static const char *const parts[] = {"Q.weight", "Q.bias", "W.weight", "W.bias"};
    l->n = 0;
    for (uint32_t k = 0; k < c->layers; k++) {
        uint64_t in = ps_model_width(c, k);
        float *data[] = {m->conv[k].Q, m->conv[k].q, m->conv[k].W, m->conv[k].w};
        uint64_t rows[] = {c->m, c->m, c->d, c->d}, cols[] = {in, 0, in + c->m, 0};
        for (int i = 0; i < 4; i++) {
            char name[NAME];
            snprintf(name, sizeof name, "conv.%u.%s", k + 1, parts[i]);
            list(l, name, data[i], rows[i], cols[i]);
        }
    }
    list(l, "head.G1.weight", m->G1, c->d, ps_model_width(c, c->layers));
    list(l, "head.G1.bias", m->g, c->d, 0);
    list(l, "head.G2.weight", m->G2, c->e, c->d);
    if (m->S)
        list(l, "skip.weight", m->S, c->e, c->d_in);
}

/* ------------------------------ Configuration ----------------------------- */

typedef struct words {
    char text[META][40];
    const char *pair[META][2];
    size_t n;
} words;

static void add(words *w, const char *key, const char *value)
{
    w->pair[w->n][0] = key;
    w->pair[w->n++][1] = value;
}

static void add_number(words *w, const char *key, double value)
{
    snprintf(w->text[w->n], sizeof w->text[0], "%.9g", value);
    add(w, key, w->text[w->n]);
}

static void configuration(words *w, const ps_model_config *c)
{
    w->n = 0;
    add(w, "format", "pinsage 1");
    add(w, "blocks", c->blocks);
    add(w, "pooling", ps_enum_name(ps_pooling_names, c->pooling));
    add(w, "neighbourhood", ps_enum_name(ps_neighbourhood_names, c->neighbourhood));
    add(w, "similarity", ps_enum_name(ps_similarity_names, c->similarity));
    add_number(w, "layers", c->layers);
    add_number(w, "neighbours", c->neighbours);
    add_number(w, "walks", c->n_walks);
    add_number(w, "walk_length", c->length);
    add_number(w, "temperature", (double)c->temperature);
    snprintf(w->text[w->n], sizeof w->text[0], "%" PRIu64, c->seed);
    add(w, "seed", w->text[w->n]);
}

int ps_model_save(const ps_model *m, const char *path, uint64_t *size, uint64_t *hash,
                  ps_why *why)
{
    listing *l = malloc(sizeof *l);
    words w;
    if (!l)
        return ps_fail(why, PS_ENOMEM, path, 0, "out of memory");
    list_all(l, m);
    configuration(&w, &m->config);
    int err = ps_safetensors_write(path, l->tensor, l->n, w.pair, w.n, size, hash, why);
    free(l);
    return err;
}

/* A number of the metadata, which is text that anybody may have written. */
typedef struct setting {
    const char *key;
    double otherwise, least, most;
} setting;

static int read_number(const ps_safetensors *f, const char *path, setting s, double *out,
                       ps_why *why)
{
    const char *text = ps_safetensors_meta(f, s.key);
    char *end = NULL;
    *out = text ? strtod(text, &end) : s.otherwise;
    if (text && (end == text || *end || !(*out >= s.least && *out <= s.most)))
        return ps_fail(why, PS_EFORMAT, path, 0, "%s \"%.40s\" is no number in %g..%g",
                       s.key, text, s.least, s.most);
    return PS_OK;
}

static int read_numbers(const ps_safetensors *f, const char *path, ps_model_config *c,
                        ps_why *why)
{
    double neighbours = 0, walks = 0, length = 0, temperature = 0;
    double one = c->layers ? 1 : 0; /* who has no layers needs no neighbours */
    int err =
        read_number(f, path, (setting){"neighbours", 20, one, 1000}, &neighbours, why);
    if (!err)
        err = read_number(f, path, (setting){"walks", 500, one, 100000}, &walks, why);
    if (!err)
        err = read_number(f, path, (setting){"walk_length", 2, one, 32}, &length, why);
    if (!err)
        err =
            read_number(f, path, (setting){"temperature", 1, 0, 1e9}, &temperature, why);
    c->neighbours = (uint32_t)neighbours;
    c->n_walks = (uint32_t)walks;
    c->length = (uint32_t)length;
    c->temperature = (float)temperature;
    return err;
}

/* A kind by its name; without one the first of them. A name that nobody knows is refused:
 * a model of another kind would answer, and wrongly. */
static int read_kind(const ps_safetensors *f, const char *path, const char *key,
                     ps_enum names, ps_why *why)
{
    const char *text = ps_safetensors_meta(f, key);
    int kind = text ? ps_enum_find(names, ps_text_of(text)) : 0;
    return kind >= 0 ? kind
                     : ps_fail(why, PS_EFORMAT, path, 0, "%s \"%.40s\" is not known", key,
                               text);
}

static int read_kinds(const ps_safetensors *f, const char *path, ps_model_config *c,
                      ps_why *why)
{
    int pooling = read_kind(f, path, "pooling", ps_pooling_names, why);
    int neighbours = read_kind(f, path, "neighbourhood", ps_neighbourhood_names, why);
    int similarity = read_kind(f, path, "similarity", ps_similarity_names, why);
    if (pooling < 0 || neighbours < 0 || similarity < 0)
        return PS_EFORMAT;
    c->pooling = (ps_pooling)pooling;
    c->neighbourhood = (ps_neighbourhood)neighbours;
    c->similarity = (ps_similarity)similarity;
    return PS_OK;
}

static uint32_t shape_of(const ps_safetensors *f, const char *name, int axis)
{
    const ps_tensor *t = ps_safetensors_find(f, name);
    return t && t->shape[axis] <= UINT32_MAX ? (uint32_t)t->shape[axis] : 0;
}

static int read_config(const ps_safetensors *f, const char *path, ps_model_config *c,
                       ps_why *why)
{
    const char *blocks = ps_safetensors_meta(f, "blocks");
    const char *seed = ps_safetensors_meta(f, "seed");
    char name[NAME] = "conv.1.Q.weight";
    *c = (ps_model_config){.skip = ps_safetensors_find(f, "skip.weight") != NULL,
                           .seed = seed ? strtoull(seed, NULL, 10) : 1};
    while (c->layers < PS_LAYERS_MAX && ps_safetensors_find(f, name))
        snprintf(name, sizeof name, "conv.%u.Q.weight", ++c->layers + 1);
    c->m = c->layers ? shape_of(f, "conv.1.Q.weight", 0) : 1;
    c->d = shape_of(f, "head.G1.weight", 0);
    c->e = shape_of(f, "head.G2.weight", 0);
    c->d_in =
        c->layers ? shape_of(f, "conv.1.Q.weight", 1) : shape_of(f, "head.G1.weight", 1);
    if (!c->m || !c->d || !c->e || !c->d_in)
        return ps_fail(why, PS_EFORMAT, path, 0,
                       "not a PinSage model: head.G1.weight, head.G2.weight or "
                       "conv.1.Q.weight is missing");
    if (blocks && strlen(blocks) >= sizeof c->blocks)
        return ps_fail(why, PS_EFORMAT, path, 0, "the list of blocks is too long");
    snprintf(c->blocks, sizeof c->blocks, "%s", blocks ? blocks : "");
    int err = read_kinds(f, path, c, why);
    return err ? err : read_numbers(f, path, c, why);
}

/* A tensor that would be left out, of a layer after a gap for instance, means that the
 * file is another model than the one that would be run. */
static int check_names(const ps_safetensors *f, const char *path, const listing *l,
                       ps_why *why)
{
    const ps_tensor *t;
    for (size_t i = 0; (t = ps_safetensors_at(f, i)); i++) {
        size_t j = 0;
        while (j < l->n && strcmp(l->name[j], t->name) != 0)
            j++;
        if (j == l->n)
            return ps_fail(why, PS_EFORMAT, path, 0,
                           "the tensor %.64s has no place in a model of %zu tensors",
                           t->name, l->n);
    }
    return PS_OK;
}

static int read_tensors(const ps_safetensors *f, const char *path, ps_model *m,
                        ps_why *why)
{
    listing *l = malloc(sizeof *l);
    if (!l)
        return ps_fail(why, PS_ENOMEM, path, 0, "out of memory");
    list_all(l, m);
    int err = check_names(f, path, l, why);
    for (size_t i = 0; i < l->n && !err; i++) {
        const ps_tensor *t = &l->tensor[i];
        err = ps_safetensors_read_f32(f, t->name, t->shape[0],
                                      t->ndim == 2 ? t->shape[1] : 0, (float *)t->data,
                                      why);
    }
    free(l);
    return err;
}

int ps_model_load(ps_model *m, const char *path, ps_why *why)
{
    ps_safetensors *f;
    ps_model_config c;
    *m = (ps_model){0};
    int err = ps_safetensors_open(&f, path, why);
    if (err)
        return err;
    err = read_config(f, path, &c, why);
    if (!err)
        err = ps_model_new(m, &c, why);
    if (!err)
        err = read_tensors(f, path, m, why);
    if (err)
        ps_model_free(m);
    ps_safetensors_close(f);
    return err;
}

uint64_t ps_model_fingerprint(const ps_model *m)
{
    words w;
    const ps_model_config *c = &m->config;
    const uint32_t widths[] = {c->d_in, c->layers ? c->m : 0, c->d, c->e, c->skip};
    ps_hasher *h = ps_hasher_new();
    configuration(&w, c);
    ps_hasher_add(h, widths, sizeof widths);
    for (size_t i = 0; i < w.n; i++)
        ps_hasher_add(h, w.pair[i][1], strlen(w.pair[i][1]) + 1);
    ps_hasher_add(h, m->params, m->n_params * sizeof *m->params);
    uint64_t value = ps_hasher_value(h);
    ps_hasher_free(h);
    return value;
}

void ps_model_print(const ps_model *m, char out[17])
{
    snprintf(out, 17, "%016" PRIx64, ps_model_fingerprint(m));
}
