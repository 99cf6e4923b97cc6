/* ann_tune.c - how exact is the index, and what must be asked of it to be exact enough.
 *
 * Sampled rows that hold a vector are queries (each without itself); their true ten best
 * come from exact search. Recall is the share of answers that score as well as the true
 * tenth, so that rows with equal vectors do not count as misses.
 *
 * Two dials: the knob of the kind (nprobe, efSearch: how much is visited) and the
 * overfetch (how many candidates are re-ranked exactly, which makes up for coarse codes).
 * For each overfetch the smallest sufficient knob is found by climbing; of the pairs that
 * suffice, the one with the least estimated work is taken. Work is estimated in bytes
 * read, not measured: the same catalog gives the same index on a busy machine. Fewer than
 * 50 queries say nothing; where there are no more vectors, both dials stand at their
 * highest.
 *
 * Threads: queries of the sample are cut among a workers. Knobs are turned between loops.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index/ann_inside.h"
#include "pinsage/clock.h"
#include "pinsage/rng.h"

enum { BEST = TUNED_K, FEW = 50 };

typedef struct tuning {
    ps_ann *a;
    ps_workers *workers;
    const ps_progress *progress;
    ps_why *why;
    uint32_t lists;    /* of an inverted file, 0 for other kinds */
    size_t n;          /* queries */
    uint32_t *row;     /* (n) */
    ps_filter *filter; /* (n) all but the row */
    float *query;      /* (n, dim) */
    float *tenth;      /* (n) true score of the last of the best */
    uint32_t best;     /* how many there can be: BEST, or all vectors but the query */
    uint32_t *hits;    /* (n) */
} tuning;

/* ------------------------------ Sample ------------------------------------- */

static bool is_another(void *cls, uint32_t row)
{
    return *(const uint32_t *)cls != row;
}

/* Every query passes by itself. */
static void draw_sample(tuning *t, uint64_t seed)
{
    const ps_ann *a = t->a;
    size_t dim = a->space.rows.dim;
    t->n = ann_draw(&a->space, a->filled, t->n, ps_rng_at(seed, 0), t->row);
    for (size_t i = 0; i < t->n; i++) {
        ps_npy_row_f32(a->array, t->row[i], t->query + i * dim);
        t->filter[i] = (ps_filter){.pass = is_another, .cls = &t->row[i]};
    }
}

static ps_search search_of(const tuning *t, size_t i)
{
    return (ps_search){.vector = t->query + i * t->a->space.rows.dim,
                       .k = t->best,
                       .filter = &t->filter[i]};
}

/* A block of queries as searches score them, so that equal scores are equal bits. */
static int load_block(const tuning *t, size_t begin, size_t n, float *vector,
                      float *scale)
{
    size_t dim = t->a->space.rows.dim;
    int err = PS_OK;
    for (size_t i = 0; i < n && !err; i++) {
        exact_query a;
        err = exact_query_init(&a, t->a->space.cosine, t->query + (begin + i) * dim, dim);
        if (!err)
            memcpy(vector + i * dim, a.vector, dim * sizeof *vector);
        scale[i] = a.scale;
        exact_query_done(&a);
    }
    return err;
}

static int on_truth(void *cls, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    tuning *t = cls;
    size_t n = end - begin;
    float scale[EXACT_BLOCK];
    ps_scored best[EXACT_BLOCK][BEST];
    ps_topk lists[EXACT_BLOCK];
    float *vector = calloc(n * t->a->space.rows.dim + 1, sizeof *vector);
    int err = vector ? load_block(t, begin, n, vector, scale) : PS_ENOMEM;
    for (size_t i = 0; i < n; i++)
        lists[i] = (ps_topk){.at = best[i], .k = t->best};
    if (!err)
        exact_block(&t->a->space, vector, n, t->filter + begin, lists);
    for (size_t i = 0; i < n && !err; i++) /* the heap's worst */
        t->tenth[begin + i] = lists[i].n ? best[i][0].score * scale[i] : 0;
    free(vector);
    return err ? err : ps_progress_at(t->progress, "measure", end, t->n, "queries");
}

/* ------------------------------ Recall ------------------------------------- */

static int count_hits(tuning *t, size_t i)
{
    ps_scored found[BEST];
    uint32_t n;
    ps_search q = search_of(t, i);
    int err = ps_ann_search(t->a, &q, found, &n, NULL);
    /* Sums of equal vectors are equal bits, but a norm may round. */
    float room = 1e-6f * (t->tenth[i] < 0 ? -t->tenth[i] : t->tenth[i]);
    t->hits[i] = 0;
    for (uint32_t j = 0; j < n; j++)
        t->hits[i] += found[j].score >= t->tenth[i] - room;
    return err;
}

static int on_recall(void *cls, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    int err = PS_OK;
    for (size_t i = begin; i < end && !err; i++)
        err = count_hits(cls, i);
    return err;
}

static double recall_of(const tuning *t)
{
    uint64_t hits = 0;
    for (size_t i = 0; i < t->n; i++)
        hits += t->hits[i];
    return t->n && t->best ? (double)hits / ((double)t->n * t->best) : 1;
}

static int measure(tuning *t, double *recall)
{
    int err = ps_workers_run(t->workers, t->n, 8, on_recall, t);
    if (err)
        return ps_fail(t->why, err, NULL, 0, "a search of the new index failed");
    *recall = recall_of(t);
    return PS_OK;
}

/* ------------------------------ Choice ------------------------------------- */

typedef struct setting {
    const char *dial; /* "nprobe", "efSearch"; NULL when the kind has none */
    uint32_t value, overfetch;
    double recall;
} setting;

static const uint32_t dial_values[] = {1,   2,   3,   4,    6,    8,    12,   16,
                                       24,  32,  48,  64,   96,   128,  192,  256,
                                       384, 512, 768, 1024, 1536, 2048, 3072, 4096};
enum { N_DIAL_VALUES = sizeof dial_values / sizeof *dial_values };

static void knob_text(const setting *s, char out[64])
{
    out[0] = 0;
    if (s->dial)
        snprintf(out, 64, "%s=%u", s->dial, s->value);
}

static int apply(tuning *t, const setting *s)
{
    char text[64];
    knob_text(s, text);
    t->a->overfetch = s->overfetch;
    return *text ? ps_faiss_tune(t->a->faiss, text, t->why) : PS_OK;
}

static const char *find_dial(ps_ann *a)
{
    if (!ps_faiss_tune(a->faiss, "nprobe=1", NULL))
        return "nprobe";
    return ps_faiss_tune(a->faiss, "efSearch=16", NULL) ? NULL : "efSearch";
}

/* Bytes that a search reads, roughly: a re-ranked row lies anywhere and so weighs
 * several rows read in order; a graph visits its width for each step. */
static double work(const tuning *t, const setting *s)
{
    double codes = 0, dim = (double)t->a->space.rows.dim, fetch = BEST * s->overfetch;
    if (s->dial && t->lists)
        codes = (double)s->value * (double)t->a->space.n / t->lists;
    else if (s->dial)
        codes = 32.0 * s->value;
    return dim * (codes + 4 * fetch * (t->a->space.rows.half ? 2 : 4));
}

static int measure_at(tuning *t, setting *s, uint32_t value)
{
    s->value = value;
    int err = apply(t, s);
    return err ? err : measure(t, &s->recall);
}

static uint32_t highest(const tuning *t)
{
    return t->lists ? t->lists : dial_values[N_DIAL_VALUES - 1];
}

/* The at-th value that is tried, the highest last; 0 after it. */
static uint32_t value_at(const tuning *t, size_t at)
{
    if (at < N_DIAL_VALUES && dial_values[at] < highest(t))
        return dial_values[at];
    bool last = !at || (at <= N_DIAL_VALUES && dial_values[at - 1] < highest(t));
    return last ? highest(t) : 0;
}

/* Climb until the recall is reached. Two values that bring nothing may be the end of what
 * these codes can do, or a plateau: the highest tells, and is measured once. */
static int climb(tuning *t, setting *s, double target)
{
    size_t at = s->dial && !t->lists ? 7 : 0; /* efSearch below 16 saves nothing */
    int flat = 0, err = PS_OK;
    bool worthwhile = false;
    double before = -1;
    if (!s->dial)
        return measure_at(t, s, 0);
    for (uint32_t value; (value = value_at(t, at)) && !err; at++) {
        err = measure_at(t, s, value);
        if (err || s->recall >= target)
            break;
        flat = s->recall < before + .001 ? flat + 1 : 0;
        before = s->recall;
        if (flat < 2 || worthwhile)
            continue;
        setting all = *s;
        err = measure_at(t, &all, highest(t));
        worthwhile = all.recall >= target;
        if (!worthwhile)
            break;
    }
    return err;
}

static int better(const tuning *t, const setting *a, const setting *b, double target)
{
    int reach_a = a->recall >= target, reach_b = b->recall >= target;
    if (reach_a != reach_b)
        return reach_a;
    return reach_a ? work(t, a) < work(t, b) : a->recall > b->recall;
}

/* So few queries say nothing: every list and every candidate there is. */
static int choose_all(tuning *t, const char *dial, setting *best)
{
    *best = (setting){.dial = dial, .overfetch = OVERFETCH_MAX};
    return measure_at(t, best, highest(t));
}

static int choose(tuning *t, double target, setting *best)
{
    const char *dial = find_dial(t->a);
    if (t->n < FEW)
        return choose_all(t, dial, best);
    *best = (setting){.recall = -1};
    for (uint32_t times = 1; times <= OVERFETCH_MAX; times *= 2) {
        setting s = {.dial = dial, .overfetch = times};
        if (best->recall >= target && (s.value = 1, work(t, &s) >= work(t, best)))
            break; /* even the lowest value would be more work */
        int err = climb(t, &s, target);
        if (err)
            return err;
        if (better(t, &s, best, target))
            *best = s;
    }
    return apply(t, best);
}

/* ------------------------------ Times -------------------------------------- */

static void time_index(tuning *t, ps_ann_report *r)
{
    double begin = ps_now();
    for (size_t i = 0; i < t->n; i++)
        count_hits(t, i);
    r->search_us = t->n ? 1e6 * (ps_now() - begin) / (double)t->n : 0;
}

/* One query at a time, as a server without an index would; a few are enough. */
static void time_exact(tuning *t, ps_ann_report *r)
{
    size_t n = t->n < 20 ? t->n : 20;
    double begin = ps_now();
    for (size_t i = 0; i < n; i++) {
        ps_scored found[BEST];
        uint32_t got;
        ps_search q = search_of(t, i);
        ps_exact_search(t->a->array, t->a->space.cosine, &q, found, &got);
    }
    r->exact_us = n ? 1e6 * (ps_now() - begin) / (double)n : 0;
}

static int tuning_init(tuning *t, const ps_ann_build_opts *opts)
{
    uint64_t filled = t->a->filled;
    t->n = opts->sample > FEW ? opts->sample : FEW;
    t->n = t->n < filled ? t->n : (size_t)filled;
    t->best = filled > BEST ? BEST : filled ? (uint32_t)filled - 1 : 0;
    t->row = malloc((t->n + 1) * sizeof *t->row);
    t->filter = malloc((t->n + 1) * sizeof *t->filter);
    t->query = malloc((t->n * t->a->space.rows.dim + 1) * sizeof *t->query);
    t->tenth = malloc((t->n + 1) * sizeof *t->tenth);
    t->hits = malloc((t->n + 1) * sizeof *t->hits);
    if (!t->row || !t->filter || !t->query || !t->tenth || !t->hits)
        return ps_fail(t->why, PS_ENOMEM, NULL, 0, "no memory for %zu queries", t->n);
    draw_sample(t, opts->seed);
    return ps_workers_new(&t->workers, opts->threads);
}

int ann_tune(ps_ann *a, const char *factory, const ps_ann_build_opts *opts,
             ps_ann_report *report, const ps_progress *progress, ps_why *why)
{
    tuning t = {
        .a = a, .progress = progress, .why = why, .lists = factory_lists(factory)};
    setting best;
    int err = tuning_init(&t, opts);
    if (!err)
        err = ps_workers_run(t.workers, t.n, EXACT_BLOCK, on_truth, &t);
    if (!err)
        err = choose(&t, opts->recall, &best);
    if (err)
        goto out;
    knob_text(&best, report->knob);
    report->overfetch = best.overfetch;
    report->queries = (uint32_t)t.n;
    report->recall_at_10 = best.recall;
    report->reached = best.recall >= opts->recall;
    time_index(&t, report);
    time_exact(&t, report);
out:
    ps_workers_free(t.workers);
    free(t.row);
    free(t.filter);
    free(t.query);
    free(t.tenth);
    free(t.hits);
    return err;
}
