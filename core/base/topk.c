/* topk.c - the two ways to the best of many: of an array, and of a stream.
 *
 * Of an array: a quicksort that leaves alone what lies beyond k. After a partition the
 * part wholly beyond k is dropped, so most of the work is the first partition or two.
 * Pivots are the median of three at random places: no order of the input is a bad one,
 * and the result does not depend on them, as no two keys of one call are equal (rows
 * differ).
 *
 * Of a stream: a binary heap with the worst of the kept at its root, so that most rows
 * lose at the first comparison and nothing but the k is ever stored. Walks do not use it:
 * they have all their candidates in an array anyhow, and of those often keep half.
 *
 * Threads: see topk.h.
 */
#include "pinsage/topk.h"

#include "pinsage/rng.h"

/* ------------------------------ Of an array ------------------------------- */

#define SHORT 16 /* sorted by insertion */

static void sort_short(uint64_t *key, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint64_t v = key[i];
        size_t j = i;
        for (; j > 0 && key[j - 1] < v; j--)
            key[j] = key[j - 1];
        key[j] = v;
    }
}

/* Where the median of three random keys is. */
static size_t pivot(const uint64_t *key, size_t n, uint64_t *rng)
{
    size_t a = ps_rng_below(rng, n), b = ps_rng_below(rng, n), c = ps_rng_below(rng, n);
    size_t high = key[a] > key[b] ? a : b, low = high == a ? b : a;
    return key[c] > key[high] ? high : key[c] < key[low] ? low : c;
}

/* Larger keys, then the pivot, then smaller ones; returns the pivot's place. No branch
 * depends on a key: half of them would be mispredicted. */
static size_t part(uint64_t *key, size_t n, size_t at)
{
    uint64_t p = key[at];
    size_t larger = 0;
    key[at] = key[n - 1];
    for (size_t i = 0; i < n - 1; i++) {
        uint64_t k = key[i];
        key[i] = key[larger];
        key[larger] = k;
        larger += k > p;
    }
    key[n - 1] = key[larger];
    key[larger] = p;
    return larger;
}

static void sort_first(uint64_t *key, size_t n, size_t k, uint64_t *rng)
{
    while (n > SHORT && k) {
        size_t left = part(key, n, pivot(key, n, rng));
        sort_first(key, left, k < left ? k : left, rng);
        key += left + 1; /* the pivot is in its place */
        n -= left + 1;
        k -= k < left + 1 ? k : left + 1;
    }
    if (k)
        sort_short(key, n);
}

size_t ps_top(uint64_t *key, size_t n, size_t k)
{
    uint64_t rng = n;
    k = k < n ? k : n;
    sort_first(key, n, k, &rng);
    return k;
}

/* ------------------------------ Of a stream -------------------------------- */

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

void ps_topk_keep(ps_topk *t, uint32_t row, float score)
{
    ps_scored x = {row, score};
    if (t->n < t->k)
        rise(t->at, t->n++, x);
    else
        sink(t->at, t->n, 0, x);
}

uint32_t ps_topk_finish(ps_topk *t, float scale)
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
