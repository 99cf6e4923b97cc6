/* paired.c - is one method better than another, or were the queries kind?
 *
 * Both methods rank the same pairs, so their difference is taken query by query and
 * resampled as one line of sums: what is hard for both cancels, and the interval is
 * narrower than two intervals side by side would make believe (paired bootstrap).
 *
 * Threads: resamples are cut among the team.
 */
#include <stdlib.h>
#include <string.h>

#include "inside.h"

/* lines become theirs minus the ones of rank; other is scratch of the same size. */
static void subtract(const groups *g, const float *rank, const ps_eval_report *r,
                     double *lines, double *other)
{
    size_t width = line_width(r->n_cuts);
    lines_of_ranks(g, rank, r->cut, r->n_cuts, other);
    for (size_t i = 0; i < g->n * width; i++)
        lines[i] -= i % width == LINE_PAIRS ? 0 : other[i];
}

/* lines (2, queries, width): of method a, and scratch. */
static int difference(const ps_eval_report *r, const float *a, const float *b,
                      const groups *g, const ps_eval_opts *opts, ps_workers *team,
                      double *lines, ps_eval_scores *out)
{
    lines_of_ranks(g, a, r->cut, r->n_cuts, lines);
    subtract(g, b, r, lines, lines + g->n * line_width(r->n_cuts));
    line_set set = {.lines = lines, .n_cuts = r->n_cuts, .n = g->n};
    return lines_scores(set, opts->bootstraps, opts->seed, team, out);
}

static double *room_for(const ps_eval_report *r, const groups *g)
{
    return malloc((2 * g->n + 1) * line_width(r->n_cuts) * sizeof(double));
}

int paired_fill(ps_eval_report *r, const groups *g, const ps_eval_opts *opts,
                ps_workers *team)
{
    double *lines = room_for(r, g);
    int err = lines ? PS_OK : PS_ENOMEM;
    for (size_t i = 1; i < r->n && !err; i++)
        err = difference(r, r->result[0].rank, r->result[i].rank, g, opts, team, lines,
                         &r->result[i].paired);
    free(lines);
    return err;
}

int ps_eval_paired(const ps_eval_report *r, size_t a, size_t b, const ps_pairs *pairs,
                   const ps_eval_opts *opts, ps_eval_scores *out)
{
    groups g = {0};
    ps_workers *team = NULL;
    double *lines = NULL;
    if (a >= r->n || b >= r->n)
        return PS_ERANGE;
    int err = ps_workers_new(&team, opts->threads);
    if (!err)
        err = groups_make(&g, pairs);
    if (!err)
        err = (lines = room_for(r, &g)) ? PS_OK : PS_ENOMEM;
    if (!err)
        err = difference(r, r->result[a].rank, r->result[b].rank, &g, opts, team, lines,
                         out);
    free(lines);
    groups_done(&g);
    ps_workers_free(team);
    return err;
}
