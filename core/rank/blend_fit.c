/* blend_fit.c - weights of the blend, from pairs that training did not see.
 *
 * For a query with candidates c and their inputs x_c, the chance that the related pin is
 * c is exp(w x_c) / sum exp(w x): logistic regression among the candidates of one query,
 * so that what all of them share cancels and only their order counts. A few dozen weights
 * and thousands of pairs make a convex problem: Newton's method, and a ridge.
 *
 * Two steps (see blend.h). How pairs are held out in the first must be how new pairs
 * come. Where they come singly, a tenth of them is held out of the graph of pairs, each
 * with its reverse, and learned. Where they come in groups, whatever is held out singly
 * is given away by the rest of its group; there the graph of pairs is no input at all.
 *
 * A related pin that is no candidate teaches nothing, but counts where it is judged: it
 * ranks below all candidates, by its similarity, as it would in an answer.
 *
 * Judging is by folds: queries are cut by their row, each fold is ranked with the weights
 * of the others, and only then are the final weights fitted on all of them.
 *
 * Threads: queries are cut among the workers; sums are kept a block of queries and added
 * in order, so that any number of threads gives the same bits.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/list.h"
#include "core/measures/paired.h"
#include "core/rank/fit_set.h"
#include "pinsage/rng.h"

enum {
    FEWEST = 40,          /* queries with a hit, to be fitted at all */
    TRAIN_QUERIES = 1500, /* of the first step */
    TRAIN_SAMPLE = 300,   /* candidates of each, beside its hits */
    HELD_OUT = 10,        /* one in so many pairs is learned from */
};

typedef struct fit {
    const ps_blend_source *source;
    const ps_blend_fit_opts *opts;
    const ps_progress *progress;
    ps_workers *workers;
    ps_blend_model model;
    ps_pair_graph known; /* of all training pairs */
    double prior[PS_BLEND_MAX];
    bool has_prior;
} fit;

static void drop_unlisted(ps_blend_model *m, const char *list)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < m->n - PS_BLEND_COSINES; i++)
        if (ps_list_has(list, m->block[i]))
            memmove(m->block[kept++], m->block[i], sizeof m->block[0]);
    m->n = PS_BLEND_COSINES + kept;
}

static fit_set set_of(const fit *f)
{
    return (fit_set){.source = *f->source,
                     .model = f->model,
                     .known = &f->known,
                     .queries = f->opts->queries,
                     .seed = f->opts->seed,
                     .workers = f->workers,
                     .progress = f->progress};
}

/* ------------------------------ First step --------------------------------- */

static bool is_held_out(const uint32_t *pair)
{
    uint64_t low = pair[0] < pair[1] ? pair[0] : pair[1], high = pair[0] ^ pair[1] ^ low;
    return ps_mix64(low << 32 | high) % HELD_OUT == 0;
}

/* Pairs to learn from, and those that describe them: when pairs come in groups all of
 * them are learned from, for none describes another. */
static int cut(const fit *f, const ps_pairs *train, ps_pairs *learned, ps_pairs *rest)
{
    learned->pair = malloc((train->n + 1) * sizeof *learned->pair);
    rest->pair = malloc((train->n + 1) * sizeof *rest->pair);
    if (!learned->pair || !rest->pair)
        return PS_ENOMEM;
    for (size_t i = 0; i < train->n; i++) {
        ps_pairs *to = f->model.grouped || is_held_out(train->pair[i]) ? learned : rest;
        memcpy(to->pair[to->n++], train->pair[i], sizeof train->pair[i]);
    }
    return PS_OK;
}

/* All weights but the similarity's: the embeddings have seen these pairs. */
static int fit_prior(fit *f, const ps_pairs *train, ps_why *why)
{
    ps_pairs learned = {0}, rest = {0};
    ps_pair_graph evidence = {0};
    fit_set s = set_of(f);
    double ridge = 1;
    int err = cut(f, train, &learned, &rest);
    if (!err && !f->model.grouped)
        err = ps_pair_graph_make(&evidence, f->source->g->n_pins, &rest);
    s.source.z = (ps_rows){0};
    s.source.pairs = &evidence;
    s.queries = TRAIN_QUERIES;
    s.sample = TRAIN_SAMPLE;
    if (!err)
        err = fit_set_make(&s, &learned, why);
    if (!err && fit_set_useful(&s) >= FEWEST) {
        double folds[FIT_FOLDS][PS_BLEND_MAX];
        err = fit_set_ridge(&s, NULL, &ridge, folds);
        newton_opts o = {.width = s.model.n, .leave = NEWTON_NONE, .ridge = ridge};
        if (!err)
            err = newton_fit(s.query, s.groups.n, &o, f->workers, f->prior);
        f->has_prior = !err;
    }
    fit_set_done(&s);
    ps_pair_graph_done(&evidence);
    ps_pairs_free(&learned);
    ps_pairs_free(&rest);
    return err;
}

/* ------------------------------ Second step -------------------------------- */

static int compare(const fit_set *s, const fit *f, const float *rank, ps_blend_report *r)
{
    static const uint32_t cuts[2] = {10, 100};
    paired_opts o = {cuts, 2, f->opts->bootstraps, f->opts->seed};
    size_t inside = 0, pairs = s->groups.start[s->groups.n];
    for (size_t i = 0; i < pairs; i++)
        inside += s->place[s->groups.order[i]] >= 0;
    r->covered = pairs ? (double)inside / (double)pairs : 0;
    int err = paired_scores(&s->groups, rank, NULL, &o, f->workers, &r->blend);
    if (!err)
        err = paired_scores(&s->groups, s->similarity, NULL, &o, f->workers,
                            &r->similarity);
    if (!err)
        err = paired_scores(&s->groups, rank, s->similarity, &o, f->workers, &r->ahead);
    return err;
}

/* Every fold is ranked with weights that the others gave. */
static int judge(const fit_set *s, const fit *f,
                 const double weight[FIT_FOLDS][PS_BLEND_MAX], ps_blend_report *r)
{
    float *rank = calloc(s->pairs.n + 1, sizeof *rank);
    int err = rank ? PS_OK : PS_ENOMEM;
    for (uint32_t fold = 0; fold < FIT_FOLDS && !err; fold++)
        fit_set_rank(s, fold, weight[fold], rank);
    if (!err)
        err = compare(s, f, rank, r);
    free(rank);
    return err;
}

/* With too few valid pairs the first step's weights stay as they are. */
static int fit_weights(fit *f, const ps_pairs *valid, ps_blend_report *r, ps_why *why)
{
    fit_set s = set_of(f);
    const double *prior = f->has_prior ? f->prior : NULL;
    s.source.pairs = &f->known;
    int err = fit_set_make(&s, valid, why);
    bool enough = !err && fit_set_useful(&s) >= FEWEST;
    double folds[FIT_FOLDS][PS_BLEND_MAX];
    if (!err && !enough && !prior)
        err = ps_fail(why, PS_EUNSUPPORTED, "blend", 0,
                      "too few pairs are among the candidates to fit it");
    for (int i = 0; i < FIT_FOLDS && prior; i++)
        memcpy(folds[i], prior, sizeof folds[i]);
    if (!err && enough)
        err = fit_set_ridge(&s, prior, &r->ridge, folds);
    if (!err)
        err = judge(&s, f, folds, r);
    newton_opts o = {.width = s.model.n,
                     .leave = NEWTON_NONE,
                     .ridge = r->ridge,
                     .prior = prior,
                     .start = folds[0]};
    if (!err && enough)
        err = newton_fit(s.query, s.groups.n, &o, f->workers, f->model.weight);
    else if (!err)
        memcpy(f->model.weight, prior, sizeof f->prior);
    fit_set_done(&s);
    return err;
}

/* ------------------------------ The whole ---------------------------------- */

int ps_blend_fit(const ps_blend_source *source, const ps_pairs *train,
                 const ps_pairs *valid, const ps_blend_fit_opts *opts,
                 ps_blend_report *report, const ps_progress *progress, ps_why *why)
{
    static const ps_pairs none = {0};
    fit f = {.source = source, .opts = opts, .progress = progress};
    train = train ? train : &none;
    *report = (ps_blend_report){0};
    blend_model_init(&f.model, source->g, opts->candidates, opts->steps);
    if (opts->blocks)
        drop_unlisted(&f.model, opts->blocks);
    int err = ps_workers_new(&f.workers, opts->threads);
    if (!err)
        err = ps_pair_graph_make(&f.known, source->g->n_pins, train);
    if (!err) {
        report->overlap = ps_pairs_overlap(&f.known);
        f.model.grouped = report->overlap >= PS_PAIRS_GROUPED;
        err = fit_prior(&f, train, why);
    }
    if (!err)
        err = fit_weights(&f, valid, report, why);
    report->model = f.model;
    ps_pair_graph_done(&f.known);
    ps_workers_free(f.workers);
    return err;
}
