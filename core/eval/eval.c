/* eval.c - every method ranks every query's related pins among all pins.
 *
 * Queries are taken in blocks; a block's scores are (n, N) numbers in a worker's own
 * memory, and the rank of each related pin is a count over its line: how many are
 * greater, how many are equal. Nothing is sorted. A line is read once for all related
 * pins of its query, in chunks that stay in the first-level cache.
 *
 * Threads: blocks are cut among the workers. A block's content depends on its number
 * only, so the ranks are the same for any number of threads.
 */
#include "pinsage/eval.h"
#include "pinsage/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/eval/inside.h"
#include "core/measures/lines.h"
#include "pinsage/rng.h"
#include "pinsage/workers.h"

typedef struct evaluation {
    ps_generation *g;
    const ps_pairs *pairs;
    const ps_eval_opts *opts;
    const ps_progress *progress;
    ps_workers *workers;
    groups groups;
    uint32_t *bucket[3]; /* queries of each: numbers in groups */
    size_t n_bucket[3];
    double *lines; /* (queries, line_width) */
    float *scores; /* (workers, block, N) */
    uint32_t block;
    uint32_t *count; /* (workers, 2, most related pins of a query) */
    size_t most;
    uint64_t done; /* queries ranked, for the progress line; atomic */
} evaluation;

/* ------------------------------ Ranks -------------------------------------- */

enum { CHUNK = 2048 };

/* How many of a chunk are greater than, and equal to, x. Counted in lanes of a fixed
 * number, so that the compiler can use vector compares. */
static void count_chunk(const float *scores, size_t n, float x, uint32_t *greater,
                        uint32_t *equal)
{
    uint32_t above[8] = {0}, same[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t j = 0; j < 8; j++) {
            above[j] += scores[i + j] > x;
            same[j] += scores[i + j] == x;
        }
    for (; i < n; i++) {
        above[0] += scores[i] > x;
        same[0] += scores[i] == x;
    }
    for (size_t j = 0; j < 8; j++) {
        *greater += above[j];
        *equal += same[j];
    }
}

/* Ranks of one query's related pins. count (2, m) is scratch. */
static void rank_query(const evaluation *e, size_t q, const float *scores,
                       uint32_t *count, float *rank)
{
    const size_t *order = e->groups.order + e->groups.start[q];
    size_t m = e->groups.start[q + 1] - e->groups.start[q], n = e->g->n_pins;
    uint32_t query = e->groups.query[q], *greater = count, *equal = count + m;
    memset(count, 0, 2 * m * sizeof *count);
    for (size_t at = 0; at < n; at += CHUNK)
        for (size_t i = 0; i < m; i++)
            count_chunk(scores + at, n - at < CHUNK ? n - at : CHUNK,
                        scores[e->pairs->pair[order[i]][1]], &greater[i], &equal[i]);

    for (size_t i = 0; i < m; i++) {
        float x = scores[e->pairs->pair[order[i]][1]];
        greater[i] -= scores[query] > x; /* the query is no candidate */
        equal[i] -= 1u + (scores[query] == x);
        rank[order[i]] = (float)(1.0 + greater[i] + equal[i] / 2.0);
    }
}

typedef struct ranking {
    evaluation *e;
    const ps_scorer *scorer;
    const char *method;
    float *rank;
} ranking;

static int tell(ranking *r, uint64_t n)
{
    evaluation *e = r->e;
    uint64_t done = __atomic_add_fetch(&e->done, n, __ATOMIC_RELAXED);
    return ps_progress_note(e->progress, "evaluate", done, e->groups.n, "queries",
                            r->method);
}

/* Items are blocks of queries. */
static int on_block(void *cls, size_t begin, size_t end, unsigned worker)
{
    ranking *r = cls;
    evaluation *e = r->e;
    size_t n_pins = e->g->n_pins;
    float *scores = e->scores + (size_t)worker * e->block * n_pins;
    uint32_t *count = e->count + (size_t)worker * 2 * e->most;
    for (size_t b = begin; b < end; b++) {
        size_t first = b * e->block, left = e->groups.n - first;
        uint32_t n = left < e->block ? (uint32_t)left : e->block;
        int err =
            r->scorer->score(r->scorer->self, worker, e->groups.query + first, n, scores);
        for (uint32_t i = 0; i < n && !err; i++)
            rank_query(e, first + i, scores + i * n_pins, count, r->rank);
        if (!err)
            err = tell(r, n);
        if (err)
            return err;
    }
    return PS_OK;
}

/* ------------------------------ Buckets ------------------------------------ */

/* Degrees at which the graph's connected pins leave their lowest quarter and enter
 * their highest tenth, from a histogram of degrees. */
static int find_edges(const ps_csr *m, uint32_t edge[2])
{
    uint32_t top = 0, connected = 0;
    for (uint32_t r = 0; r < m->rows; r++) {
        uint32_t d = ps_csr_degree(m, r);
        top = d > top ? d : top;
        connected += d > 0;
    }
    uint32_t *pins = calloc((size_t)top + 2, sizeof *pins);
    if (!pins)
        return PS_ENOMEM;
    for (uint32_t r = 0; r < m->rows; r++)
        pins[ps_csr_degree(m, r)]++;

    uint64_t quarter = (connected + 3u) / 4, hubs = (uint64_t)connected * 9 / 10,
             seen = 0;
    edge[0] = edge[1] = top + 1;
    for (uint32_t d = 1; d <= top; d++) {
        if (seen < quarter && seen + pins[d] >= quarter)
            edge[0] = d + 1;
        if (seen <= hubs && seen + pins[d] > hubs)
            edge[1] = d > edge[0] ? d : edge[0];
        seen += pins[d];
    }
    free(pins);
    return PS_OK;
}

static int fill_buckets(evaluation *e, ps_eval_report *report)
{
    int err = find_edges(&e->g->graph.pin_boards, report->bucket_edge);
    for (size_t b = 0; b < 3 && !err; b++) {
        e->bucket[b] = malloc((e->groups.n + 1) * sizeof *e->bucket[b]);
        err = e->bucket[b] ? PS_OK : PS_ENOMEM;
    }
    for (size_t q = 0; q < e->groups.n && !err; q++) {
        uint32_t d = ps_csr_degree(&e->g->graph.pin_boards, e->groups.query[q]);
        size_t b = (d >= report->bucket_edge[0]) + (size_t)(d >= report->bucket_edge[1]);
        e->bucket[b][e->n_bucket[b]++] = (uint32_t)q;
    }
    return err;
}

/* ------------------------------ One method --------------------------------- */

static int score_result(evaluation *e, ps_eval_result *r)
{
    const ps_eval_opts *o = e->opts;
    lines_of_ranks(&e->groups, r->rank, o->cut, o->n_cuts, e->lines);
    line_set set = {.lines = e->lines, .n_cuts = o->n_cuts, .n = e->groups.n};
    int err = lines_scores(set, o->bootstraps, o->seed, e->workers, &r->all);
    for (size_t b = 0; b < 3 && !err; b++) {
        set.pick = e->bucket[b];
        set.n = e->n_bucket[b];
        err = lines_scores(set, o->bootstraps, ps_rng_at(o->seed, b), e->workers,
                           &r->bucket[b]);
    }
    return err;
}

static int run_method(evaluation *e, const ps_scorer *scorer, const char *name,
                      ps_eval_report *report, ps_why *why)
{
    ps_eval_result *out = &report->result[report->n];
    double begin = ps_now();
    float *rank = calloc(e->pairs->n + 1, sizeof *rank);
    if (!rank)
        return ps_fail(why, PS_ENOMEM, name, 0, "no memory for the ranks of %zu pairs",
                       e->pairs->n);
    *out = (ps_eval_result){.rank = rank};
    strncpy(out->method, name, sizeof out->method - 1);
    report->n++;
    ranking r = {e, scorer, out->method, rank};
    e->done = 0;
    size_t blocks = (e->groups.n + e->block - 1) / e->block;
    int err = ps_workers_run(e->workers, blocks, 1, on_block, &r);
    if (!err)
        err = score_result(e, out);
    if (!err && scorer->vectors)
        err = cosines_measure(scorer->vectors, e->opts->seed, e->workers, &out->cosines);
    if (err)
        ps_fail(why, err, name, 0, "evaluation stopped: %s", ps_strerror(err));
    out->seconds = ps_now() - begin;
    return err;
}

static int already_there(const ps_eval_report *report, const char *name)
{
    for (size_t i = 0; i < report->n; i++)
        if (!strcmp(report->result[i].method, name))
            return 1;
    return 0;
}

/* must: a method that lacks its data is an error, not left out. */
static int add_method(evaluation *e, const char *name, int must, ps_eval_report *report,
                      ps_why *why)
{
    if (already_there(report, name))
        return PS_OK;
    if (report->n == PS_EVAL_METHODS_MAX)
        return ps_fail(why, PS_ERANGE, "methods", 0, "more than %d methods",
                       PS_EVAL_METHODS_MAX);
    ps_scorer scorer;
    ps_scorer_opts opts = {.name = name,
                           .pixie_steps = e->opts->pixie_steps,
                           .workers = ps_workers_count(e->workers),
                           .seed = e->opts->seed};
    int err = ps_scorer_open(&scorer, e->g, &opts, why);
    if (err == PS_EUNSUPPORTED && !must)
        return PS_OK;
    if (!err)
        err = run_method(e, &scorer, name, report, why);
    ps_scorer_close(&scorer);
    return err;
}

static ps_text trim(ps_text t)
{
    for (; t.len && *t.data == ' '; t.len--)
        t.data++;
    while (t.len && t.data[t.len - 1] == ' ')
        t.len--;
    return t;
}

/* A method that cannot be opened is told before others have run for an hour. */
static int check_listed(const evaluation *e, const char *list, ps_why *why)
{
    ps_text rest = ps_text_of(list), piece;
    int err = PS_OK;
    while (!err && ps_text_cut(&rest, ',', &piece)) {
        char name[40];
        ps_scorer scorer;
        ps_scorer_opts opts = {
            .name = name, .pixie_steps = e->opts->pixie_steps, .workers = 1};
        piece = trim(piece);
        if (piece.len >= sizeof name)
            return ps_fail(why, PS_EINVAL, "methods", 0, "no method has a name so long");
        snprintf(name, sizeof name, "%.*s", (int)piece.len, piece.data);
        if (!*name)
            continue;
        err = ps_scorer_open(&scorer, e->g, &opts, why);
        ps_scorer_close(&scorer);
    }
    return err;
}

static int run_listed(evaluation *e, const char *list, ps_eval_report *report,
                      ps_why *why)
{
    ps_text rest = ps_text_of(list), piece;
    int err = check_listed(e, list, why);
    while (!err && ps_text_cut(&rest, ',', &piece)) {
        char name[40];
        piece = trim(piece);
        snprintf(name, sizeof name, "%.*s", (int)piece.len, piece.data);
        if (*name)
            err = add_method(e, name, 1, report, why);
    }
    if (!err && !report->n)
        err = ps_fail(why, PS_EINVAL, "methods", 0, "the list of methods is empty");
    return err;
}

static int run_all(evaluation *e, ps_eval_report *report, ps_why *why)
{
    char names[PS_EVAL_METHODS_MAX][40];
    size_t n = ps_method_list(e->g, names, PS_EVAL_METHODS_MAX);
    int err = PS_OK;
    for (size_t i = 0; i < n && !err; i++)
        err = add_method(e, names[i], 0, report, why);
    return err;
}

/* ------------------------------ The whole ---------------------------------- */

static int check_input(const ps_generation *g, const ps_pairs *pairs,
                       const ps_eval_opts *opts, ps_why *why)
{
    if (opts->n_cuts < 1 || opts->n_cuts > PS_CUTS_MAX)
        return ps_fail(why, PS_EINVAL, "hit-at", 0, "1 to %d cuts, not %u", PS_CUTS_MAX,
                       opts->n_cuts);
    for (uint32_t c = 0; c < opts->n_cuts; c++)
        if (opts->cut[c] == 0)
            return ps_fail(why, PS_EINVAL, "hit-at", 0, "a cut is at least 1");
    for (size_t i = 0; i < pairs->n; i++)
        if (pairs->pair[i][0] >= g->n_pins || pairs->pair[i][1] >= g->n_pins)
            return ps_fail(why, PS_ERANGE, "pairs", 0,
                           "pair %zu names a row past the last pin", i + 1);
    return PS_OK;
}

/* Scratch for all methods: a block is as many queries as fit 64 MB a worker. */
static int prepare(evaluation *e)
{
    size_t line = e->g->n_pins * sizeof *e->scores,
           workers = ps_workers_count(e->workers);
    size_t fit = ((size_t)64 << 20) / line;
    e->block = fit < 1 ? 1 : fit < PS_SCORER_BLOCK ? (uint32_t)fit : PS_SCORER_BLOCK;
    for (size_t q = 0; q < e->groups.n; q++) {
        size_t m = e->groups.start[q + 1] - e->groups.start[q];
        e->most = m > e->most ? m : e->most;
    }
    e->scores = malloc(workers * e->block * line);
    e->count = malloc(workers * 2 * e->most * sizeof *e->count);
    e->lines = malloc(e->groups.n * line_width(e->opts->n_cuts) * sizeof *e->lines);
    return e->scores && e->count && e->lines ? PS_OK : PS_ENOMEM;
}

static void evaluation_done(evaluation *e)
{
    for (size_t b = 0; b < 3; b++)
        free(e->bucket[b]);
    free(e->lines);
    free(e->scores);
    free(e->count);
    groups_done(&e->groups);
    ps_workers_free(e->workers);
}

/* result[i].paired of every method but the first. */
static int fill_paired(ps_eval_report *r, const groups *g, const ps_eval_opts *opts,
                       ps_workers *workers)
{
    paired_opts o = {r->cut, r->n_cuts, opts->bootstraps, opts->seed};
    int err = PS_OK;
    for (size_t i = 1; i < r->n && !err; i++)
        err = paired_scores(g, r->result[0].rank, r->result[i].rank, &o, workers,
                            &r->result[i].paired);
    return err;
}

/* What is said about methods together, once all have run. */
static int compare(const evaluation *e, ps_eval_report *report, ps_why *why)
{
    int err = fill_paired(report, &e->groups, e->opts, e->workers);
    bias_find(e->g, e->pairs, e->opts->seed, report);
    return err ? ps_fail(why, err, NULL, 0, "methods cannot be compared: %s",
                         ps_strerror(err))
               : PS_OK;
}

int ps_eval(ps_generation *g, const ps_pairs *pairs, const ps_eval_opts *opts,
            ps_eval_report *report, const ps_progress *progress, ps_why *why)
{
    evaluation e = {.g = g, .pairs = pairs, .opts = opts, .progress = progress};
    *report = (ps_eval_report){.n_cuts = opts->n_cuts};
    int err = check_input(g, pairs, opts, why);
    if (err)
        return err;
    memcpy(report->cut, opts->cut, sizeof report->cut);
    err = ps_workers_new(&e.workers, opts->threads);
    if (err)
        return ps_fail(why, err, NULL, 0, "cannot start threads");
    err = groups_make(&e.groups, pairs);
    if (err)
        goto out;
    report->queries = e.groups.n;
    report->pairs = e.groups.start[e.groups.n];
    report->left_out = pairs->left_out;
    report->left_out.self += pairs->n - report->pairs;
    report->n_ranks = pairs->n;
    if (!e.groups.n) {
        err = ps_fail(why, PS_EINVAL, "pairs", 0, "no pairs to evaluate");
        goto out;
    }
    err = prepare(&e);
    if (!err)
        err = fill_buckets(&e, report);
    if (err) {
        ps_fail(why, err, NULL, 0, "no memory to score %u pins", g->n_pins);
        goto out;
    }
    err = opts->methods ? run_listed(&e, opts->methods, report, why)
                        : run_all(&e, report, why);
    if (!err)
        err = compare(&e, report, why);
out:
    evaluation_done(&e);
    return err;
}

void ps_eval_report_done(ps_eval_report *r)
{
    for (size_t i = 0; i < r->n; i++)
        free(r->result[i].rank);
    r->n = 0;
}
