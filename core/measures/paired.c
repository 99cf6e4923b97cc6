/* paired.c - is one method better than another, or were the queries kind?
 *
 * Both methods rank the same pairs, so their difference is taken query by query and
 * resampled as one line of sums: what is hard for both cancels, and the interval is
 * narrower than two intervals side by side would make believe (paired bootstrap).
 *
 * Threads: resamples are cut among the workers.
 */
#include <stdlib.h>
#include <string.h>

#include "core/measures/paired.h"

int paired_scores(const groups *g, const float *a, const float *b, const paired_opts *o,
                  ps_workers *workers, ps_measures *out)
{
    size_t width = line_width(o->n_cuts), n = g->n * width;
    double *lines = malloc((2 * n + 1) * sizeof *lines), *other = lines + n;
    if (!lines)
        return PS_ENOMEM;
    lines_of_ranks(g, a, o->cut, o->n_cuts, lines);
    if (b)
        lines_of_ranks(g, b, o->cut, o->n_cuts, other);
    for (size_t i = 0; b && i < n; i++)
        lines[i] -= i % width == LINE_PAIRS ? 0 : other[i];
    line_set set = {.lines = lines, .n_cuts = o->n_cuts, .n = g->n};
    int err = lines_scores(set, o->bootstraps, o->seed, workers, out);
    free(lines);
    return err;
}
