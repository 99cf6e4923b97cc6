/* pair_hops.c - the strongest few first hops, each followed by one more.
 *
 * What a query's hundredth pair leads to is not worth its cache misses: first hops are
 * cut at the strongest, second hops of a pair at the first.
 *
 * Threads: see pair_hops.h.
 */
#include "core/rank/pair_hops.h"

#include <stdlib.h>

#include "pinsage/err.h"
#include "pinsage/topk.h"

enum {
    FIRST = 64,        /* first hops that are followed */
    FIRST_BOARDS = 16, /* the same when boards follow */
    SECOND = 512,      /* pairs of a pin that are followed */
    EDGES = 4000,      /* of boards, for one first hop */
    ROWS = 1 << 16,    /* pins that sums are kept of */
};

struct ps_pair_hops {
    const ps_pair_graph *pairs; /* borrowed */
    ps_two_hop *boards;         /* owned */
    ps_row_sums sums;
    uint64_t *key; /* owned, (room) scratch */
    size_t room;
};

int ps_pair_hops_new(ps_pair_hops **out, const ps_pair_graph *pairs, const ps_graph *g)
{
    ps_pair_hops *h = calloc(1, sizeof *h);
    if (!h)
        return PS_ENOMEM;
    h->pairs = pairs;
    if (ps_two_hop_new(&h->boards, g, EDGES) || ps_row_sums_init(&h->sums, ROWS)) {
        ps_pair_hops_free(h);
        return PS_ENOMEM;
    }
    *out = h;
    return PS_OK;
}

void ps_pair_hops_free(ps_pair_hops *h)
{
    if (!h)
        return;
    ps_two_hop_free(h->boards);
    ps_row_sums_done(&h->sums);
    free(h->key);
    free(h);
}

static void add(ps_pair_hops *h, uint32_t row, int which, float worth)
{
    float *sum = ps_row_sums_of(&h->sums, row);
    if (sum)
        sum[which] += worth;
}

/* One pair on from a pin that is reached with this chance. */
static void follow_pairs(ps_pair_hops *h, uint32_t from, int which, float chance)
{
    const ps_csr *m = &h->pairs->csr;
    uint32_t n = ps_pair_degree(h->pairs, from);
    float total = (float)ps_pair_total(h->pairs, from);
    for (uint32_t i = 0; i < n && i < SECOND; i++) {
        uint64_t at = m->indptr[from] + i;
        if (m->indices[at] < m->rows)
            add(h, m->indices[at], which, chance * h->pairs->weight[at] / total);
    }
}

static void follow_boards(ps_pair_hops *h, uint32_t from, float chance)
{
    const ps_row_sums *s = ps_two_hop_of(h->boards, from);
    for (uint32_t i = 0; i < s->n; i++)
        add(h, s->at[i].row, PS_HOP_PAIR_BOARD, chance * s->at[i].sum[PS_HOP_WALK]);
}

static uint64_t *room_for(ps_pair_hops *h, size_t n)
{
    if (n > h->room) {
        free(h->key);
        h->key = malloc(n * sizeof *h->key);
        h->room = h->key ? n : 0;
    }
    return h->key;
}

static void from_pairs(ps_pair_hops *h, uint32_t row)
{
    const ps_csr *m = &h->pairs->csr;
    uint32_t n = ps_pair_degree(h->pairs, row);
    uint64_t *key = n ? room_for(h, n) : NULL;
    float total = (float)ps_pair_total(h->pairs, row);
    for (uint32_t i = 0; key && i < n; i++)
        key[i] = ps_key_score(h->pairs->weight[m->indptr[row] + i],
                              m->indices[m->indptr[row] + i]);
    size_t kept = key ? ps_top(key, n, FIRST) : 0;
    for (size_t i = 0; i < kept; i++) {
        float chance = ps_key_as_score(key[i]) / total;
        if (ps_key_row(key[i]) >= m->rows)
            continue;
        follow_pairs(h, ps_key_row(key[i]), PS_HOP_PAIR_PAIR, chance);
        if (i < FIRST_BOARDS)
            follow_boards(h, ps_key_row(key[i]), chance);
    }
}

static void from_boards(ps_pair_hops *h, const ps_row_sums *near)
{
    uint64_t *key = near->n ? room_for(h, near->n) : NULL;
    for (uint32_t i = 0; key && i < near->n; i++)
        key[i] = ps_key_score(near->at[i].sum[PS_HOP_WALK], near->at[i].row);
    size_t kept = key ? ps_top(key, near->n, FIRST) : 0;
    for (size_t i = 0; i < kept; i++)
        follow_pairs(h, ps_key_row(key[i]), PS_HOP_BOARD_PAIR, ps_key_as_score(key[i]));
}

const ps_row_sums *ps_pair_hops_of(ps_pair_hops *h, uint32_t row, const ps_row_sums *near)
{
    ps_row_sums_clear(&h->sums);
    if (h->pairs->csr.edges) {
        from_pairs(h, row);
        from_boards(h, near);
    }
    return &h->sums;
}
