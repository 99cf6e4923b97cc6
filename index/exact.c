/* exact.c - search that looks at every row: the oracle, and good enough for a small
 * catalog.
 *
 * Rows are scored in pieces that stay in the cache while their norms are taken and the
 * lists are offered them, so memory is read once whatever the metric.
 *
 * Sums are of floats. A row whose squares leave their range, and one whose product is
 * exactly zero, is looked at again: it may hold no vector, or is scored in double. Both
 * are rare where they cost most: a zero row is told from its bits, at the speed of
 * memory. A query out of range is brought to length 1, which no cosine notices.
 *
 * Threads: pure functions on the caller's memory.
 */
#include "index/exact.h"

#include <math.h>
#include <stdlib.h>

space space_of(const ps_npy *vectors, int cosine)
{
    return (space){ps_rows_of(vectors), vectors->rows, cosine};
}

/* ------------------------------ The query ---------------------------------- */

int exact_query_init(exact_query *a, int cosine, const float *vector, size_t dim)
{
    float squares;
    ps_rows one = {vector, dim, 0};
    ps_dot_squares(one, 0, 1, &squares);
    *a = (exact_query){.vector = vector};
    if (!cosine || ps_row_is_none(one, 0)) {
        a->scale = !ps_row_is_none(one, 0);
        return PS_OK;
    }
    if (ps_squares_fit(squares)) {
        a->scale = 1 / sqrtf(squares);
        return PS_OK;
    }
    a->owned = malloc(dim * sizeof *a->owned);
    if (!a->owned)
        return PS_ENOMEM;
    a->scale = ps_direction(vector, dim, a->owned);
    a->vector = a->owned;
    return PS_OK;
}

void exact_query_done(exact_query *a)
{
    free(a->owned);
    a->owned = NULL;
}

/* ------------------------------ Scores ------------------------------------- */

void space_scores(const space *s, const float *query, const uint32_t *list, size_t n,
                  float *scores)
{
    float norms[SPACE_PIECE];
    ps_dot_list(query, s->rows, list, n, scores);
    for (size_t i = 0; i < n && s->cosine; i++)
        ps_dot_squares(s->rows, list[i], 1, &norms[i]);
    for (size_t i = 0; i < n; i++)
        scores[i] =
            ps_sure_score(s->cosine, query, s->rows, list[i],
                          s->cosine ? scores[i] * ps_inverse_root(norms[i]) : scores[i]);
}

/* Scores of rows first.. for a block of queries, not yet sure: scores (n, SPACE_PIECE).
 */
static void score_piece(const space *s, const float *queries, size_t n, size_t first,
                        size_t rows, float *scores)
{
    ps_dot_block(queries, n, s->rows, first, rows, scores, SPACE_PIECE);
    if (!s->cosine)
        return;
    float norms[SPACE_PIECE];
    ps_dot_squares(s->rows, first, rows, norms);
    for (size_t r = 0; r < rows; r++)
        norms[r] = ps_inverse_root(norms[r]);
    for (size_t i = 0; i < n; i++)
        for (size_t r = 0; r < rows; r++)
            scores[i * SPACE_PIECE + r] *= norms[r];
}

/* ------------------------------ Lists -------------------------------------- */

/* No number, which only damaged rows give, is no answer either. */
static inline bool offer_row(ps_topk *list, const ps_filter *f, uint32_t row, float score)
{
    if (!(score > PS_SCORE_NONE) || !ps_topk_wants(list, row, score) ||
        !ps_passes(f, row))
        return false;
    ps_topk_keep(list, row, score);
    return true;
}

static uint32_t offer_piece(const space *s, const float *query, const ps_filter *f,
                            const uint32_t *list, size_t n, ps_topk *best)
{
    float scores[SPACE_PIECE];
    uint32_t kept = 0;
    space_scores(s, query, list, n, scores);
    for (size_t i = 0; i < n; i++)
        kept += offer_row(best, f, list[i], scores[i]);
    return kept;
}

/* Asking the filter costs about what a score does: it is asked first where few pass. */
static bool few_pass(const space *s, const ps_filter *f)
{
    return f && f->passing && f->passing < s->n / 4;
}

static uint32_t offer_passing(const space *s, const float *query, const ps_filter *f,
                              const uint32_t *list, size_t n, ps_topk *best)
{
    uint32_t row[SPACE_PIECE], kept = 0;
    size_t m = 0;
    for (size_t i = 0; i < n; i++)
        if (ps_passes(f, list[i]))
            row[m++] = list[i];
    if (m)
        kept = offer_piece(s, query, NULL, row, m, best);
    return kept;
}

uint32_t exact_among(const space *s, const float *query, const ps_filter *f,
                     const uint32_t *list, size_t n, ps_topk *best)
{
    uint32_t kept = 0;
    bool few = few_pass(s, f);
    for (size_t i = 0; i < n; i += SPACE_PIECE) {
        size_t m = n - i < SPACE_PIECE ? n - i : SPACE_PIECE;
        kept += few ? offer_passing(s, query, f, list + i, m, best)
                    : offer_piece(s, query, f, list + i, m, best);
    }
    return kept;
}

void exact_block(const space *s, const float *queries, size_t n, const ps_filter *filter,
                 ps_topk *lists)
{
    float scores[EXACT_BLOCK * SPACE_PIECE];
    for (size_t first = 0; first < s->n; first += SPACE_PIECE) {
        size_t rows = s->n - first < SPACE_PIECE ? s->n - first : SPACE_PIECE;
        score_piece(s, queries, n, first, rows, scores);
        for (size_t i = 0; i < n; i++)
            for (size_t r = 0; r < rows; r++)
                offer_row(&lists[i], filter ? &filter[i] : NULL, (uint32_t)(first + r),
                          ps_sure_score(s->cosine, queries + i * s->rows.dim, s->rows,
                                        first + r, scores[i * SPACE_PIECE + r]));
    }
}

void exact_all(const space *s, const float *query, const ps_filter *f, ps_topk *best)
{
    uint32_t row[SPACE_PIECE];
    if (!few_pass(s, f)) {
        exact_block(s, query, 1, f, best);
        return;
    }
    for (size_t first = 0; first < s->n; first += SPACE_PIECE) {
        size_t n = s->n - first < SPACE_PIECE ? s->n - first : SPACE_PIECE;
        for (size_t i = 0; i < n; i++)
            row[i] = (uint32_t)(first + i);
        offer_passing(s, query, f, row, n, best);
    }
}

/* ------------------------------ Searches ----------------------------------- */

/* Of every row, or of those listed. */
static int search(const ps_npy *vectors, int cosine, const ps_search *q,
                  const uint32_t *list, size_t n, ps_scored *out, uint32_t *found)
{
    exact_query a;
    *found = 0;
    if (vectors->dtype != PS_F32 && vectors->dtype != PS_F16)
        return PS_EINVAL;
    space s = space_of(vectors, cosine);
    ps_topk best = {.at = out, .k = q->k};
    int err = exact_query_init(&a, cosine, q->vector, s.rows.dim);
    if (!err && a.scale != 0 && list)
        exact_among(&s, a.vector, q->filter, list, n, &best);
    else if (!err && a.scale != 0)
        exact_all(&s, a.vector, q->filter, &best);
    *found = ps_topk_finish(&best, a.scale);
    exact_query_done(&a);
    return err;
}

int ps_exact_search(const ps_npy *vectors, int cosine, const ps_search *q, ps_scored *out,
                    uint32_t *found)
{
    return search(vectors, cosine, q, NULL, 0, out, found);
}

int ps_exact_among(const ps_npy *vectors, int cosine, const ps_search *q,
                   const uint32_t *list, size_t n, ps_scored *out, uint32_t *found)
{
    return search(vectors, cosine, q, list, n, out, found);
}
