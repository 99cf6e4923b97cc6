/* validate.c - scores of a query against all pins, and one count.
 *
 * Threads: see validate.h. Not here: intervals and buckets (core/eval).
 */
#include "core/train/validate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/dot.h"
#include "pinsage/err.h"
#include "pinsage/length.h"

enum { BLOCK = 8 };

typedef struct check {
    ps_rows rows;
    const float *vectors;
    uint32_t n, e;
    const ps_pairs *pairs;
    float *scores; /* (workers, BLOCK, n) */
    float *rank;   /* (pairs) */
} check;

/* A score that is no number counts as above, one's own as last: broken vectors must not
 * look good. */
static float rank_of(const float *scores, uint32_t n, uint32_t query, uint32_t related)
{
    uint32_t above = 0, equal = 0;
    float mine = scores[related];
    if (isnan(mine))
        return (float)n;
    for (uint32_t i = 0; i < n; i++) {
        above += !(scores[i] <= mine);
        equal += scores[i] == mine;
    }
    above -= !(scores[query] <= mine);
    equal -= scores[query] == mine;
    return 1.0f + (float)above + 0.5f * (float)(equal - (query != related));
}

/* Pins without a vector stand below all that have one, as in eval. */
static void leave_out(const check *c, const float *query, float *scores)
{
    for (uint32_t r = 0; r < c->n; r++)
        scores[r] = ps_sure_score(false, query, c->rows, r, scores[r]);
}

static int rank_pairs(void *cls, size_t begin, size_t end, unsigned worker)
{
    const check *c = cls;
    float *scores = c->scores + (size_t)worker * BLOCK * c->n;
    float query[BLOCK * 1024];
    size_t some = c->e <= 1024 ? BLOCK : 1; /* wider ones one by one, where they lie */
    for (size_t at = begin; at < end; at += some) {
        size_t n = end - at < some ? end - at : some;
        const float *q = c->vectors + (size_t)c->pairs->pair[at][0] * c->e;
        for (size_t i = 0; i < n && some > 1; i++)
            memcpy(query + i * c->e,
                   c->vectors + (size_t)c->pairs->pair[at + i][0] * c->e,
                   c->e * sizeof *query);
        if (some > 1)
            q = query;
        ps_dot_block(q, n, c->rows, 0, c->n, scores, c->n);
        for (size_t i = 0; i < n; i++)
            leave_out(c, q + i * c->e, scores + i * c->n);
        for (size_t i = 0; i < n; i++)
            c->rank[at + i] = rank_of(scores + i * c->n, c->n, c->pairs->pair[at + i][0],
                                      c->pairs->pair[at + i][1]);
    }
    return PS_OK;
}

/* Early ranks are what people see, later ones are what there is most of: both count, and
 * four cuts together move less by chance than one. */
static double score_of(float rank)
{
    return 0.25 * ((rank <= 10) + (rank <= 50) + (rank <= 100) + (rank <= 500));
}

int ps_validate(const float *vectors, uint32_t n, uint32_t e, const ps_pairs *pairs,
                ps_workers *workers, ps_validation *out)
{
    check c = {
        .rows = {vectors, e, 0}, .vectors = vectors, .n = n, .e = e, .pairs = pairs};
    c.scores = malloc(ps_workers_count(workers) * (size_t)BLOCK * n * sizeof(float) + 1);
    c.rank = malloc((pairs->n + 1) * sizeof *c.rank);
    int err = c.scores && c.rank ? PS_OK : PS_ENOMEM;
    if (!err)
        err = ps_workers_run(workers, pairs->n, 8 * BLOCK, rank_pairs, &c);
    *out = (ps_validation){0};
    for (size_t i = 0; i < pairs->n && !err; i++) {
        out->score += score_of(c.rank[i]);
        out->hit_10 += c.rank[i] <= 10;
        out->hit_100 += c.rank[i] <= 100;
        out->mrr += 1 / (double)c.rank[i];
    }
    double pairs_n = pairs->n ? (double)pairs->n : 1;
    out->score /= pairs_n;
    out->hit_10 /= pairs_n;
    out->hit_100 /= pairs_n;
    out->mrr /= pairs_n;
    free(c.scores);
    free(c.rank);
    return err;
}
