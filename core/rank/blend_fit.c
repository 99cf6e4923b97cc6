/* blend_fit.c - weights of the blend, from pairs that training did not see.
 *
 * For a query with candidates c and their inputs x_c, the chance that the related pin is
 * c is exp(w x_c) / sum exp(w x): logistic regression among the candidates of one query,
 * so that what all of them share cancels and only their order counts. A dozen weights
 * and thousands of pairs make a small convex problem: Newton's method, a little ridge.
 *
 * A related pin that is no candidate teaches nothing, but counts where it is judged: it
 * ranks below all candidates, by its similarity, as it would in an answer.
 *
 * Judging is by halves: queries are cut in two by their row, each half is ranked with
 * the weights of the other, and only then are the final weights fitted on all of them.
 *
 * Threads: queries are cut among the workers; sums are kept a block of queries and added
 * in order, so that any number of threads gives the same bits.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/list.h"
#include "core/measures/paired.h"
#include "core/rank/blend_inside.h"
#include "core/rank/blend_newton.h"
#include "pinsage/hash.h"
#include "pinsage/rng.h"

typedef struct fit {
    const ps_blend_source *source;
    const ps_blend_fit_opts *opts;
    const ps_progress *progress;
    ps_blend_model model;
    ps_pairs pairs; /* of the queries taken */
    groups groups;
    ps_workers *workers;
    unsigned n_workers;
    ps_blend **blend;    /* (n_workers) */
    uint64_t *hash;      /* (N) XXH3 of the ids */
    float *scores;       /* (n_workers, N) */
    ps_scored *near;     /* (n_workers, C) */
    newton_query *query; /* (groups.n) */
    int32_t *place;      /* (pairs.n) number among the candidates, -1: none */
    float *outside;      /* (pairs.n) rank when it is none */
    float *similarity;   /* (pairs.n) rank by the embedding alone */
    float *rank;         /* (pairs.n) by the blend */
    uint64_t done;       /* atomic */
} fit;

/* ------------------------------ Pairs -------------------------------------- */

static size_t count_queries(const ps_pairs *p)
{
    groups g;
    size_t n = groups_make(&g, p) ? 0 : g.n;
    groups_done(&g);
    return n;
}

/* The pairs of about opts->queries queries, taken by the hash of their row. */
static int take_pairs(fit *f, const ps_pairs *valid)
{
    size_t n = count_queries(valid), want = f->opts->queries;
    uint64_t limit = n > want ? UINT64_MAX / n * want : UINT64_MAX;
    f->pairs.pair = malloc((valid->n + 1) * sizeof *f->pairs.pair);
    if (!f->pairs.pair)
        return PS_ENOMEM;
    for (size_t i = 0; i < valid->n; i++)
        if (ps_mix64(valid->pair[i][0] + 0x5bd1e995u) <= limit)
            memcpy(f->pairs.pair[f->pairs.n++], valid->pair[i], sizeof valid->pair[i]);
    return groups_make(&f->groups, &f->pairs);
}

static void drop_unlisted(ps_blend_model *m, const char *list)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < m->n - PS_BLEND_COSINES; i++)
        if (ps_list_has(list, m->block[i]))
            memmove(m->block[kept++], m->block[i], sizeof m->block[0]);
    m->n = PS_BLEND_COSINES + kept;
}

/* ------------------------------ Candidates --------------------------------- */

/* Rank of row x among scores without the query, ties at their average. */
static double rank_of(const float *scores, uint32_t n, uint32_t query, float x)
{
    size_t greater = 0, equal = 0;
    for (uint32_t r = 0; r < n; r++) {
        greater += scores[r] > x;
        equal += scores[r] == x;
    }
    greater -= scores[query] > x;
    equal -= scores[query] == x;
    return 1 + (double)greater + (double)(equal - 1) / 2;
}

/* The rank when all candidates stand before it. */
static double outside_rank(const ps_blend *b, double rank, const float *scores, float x)
{
    double before = 0;
    for (uint32_t i = 0; i < b->n; i++) {
        float s = scores[b->row[i]];
        before += s > x ? 1 : s == x ? .5 : 0;
    }
    return rank - before + b->n;
}

static int32_t place_of(const ps_blend *b, uint32_t row)
{
    for (uint32_t i = 0; i < b->n; i++)
        if (b->row[i] == row)
            return (int32_t)i;
    return -1;
}

static void note_pairs(fit *f, size_t q, const ps_blend *b, const float *scores)
{
    uint32_t n = f->source->g->n_pins;
    newton_query *out = &f->query[q];
    for (size_t i = f->groups.start[q]; i < f->groups.start[q + 1]; i++) {
        size_t p = f->groups.order[i];
        uint32_t related = f->pairs.pair[p][1];
        float x = scores[related];
        double rank = rank_of(scores, n, f->groups.query[q], x);
        f->similarity[p] = (float)rank;
        f->outside[p] = (float)outside_rank(b, rank, scores, x);
        f->place[p] = place_of(b, related);
        if (f->place[p] >= 0)
            out->hit[out->n_hits++] = (uint32_t)f->place[p];
    }
}

static int gather_query(fit *f, size_t q, unsigned worker)
{
    uint32_t n = f->source->g->n_pins, row = f->groups.query[q];
    float *scores = f->scores + (size_t)worker * n;
    ps_scored *near = f->near + (size_t)worker * f->model.candidates;
    ps_blend *b = f->blend[worker];
    blend_read_row(f->source->z, row, b->vector);
    ps_dot_block(b->vector, 1, f->source->z, 0, n, scores, n);
    blend_leave_out(b->vector, f->source->z, n, scores);
    uint32_t found = blend_nearest(scores, n, row, f->model.candidates, near);
    int err =
        blend_gather(b, row, ps_pin_seed_of(f->opts->seed, f->hash[row]), near, found);
    if (err)
        return err;
    newton_query *out = &f->query[q];
    size_t cells = (size_t)b->n * b->model.n,
           pairs = f->groups.start[q + 1] - f->groups.start[q];
    out->n = b->n;
    out->fold = (uint32_t)(ps_mix64(row + 0x9e3779b9u) & 1);
    out->x = malloc(cells * sizeof *out->x + 1);
    out->hit = malloc(pairs * sizeof *out->hit + 1);
    if (!out->x || !out->hit)
        return PS_ENOMEM;
    memcpy(out->x, b->x, cells * sizeof *out->x);
    note_pairs(f, q, b, scores);
    return PS_OK;
}

static int on_gather(void *cls, size_t begin, size_t end, unsigned worker)
{
    fit *f = cls;
    int err = PS_OK;
    for (size_t q = begin; q < end && !err; q++)
        err = gather_query(f, q, worker);
    uint64_t done = __atomic_add_fetch(&f->done, end - begin, __ATOMIC_RELAXED);
    return err ? err : ps_progress_at(f->progress, "blend", done, f->groups.n, "queries");
}

/* ------------------------------ Judging ------------------------------------ */

static void rank_query(fit *f, size_t q, const double *weight)
{
    const newton_query *c = &f->query[q];
    uint32_t width = f->model.n;
    for (size_t i = f->groups.start[q]; i < f->groups.start[q + 1]; i++) {
        size_t p = f->groups.order[i];
        if (f->place[p] < 0) {
            f->rank[p] = f->outside[p];
            continue;
        }
        double x = newton_dot(weight, c->x + (size_t)f->place[p] * width, width),
               before = -.5;
        for (uint32_t k = 0; k < c->n; k++) {
            double y = newton_dot(weight, c->x + (size_t)k * width, width);
            before += y > x ? 1 : y == x ? .5 : 0;
        }
        f->rank[p] = (float)(1 + before);
    }
}

static int judge(fit *f, ps_blend_report *r)
{
    static const uint32_t cut[2] = {10, 100};
    paired_opts o = {cut, 2, f->opts->bootstraps, f->opts->seed};
    size_t inside = 0;
    for (uint32_t fold = 0; fold < 2; fold++) {
        double weight[PS_BLEND_MAX];
        int err =
            newton_fit(f->query, f->groups.n, f->model.n, 1 - fold, f->workers, weight);
        if (err)
            return err;
        for (size_t q = 0; q < f->groups.n; q++)
            if (f->query[q].fold == fold)
                rank_query(f, q, weight);
    }
    for (size_t i = 0; i < f->groups.start[f->groups.n]; i++)
        inside += f->place[f->groups.order[i]] >= 0;
    r->covered = (double)inside / (double)f->groups.start[f->groups.n];
    int err = paired_scores(&f->groups, f->rank, NULL, &o, f->workers, &r->blend);
    if (!err)
        err = paired_scores(&f->groups, f->similarity, NULL, &o, f->workers,
                            &r->similarity);
    if (!err)
        err =
            paired_scores(&f->groups, f->rank, f->similarity, &o, f->workers, &r->ahead);
    return err;
}

/* ------------------------------ The whole ---------------------------------- */

enum { FEWEST_QUERIES = 20 }; /* of each half, with a candidate among their pairs */

static bool enough(const fit *f)
{
    size_t n[2] = {0, 0};
    for (size_t q = 0; q < f->groups.n; q++)
        n[f->query[q].fold] += f->query[q].n_hits > 0;
    return n[0] >= FEWEST_QUERIES && n[1] >= FEWEST_QUERIES;
}

static int make_room(fit *f, ps_why *why)
{
    size_t n = f->source->g->n_pins, pairs = f->pairs.n + 1;
    ps_pins_reader *reader = NULL;
    f->blend = calloc(f->n_workers, sizeof *f->blend);
    f->hash = malloc(n * sizeof *f->hash + 1);
    f->scores = malloc(f->n_workers * n * sizeof *f->scores + 1);
    f->near = malloc((size_t)f->n_workers * f->model.candidates * sizeof *f->near);
    f->query = calloc(f->groups.n + 1, sizeof *f->query);
    f->place = malloc(pairs * sizeof *f->place);
    f->outside = calloc(pairs, sizeof *f->outside);
    f->similarity = calloc(pairs, sizeof *f->similarity);
    f->rank = calloc(pairs, sizeof *f->rank);
    if (!f->blend || !f->hash || !f->scores || !f->near || !f->query || !f->place ||
        !f->outside || !f->similarity || !f->rank)
        return ps_fail(why, PS_ENOMEM, "blend", 0, "no memory to fit it");
    int err = ps_pins_reader_new(&reader, f->source->g->pins);
    if (!err)
        err = ps_pins_hashes(reader, f->hash);
    ps_pins_reader_free(reader);
    for (unsigned i = 0; i < f->n_workers && !err; i++)
        err = ps_blend_new(&f->blend[i], f->source, &f->model, why);
    return err;
}

static void fit_done(fit *f)
{
    for (unsigned i = 0; f->blend && i < f->n_workers; i++)
        ps_blend_free(f->blend[i]);
    for (size_t q = 0; f->query && q < f->groups.n; q++) {
        free(f->query[q].x);
        free(f->query[q].hit);
    }
    free(f->blend);
    free(f->hash);
    free(f->scores);
    free(f->near);
    free(f->query);
    free(f->place);
    free(f->outside);
    free(f->similarity);
    free(f->rank);
    free(f->pairs.pair);
    groups_done(&f->groups);
    ps_workers_free(f->workers);
}

static int run(fit *f, ps_blend_report *r, ps_why *why)
{
    int err = make_room(f, why);
    if (!err)
        err = ps_workers_run(f->workers, f->groups.n, 4, on_gather, f);
    if (!err && !enough(f))
        return ps_fail(why, PS_EUNSUPPORTED, "blend", 0,
                       "too few valid pairs are among the candidates to fit it");
    if (!err)
        err = judge(f, r);
    if (!err)
        err = newton_fit(f->query, f->groups.n, f->model.n, NEWTON_ALL, f->workers,
                         f->model.weight);
    r->model = f->model;
    return err;
}

int ps_blend_fit(const ps_blend_source *s, const ps_pairs *valid,
                 const ps_blend_fit_opts *opts, ps_blend_report *report,
                 const ps_progress *progress, ps_why *why)
{
    fit f = {.source = s, .opts = opts, .progress = progress};
    *report = (ps_blend_report){0};
    blend_model_init(&f.model, s->g, opts->candidates, opts->steps);
    if (opts->blocks)
        drop_unlisted(&f.model, opts->blocks);
    int err = ps_workers_new(&f.workers, opts->threads);
    if (!err) {
        f.n_workers = ps_workers_count(f.workers);
        err = take_pairs(&f, valid);
    }
    if (!err)
        err = run(&f, report, why);
    fit_done(&f);
    return err;
}
