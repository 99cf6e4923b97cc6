/* pairs.c - which pictures count as related, and in which of train, valid and test.
 *
 * Two pictures of a held-out idea are a pair, in both directions. Left out are
 *
 *   - copies: the same drawing under a second name would be an answer for nothing, and in
 *     train it would be the answer to a test question;
 *   - a series: same title by the same artist (an icon theme, forty jigsaw pieces). Any
 *     method finds those, so they would only raise every figure;
 *   - of an idea with more pairs than `per_idea`, those with the larger hash: no idea may
 *     outweigh the others.
 *
 * The split is by query. Each picture is a train, valid or test picture by the hash of
 * its id. A pair belongs to the split of its query; where the related picture belongs to
 * a later split the pair is dropped:
 *
 *     query  \ related   train   valid   test
 *     train              train   -       -
 *     valid              valid   valid   -
 *     test               test    test    test
 *
 * So a test query occurs in no train or valid pair in either place, and no pair is in
 * another split reversed.
 *
 * Threads: one.
 */
#include <stdlib.h>
#include <string.h>

#include "deploy/demo/corpus.h"

static void add_pair(pairs *list, pair x)
{
    if (list->n == list->room) {
        list->room = list->room ? 2 * list->room : 1024;
        list->at = must(realloc(list->at, list->room * sizeof(*list->at)));
    }
    list->at[list->n++] = x;
}

static bool same_series(const picture *a, const picture *b)
{
    return *a->title && strcasecmp(a->title, b->title) == 0 &&
           strcasecmp(a->author, b->author) == 0;
}

static int split_of(const picture *p, pair_opts o)
{
    double u = share_of(o.seed + 1, p->id);
    return u < o.test ? TEST : u < o.test + o.valid ? VALID : TRAIN;
}

/* ----------------------------- One idea ----------------------------------- */

static int by_order(const void *a, const void *b)
{
    const pair *x = a, *y = b;
    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    if (x->query != y->query)
        return x->query < y->query ? -1 : 1;
    return (x->related > y->related) - (x->related < y->related);
}

/* The hash must not depend on rows, which shift when a file is added. */
static uint64_t order_of(const picture *a, const picture *b, uint64_t seed)
{
    return hash_of(hash_of(seed + 2, a->id), b->id);
}

static void pairs_of_idea(pairs *list, const idea *x, const picture *p, uint64_t seed)
{
    list->n = 0;
    for (uint32_t i = 0; i < x->n; i++)
        for (uint32_t j = 0; j < x->n; j++) {
            const picture *a = &p[x->pins[i]], *b = &p[x->pins[j]];
            if (i == j || same_series(a, b))
                continue;
            add_pair(list, (pair){x->pins[i], x->pins[j], order_of(a, b, seed)});
        }
    if (list->n)
        qsort(list->at, list->n, sizeof(*list->at), by_order);
}

static void share_out(pairs out[N_SPLITS], const pairs *list, const picture *p,
                      pair_opts o)
{
    size_t n = list->n < o.per_idea ? list->n : o.per_idea;
    for (size_t i = 0; i < n; i++) {
        pair x = list->at[i];
        int query = split_of(&p[x.query], o), related = split_of(&p[x.related], o);
        if (query >= related)
            add_pair(&out[query], x);
    }
}

/* ------------------------------ The lists --------------------------------- */

static int by_rows(const void *a, const void *b)
{
    const pair *x = a, *y = b;
    if (x->query != y->query)
        return x->query < y->query ? -1 : 1;
    return (x->related > y->related) - (x->related < y->related);
}

/* Two ideas can hold the same pair. */
static void sort_and_merge(pairs *list)
{
    if (list->n == 0)
        return;
    qsort(list->at, list->n, sizeof(*list->at), by_rows);
    size_t n = 1;
    for (size_t i = 1; i < list->n; i++)
        if (by_rows(&list->at[i], &list->at[n - 1]) != 0)
            list->at[n++] = list->at[i];
    list->n = n;
}

void pairs_init(pairs out[N_SPLITS], const boards *b, const picture *p, pair_opts o)
{
    pairs of_idea = {0};
    memset(out, 0, N_SPLITS * sizeof(*out));
    for (size_t i = 0; i < b->n_ideas; i++) {
        if (!b->ideas[i].held)
            continue;
        pairs_of_idea(&of_idea, &b->ideas[i], p, o.seed);
        share_out(out, &of_idea, p, o);
    }
    for (int s = 0; s < N_SPLITS; s++)
        sort_and_merge(&out[s]);
    free(of_idea.at);
}

void pairs_done(pairs out[N_SPLITS])
{
    for (int s = 0; s < N_SPLITS; s++)
        free(out[s].at);
}
