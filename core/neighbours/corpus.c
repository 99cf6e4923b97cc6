/* corpus.c - seeds from the pins' ids, and tables kept by what they were asked for.
 *
 * Threads: see corpus_inside.h.
 */
#include "core/neighbours/corpus_inside.h"

#include <stdlib.h>

#include "pinsage/gemm.h"
#include "pinsage/hash.h"
#include "pinsage/rng.h"

static int make_seeds(ps_corpus *c, ps_why *why)
{
    ps_pins_reader *reader = NULL;
    uint32_t n = c->generation->n_pins;
    c->seeds = malloc(((size_t)n + 1) * sizeof *c->seeds);
    int err = c->seeds ? PS_OK : PS_ENOMEM;
    if (!err)
        err = ps_pins_reader_new(&reader, c->generation->pins);
    if (!err)
        err = ps_pins_hashes(reader, c->seeds);
    for (uint32_t i = 0; i < n && !err; i++)
        c->seeds[i] = ps_pin_seed_of(c->seed, c->seeds[i]);
    ps_pins_reader_free(reader);
    return err ? ps_fail(why, err, c->generation->name, 0, "cannot read the pins' ids")
               : PS_OK;
}

int ps_corpus_new(ps_corpus **out, ps_generation *g, const ps_graph *graph, uint64_t seed,
                  unsigned threads, ps_why *why)
{
    ps_corpus *c = calloc(1, sizeof *c);
    if (!c)
        return ps_fail(why, PS_ENOMEM, NULL, 0, "out of memory");
    ps_gemm_init();
    *c = (ps_corpus){.generation = g, .graph = graph, .seed = seed};
    int err = ps_workers_new(&c->workers, threads);
    if (!err)
        err = make_seeds(c, why);
    *out = c;
    if (err) {
        ps_corpus_free(c);
        *out = NULL;
    }
    return err;
}

void ps_corpus_free(ps_corpus *c)
{
    if (!c)
        return;
    for (uint32_t i = 0; i < c->n_kept; i++)
        ps_table_done(&c->kept[i].table);
    ps_workers_free(c->workers);
    free(c->seeds);
    free(c);
}

static bool same(const kept_table *k, ps_walk_opts w, bool khop)
{
    return k->khop == khop && k->walk.top == w.top &&
           (khop || (k->walk.n_walks == w.n_walks && k->walk.length == w.length));
}

int ps_corpus_table(ps_corpus *c, ps_walk_opts walk, bool khop, const ps_table **out,
                    const ps_progress *progress, ps_why *why)
{
    for (uint32_t i = 0; i < c->n_kept; i++)
        if (same(&c->kept[i], walk, khop)) {
            *out = &c->kept[i].table;
            return PS_OK;
        }
    if (c->n_kept == PS_TABLES)
        return ps_fail(why, PS_ERANGE, NULL, 0, "too many kinds of neighbours at once");
    kept_table *k = &c->kept[c->n_kept];
    ps_table_opts o = {
        .walk = walk, .khop = khop, .seeds = c->seeds, .stage = khop ? "k-hop" : "walks"};
    int err = ps_table_make(&k->table, c->graph, &o, c->workers, progress, why);
    if (err)
        return err;
    k->walk = walk;
    k->khop = khop;
    c->n_kept++;
    *out = &k->table;
    return PS_OK;
}
