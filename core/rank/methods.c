/* methods.c - the rankings that are compared, one line of a table each.
 *
 * Embeddings are ranked by inner product, feature blocks by cosine (a pin without a
 * vector stands below all that have one), walks by visits: pins that no walk reached
 * share the score 0, and so the average of the ranks that are left. Pixie walks its whole
 * budget here, without the early stop, so that it is measured at its strongest.
 *
 * Threads: a scorer's own data is read by all workers; scratch is one a worker.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rank/blend_scorer.h"
#include "pinsage/buf.h"
#include "pinsage/dot.h"
#include "pinsage/hash.h"
#include "pinsage/layout.h"
#include "pinsage/length.h"
#include "pinsage/near.h"
#include "pinsage/pixie.h"
#include "pinsage/scorer.h"

static int skip_without(ps_why *why, const char *method, const char *what)
{
    return ps_fail(why, PS_EUNSUPPORTED, method, 0, "%s", what);
}

/* ------------------------------ Vectors ------------------------------------ */

typedef struct vector_scorer {
    ps_rows rows;
    const ps_npy *array; /* the generation's, or own */
    ps_npy own;          /* a baseline's, mapped here; empty for the others */
    size_t n;
    float *scale; /* (N) ps_inverse_root; NULL: inner product */
    float *query; /* (workers, PS_SCORER_BLOCK, D) scratch */
} vector_scorer;

static void free_vectors(void *self)
{
    vector_scorer *v = self;
    if (!v)
        return;
    free(v->scale);
    free(v->query);
    ps_npy_close(&v->own);
    free(v);
}

/* By cosine the length of a query moves no rank, so one that leaves the range of float is
 * brought to 1; others stay as they are, and their ties ties. */
static void load_query(const vector_scorer *v, uint32_t row, float *out)
{
    float squares;
    ps_npy_row_f32(v->array, row, out);
    ps_dot_squares((ps_rows){out, v->rows.dim, 0}, 0, 1, &squares);
    if (v->scale && !ps_squares_fit(squares))
        ps_direction(out, v->rows.dim, out);
}

static int score_vectors(void *self, unsigned worker, const uint32_t *queries, uint32_t n,
                         float *scores)
{
    const vector_scorer *v = self;
    float *query = v->query + (size_t)worker * PS_SCORER_BLOCK * v->rows.dim;
    for (uint32_t i = 0; i < n; i++)
        load_query(v, queries[i], query + i * v->rows.dim);
    ps_dot_block(query, n, v->rows, 0, v->n, scores, v->n);
    for (uint32_t i = 0; i < n; i++)
        for (size_t r = 0; r < v->n; r++) {
            float *score = &scores[i * v->n + r];
            *score = ps_sure_score(v->scale, query + i * v->rows.dim, v->rows, r,
                                   v->scale ? *score * v->scale[r] : *score);
        }
    return PS_OK;
}

static int scale_rows(vector_scorer *v)
{
    v->scale = malloc(v->n * sizeof *v->scale + 1);
    if (!v->scale)
        return PS_ENOMEM;
    ps_dot_squares(v->rows, 0, v->n, v->scale);
    for (size_t r = 0; r < v->n; r++)
        v->scale[r] = ps_inverse_root(v->scale[r]);
    return PS_OK;
}

/* Takes own, which may be NULL; array is borrowed without it. */
static int open_vectors(ps_scorer *out, const ps_npy *array, ps_npy *own, int cosine,
                        const ps_scorer_opts *opts)
{
    vector_scorer *v = calloc(1, sizeof *v);
    if (!v) {
        if (own)
            ps_npy_close(own);
        return PS_ENOMEM;
    }
    if (own) {
        v->own = *own;
        array = &v->own;
    }
    v->rows = (ps_rows){array->data, array->cols, array->dtype == PS_F16};
    v->array = array;
    v->n = array->rows;
    size_t block = PS_SCORER_BLOCK * v->rows.dim * sizeof *v->query;
    v->query = malloc(opts->workers * block);
    int err = v->query ? PS_OK : PS_ENOMEM;
    if (!err && cosine)
        err = scale_rows(v);
    if (err)
        free_vectors(v);
    else
        *out = (ps_scorer){
            .score = score_vectors, .free = free_vectors, .self = v, .vectors = array};
    return err;
}

static int open_embeddings(ps_scorer *out, ps_generation *g, const ps_scorer_opts *opts,
                           ps_why *why)
{
    if (!g->embeddings.rows)
        return skip_without(why, opts->name, "the catalog has no embeddings");
    int learned = ps_manifest_has(g->manifest, PS_KEY_EMBEDDINGS_MODEL);
    if (!strcmp(opts->name, "pinsage") && !learned)
        return skip_without(why, opts->name,
                            "the embeddings were imported: the method is \"embeddings\"");
    if (!strcmp(opts->name, "embeddings") && learned)
        return skip_without(why, opts->name,
                            "the embeddings are the model's: the method is \"pinsage\"");
    return open_vectors(out, &g->embeddings, NULL, 0, opts);
}

static int open_block(ps_scorer *out, ps_generation *g, const ps_scorer_opts *opts,
                      ps_why *why)
{
    const ps_block *block = ps_generation_block(g, opts->name);
    if (!block)
        return skip_without(why, opts->name, "the catalog has no such feature block");
    return open_vectors(out, &block->array, NULL, 1, opts);
}

static int open_baseline(ps_scorer *out, ps_generation *g, const ps_scorer_opts *opts,
                         ps_why *why)
{
    char file[64];
    ps_npy array;
    snprintf(file, sizeof file, PS_DIR_BASELINES "/%.40s.npy", opts->name);
    int err = ps_generation_array(g, file, &array, why);
    if (err)
        return err;
    if (array.dtype == PS_F32 || array.dtype == PS_F16)
        return open_vectors(out, &array, &array, 0, opts);
    err = ps_fail(why, PS_EMISMATCH, file, 0, "it holds %s, expected are <f4 or <f2",
                  ps_dtype_name(array.dtype));
    ps_npy_close(&array);
    return err;
}

/* ------------------------------ Walks -------------------------------------- */

typedef struct walk_scratch {
    ps_pixie *pixie;
    ps_pins_reader *reader;
    ps_scored *found; /* (room) */
} walk_scratch;

typedef struct walk_scorer {
    ps_generation *g; /* borrowed */
    uint64_t seed;
    uint32_t room; /* pins a walk can reach at most */
    unsigned workers;
    walk_scratch scratch[]; /* (workers) */
} walk_scorer;

static void free_walks(void *self)
{
    walk_scorer *w = self;
    for (unsigned i = 0; w && i < w->workers; i++) {
        ps_pixie_free(w->scratch[i].pixie);
        ps_pins_reader_free(w->scratch[i].reader);
        free(w->scratch[i].found);
    }
    free(w);
}

static int score_walk(const walk_scorer *w, const walk_scratch *s, uint32_t query,
                      float *scores)
{
    ps_pin pin;
    int err = ps_pins_get(s->reader, query, &pin);
    if (err)
        return err;
    uint32_t found;
    ps_pixie_query q = {query, 1, ps_pin_seed(w->seed, pin.id.data, pin.id.len)};
    err = ps_pixie_related(s->pixie, &q, 1, s->found, w->room, &found, NULL);
    if (err)
        return err;
    memset(scores, 0, w->g->n_pins * sizeof *scores);
    for (uint32_t i = 0; i < found; i++)
        scores[s->found[i].row] = s->found[i].score;
    return PS_OK;
}

static int score_walks(void *self, unsigned worker, const uint32_t *queries, uint32_t n,
                       float *scores)
{
    const walk_scorer *w = self;
    int err = PS_OK;
    for (uint32_t i = 0; i < n && !err; i++)
        err = score_walk(w, &w->scratch[worker], queries[i],
                         scores + (size_t)i * w->g->n_pins);
    return err;
}

static int scratch_init(walk_scratch *s, ps_generation *g, ps_pixie_opts opts,
                        uint32_t room)
{
    int err = ps_pixie_new(&s->pixie, &g->graph, opts);
    if (!err)
        err = ps_pins_reader_new(&s->reader, g->pins);
    s->found = malloc(room * sizeof *s->found + 1);
    return err ? err : s->found ? PS_OK : PS_ENOMEM;
}

static int open_walks(ps_scorer *out, ps_generation *g, const ps_scorer_opts *opts,
                      uint32_t steps, float correction, ps_why *why)
{
    walk_scorer *w = calloc(1, sizeof *w + opts->workers * sizeof w->scratch[0]);
    if (!w)
        return PS_ENOMEM;
    w->g = g;
    w->seed = opts->seed;
    w->workers = opts->workers;
    w->room = steps < g->n_pins ? steps : g->n_pins;
    ps_pixie_opts walk = PS_PIXIE_DEFAULTS;
    walk.steps = steps;
    walk.n_v = 0;
    walk.correction = correction;
    int err = PS_OK;
    for (unsigned i = 0; i < opts->workers && !err; i++)
        err = scratch_init(&w->scratch[i], g, walk, w->room);
    if (err) {
        free_walks(w);
        return ps_fail(why, err, opts->name, 0, "cannot walk %u steps a pin: %s", steps,
                       ps_strerror(err));
    }
    *out = (ps_scorer){.score = score_walks, .free = free_walks, .self = w};
    return PS_OK;
}

static int open_pixie(ps_scorer *out, ps_generation *g, const ps_scorer_opts *opts,
                      ps_why *why)
{
    return open_walks(out, g, opts, opts->pixie_steps, 0, why);
}

/* The division makes a single chance visit of a rare pin weigh as much as many of a hub;
 * three times the steps take that noise away (movielens-posters, hit rate at 500: 58.6
 * with the steps of pixie, 62.8 with three times as many). */
static int open_pixie_corrected(ps_scorer *out, ps_generation *g,
                                const ps_scorer_opts *opts, ps_why *why)
{
    const uint32_t most = 10000000; /* what Pixie allows */
    uint32_t steps = opts->pixie_steps > most / 3 ? most : 3 * opts->pixie_steps;
    return open_walks(out, g, opts, steps, 0.5f, why);
}

/* ------------------------------ Popularity --------------------------------- */

static int score_popular(void *self, unsigned worker, const uint32_t *queries, uint32_t n,
                         float *scores)
{
    (void)worker;
    (void)queries;
    const ps_csr *m = self;
    for (uint32_t r = 0; r < m->rows; r++)
        scores[r] = (float)ps_csr_degree(m, r);
    for (uint32_t i = 1; i < n; i++)
        memcpy(scores + (size_t)i * m->rows, scores, m->rows * sizeof *scores);
    return PS_OK;
}

static int open_popular(ps_scorer *out, ps_generation *g, const ps_scorer_opts *opts,
                        ps_why *why)
{
    (void)opts;
    (void)why;
    *out = (ps_scorer){.score = score_popular, .self = &g->graph.pin_boards};
    return PS_OK;
}

/* ------------------------------ The table ---------------------------------- */

typedef struct method {
    const char *name;
    /* PS_EUNSUPPORTED in words when the generation has not what it needs. */
    int (*open)(ps_scorer *out, ps_generation *g, const ps_scorer_opts *opts,
                ps_why *why);
} method;

static const method methods[] = {
    {"pinsage", open_embeddings},    /* of the trained model, by inner product */
    {"embeddings", open_embeddings}, /* imported, by inner product */
    {"blend", blend_open},           /* embeddings, walk and content in one ranking */
    {"visual", open_block},          /* by cosine; any block's name works */
    {"annotation", open_block},
    {"pixie", open_pixie}, /* random walks with restarts, by visits */
    {"pixie-corrected", open_pixie_corrected},
    {"popular", open_popular}, /* pins on most boards */
};

enum { METHODS = sizeof methods / sizeof methods[0] };

static const char *const baselines[PS_BASELINES] = {
    [PS_BASELINE_COMBINED] = "combined",
    [PS_BASELINE_COMBINED_STRUCTURE] = "combined-structure",
    [PS_BASELINE_KHOP] = "khop",
    [PS_BASELINE_MEANPOOL] = "meanpool",
    [PS_BASELINE_MAXPOOL] = "maxpool",
};
const ps_enum ps_baseline_names = PS_ENUM(baselines);

/* ------------------------------ By name ------------------------------------ */

/* A list that keeps the first of equal names. */
typedef struct name_list {
    char (*name)[40];
    size_t n, max;
} name_list;

static void list_name(name_list *l, const char *name, size_t len)
{
    if (l->n == l->max || len >= sizeof l->name[0])
        return;
    for (size_t i = 0; i < l->n; i++)
        if (strlen(l->name[i]) == len && !memcmp(l->name[i], name, len))
            return;
    memcpy(l->name[l->n], name, len);
    l->name[l->n++][len] = '\0';
}

static bool is_baseline(const ps_generation *g, const char *name)
{
    char file[64];
    int n = snprintf(file, sizeof file, PS_FILE_BASELINE, name);
    return n > 0 && (size_t)n < sizeof file && ps_generation_file(g, file, NULL);
}

/* Those that training knows in its order, then any others. */
static void list_baselines(name_list *l, const ps_generation *g)
{
    const char *file;
    for (size_t i = 0; i < PS_BASELINES; i++)
        if (is_baseline(g, baselines[i]))
            list_name(l, baselines[i], strlen(baselines[i]));
    for (size_t i = 0; (file = ps_manifest_file_at(g->manifest, i)); i++) {
        size_t len = strlen(file);
        if (len > 14 && !strncmp(file, PS_DIR_BASELINES "/", 10) &&
            !strcmp(file + len - 4, ".npy"))
            list_name(l, file + 10, len - 14);
    }
}

size_t ps_method_list(const ps_generation *g, char (*names)[40], size_t max)
{
    name_list l = {names, 0, max};
    for (size_t i = 0; i < METHODS; i++) {
        if (methods[i].open == open_block && methods[i - 1].open != open_block)
            list_baselines(&l, g);
        if (methods[i].open == open_pixie)
            for (uint32_t b = 0; b < g->n_blocks; b++)
                list_name(&l, g->blocks[b].name, strlen(g->blocks[b].name));
        list_name(&l, methods[i].name, strlen(methods[i].name));
    }
    return l.n;
}

static int refuse_unknown(const ps_generation *g, const char *name, ps_why *why)
{
    ps_buf list = {0};
    char names[32][40];
    ps_guess guess;
    ps_guess_init(&guess, ps_text_of(name));
    size_t n = ps_method_list(g, names, sizeof names / sizeof *names);
    for (size_t i = 0; i < n; i++) {
        ps_guess_offer(&guess, names[i]);
        ps_buf_printf(&list, "%s%s", i ? ", " : "", names[i]);
    }
    const char *best = guess.best;
    int err =
        ps_fail(why, PS_EINVAL, "methods", 0, "no method \"%s\"; %s%s%sthere are %s",
                name, best ? "did you mean \"" : "", best ? best : "", best ? "\"? " : "",
                list.failed ? "others" : list.data);
    ps_buf_done(&list);
    return err;
}

int ps_scorer_open(ps_scorer *out, ps_generation *g, const ps_scorer_opts *opts,
                   ps_why *why)
{
    *out = (ps_scorer){0};
    for (size_t i = 0; i < METHODS; i++)
        if (!strcmp(methods[i].name, opts->name))
            return methods[i].open(out, g, opts, why);
    if (is_baseline(g, opts->name))
        return open_baseline(out, g, opts, why);
    if (ps_generation_block(g, opts->name))
        return open_block(out, g, opts, why);
    return refuse_unknown(g, opts->name, why);
}

void ps_scorer_close(ps_scorer *s)
{
    if (s->free)
        s->free(s->self);
    *s = (ps_scorer){0};
}
