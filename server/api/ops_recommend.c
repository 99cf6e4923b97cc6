/* ops_recommend.c - rankings for what is no stored pin: examples and unstored pins; and
 * why.
 *
 * Threads: see ops.h.
 */
#include <string.h>

#include "pinsage/clock.h"
#include "pinsage/layout.h"
#include "server/api/ops_inside.h"
#include "server/state/recall.h"

#define SHARED_MAX 10

/* ------------------------------ Pieces ------------------------------------- */

static const char *generation_of(const ps_context *d)
{
    return ps_engine_generation(ps_reader_engine(d->reader))->name;
}

void op_note_ranking(ps_context *d, const ps_ranking *r, uint64_t since, ps_reply *out)
{
    ps_hist_add(&d->stats->ranking, ps_now_ns() - since);
    out->method = (uint8_t)ps_stats_method(d->stats, r->method);
    out->source = (uint8_t)r->source;
    ps_count_add(&d->stats->degraded[r->degraded], r->degraded != PS_DEGRADED_FULL);
    if (r->row != PS_NO_ROW)
        ps_recall_offer(d->state->recall, r->row);
}

/* ------------------------------ Why ---------------------------------------- */

static int add_shared(ps_context *d, ps_answer *a, uint32_t row, uint32_t neighbour)
{
    const ps_field boards = PS_FIELD(3, "boards");
    uint32_t board[SHARED_MAX];
    uint32_t n = ps_reader_shared(d->reader, row, neighbour, board, SHARED_MAX);
    int err = PS_OK;
    ps_list_begin(a, boards);
    for (uint32_t i = 0; i < n && !err; i++) {
        ps_text name;
        err = ps_reader_board(d->reader, board[i], &name);
        if (!err)
            ps_item_text(a, boards, name);
    }
    ps_list_end(a);
    return err;
}

static int add_neighbours(ps_context *d, ps_answer *a, uint32_t row,
                          const ps_explained *why)
{
    const ps_field neighbours = PS_FIELD(1, "neighbours");
    int err = PS_OK;
    ps_list_begin(a, neighbours);
    for (uint32_t i = 0; i < why->n && !err; i++) {
        ps_pin pin;
        err = ps_reader_pin(d->reader, why->neighbour[i], &pin);
        if (err)
            break;
        size_t item = ps_item_begin(a, neighbours);
        ps_add_text(a, PS_FIELD(1, "pin"), pin.id);
        ps_add_real(a, PS_FIELD(2, "weight"), why->weight[i], 6);
        if (row != PS_NO_ROW)
            err = add_shared(d, a, row, why->neighbour[i]);
        ps_item_end(a, item);
    }
    ps_list_end(a);
    return err;
}

static void add_spent(ps_context *d, ps_answer *a, uint64_t since)
{
    const ps_field spent = PS_FIELD(5, "milliseconds");
    ps_stages_spent s = ps_reader_spent(d->reader);
    const struct {
        const char *name;
        double seconds;
    } stage[] = {{"walk", s.walk},
                 {"embed", s.embed},
                 {"search", s.search},
                 {"total", (double)(ps_now_ns() - since) * 1e-9}};
    ps_map_begin(a, spent);
    for (size_t i = 0; i < sizeof stage / sizeof *stage; i++)
        if (stage[i].seconds > 0)
            ps_pair_double(a, spent, ps_text_of(stage[i].name), stage[i].seconds * 1e3,
                           4);
    ps_map_end(a);
}

int op_add_explanation(ps_context *d, ps_answer *a, ps_field f, uint32_t row,
                       uint64_t since)
{
    ps_why words = {0};
    ps_explained why = {0};
    const ps_generation *g = ps_engine_generation(ps_reader_engine(d->reader));
    int err = ps_reader_explain(d->reader, row, &why, &words);
    if (err)
        return err;
    size_t mark = ps_message_begin(a, f);
    err = add_neighbours(d, a, row, &why);
    ps_add_double(a, PS_FIELD(2, "vector_age_seconds"), why.age, 9);
    ps_add_bool(a, PS_FIELD(3, "stale"), why.stale);
    ps_add_name(a, PS_FIELD(4, "model"),
                ps_manifest_text(g->manifest, PS_KEY_EMBEDDINGS_MODEL, ""));
    add_spent(d, a, since);
    ps_message_end(a, mark);
    return err;
}

/* ------------------------------ Recommend ---------------------------------- */

static void write_recommend(ps_context *d, const ps_recommend *q, const ps_recommended *t,
                            uint64_t since, ps_reply *out)
{
    const ps_field missing = PS_FIELD(5, "missing");
    const ps_ranking *r = &t->ranking;
    ps_answer a = ps_answer_begin(out);
    ps_add_name(&a, PS_FIELD(1, "method"), r->method);
    ps_add_name(&a, PS_FIELD(2, "source"), ps_source_name[r->source]);
    ps_add_name(&a, PS_FIELD(3, "generation"), generation_of(d));
    int err = op_add_results(d, &a, PS_FIELD(4, "results"), r->result, r->n);
    ps_list_begin(&a, missing);
    for (uint32_t i = 0; i < t->n_missing; i++)
        ps_item_text(&a, missing, t->missing[i]);
    ps_list_end(&a);
    if (r->degraded)
        ps_add_name(&a, PS_FIELD(6, "degraded"), ps_degradation_name[r->degraded]);
    if (!err && q->explain)
        err = op_add_explanation(d, &a, PS_FIELD(7, "explanation"), PS_NO_ROW, since);
    ps_answer_end(&a, out, err);
}

void ps_op_recommend(ps_context *d, const ps_request *r, const ps_recommend *q,
                     ps_reply *out)
{
    ps_why why = {0};
    uint64_t since = ps_now_ns();
    ps_recommended recommended = {
        .missing =
            ps_arena_alloc(r->arena, PS_EXAMPLES_MAX * sizeof *recommended.missing)};
    int err = recommended.missing ? ps_reader_recommend(d->reader, q, &recommended, &why)
                                  : PS_ENOMEM;
    if (err) {
        ps_reply_failed(out, err, &why);
        return;
    }
    op_note_ranking(d, &recommended.ranking, since, out);
    write_recommend(d, q, &recommended, since, out);
}

/* ------------------------------ Embed -------------------------------------- */

static void write_embed(ps_context *d, const ps_embed_pin *q, const ps_embedded *e,
                        uint64_t since, ps_reply *out)
{
    const ps_ranking *r = &e->ranking;
    ps_answer a = ps_answer_begin(out);
    ps_add_floats(&a, PS_FIELD(1, "vector"), e->vector, e->dim);
    ps_add_name(&a, PS_FIELD(2, "method"), r->method);
    ps_add_name(&a, PS_FIELD(3, "source"), ps_source_name[r->source]);
    ps_add_name(&a, PS_FIELD(4, "generation"), generation_of(d));
    int err = op_add_results(d, &a, PS_FIELD(5, "results"), r->result, r->n);
    if (r->degraded)
        ps_add_name(&a, PS_FIELD(6, "degraded"), ps_degradation_name[r->degraded]);
    if (!err && q->explain)
        err = op_add_explanation(d, &a, PS_FIELD(7, "explanation"), PS_NO_ROW, since);
    ps_answer_end(&a, out, err);
}

void ps_op_embed(ps_context *d, const ps_request *r, const ps_embed_pin *q, ps_reply *out)
{
    ps_why why = {0};
    ps_embedded e;
    uint64_t since = ps_now_ns();
    (void)r;
    int err = ps_reader_embed(d->reader, q, &e, &why);
    if (err) {
        ps_reply_failed(out, err, &why);
        return;
    }
    op_note_ranking(d, &e.ranking, since, out);
    write_embed(d, q, &e, since, out);
}
