/* engine_walk.c - ranking by walks over the live graph, and by popularity.
 *
 * Threads: see engine.h.
 */
#include "server/engine/engine_inside.h"

#include "pinsage/hash.h"

int engine_seed(ps_reader *r, uint32_t row, uint64_t *seed)
{
    ps_pin pin;
    int err = ps_reader_pin(r, row, &pin);
    if (!err)
        *seed = ps_pin_seed(WALK_SEED, pin.id.data, pin.id.len);
    return err;
}

static int walker_of(ps_reader *r, unsigned kind, ps_pixie **walk)
{
    int err = PS_OK;
    ps_pixie_opts opts = PS_PIXIE_DEFAULTS;
    opts.steps = kind == WALK_SHORT ? WALK_FEWER : WALK_STEPS;
    opts.correction = kind == WALK_CORRECTED ? 0.5f : 0;
    if (!r->walk[kind])
        err = ps_pixie_new(&r->walk[kind], &r->e->g->graph, opts);
    if (!err)
        err = ps_pixie_on(r->walk[kind], &r->snap.graph);
    *walk = r->walk[kind];
    return err;
}

int engine_by_walk(ps_reader *r, unsigned kind, const ps_pixie_query *q, uint32_t n,
                   filter *f, uint32_t k, uint32_t *found)
{
    ps_pixie *walk;
    uint32_t visited = 0, kept = 0;
    uint32_t max = f->n_boards ? WALK_STEPS : k + f->n_hidden + 1;
    int err = walker_of(r, kind, &walk);
    if (!err)
        err = ps_pixie_related(walk, q, n, r->found, max < WALK_STEPS ? max : WALK_STEPS,
                               &visited, NULL);
    for (uint32_t i = 0; i < visited && kept < k && !err; i++)
        if (engine_passes(f, r->found[i].row))
            r->found[kept++] = r->found[i];
    *found = kept;
    return err;
}

/* Boards hold what is saved now; without one, popularity is the generation's. */
static uint32_t popular_on_boards(ps_reader *r, filter *f, uint32_t k)
{
    uint32_t n = 0, pins[256];
    for (uint32_t b = 0; b < f->n_boards; b++) {
        uint32_t degree = ps_graph_degree(&r->snap.graph, PS_BOARDS, f->board[b]), got;
        for (uint32_t at = 0; at < degree; at += got) {
            got = ps_graph_slice(&r->snap.graph, PS_BOARDS, f->board[b], at, 256, pins);
            for (uint32_t i = 0; i < got; i++) {
                ps_scored x = {pins[i],
                               (float)ps_graph_degree(&r->snap.graph, PS_PINS, pins[i])};
                bool twice = false; /* on two of the boards */
                for (uint32_t j = 0; j < n && f->n_boards > 1 && !twice; j++)
                    twice = r->found[j].row == x.row;
                if (!twice && !engine_hidden(f, x.row))
                    n = engine_keep(r->found, n, k, x);
            }
        }
    }
    return n;
}

/* When most popular pins are gone or hidden: the best that pass of all. */
static uint32_t popular_of_all(ps_reader *r, filter *f, uint32_t k)
{
    const ps_csr *m = &r->e->g->graph.pin_boards;
    uint32_t n = 0;
    for (uint32_t row = 0; row < m->rows; row++) {
        ps_scored x = {row, (float)ps_csr_degree(m, row)};
        if ((n < k || engine_is_better(x, r->found[n - 1])) && engine_passes(f, row))
            n = engine_keep(r->found, n, k, x);
    }
    return n;
}

int engine_by_popularity(ps_reader *r, filter *f, uint32_t k, uint32_t *n)
{
    const ps_scored *list;
    uint32_t n_list;
    *n = 0;
    if (f->n_boards) {
        *n = popular_on_boards(r, f, k);
        return PS_OK;
    }
    int err = engine_popular(r->e, &list, &n_list);
    for (uint32_t i = 0; i < n_list && *n < k && !err; i++)
        if (engine_passes(f, list[i].row))
            r->found[(*n)++] = list[i];
    if (!err && *n < k && n_list == ENGINE_POPULAR)
        *n = popular_of_all(r, f, k);
    return err;
}
