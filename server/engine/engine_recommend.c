/* engine_recommend.c - pins by examples: examples in, one ranking out.
 *
 * Diversity is maximal marginal relevance: results are picked one by one, each by
 * (1 - diversity) relevance - diversity likeness, where relevance is the score as a share
 * of the best one and likeness the largest cosine with what was picked before.
 *
 * Threads: see engine.h.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/length.h"
#include "server/engine/engine_inside.h"

#define POOL_TIMES 4 /* candidates of diversity, for each result */

/* ------------------------------ Examples ----------------------------------- */

typedef struct examples {
    ps_reader *r;
    const ps_recommend *q;
    const method *m;
    ps_recommended *out;
    filter *f;
    uint32_t row[PS_EXAMPLES_MAX]; /* positives, then negatives; PS_NO_ROW: a vector, or
                                      left out */
    bool out_of[PS_EXAMPLES_MAX];  /* left out */
} examples;

static const ps_example *example_at(const ps_recommend *q, uint32_t i)
{
    return i < q->n_positive ? &q->positive[i] : &q->negative[i - q->n_positive];
}

/* "positives[2]" */
static const char *field_of(const ps_recommend *q, uint32_t i, char *out, size_t n)
{
    bool positive = i < q->n_positive;
    snprintf(out, n, "%s[%u]", positive ? "positives" : "negatives",
             positive ? i : i - q->n_positive);
    return out;
}

static int find_example(examples *e, uint32_t i, ps_why *why)
{
    const ps_example *x = example_at(e->q, i);
    char field[32];
    e->row[i] = PS_NO_ROW;
    e->out_of[i] = false;
    if (!x->pin.data)
        return PS_OK;
    if (!ps_reader_find_pin(e->r, x->pin, &e->row[i], why)) {
        engine_hide(e->f, e->row[i]);
        return PS_OK;
    }
    if (!e->q->skip_missing)
        return ps_fail(why, PS_ENOENT, NULL, 0, "%s: there is no pin \"%.*s\"",
                       field_of(e->q, i, field, sizeof field),
                       (int)(x->pin.len < 100 ? x->pin.len : 100), x->pin.data);
    e->out_of[i] = true;
    e->out->missing[e->out->n_missing++] = x->pin;
    return PS_OK;
}

/* ------------------------------ By vector ---------------------------------- */

static void add_vector(double *sum, const float *v, size_t dim, double weight, bool unit)
{
    double squares = unit ? ps_squares(v, dim) : 1;
    double scale = squares > 0 ? weight / sqrt(squares) : 0;
    for (size_t i = 0; i < dim; i++)
        sum[i] += scale * (double)v[i];
}

/* The sum as a query. By cosine its direction is all that counts. */
static int take_sum(const examples *e, const double *sum, size_t dim, ps_why *why)
{
    double squares = 0;
    for (size_t i = 0; i < dim; i++)
        squares += sum[i] * sum[i];
    if (!e->m->cosine && !ps_length_fits(squares))
        return ps_fail(
            why, PS_EINVAL, NULL, 0,
            "positives, negatives: their sum is of length %.3g; %g to %g can be "
            "compared",
            sqrt(squares), PS_LENGTH_LEAST, PS_LENGTH_MOST);
    double scale = e->m->cosine && squares > 0 ? 1 / sqrt(squares) : 1;
    for (size_t i = 0; i < dim; i++)
        e->r->query[i] = (float)(sum[i] * scale);
    return PS_OK;
}

/* The query into r->query. */
static int sum_examples(examples *e, ps_why *why)
{
    size_t dim = e->m->array->cols;
    uint32_t n = e->q->n_positive + e->q->n_negative;
    char field[32];
    float *one = malloc(dim * sizeof *one);
    double *sum = calloc(dim, sizeof *sum);
    int err = one && sum ? PS_OK : PS_ENOMEM;
    for (uint32_t i = 0; i < n && !err; i++) {
        const ps_example *x = example_at(e->q, i);
        const float *v = x->vector;
        if (e->out_of[i])
            continue;
        if (x->pin.data)
            v = engine_vector(e->r, e->m, e->row[i], one);
        else if (x->dim != dim)
            err = ps_fail(
                why, PS_EINVAL, NULL, 0, "%s.vector: %u numbers, method \"%s\" has %zu",
                field_of(e->q, i, field, sizeof field), x->dim, e->m->name, dim);
        if (!err)
            add_vector(sum, v, dim,
                       (double)(i < e->q->n_positive ? x->weight : -x->weight),
                       e->m->cosine);
    }
    if (!err)
        err = take_sum(e, sum, dim, why);
    free(one);
    free(sum);
    return err;
}

/* ------------------------------ By walks ----------------------------------- */

static int queries_of(examples *e, bool positive, ps_pixie_query *q, uint32_t *n,
                      ps_why *why)
{
    uint32_t first = positive ? 0 : e->q->n_positive;
    uint32_t end = positive ? e->q->n_positive : e->q->n_positive + e->q->n_negative;
    char field[32];
    *n = 0;
    for (uint32_t i = first; i < end; i++) {
        if (e->out_of[i])
            continue;
        if (e->row[i] == PS_NO_ROW)
            return ps_fail(why, PS_EINVAL, NULL, 0,
                           "%s.vector: walks begin at pins, not at vectors",
                           field_of(e->q, i, field, sizeof field));
        q[*n] = (ps_pixie_query){.row = e->row[i], .weight = example_at(e->q, i)->weight};
        int err = engine_seed(e->r, e->row[i], &q[*n].seed);
        if (err)
            return err;
        ++*n;
    }
    return PS_OK;
}

static int by_row(const void *a, const void *b)
{
    const ps_scored *x = a, *y = b;
    return (x->row > y->row) - (x->row < y->row);
}

static int by_score(const void *a, const void *b)
{
    const ps_scored *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->row > y->row) - (x->row < y->row);
}

/* Visits from the negatives count against those from the positives. */
static uint32_t subtract(ps_scored *list, uint32_t n, ps_scored *less, uint32_t n_less)
{
    uint32_t kept = 0;
    qsort(less, n_less, sizeof *less, by_row);
    for (uint32_t i = 0; i < n; i++) {
        const ps_scored *x = bsearch(&list[i], less, n_less, sizeof *less, by_row);
        ps_scored y = {list[i].row, list[i].score - (x ? x->score : 0)};
        if (y.score > 0)
            list[kept++] = y;
    }
    qsort(list, kept, sizeof *list, by_score);
    return kept;
}

static int walk_examples(examples *e, uint32_t k, uint32_t *found, ps_why *why)
{
    ps_pixie_query q[PS_EXAMPLES_MAX];
    ps_scored *less = NULL;
    uint32_t n, n_less = 0, most = WALK_STEPS;
    int err = queries_of(e, false, q, &n, why);
    if (!err && n) {
        err = engine_by_walk(e->r, e->m->walk, q, n, e->f, most, &n_less);
        less = err ? NULL : malloc((n_less + 1u) * sizeof *less);
        if (less)
            memcpy(less, e->r->found, n_less * sizeof *less);
        else if (!err)
            err = PS_ENOMEM;
    }
    if (!err)
        err = queries_of(e, true, q, &n, why);
    *found = 0;
    if (!err && n)
        err = engine_by_walk(e->r, e->m->walk, q, n, e->f, less ? most : k, found);
    if (!err && less)
        *found = subtract(e->r->found, *found, less, n_less);
    *found = *found < k ? *found : k;
    free(less);
    return err;
}

/* ------------------------------ Diversity ---------------------------------- */

typedef struct pool {
    const float *vector; /* (n, dim) of length 1 */
    size_t dim;
    uint32_t n;
    float *like; /* (n) with what was picked */
    bool *taken; /* (n) */
} pool;

static void note_likeness(pool *p, uint32_t picked)
{
    ps_rows rows = {p->vector, p->dim, 0};
    for (uint32_t i = 0; i < p->n; i++) {
        float like;
        if (p->taken[i])
            continue;
        ps_dot_block(p->vector + picked * p->dim, 1, rows, i, 1, &like, 1);
        p->like[i] = like > p->like[i] ? like : p->like[i];
    }
}

/* Pick k of the n in list, in place. */
static uint32_t pick(pool *p, ps_scored *list, uint32_t k, float diversity)
{
    ps_scored *out = list + p->n;
    float best_score = list[0].score > 0 ? list[0].score : 1;
    uint32_t kept = 0;
    while (kept < k && kept < p->n) {
        uint32_t best = p->n;
        float most = -INFINITY;
        for (uint32_t i = 0; i < p->n; i++) {
            float worth =
                (1 - diversity) * list[i].score / best_score - diversity * p->like[i];
            if (!p->taken[i] && worth > most) {
                most = worth;
                best = i;
            }
        }
        out[kept++] = list[best];
        p->taken[best] = true;
        note_likeness(p, best);
    }
    memmove(list, out, kept * sizeof *out);
    return kept;
}

/* Likeness is that of the method's vectors, of the embeddings for walks. */
static int diversify(ps_reader *r, const method *m, uint32_t n, uint32_t k,
                     float diversity, uint32_t *kept)
{
    const method *of = m->array ? m : &r->e->methods[0];
    *kept = n < k ? n : k;
    if (!of->array || diversity <= 0 || n < 2)
        return PS_OK;
    size_t dim = of->array->cols;
    float *vector = calloc(n * dim + n, sizeof *vector), *one = malloc(dim * sizeof *one);
    bool *taken = calloc(n, sizeof *taken);
    int err = vector && one && taken ? PS_OK : PS_ENOMEM;
    for (uint32_t i = 0; i < n && !err; i++)
        ps_direction(engine_vector(r, of, r->found[i].row, one), dim, vector + i * dim);
    pool p = {vector, dim, n, vector + n * dim, taken};
    if (!err)
        *kept = pick(&p, r->found, k, diversity);
    free(vector);
    free(one);
    free(taken);
    return err;
}

/* ------------------------------ The question ------------------------------- */

static int find_boards(ps_reader *r, const ps_recommend *q, filter *f, ps_why *why)
{
    int err = PS_OK;
    if (q->n_boards > PS_BOARDS_MAX)
        return ps_fail(why, PS_ERANGE, NULL, 0, "more than %d boards", PS_BOARDS_MAX);
    for (uint32_t i = 0; i < q->n_boards && !err; i++)
        err = ps_reader_find_board(r, q->board[i], &f->board[f->n_boards++], why);
    return err;
}

static int rank_examples(examples *e, uint32_t k, uint32_t *n, ps_why *why)
{
    ps_ranking *out = &e->out->ranking;
    out->method = e->m->name;
    out->source = PS_COMPUTED;
    if (e->m->kind == BY_WALK)
        return walk_examples(e, k, n, why);
    if (e->m->kind == BY_POPULARITY)
        return engine_by_popularity(e->r, e->f, k, n);
    if (e->m->kind == BY_BLEND)
        return ps_fail(why, PS_EINVAL, NULL, 0, "method \"blend\" ranks for one pin");
    int err = sum_examples(e, why);
    if (err || ps_row_is_none((ps_rows){e->r->query, e->m->array->cols, 0}, 0))
        return err;
    return engine_by_vector(e->r, e->m, e->f, k, n, why);
}

/* Examples that are all left out, or that outweigh each other, say nothing. */
static int fall_back(examples *e, uint32_t k, uint32_t *n)
{
    e->m = engine_find_method(e->r->e, ps_text_of("popular"));
    e->out->ranking.method = e->m->name;
    e->out->ranking.source = PS_FALLBACK;
    return engine_by_popularity(e->r, e->f, k, n);
}

int ps_reader_recommend(ps_reader *r, const ps_recommend *q, ps_recommended *out,
                        ps_why *why)
{
    filter f;
    examples e = {.r = r, .q = q, .out = out, .f = &f};
    uint32_t n = q->n_positive + q->n_negative, found = 0;
    uint32_t wide = q->diversity > 0 ? POOL_TIMES * q->k : q->k;
    out->ranking = (ps_ranking){.row = PS_NO_ROW, .result = r->found};
    out->n_missing = 0;
    r->embedded_unstored = false;
    e.m = engine_find_method(r->e, q->method);
    if (!e.m)
        return engine_refuse_method(r->e, q->method, why);
    if (n > PS_EXAMPLES_MAX || q->k < 1 || q->k > PS_K_MAX)
        return ps_fail(why, PS_ERANGE, NULL, 0, "too many examples or results");
    engine_filter_begin(&f, r);
    int err = engine_hide_all(&f, r, q->exclude, q->n_exclude, why);
    for (uint32_t i = 0; i < n && !err; i++)
        err = find_example(&e, i, why);
    if (!err)
        err = find_boards(r, q, &f, why);
    if (err)
        return err;
    engine_filter_ready(&f);
    wide = wide < PS_K_MAX ? wide : PS_K_MAX;
    err = rank_examples(&e, wide, &found, why);
    if (!err && !found && e.m->kind != BY_POPULARITY)
        err = fall_back(&e, wide, &found);
    return err ? err : diversify(r, e.m, found, q->k, q->diversity, &out->ranking.n);
}
