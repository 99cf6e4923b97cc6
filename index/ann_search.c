/* ann_search.c - asking an index: one look, exact scores, and further looks where a
 * filter leaves out what is near.
 *
 * FAISS is asked for some times more rows than wanted; the exact scores of those, read
 * from the mapped vectors, decide the order.
 *
 *     query ──> FAISS: overfetch * k rows ──> exact scores ──> filter ──> best k
 *
 * That many candidates, and that many lists or steps behind them, were measured to hold
 * the nearest rows. With the nearest left out the k best that pass stand deeper, and the
 * same look finds chance ones. How deep is known afterwards: the rows that score above
 * the k-th answer and were left out. A few are allowed for; with more the look is thrown
 * away and the search goes on by the kind of index:
 *
 *  - An inverted file: its lists are read in the order of their centres, every row of
 *    them scored exactly, twice as many lists each round, until a round brings next to
 *    nothing. FAISS has one nprobe for all searches, so it cannot be asked to do that;
 *    exact scores cost more than codes but need no candidates, and rows that do not pass
 *    need none.
 *  - Kinds that look at every code are asked for as many more as were left out.
 *  - Others (graphs, and what is hidden behind a transform) cannot look further.
 *
 * What is left, and what would look at a good part of all rows, looks at every row: slow
 * and right.
 *
 * Threads: any number at once. Scratch belongs to the calling thread and goes with it.
 */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "index/ann_inside.h"

/* Rows left out that a search allows for: the query itself, what is excluded. They are
 * asked for in any case, so that the measured recall is the one of every search. */
enum { SPARE = 8 };
/* A round of lists that changes this part of the answer or less is the last one. */
enum { SETTLED = 32 };

/* ------------------------------ Scratch ------------------------------------ */

typedef struct scratch {
    size_t room, dim, lists_room;
    float *query;    /* (dim) at length 1 */
    float *distance; /* (room) FAISS's, then scores of rows that were left out */
    int64_t *label;  /* (room) */
    uint32_t *row;   /* (room) candidates */
    float *score;    /* (room) theirs */
    int64_t *list;   /* (lists_room) */
} scratch;

static pthread_key_t scratch_key;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;

static void free_scratch(void *cls)
{
    scratch *s = cls;
    free(s->query);
    free(s->distance);
    free(s->label);
    free(s->row);
    free(s->score);
    free(s->list);
    free(s);
}

static void make_key(void)
{
    if (pthread_key_create(&scratch_key, free_scratch))
        abort();
}

/* The calling thread's scratch, made at its first search. NULL: no memory. */
static scratch *own_scratch(void)
{
    pthread_once(&scratch_once, make_key);
    scratch *s = pthread_getspecific(scratch_key);
    if (s)
        return s;
    s = calloc(1, sizeof *s);
    if (s && pthread_setspecific(scratch_key, s)) {
        free(s);
        s = NULL;
    }
    ps_faiss_alone();
    return s;
}

static int grow(void *pointer, size_t n, size_t size)
{
    void **p = pointer, *bigger = realloc(*p, n * size);
    if (bigger)
        *p = bigger;
    return bigger ? PS_OK : PS_ENOMEM;
}

static int make_room(scratch *s, size_t room)
{
    if (room <= s->room)
        return PS_OK;
    if (grow(&s->distance, room, sizeof *s->distance) ||
        grow(&s->label, room, sizeof *s->label) || grow(&s->row, room, sizeof *s->row) ||
        grow(&s->score, room, sizeof *s->score))
        return PS_ENOMEM;
    s->room = room;
    return PS_OK;
}

/* ------------------------------ One look ----------------------------------- */

typedef struct look {
    const ps_ann *a;
    const ps_search *q;
    const float *vector;    /* as rows are scored with it */
    const float *direction; /* as FAISS is asked */
    scratch *s;
    ps_topk best;
    uint32_t passed_over; /* rows left out that score as well as the last of the best */
} look;

/* What was measured: fewer candidates for a smaller k would miss more of it. */
static uint64_t candidates(const ps_ann *a, uint64_t depth)
{
    return (depth > TUNED_K ? depth : TUNED_K) * a->overfetch + SPARE;
}

/* Rows that FAISS names for this many, into s->row; returns how many. */
static int ask(look *l, size_t fetch, size_t *n, ps_why *why)
{
    scratch *s = l->s;
    int err = make_room(s, fetch)
                  ? ps_fail(why, PS_ENOMEM, NULL, 0, "no memory to search")
                  : ps_faiss_search(l->a->faiss, l->direction, fetch, s->distance,
                                    s->label, why);
    *n = 0;
    for (size_t i = 0; i < fetch && !err; i++)
        if (s->label[i] >= 0 && (uint64_t)s->label[i] < l->a->space.n)
            s->row[(*n)++] = (uint32_t)s->label[i];
    return err;
}

/* The best of n candidates that pass, and how many that do not stand above the last of
 * them. A row without a vector is left out at the score that its codes have. */
static void choose(look *l, size_t n)
{
    scratch *s = l->s;
    size_t left_out = 0;
    for (size_t i = 0; i < n; i += SPACE_PIECE)
        space_scores(&l->a->space, l->vector, s->row + i,
                     n - i < SPACE_PIECE ? n - i : SPACE_PIECE, s->score + i);
    for (size_t i = 0; i < n; i++) {
        bool none = !(s->score[i] > PS_SCORE_NONE);
        float score = none ? 0 : s->score[i];
        if (!ps_topk_wants(&l->best, s->row[i], score))
            continue;
        if (none || !ps_passes(l->q->filter, s->row[i]))
            s->distance[left_out++] = score;
        else
            ps_topk_keep(&l->best, s->row[i], score);
    }
    l->passed_over = 0;
    for (size_t i = 0; i < left_out && l->best.n; i++)
        l->passed_over += s->distance[i] >= l->best.at[0].score;
}

static int look_once(look *l, size_t fetch, ps_why *why)
{
    size_t n;
    int err = ask(l, fetch, &n, why);
    l->best.n = 0;
    if (!err)
        choose(l, n);
    return err;
}

static bool is_full(const look *l)
{
    return l->best.n == l->best.k;
}

/* Asking for an eighth of all rows costs more than looking at them. */
static bool worth_asking(const ps_ann *a, uint64_t fetch)
{
    return fetch * 8 <= a->space.n;
}

/* ------------------------------ Further looks ------------------------------ */

/* Ask for so many that those left out are made up for. *enough: they are. */
static int ask_for_more(look *l, uint64_t fetch, bool *enough, ps_why *why)
{
    int err = PS_OK;
    *enough = false;
    while (!err && !*enough) {
        uint64_t needed = candidates(l->a, (uint64_t)l->q->k + l->passed_over);
        *enough = is_full(l) && needed <= fetch;
        fetch = needed > 4 * fetch ? needed : 4 * fetch;
        if (*enough || !worth_asking(l->a, fetch))
            break;
        err = look_once(l, fetch, why);
    }
    return err;
}

static int read_list(look *l, int64_t list, uint32_t *kept)
{
    scratch *s = l->s;
    size_t size = list < 0 ? 0 : ps_faiss_list_size(l->a->faiss, list), n = 0;
    if (make_room(s, size))
        return PS_ENOMEM;
    if (size)
        ps_faiss_list_rows(l->a->faiss, list, s->label);
    for (size_t i = 0; i < size; i++)
        if (s->label[i] >= 0 && (uint64_t)s->label[i] < l->a->space.n)
            s->row[n++] = (uint32_t)s->label[i];
    *kept += exact_among(&l->a->space, l->vector, l->q->filter, s->row, n, &l->best);
    return PS_OK;
}

/* The nearest lists, a quarter of all at most, into s->list; the rest is for a scan. */
static int find_lists(look *l, size_t most, ps_why *why)
{
    scratch *s = l->s;
    if (make_room(s, most) ||
        (most > s->lists_room && grow(&s->list, most, sizeof *s->list)))
        return ps_fail(why, PS_ENOMEM, NULL, 0, "no memory to search");
    s->lists_room = most > s->lists_room ? most : s->lists_room;
    return ps_faiss_nearest_lists(l->a->faiss, l->direction, most, s->distance, s->list,
                                  why);
}

/* Read lists until a round brings nothing. *enough: it came to that. */
static int read_lists(look *l, bool *enough, ps_why *why)
{
    size_t most = ps_faiss_lists(l->a->faiss) / 4, at = 0;
    size_t end = 2 * ps_faiss_probes(l->a->faiss);
    int err = end < most ? find_lists(l, most, why) : PS_OK;
    l->best.n = 0;
    *enough = false;
    for (; !err && end <= most && !*enough; end *= 2) {
        bool full = is_full(l);
        uint32_t kept = 0;
        for (; at < end && !err; at++)
            err = read_list(l, l->s->list[at], &kept);
        *enough = full && kept * SETTLED <= l->q->k;
    }
    return err;
}

static int look_further(look *l, uint64_t fetch, ps_why *why)
{
    bool enough = false;
    int err = PS_OK;
    if (l->a->wider == WIDER_BY_FETCH)
        err = ask_for_more(l, fetch, &enough, why);
    else if (l->a->wider == WIDER_BY_LISTS)
        err = read_lists(l, &enough, why);
    if (err || enough)
        return err;
    l->best.n = 0;
    exact_all(&l->a->space, l->vector, l->q->filter, &l->best);
    return PS_OK;
}

/* ------------------------------ The search --------------------------------- */

/* So few rows pass that looking for k of them would pass most of all by. */
static bool very_few_pass(const ps_search *q)
{
    return q->filter && q->filter->passing && q->filter->passing <= 32 * (uint64_t)q->k;
}

static int search(look *l, ps_why *why)
{
    uint64_t fetch = candidates(l->a, l->q->k);
    bool few = very_few_pass(l->q), ask = !few && worth_asking(l->a, fetch);
    int err = ask ? look_once(l, fetch, why) : PS_OK;
    if (err || (ask && is_full(l) && l->passed_over <= SPARE))
        return err;
    if (l->q->wider && (few || ask)) {
        *l->q->wider = true;
        l->best.n = 0;
        return PS_OK;
    }
    if (ask)
        return look_further(l, fetch, why);
    exact_all(&l->a->space, l->vector, l->q->filter, &l->best);
    return PS_OK;
}

/* The query at length 1, for cosine and for kinds of index that know directions only. */
static const float *direction(const ps_ann *a, const float *query, scratch *s)
{
    if (!a->space.cosine && !ps_faiss_unit(a->faiss))
        return query;
    ps_direction(query, a->space.rows.dim, s->query);
    return s->query;
}

int ps_ann_search(const ps_ann *a, const ps_search *q, ps_scored *out, uint32_t *found,
                  ps_why *why)
{
    exact_query vector;
    size_t dim = a->space.rows.dim;
    scratch *s = own_scratch();
    *found = 0;
    if (!s || (dim > s->dim && grow(&s->query, dim, sizeof *s->query)) ||
        exact_query_init(&vector, a->space.cosine, q->vector, dim))
        return ps_fail(why, PS_ENOMEM, NULL, 0, "no memory to search");
    s->dim = dim > s->dim ? dim : s->dim;
    look l = {.a = a,
              .q = q,
              .vector = vector.vector,
              .direction = direction(a, q->vector, s),
              .s = s,
              .best = {.at = out, .k = q->k}};
    int err = q->k && vector.scale != 0 ? search(&l, why) : PS_OK;
    *found = err ? 0 : ps_topk_finish(&l.best, vector.scale);
    exact_query_done(&vector);
    return err;
}

void ann_widen_by(ps_ann *a, const char *factory)
{
    bool graph = strstr(factory, "HNSW") || strstr(factory, "NSG");
    if (ps_faiss_lists(a->faiss))
        a->wider = WIDER_BY_LISTS;
    else
        a->wider = graph || factory_lists(factory) ? WIDER_BY_SCAN : WIDER_BY_FETCH;
}
