/* blend_scorer.c - the blend as a method of an evaluation.
 *
 * Every pin has its similarity as score; the candidates are lifted above all others, in
 * the order of the blend. So each pin has an exact rank: what the blend does not look at
 * stays where the embedding puts it, below what it does.
 *
 * The near pins come from all scores here, not from the index: what is measured is the
 * blend, and the recall of the index is another figure.
 *
 * Threads: one ps_blend a worker.
 */
#include <stdlib.h>
#include <string.h>

#include "core/rank/blend_inside.h"
#include "core/rank/blend_scorer.h"
#include "pinsage/hash.h"

typedef struct blend_scratch {
    ps_blend *blend;
    ps_pins_reader *reader;
    float *query;    /* (PS_SCORER_BLOCK, E) */
    ps_scored *near; /* (most) the near ones, then the ranking */
} blend_scratch;

typedef struct blend_scorer {
    ps_generation *g; /* borrowed */
    ps_blend_files *files;
    ps_rows z;
    uint64_t seed;
    uint32_t candidates, most;
    unsigned workers;
    blend_scratch scratch[]; /* (workers) */
} blend_scorer;

static void free_blend(void *self)
{
    blend_scorer *s = self;
    for (unsigned i = 0; i < s->workers; i++) {
        blend_scratch *w = &s->scratch[i];
        ps_blend_free(w->blend);
        ps_pins_reader_free(w->reader);
        free(w->query);
        free(w->near);
    }
    ps_blend_files_close(s->files);
    free(s);
}

/* Candidates above everything else: their scores moved so that the last is 1 more than
 * the largest similarity of the others. */
static void lift(float *scores, uint32_t n, const ps_scored *ranked, uint32_t found)
{
    float top = 0;
    for (uint32_t r = 0; r < n; r++)
        top = scores[r] > top ? scores[r] : top;
    for (uint32_t i = 0; i < found; i++)
        scores[ranked[i].row] = top + 1 + (ranked[i].score - ranked[found - 1].score);
}

static int score_one(const blend_scorer *s, const blend_scratch *w, uint32_t query,
                     float *scores)
{
    ps_pin pin;
    uint32_t n = s->g->n_pins, found, most = s->candidates;
    int err = ps_pins_get(w->reader, query, &pin);
    if (err)
        return err;
    uint64_t seed = ps_pin_seed(s->seed, pin.id.data, pin.id.len);
    uint32_t near = blend_nearest(scores, n, query, most, w->near);
    err =
        ps_blend_related(w->blend, query, seed, w->near, near, w->near, s->most, &found);
    if (!err)
        lift(scores, n, w->near, found);
    return err;
}

static int score_blend(void *self, unsigned worker, const uint32_t *queries, uint32_t n,
                       float *scores)
{
    const blend_scorer *s = self;
    const blend_scratch *w = &s->scratch[worker];
    size_t pins = s->g->n_pins;
    int err = PS_OK;
    for (uint32_t i = 0; i < n; i++)
        ps_npy_row_f32(&s->g->embeddings, queries[i], w->query + i * s->z.dim);
    ps_dot_block(w->query, n, s->z, 0, pins, scores, pins);
    for (uint32_t i = 0; i < n; i++)
        blend_leave_out(w->query + i * s->z.dim, s->z, pins, scores + i * pins);
    for (uint32_t i = 0; i < n && !err; i++)
        err = score_one(s, w, queries[i], scores + i * pins);
    return err;
}

static int scratch_init(const blend_scorer *s, blend_scratch *w,
                        const ps_blend_model *model, ps_why *why)
{
    ps_blend_source source = ps_blend_source_of(s->g, s->files);
    int err = ps_blend_new(&w->blend, &source, model, why);
    if (!err)
        err = ps_pins_reader_new(&w->reader, s->g->pins);
    if (err)
        return err;
    w->query = malloc(PS_SCORER_BLOCK * s->z.dim * sizeof *w->query);
    w->near = malloc(s->most * sizeof *w->near);
    return w->query && w->near ? PS_OK
                               : ps_fail(why, PS_ENOMEM, "blend", 0, "no memory to rank");
}

int blend_open(ps_scorer *out, ps_generation *g, const ps_scorer_opts *opts, ps_why *why)
{
    ps_blend_model model;
    int err = ps_blend_load(&model, g, why);
    if (err)
        return err;
    blend_scorer *s = calloc(1, sizeof *s + opts->workers * sizeof s->scratch[0]);
    if (!s)
        return ps_fail(why, PS_ENOMEM, "blend", 0, "no memory to rank");
    const ps_npy *z = &g->embeddings;
    s->g = g;
    s->z = (ps_rows){z->data, z->cols, z->dtype == PS_F16};
    s->seed = opts->seed;
    s->candidates = model.candidates;
    s->most = ps_blend_most(&model);
    err = ps_blend_files_open(&s->files, g, why);
    s->workers = opts->workers;
    for (unsigned i = 0; i < opts->workers && !err; i++)
        err = scratch_init(s, &s->scratch[i], &model, why);
    if (err)
        free_blend(s);
    else
        *out = (ps_scorer){.score = score_blend, .free = free_blend, .self = s};
    return err;
}
