/* top.c - a heap of the k best, worst at the root.
 *
 * Threads: one list, one thread.
 */
#include "index/top.h"

static int worse(ps_scored a, ps_scored b)
{
    return a.score < b.score || (a.score == b.score && a.row > b.row);
}

static void sink(ps_scored *heap, uint32_t n, uint32_t i, ps_scored x)
{
    for (uint32_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && worse(heap[child + 1], heap[child]))
            child++;
        if (!worse(heap[child], x))
            break;
        heap[i] = heap[child];
    }
    heap[i] = x;
}

static void rise(ps_scored *heap, uint32_t i, ps_scored x)
{
    for (; i && worse(x, heap[(i - 1) / 2]); i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = x;
}

void top_keep(top *t, uint32_t row, float score)
{
    ps_scored x = {row, score};
    if (t->n < t->k)
        rise(t->at, t->n++, x);
    else
        sink(t->at, t->n, 0, x);
}

uint32_t top_finish(top *t, float scale)
{
    for (uint32_t n = t->n; n > 1; n--) {
        ps_scored worst = t->at[0];
        sink(t->at, n - 1, 0, t->at[n - 1]);
        t->at[n - 1] = worst;
    }
    for (uint32_t i = 0; i < t->n; i++)
        t->at[i].score *= scale;
    return t->n;
}
