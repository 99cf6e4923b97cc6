/* pixie.c - walks with restarts from one or several query pins, counted and joined.
 *
 * A query's walks are one long sequence of hops: walk 0's, then walk 1's, and so on. A
 * walk draws its length first (each further hop with chance 1 - restart), so each hop's
 * place in the sequence is known before it is walked: lanes fill the sequence in any
 * order, and visits are counted in the sequence's order as far as it has no gap.
 * Early stopping therefore cuts at the same hop as if walks ran one at a time; the few
 * hops that lanes had walked beyond it are dropped.
 *
 *     log     |walk 0 . . |walk 1 .|walk 2 . . . .|walk 3 .|walk 4 ...
 *     counted >>>>>>>>>>>>>>>>>>>>>>>>>>|  a lane is still here, others are ahead
 *
 * Budgets, section 3.1: s_q = |E(q)| (C - log |E(q)|), query q gets w_q s_q / sum of the
 * steps. As printed C is the largest degree; then log |E(q)| is nothing beside it and
 * the shares are linear in the degree, which is what the rule is there to avoid. With
 * C = log(largest degree) + 1 they grow to the very end, ever more slowly.
 *
 * The early stop counts a pin once, when its visits become n_v; visits to the query
 * pin itself are not counted.
 *
 * Threads: see pixie.h. Not here: the hops (lanes.h), the table (tally.h).
 */
#include "pinsage/pixie.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/sample/lanes.h"
#include "core/sample/tally.h"
#include "pinsage/topk.h"

#define AHEAD 16 /* slots prefetched before they are needed */

struct ps_pixie {
    const ps_graph *graph; /* borrowed */
    ps_pixie_opts opts;
    uint32_t max_degree; /* of the graph; 0 until it was needed */
    size_t room;         /* rows that can be visited */
    uint32_t *log;       /* owned, (steps) */
    uint64_t *key;       /* owned, (room) */
    ps_tally tally;      /* visits of one query */
    ps_tally all;        /* rows of all queries so far; of its slots: */
    float *sum;          /* owned, (slots of all) */
    ps_lane lane[PS_LANES];
};

/* ------------------------------ Lifetime ---------------------------------- */

static bool valid(ps_pixie_opts o)
{
    return o.steps >= 1 && o.steps <= 10000000 && o.restart > 0 && o.restart <= 1 &&
           isfinite(o.correction) && o.correction >= 0;
}

static void room_free(ps_pixie *p)
{
    ps_tally_done(&p->tally);
    ps_tally_done(&p->all);
    free(p->sum);
    free(p->key);
}

/* Room for this many rows; if there is no memory, for as many as before. */
static int make_room(ps_pixie *p, size_t rows)
{
    ps_pixie q = {.room = rows};
    q.key = malloc((rows + 1) * sizeof *q.key);
    int err = ps_tally_init(&q.tally, rows);
    if (!err)
        err = ps_tally_init(&q.all, rows);
    if (!err)
        q.sum = malloc((q.all.mask + (size_t)1) * sizeof *q.sum);
    if (!err && (!q.key || !q.sum))
        err = PS_ENOMEM;
    if (err) {
        room_free(&q);
        return err;
    }
    room_free(p);
    p->room = rows;
    p->key = q.key;
    p->tally = q.tally;
    p->all = q.all;
    p->sum = q.sum;
    return PS_OK;
}

int ps_pixie_on(ps_pixie *p, const ps_graph *g)
{
    size_t room = ps_tally_room(g, p->opts.steps, p->room);
    int err = room > p->room ? make_room(p, room) : PS_OK;
    if (err)
        return err;
    if (!p->graph || p->graph->pin_boards.indptr != g->pin_boards.indptr)
        p->max_degree = 0;
    p->graph = g;
    return PS_OK;
}

int ps_pixie_new(ps_pixie **out, const ps_graph *g, ps_pixie_opts opts)
{
    if (!valid(opts))
        return PS_EINVAL;
    ps_pixie *p = calloc(1, sizeof *p);
    if (!p)
        return PS_ENOMEM;
    p->opts = opts;
    p->log = malloc(opts.steps * sizeof *p->log);
    int err = p->log ? ps_pixie_on(p, g) : PS_ENOMEM;
    if (err)
        ps_pixie_free(p);
    else
        *out = p;
    return err;
}

void ps_pixie_free(ps_pixie *p)
{
    if (!p)
        return;
    room_free(p);
    free(p->log);
    free(p);
}

/* ------------------------------ Budgets ----------------------------------- */

/* Of mapped pins and of the queries: C depends on what the graph is, not on how it came
 * to be so, and a live pin that outgrew all others has an appetite like theirs. */
static double log_of_largest(const ps_graph *g, uint32_t most, const ps_pixie_query *q,
                             uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t degree = ps_graph_degree(g, PS_PINS, q[i].row);
        most = degree > most ? degree : most;
    }
    return log(most);
}

static double appetite(const ps_graph *g, ps_pixie_query q, double log_largest)
{
    double degree = ps_graph_degree(g, PS_PINS, q.row), c = log_largest + 1;
    return degree > 0 ? (double)q.weight * degree * (c - log(degree)) : 0;
}

static double appetites(const ps_graph *g, const ps_pixie_query *q, uint32_t n,
                        double log_largest)
{
    double total = 0;
    for (uint32_t i = 0; i < n; i++)
        total += appetite(g, q[i], log_largest);
    return total;
}

/* One step, and a share of what is left when all have one; n <= steps. */
static uint32_t share(uint32_t steps, uint32_t n, double part, double total)
{
    return 1 + (total > 0 ? (uint32_t)(part / total * (double)(steps - n)) : 0);
}

void ps_pixie_budget(const ps_graph *g, const ps_pixie_query *q, uint32_t n,
                     uint32_t steps, uint32_t *out)
{
    if (n == 1) {
        out[0] = steps ? steps : 1; /* no need to look at the other pins */
        return;
    }
    double most = log_of_largest(g, ps_graph_max_degree(g), q, n);
    double total = appetites(g, q, n, most);
    for (uint32_t i = 0; i < n; i++)
        out[i] = share(steps > n ? steps : n, n, appetite(g, q[i], most), total);
}

/* ------------------------------ One query's walks ------------------------- */

typedef struct sequence {
    ps_pixie_query query;
    uint32_t budget;
    uint32_t begun;   /* hops that have a walk */
    uint32_t walks;   /* walks begun */
    uint32_t counted; /* hops counted */
    uint32_t high;    /* pins whose visits have reached n_v */
} sequence;

static void begin_walk(const ps_pixie *p, sequence *s, ps_lane *l)
{
    uint64_t rng = ps_rng_at(s->query.seed, s->walks++);
    uint32_t hops = 1, left = s->budget - s->begun;
    while (hops < left && ps_rng_unit(&rng) >= p->opts.restart)
        hops++;
    ps_lane_begin(l, p->graph, s->query.row, rng);
    l->at = s->begun;
    l->left = hops;
    s->begun += hops;
}

/* Log where n lanes stand; those at the end of their walk leave. */
static unsigned note_hops(ps_pixie *p, unsigned n)
{
    for (unsigned i = 0; i < n;) {
        ps_lane *l = &p->lane[i];
        p->log[l->at++] = l->row;
        if (--l->left)
            i++;
        else
            *l = p->lane[--n];
    }
    return n;
}

/* Count the log from where it was left to the first gap; true if that is enough. */
static bool count_hops(ps_pixie *p, sequence *s, unsigned n)
{
    uint32_t end = s->begun;
    for (unsigned i = 0; i < n; i++)
        end = p->lane[i].at < end ? p->lane[i].at : end;
    while (s->counted < end) {
        uint32_t at = s->counted++, row = p->log[at];
        uint32_t later = p->log[at + AHEAD < end ? at + AHEAD : at];
        __builtin_prefetch(&p->tally.slot[ps_tally_home(&p->tally, later)], 1);
        if (row == PS_NOWHERE || row == s->query.row)
            continue;
        if (ps_tally_add(&p->tally, row) == p->opts.n_v && ++s->high > p->opts.n_p)
            return true;
    }
    return false;
}

/* Walk a query's budget, or less; visits are in p->tally. Returns the hops counted. */
static uint32_t walk_query(ps_pixie *p, ps_pixie_query q, uint32_t budget)
{
    sequence s = {.query = q, .budget = budget};
    if (ps_graph_degree(p->graph, PS_PINS, q.row) == 0)
        return 0;
    memset(p->log, 0xff, budget * sizeof *p->log); /* PS_NOWHERE */
    for (unsigned n = 0, round = 1;; round++) {
        while (n < PS_LANES && s.begun < s.budget)
            begin_walk(p, &s, &p->lane[n++]);
        n = note_hops(p, ps_lanes_hop(p->graph, p->lane, n));
        bool last = n == 0 && s.begun == s.budget;
        if ((last || round % 8 == 0) && (count_hops(p, &s, n) || last))
            return s.counted;
    }
}

/* ------------------------------ Joining and selecting --------------------- */

/* A query's visits into the sums of all. */
static void join_query(ps_pixie *p)
{
    for (size_t i = 0; i < p->tally.n; i++) {
        const ps_visit *v = &p->tally.slot[p->tally.used[i]];
        uint32_t slot = ps_tally_slot(&p->all, v->row);
        float part = p->opts.no_boost ? (float)v->count : sqrtf((float)v->count);
        if (ps_tally_add(&p->all, v->row) == 1)
            p->sum[slot] = 0;
        p->sum[slot] += part;
    }
    ps_tally_clear(&p->tally);
}

static float corrected(const ps_pixie *p, float score, uint32_t row)
{
    if (p->opts.correction == 0)
        return score;
    float degree = (float)ps_graph_degree(p->graph, PS_PINS, row);
    return score / powf(degree > 0 ? degree : 1, p->opts.correction);
}

/* Keys of all rows of a tally; sum is NULL when the visits are the score. */
static size_t make_keys(ps_pixie *p, const ps_tally *t, const float *sum)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        const ps_visit *v = &t->slot[t->used[i]];
        float score = sum ? sum[t->used[i]] : (float)v->count;
        if (i + AHEAD < t->n && p->opts.correction != 0)
            ps_lane_prefetch(&p->graph->pin_boards, t->slot[t->used[i + AHEAD]].row);
        if (score < 0)
            continue; /* a query pin */
        if (sum && !p->opts.no_boost)
            score *= score;
        p->key[n++] = ps_key_score(corrected(p, score, v->row), v->row);
    }
    return n;
}

static size_t join_keys(ps_pixie *p, const ps_pixie_query *q, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t slot = ps_tally_slot(&p->all, q[i].row);
        if (p->all.slot[slot].count)
            p->sum[slot] = -1;
    }
    size_t keys = make_keys(p, &p->all, p->sum);
    ps_tally_clear(&p->all);
    return keys;
}

static bool good(const ps_pixie *p, const ps_pixie_query *q, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if ((q[i].row >= p->graph->pin_boards.rows && !p->graph->overlay) ||
            q[i].row == PS_NOWHERE || !(q[i].weight > 0) || !isfinite(q[i].weight))
            return false;
    return n > 0 && n <= p->opts.steps;
}

/* Keys of all candidates into p->key; adds to *steps. */
static size_t walk_all(ps_pixie *p, const ps_pixie_query *q, uint32_t n, uint64_t *steps)
{
    if (n == 1) {
        *steps += walk_query(p, q[0], p->opts.steps);
        size_t keys = make_keys(p, &p->tally, NULL);
        ps_tally_clear(&p->tally);
        return keys;
    }
    if (!p->max_degree)
        p->max_degree = ps_graph_max_degree(p->graph);
    double most = log_of_largest(p->graph, p->max_degree, q, n);
    double total = appetites(p->graph, q, n, most);
    for (uint32_t i = 0; i < n; i++) {
        double part = appetite(p->graph, q[i], most);
        *steps += walk_query(p, q[i], share(p->opts.steps, n, part, total));
        join_query(p);
    }
    return join_keys(p, q, n);
}

int ps_pixie_related(ps_pixie *p, const ps_pixie_query *q, uint32_t n, ps_scored *out,
                     uint32_t max, uint32_t *found, uint64_t *steps)
{
    uint64_t walked = 0;
    *found = 0;
    if (!good(p, q, n))
        return PS_EINVAL;
    *found = (uint32_t)ps_top(p->key, walk_all(p, q, n, &walked), max);
    for (uint32_t i = 0; i < *found; i++)
        out[i] = (ps_scored){ps_key_row(p->key[i]), ps_key_as_score(p->key[i])};
    if (steps)
        *steps = walked;
    return PS_OK;
}
