/* fit_set.c - candidates of many queries at once, kept as numbers.
 *
 * A query keeps all candidates where ranks are asked for, and a sample of them where only
 * weights are: a few hundred say as much of a sum as all, at a tenth of the memory.
 *
 * Threads: queries are cut among the workers; each has a ps_blend of its own.
 */
#include "core/rank/fit_set.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/hash.h"
#include "pinsage/rng.h"

/* What a worker needs. */
typedef struct scratch {
    ps_blend *blend;
    float *scores;   /* (N) by the embedding */
    ps_scored *near; /* (C) */
} scratch;

typedef struct gathering {
    fit_set *s;
    uint32_t n_pins;
    uint64_t *hash; /* (N) XXH3 of the ids */
    scratch *scratch;
} gathering;

/* ------------------------------ Pairs -------------------------------------- */

static size_t count_queries(const ps_pairs *p)
{
    groups g;
    size_t n = groups_make(&g, p) ? 0 : g.n;
    groups_done(&g);
    return n;
}

/* The pairs of about s->queries queries, taken by the hash of their row. */
static int take_pairs(fit_set *s, const ps_pairs *from)
{
    size_t n = count_queries(from), want = s->queries;
    uint64_t limit = n > want ? UINT64_MAX / n * want : UINT64_MAX;
    s->pairs.pair = malloc((from->n + 1) * sizeof *s->pairs.pair);
    if (!s->pairs.pair)
        return PS_ENOMEM;
    for (size_t i = 0; i < from->n; i++)
        if (ps_mix64(from->pair[i][0] + 0x5bd1e995u) <= limit)
            memcpy(s->pairs.pair[s->pairs.n++], from->pair[i], sizeof from->pair[i]);
    return groups_make(&s->groups, &s->pairs);
}

/* ------------------------------ Ranks by the embedding --------------------- */

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

/* ------------------------------ One query ---------------------------------- */

static bool is_hit(const fit_set *s, size_t q, uint32_t row)
{
    for (size_t i = s->groups.start[q]; i < s->groups.start[q + 1]; i++)
        if (s->pairs.pair[s->groups.order[i]][1] == row)
            return true;
    return false;
}

static void swap_candidates(ps_blend *b, uint32_t a, uint32_t c)
{
    uint32_t row = b->row[a], width = b->model.n;
    b->row[a] = b->row[c];
    b->row[c] = row;
    for (uint32_t i = 0; i < width; i++) {
        float x = b->x[(size_t)a * width + i];
        b->x[(size_t)a * width + i] = b->x[(size_t)c * width + i];
        b->x[(size_t)c * width + i] = x;
    }
}

/* Hits to the front, known pairs out. Returns how many hits there are. */
static uint32_t order_candidates(const fit_set *s, size_t q, ps_blend *b)
{
    uint32_t query = s->groups.query[q], hits = 0;
    for (uint32_t i = 0; i < b->n; i++)
        if (is_hit(s, q, b->row[i]))
            swap_candidates(b, i, hits++);
    for (uint32_t i = hits; s->known && i < b->n;)
        if (query < s->known->csr.rows && ps_csr_has(&s->known->csr, query, b->row[i]))
            swap_candidates(b, i, --b->n);
        else
            i++;
    return hits;
}

/* Of the candidates behind the hits an even choice stays. */
static void thin(const fit_set *s, size_t q, ps_blend *b, uint32_t hits,
                 newton_query *out)
{
    uint32_t others = b->n - hits, kept = hits;
    if (!s->sample || others <= s->sample)
        return;
    uint64_t limit = UINT64_MAX / others * s->sample,
             stream = ps_mix64(s->groups.query[q] + 1u);
    for (uint32_t i = hits; i < b->n; i++)
        if (ps_mix64(stream ^ b->row[i]) <= limit)
            swap_candidates(b, i, kept++);
    if (kept == hits)
        kept++;
    out->sampled = hits ? hits : 1;
    out->times = (float)others / (float)(kept - hits);
    b->n = kept;
}

static void note_pairs(fit_set *s, size_t q, const ps_blend *b, const float *scores,
                       uint32_t n_pins)
{
    newton_query *out = &s->query[q];
    for (size_t i = s->groups.start[q]; i < s->groups.start[q + 1]; i++) {
        size_t p = s->groups.order[i];
        uint32_t related = s->pairs.pair[p][1];
        if (scores && !s->sample) {
            float x = scores[related];
            double rank = rank_of(scores, n_pins, s->groups.query[q], x);
            s->similarity[p] = (float)rank;
            s->outside[p] = (float)outside_rank(b, rank, scores, x);
        }
        s->place[p] = place_of(b, related);
        if (s->place[p] >= 0)
            out->hit[out->n_hits++] = (uint32_t)s->place[p];
    }
}

static int gather_query(gathering *g, size_t q, unsigned worker)
{
    fit_set *s = g->s;
    scratch *w = &g->scratch[worker];
    uint32_t n = g->n_pins, row = s->groups.query[q], found = 0;
    ps_blend *b = w->blend;
    if (w->scores) {
        blend_read_row(s->source.z, row, b->vector);
        ps_dot_block(b->vector, 1, s->source.z, 0, n, w->scores, n);
        blend_leave_out(b->vector, s->source.z, n, w->scores);
        found = blend_nearest(w->scores, n, row, s->model.candidates, w->near);
    }
    uint64_t seed = ps_pin_seed_of(s->seed, g->hash[row]);
    int err = blend_gather(b, row, seed, w->near, found);
    if (err)
        return err;
    newton_query *out = &s->query[q];
    out->fold = (uint32_t)(ps_mix64(row + 0x9e3779b9u) % FIT_FOLDS);
    thin(s, q, b, order_candidates(s, q, b), out);
    size_t cells = (size_t)b->n * b->model.n,
           pairs = s->groups.start[q + 1] - s->groups.start[q];
    out->n = b->n;
    out->x = malloc(cells * sizeof *out->x + 1);
    out->hit = malloc(pairs * sizeof *out->hit + 1);
    if (!out->x || !out->hit)
        return PS_ENOMEM;
    memcpy(out->x, b->x, cells * sizeof *out->x);
    note_pairs(s, q, b, w->scores, n);
    return PS_OK;
}

static int on_gather(void *cls, size_t begin, size_t end, unsigned worker)
{
    gathering *g = cls;
    int err = PS_OK;
    for (size_t q = begin; q < end && !err; q++)
        err = gather_query(g, q, worker);
    uint64_t done = __atomic_add_fetch(&g->s->done, end - begin, __ATOMIC_RELAXED);
    return err ? err
               : ps_progress_at(g->s->progress, "blend", done, g->s->groups.n, "queries");
}

/* ------------------------------ The set ------------------------------------ */

static int make_room(fit_set *s)
{
    size_t pairs = s->pairs.n + 1;
    s->query = calloc(s->groups.n + 1, sizeof *s->query);
    s->place = malloc(pairs * sizeof *s->place);
    s->outside = calloc(pairs, sizeof *s->outside);
    s->similarity = calloc(pairs, sizeof *s->similarity);
    return s->query && s->place && s->outside && s->similarity ? PS_OK : PS_ENOMEM;
}

static int make_scratch(gathering *g, ps_why *why)
{
    fit_set *s = g->s;
    unsigned n = ps_workers_count(s->workers);
    ps_pins_reader *reader = NULL;
    g->hash = malloc(g->n_pins * sizeof *g->hash + 1);
    g->scratch = calloc(n, sizeof *g->scratch);
    int err = g->hash && g->scratch ? PS_OK : PS_ENOMEM;
    if (!err)
        err = ps_pins_reader_new(&reader, s->source.g->pins);
    if (!err)
        err = ps_pins_hashes(reader, g->hash);
    ps_pins_reader_free(reader);
    for (unsigned i = 0; i < n && !err; i++) {
        scratch *w = &g->scratch[i];
        err = ps_blend_new(&w->blend, &s->source, &s->model, why);
        w->near = malloc((s->model.candidates + (size_t)1) * sizeof *w->near);
        if (s->source.z.dim)
            w->scores = malloc(g->n_pins * sizeof *w->scores + 1);
        if (!err && (!w->near || (s->source.z.dim && !w->scores)))
            err = PS_ENOMEM;
    }
    return err;
}

int fit_set_make(fit_set *s, const ps_pairs *pairs, ps_why *why)
{
    gathering g = {.s = s, .n_pins = s->source.g->n_pins};
    int err = take_pairs(s, pairs);
    if (!err)
        err = make_room(s);
    if (!err)
        err = make_scratch(&g, why);
    if (!err)
        err = ps_workers_run(s->workers, s->groups.n, 4, on_gather, &g);
    for (unsigned i = 0; g.scratch && i < ps_workers_count(s->workers); i++) {
        ps_blend_free(g.scratch[i].blend);
        free(g.scratch[i].scores);
        free(g.scratch[i].near);
    }
    free(g.scratch);
    free(g.hash);
    return err == PS_ENOMEM ? ps_fail(why, err, "blend", 0, "no memory to fit it") : err;
}

void fit_set_done(fit_set *s)
{
    for (size_t q = 0; s->query && q < s->groups.n; q++) {
        free(s->query[q].x);
        free(s->query[q].hit);
    }
    free(s->query);
    free(s->place);
    free(s->outside);
    free(s->similarity);
    free(s->pairs.pair);
    groups_done(&s->groups);
}

size_t fit_set_useful(const fit_set *s)
{
    size_t n = 0;
    for (size_t q = 0; q < s->groups.n; q++)
        n += s->query[q].n_hits > 0;
    return n;
}

/* ------------------------------ Judging ------------------------------------ */

static void rank_query(const fit_set *s, size_t q, const double *weight, float *rank)
{
    const newton_query *c = &s->query[q];
    uint32_t width = s->model.n;
    for (size_t i = s->groups.start[q]; i < s->groups.start[q + 1]; i++) {
        size_t p = s->groups.order[i];
        if (s->place[p] < 0) {
            rank[p] = s->outside[p];
            continue;
        }
        double x = newton_dot(weight, c->x + (size_t)s->place[p] * width, width),
               before = -.5;
        for (uint32_t k = 0; k < c->n; k++) {
            double y = newton_dot(weight, c->x + (size_t)k * width, width);
            before += y > x ? 1 : y == x ? .5 : 0;
        }
        rank[p] = (float)(1 + before);
    }
}

void fit_set_rank(const fit_set *s, uint32_t fold, const double *weight, float *rank)
{
    for (size_t q = 0; q < s->groups.n; q++)
        if (fold == NEWTON_NONE || s->query[q].fold == fold)
            rank_query(s, q, weight, rank);
}

/* From the strongest ridge to the weakest: each begins where the one before ended. */
int fit_set_ridge(const fit_set *s, const double *prior, double *ridge,
                  double weight[FIT_FOLDS][PS_BLEND_MAX])
{
    static const double tried[] = {1000, 100, 10, 1};
    double best = -INFINITY, at[FIT_FOLDS][PS_BLEND_MAX];
    for (size_t t = 0; t < sizeof tried / sizeof *tried; t++) {
        double sum = 0;
        for (uint32_t fold = 0; fold < FIT_FOLDS; fold++) {
            newton_opts o = {.width = s->model.n,
                             .leave = fold,
                             .ridge = tried[t],
                             .prior = prior,
                             .start = t ? at[fold] : NULL};
            int err = newton_fit(s->query, s->groups.n, &o, s->workers, at[fold]);
            if (err)
                return err;
            sum += newton_likelihood(s->query, s->groups.n, s->model.n, fold, at[fold]);
        }
        if (sum <= best)
            break; /* what is weaker still overfits more */
        best = sum;
        *ridge = tried[t];
        memcpy(weight, at, sizeof at);
    }
    return PS_OK;
}
