/* ann_sample.c - rows that stand for all: those that hold a vector, evenly spread.
 *
 * A block may be filled for one pin in a thousand. A sample of all rows would then be
 * almost empty, whatever its size: so rows with a vector are counted first, and drawn by
 * their place among themselves, one from each of as many equal stretches. Two passes over
 * the rows, and no list of them.
 *
 * Threads: pure functions on the caller's memory.
 */
#include "index/ann_inside.h"
#include "pinsage/rng.h"

uint64_t ann_count_filled(const space *s)
{
    uint64_t n = 0;
    for (size_t row = 0; row < s->n; row++)
        n += !ps_row_is_none(s->rows, row);
    return n;
}

size_t ann_draw(const space *s, uint64_t filled, size_t n, uint64_t rng, uint32_t *rows)
{
    n = filled < n ? (size_t)filled : n;
    uint64_t place = 0;
    size_t row = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t begin = i * filled / n, end = (i + 1) * filled / n;
        uint64_t wanted = begin + ps_rng_below(&rng, end - begin);
        for (;; row++) {
            if (ps_row_is_none(s->rows, row))
                continue;
            if (place++ == wanted)
                break;
        }
        rows[i] = (uint32_t)row++;
    }
    return n;
}
