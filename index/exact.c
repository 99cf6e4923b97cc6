/* exact.c - search that looks at every row: the oracle, and good enough for a small
 * catalog.
 *
 * Rows are scored in pieces that stay in the cache while their norms are taken and the
 * lists are offered them, so memory is read once whatever the metric.
 *
 * Threads: pure functions on the caller's memory.
 */
#include "index/exact.h"

#include <math.h>

enum { PIECE = 512 };

space space_of(const ps_npy *vectors, int cosine)
{
    return (space){
        {vectors->data, vectors->cols, vectors->dtype == PS_F16}, vectors->rows, cosine};
}

static float inverse_root(float squares)
{
    return squares > 0 ? 1 / sqrtf(squares) : 0;
}

float inverse_length(const float *vector, size_t dim)
{
    float squares;
    ps_dot_squares((ps_rows){vector, dim, 0}, 0, 1, &squares);
    return inverse_root(squares);
}

float space_scale(const space *s, const float *query)
{
    return s->cosine ? inverse_length(query, s->rows.dim) : 1;
}

void space_scores(const space *s, const float *query, const uint32_t *list, size_t n,
                  float *scores, float *norms)
{
    ps_dot_list(query, s->rows, list, n, scores);
    if (!s->cosine)
        return;
    for (size_t i = 0; i < n; i++)
        ps_dot_squares(s->rows, list[i], 1, &norms[i]);
    for (size_t i = 0; i < n; i++)
        scores[i] *= inverse_root(norms[i]);
}

/* Unscaled scores of rows first.. for a block of queries: scores (n, PIECE). */
static void score_piece(const space *s, const float *queries, size_t n, size_t first,
                        size_t rows, float *scores)
{
    ps_dot_block(queries, n, s->rows, first, rows, scores, PIECE);
    if (!s->cosine)
        return;
    float norms[PIECE];
    ps_dot_squares(s->rows, first, rows, norms);
    for (size_t r = 0; r < rows; r++)
        norms[r] = inverse_root(norms[r]);
    for (size_t i = 0; i < n; i++)
        for (size_t r = 0; r < rows; r++)
            scores[i * PIECE + r] *= norms[r];
}

static void offer(ps_topk *list, const float *scores, size_t first, size_t rows,
                  ps_ann_skip skip, void *cls)
{
    for (size_t r = 0; r < rows; r++) {
        uint32_t row = (uint32_t)(first + r);
        if (ps_topk_wants(list, row, scores[r]) && !(skip && skip(cls, row)))
            ps_topk_keep(list, row, scores[r]);
    }
}

void exact_block(const space *s, const float *queries, size_t n, ps_ann_skip skip,
                 void *cls, size_t cls_size, ps_topk *lists)
{
    float scores[EXACT_BLOCK * PIECE];
    for (size_t first = 0; first < s->n; first += PIECE) {
        size_t rows = s->n - first < PIECE ? s->n - first : PIECE;
        score_piece(s, queries, n, first, rows, scores);
        for (size_t i = 0; i < n; i++)
            offer(&lists[i], scores + i * PIECE, first, rows, skip,
                  (char *)cls + i * cls_size);
    }
}

int ps_exact_search(const ps_npy *vectors, int cosine, const float *query, uint32_t k,
                    ps_ann_skip skip, void *cls, ps_scored *out, uint32_t *found)
{
    if (vectors->dtype != PS_F32 && vectors->dtype != PS_F16)
        return PS_EINVAL;
    space s = space_of(vectors, cosine);
    ps_topk list = {.at = out, .k = k};
    exact_block(&s, query, 1, skip, cls, 0, &list);
    *found = ps_topk_finish(&list, space_scale(&s, query));
    return PS_OK;
}
