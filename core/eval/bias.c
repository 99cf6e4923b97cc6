/* bias.c - signs that the labels favour a method.
 *
 * People engage with what they were shown. Labels gathered under a recommender are
 * answers to its lists, and it will look good on them: the paper leaves Pixie out of its
 * table because Pixie had made the labels (section 4.1). What can be seen from here:
 *
 *   co-saves  most pairs lie on a common board, and far fewer would if the same queries
 *             and related pins were matched at random. Then labels say "saved together",
 *             which is what walks count and the structure block keeps.
 *   lists     a method that learnt nothing from labels has nearly all related pins among
 *             its first hundredth of all pins: they may be picks from its own lists.
 *
 * Neither is proof; honest labels of a well-sorted graph can look the same. So the two
 * shares are always reported, and a sentence is added past the thresholds below.
 *
 * Threads: one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/eval/inside.h"
#include "pinsage/rng.h"

enum { SAMPLE = 20000 };
static const double CO_SAVED = 0.7;  /* share of the pairs on a common board, at least */
static const double OVER_CHANCE = 3; /* and that many times what chance gives */
static const double LISTED = 0.9, FIRST = 0.01; /* share of pairs, share of pins */
enum { FEW_PAIRS = 100, FEW_PINS = 2000 };      /* say nothing below */

/* ------------------------------ Co-saves ----------------------------------- */

static bool share_a_board(const ps_csr *m, uint32_t a, uint32_t b)
{
    if (ps_csr_degree(m, a) > ps_csr_degree(m, b)) {
        uint32_t c = a;
        a = b;
        b = c;
    }
    const uint32_t *board = ps_csr_row(m, a);
    for (uint32_t i = 0; i < ps_csr_degree(m, a); i++)
        if (ps_csr_has(m, b, board[i]))
            return true;
    return false;
}

/* An even sample of the pairs; each related pin also against the query of another pair
 * of the sample, drawn at random. */
static void count_shared(const ps_csr *m, const ps_pairs *pairs, uint64_t seed,
                         ps_eval_bias *b)
{
    size_t n = pairs->n < SAMPLE ? pairs->n : SAMPLE, shared = 0, chance = 0, drawn = 0;
    uint64_t rng = ps_rng_at(seed, 0);
    if (!m->indices)
        return; /* no edges */
    for (size_t i = 0; i < n; i++) {
        const uint32_t *p = pairs->pair[i * pairs->n / n];
        uint32_t other = pairs->pair[ps_rng_below(&rng, pairs->n)][0];
        if (p[0] == p[1])
            continue;
        b->pairs++;
        shared += share_a_board(m, p[0], p[1]);
        if (other == p[0] || other == p[1])
            continue;
        drawn++;
        chance += share_a_board(m, other, p[1]);
    }
    b->shared = b->pairs ? (double)shared / b->pairs : 0;
    b->chance = drawn ? (double)chance / (double)drawn : 0;
}

static char *next_warning(ps_eval_bias *b)
{
    return b->n < PS_EVAL_WARNINGS ? b->warning[b->n++] : NULL;
}

static void warn_of_co_saves(ps_eval_bias *b)
{
    if (b->pairs < FEW_PAIRS || b->shared < CO_SAVED ||
        b->shared < OVER_CHANCE * b->chance)
        return;
    char *text = next_warning(b);
    if (text)
        snprintf(text, sizeof b->warning[0],
                 "%.0f %% of the pairs lie on a common board, %.0f %% when matched at "
                 "random: the labels may stem from saves, which favours walks (pixie) "
                 "and the structure block",
                 100 * b->shared, 100 * b->chance);
}

/* ------------------------------ Lists -------------------------------------- */

/* Learns nothing from labels: walks, popularity, content. */
static bool is_unlearnt(const ps_generation *g, const char *method)
{
    return !strncmp(method, "pixie", 5) || !strcmp(method, "popular") ||
           (ps_generation_block(g, method) && strcmp(method, "structure") != 0);
}

static double share_within(const ps_eval_report *r, const ps_eval_result *m, double rank)
{
    size_t in = 0;
    for (size_t i = 0; i < r->n_ranks; i++)
        in += m->rank[i] > 0 && (double)m->rank[i] <= rank;
    return (double)in / (double)r->pairs;
}

static void warn_of_lists(const ps_generation *g, ps_eval_report *r)
{
    double first = FIRST * g->n_pins;
    if (r->pairs < FEW_PAIRS || g->n_pins < FEW_PINS)
        return;
    for (size_t i = 0; i < r->n; i++) {
        const ps_eval_result *m = &r->result[i];
        if (!is_unlearnt(g, m->method) || share_within(r, m, first) < LISTED)
            continue;
        char *text = next_warning(&r->bias);
        if (text)
            snprintf(text, sizeof r->bias.warning[0],
                     "%.0f %% of the related pins are among the first %.0f of %s, which "
                     "learns nothing from labels: they may be picks from lists that it "
                     "had shown",
                     100 * share_within(r, m, first), first, m->method);
    }
}

void bias_find(const ps_generation *g, const ps_pairs *pairs, uint64_t seed,
               ps_eval_report *report)
{
    report->bias = (ps_eval_bias){0};
    count_shared(&g->graph.pin_boards, pairs, seed, &report->bias);
    warn_of_co_saves(&report->bias);
    warn_of_lists(g, report);
}
