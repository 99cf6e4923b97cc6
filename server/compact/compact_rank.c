/* compact_rank.c - words of all pins anew, and pairs under their new numbers.
 *
 * Text is read from the pins.mdb that was just written, so that a pin that was posted is
 * found by its words like any other. Pairs of a pin that is gone go with it.
 *
 * Threads: see compact.h.
 */
#include "pinsage/inverted.h"
#include "pinsage/pair_graph.h"
#include "server/compact/compact_inside.h"

int compact_text(compaction *f)
{
    return ps_inverted_has(f->g) ? ps_inverted_make(f->draft, f->why) : PS_OK;
}

/* Each pair once, as often as it counts. */
static int renumber(const compaction *f, const ps_pair_graph *g, ps_pairs *out)
{
    size_t room = 0;
    int err = PS_OK;
    for (uint32_t r = 0; r < g->csr.rows; r++)
        for (uint64_t i = g->csr.indptr[r]; i < g->csr.indptr[r + 1] && !err; i++) {
            uint32_t other = g->csr.indices[i];
            if (other <= r || other >= g->csr.rows || f->pin[r] == PS_NO_ROW ||
                f->pin[other] == PS_NO_ROW)
                continue;
            for (float times = 0; times < g->weight[i] && !err; times++)
                err = ps_pairs_add(out, &room, f->pin[r], f->pin[other]);
        }
    return err;
}

int compact_pairs(compaction *f)
{
    ps_pair_graph old, new = {0};
    ps_pairs pairs = {0};
    int err = ps_pair_graph_open(&old, f->g, f->why);
    if (err || !old.csr.edges) {
        ps_pair_graph_done(&old);
        return err;
    }
    err = renumber(f, &old, &pairs);
    if (!err)
        err = ps_pair_graph_make(&new, f->report->pins, &pairs);
    if (err)
        err = ps_fail(f->why, err, f->g->dir, 0, "no memory to renumber pairs");
    else
        err = ps_pair_graph_write(&new, f->draft, f->why);
    ps_pair_graph_done(&old);
    ps_pair_graph_done(&new);
    ps_pairs_free(&pairs);
    return err;
}
