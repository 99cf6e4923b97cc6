/* topk.c - quicksort that leaves alone what lies beyond k.
 *
 * After a partition the part wholly beyond k is dropped, so most of the work is the
 * first partition or two. Pivots are the median of three at random places: no order of
 * the input is a bad one, and the result does not depend on them, as no two keys of one
 * call are equal (rows differ).
 *
 * Threads: see topk.h.
 */
#include "core/sample/topk.h"

#include "pinsage/rng.h"

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

static uint64_t pivot(const uint64_t *key, size_t n, uint64_t *rng)
{
    uint64_t a = key[ps_rng_below(rng, n)], b = key[ps_rng_below(rng, n)];
    uint64_t c = key[ps_rng_below(rng, n)];
    uint64_t high = a > b ? a : b, low = a > b ? b : a;
    return c > high ? high : c < low ? low : c;
}

/* Keys >= p before keys <= p; returns where the second part begins, 1..n-1. */
static size_t part(uint64_t *key, size_t n, uint64_t p)
{
    size_t i = 0, j = n - 1;
    for (;; i++, j--) {
        while (key[i] > p)
            i++;
        while (key[j] < p)
            j--;
        if (i >= j)
            return i > j ? i : i + 1 < n ? i + 1 : i;
        uint64_t t = key[i];
        key[i] = key[j];
        key[j] = t;
    }
}

static void sort_first(uint64_t *key, size_t n, size_t k, uint64_t *rng)
{
    while (n > SHORT && k) {
        size_t left = part(key, n, pivot(key, n, rng));
        sort_first(key, left, k < left ? k : left, rng);
        key += left;
        n -= left;
        k -= k < left ? k : left;
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
