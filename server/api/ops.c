/* ops.c - operations and their answers, written straight into the reply.
 *
 * Threads: see ops.h.
 */
#include "server/api/ops.h"

#include <stdlib.h>
#include <string.h>

#include "pinsage/clock.h"
#include "pinsage/layout.h"
#include "server/api/ops_inside.h"
#include "server/base/process.h"
#include "server/state/later.h"

/* ------------------------------ Pieces ------------------------------------- */

/* A scheme ("https:"), another host ("//"), or a path of this server ("/"). */
static bool is_absolute(ps_text image)
{
    for (size_t i = 0; i < image.len; i++) {
        char c = image.data[i];
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        if (i && c == ':')
            return true;
        if (!letter && (!i || !strchr("0123456789+-.", c)))
            return c == '/' && !i;
    }
    return false;
}

ps_text op_image(const ps_context *d, ps_text image, ps_buf *scratch)
{
    if (!d->state->images || !image.len || is_absolute(image))
        return image;
    ps_buf_clear(scratch);
    ps_buf_text(scratch, "/images/");
    ps_buf_percent(scratch, image.data, image.len);
    return scratch->failed ? image : (ps_text){scratch->data, scratch->size};
}

int op_image_name(const ps_context *d, ps_text *image, ps_arena *arena)
{
    ps_target t;
    if (!d->state->images || !image->data || image->len < 8 ||
        memcmp(image->data, "/images/", 8) != 0)
        return PS_OK;
    int err = ps_target_parse(&t, *image, arena, NULL);
    if (!err && t.n_segments == 2 && !t.n_params)
        *image = t.segment[1];
    return err == PS_ENOMEM ? err : PS_OK;
}

void op_refuse_pin(ps_context *d, ps_text pin, const ps_why *why, ps_reply *out)
{
    ps_text near[5];
    size_t n = ps_reader_suggest(d->reader, pin, near, 5);
    ps_failure f = {.code = PS_CODE_NOT_FOUND,
                    .near = {"pinsage.v1.NearPins", "pins", near, n}};
    if (!n) {
        ps_reply_error(out, f, "%s", why->text);
        return;
    }
    ps_buf list = {0};
    for (size_t i = 0; i < n; i++)
        ps_buf_printf(&list, "%s\"%.*s\"", i ? ", " : "", (int)near[i].len, near[i].data);
    ps_reply_error(out, f, "%s; near it %s %s", why->text, n > 1 ? "are" : "is",
                   list.failed ? "others" : list.data);
    ps_buf_done(&list);
}

/* ------------------------------ Related ------------------------------------ */

static int add_result(ps_context *d, ps_answer *a, ps_field f, ps_scored x,
                      ps_buf *scratch)
{
    ps_pin pin;
    int err = ps_reader_pin(d->reader, x.row, &pin);
    if (err)
        return err;
    size_t item = ps_item_begin(a, f);
    ps_add_text(a, PS_FIELD(1, "pin"), pin.id);
    ps_add_real(a, PS_FIELD(2, "score"), x.score, 6);
    ps_add_text(a, PS_FIELD(3, "title"), pin.title);
    ps_add_text(a, PS_FIELD(4, "image"), op_image(d, pin.image, scratch));
    ps_item_end(a, item);
    return PS_OK;
}

int op_add_results(ps_context *d, ps_answer *a, ps_field f, const ps_scored *result,
                   uint32_t n)
{
    ps_buf scratch = {0};
    int err = PS_OK;
    ps_reader_expect(d->reader, result, n);
    ps_list_begin(a, f);
    for (uint32_t i = 0; i < n && !err; i++)
        err = add_result(d, a, f, result[i], &scratch);
    ps_list_end(a);
    ps_buf_done(&scratch);
    return err;
}

void ps_op_write_related(ps_context *d, const ps_related *q, const ps_ranking *r,
                         uint64_t since, ps_reply *out)
{
    ps_answer a = ps_answer_begin(out);
    ps_add_text(&a, PS_FIELD(1, "pin"), q->pin);
    if (q->board.data)
        ps_add_text(&a, PS_FIELD(2, "board"), q->board);
    ps_add_name(&a, PS_FIELD(3, "method"), r->method);
    ps_add_name(&a, PS_FIELD(4, "source"), ps_source_name[r->source]);
    ps_add_name(&a, PS_FIELD(5, "generation"),
                ps_engine_generation(ps_reader_engine(d->reader))->name);
    int err = op_add_results(d, &a, PS_FIELD(6, "results"), r->result, r->n);
    if (r->degraded)
        ps_add_name(&a, PS_FIELD(7, "degraded"), ps_degradation_name[r->degraded]);
    if (!err && q->explain)
        err = op_add_explanation(d, &a, PS_FIELD(8, "explanation"), r->row, since);
    ps_answer_end(&a, out, err);
}

void ps_op_related(ps_context *d, const ps_request *r, const ps_related *q, ps_reply *out)
{
    ps_why why = {0};
    ps_ranking answer;
    ps_related question = *q;
    (void)r;
    uint64_t start = ps_now_ns();
    question.quick = !d->worker;
    int err = ps_reader_related(d->reader, &question, &answer, &why);
    if (!err && answer.later && ps_later(d, out))
        return;
    if (err) {
        uint32_t row;
        bool unknown =
            err == PS_ENOENT && ps_reader_find_pin(d->reader, q->pin, &row, NULL);
        if (unknown)
            op_refuse_pin(d, q->pin, &why, out);
        else
            ps_reply_failed(out, err, &why);
        return;
    }
    op_note_ranking(d, &answer, start, out);
    out->uncacheable =
        answer.degraded != PS_DEGRADED_FULL || q->explain; /* that tells ages */
    ps_op_write_related(d, q, &answer, start, out);
}

/* ------------------------------ Pins and boards ---------------------------- */

static int add_boards(ps_context *d, ps_answer *a, uint32_t row, const ps_get_pin *q)
{
    const ps_graph *graph = ps_reader_graph(d->reader);
    const ps_field boards = PS_FIELD(5, "boards");
    uint32_t n = ps_graph_degree(graph, PS_PINS, row);
    int err = PS_OK;
    ps_list_begin(a, boards);
    for (uint32_t i = q->offset; i < n && i - q->offset < q->limit && !err; i++) {
        ps_text name;
        err = ps_reader_board(d->reader, ps_graph_edge(graph, PS_PINS, row, i), &name);
        if (!err)
            ps_item_text(a, boards, name);
    }
    ps_list_end(a);
    ps_add_u64(a, PS_FIELD(6, "board_count"), n);
    return err;
}

static void add_metadata(ps_answer *a, const ps_pin *pin)
{
    const ps_field metadata = PS_FIELD(7, "metadata");
    size_t at = 0;
    ps_text name, value;
    ps_map_begin(a, metadata);
    while (ps_pin_meta(pin, &at, &name, &value))
        ps_pair_text(a, metadata, name, value);
    ps_map_end(a);
}

static int add_features(ps_context *d, ps_answer *a, uint32_t row, const ps_get_pin *q,
                        ps_arena *arena)
{
    const ps_field features = PS_FIELD(9, "features");
    ps_named_vector v;
    int err;
    ps_map_begin(a, features);
    for (uint32_t b = 0; !(err = ps_reader_block(d->reader, row, b, arena, &v)); b++)
        if (v.dim)
            ps_pair_floats(a, features, v.name, v.value, v.dim, q->plain);
    ps_map_end(a);
    return err == PS_ENOENT ? PS_OK : err;
}

static void write_pin(ps_context *d, const ps_request *r, const ps_get_pin *q,
                      uint32_t row, const ps_pin *pin, ps_reply *out)
{
    ps_buf scratch = {0};
    ps_text etag = op_etag(ps_reader_lsn(d->reader, row), r->arena);
    ps_answer a = ps_answer_begin(out);
    ps_add_text(&a, PS_FIELD(1, "pin"), pin->id);
    ps_add_text(&a, PS_FIELD(2, "title"), pin->title);
    ps_add_text(&a, PS_FIELD(3, "text"), pin->text);
    ps_add_text(&a, PS_FIELD(4, "image"), op_image(d, pin->image, &scratch));
    int err = add_boards(d, &a, row, q);
    add_metadata(&a, pin);
    ps_add_text(&a, PS_FIELD(8, "etag"), etag);
    if (q->features && !err)
        err = add_features(d, &a, row, q, r->arena);
    ps_answer_end(&a, out, err);
    out->etag = etag.data;
    ps_buf_done(&scratch);
}

void ps_op_get_pin(ps_context *d, const ps_request *r, const ps_get_pin *q, ps_reply *out)
{
    ps_why why = {0};
    uint32_t row;
    ps_pin pin;
    if (ps_reader_find_pin(d->reader, q->pin, &row, &why)) {
        op_refuse_pin(d, q->pin, &why, out);
        return;
    }
    int err = ps_reader_pin(d->reader, row, &pin);
    if (err)
        ps_reply_failed(out, err, NULL);
    else
        write_pin(d, r, q, row, &pin, out);
}

static int add_pin(ps_context *d, ps_answer *a, ps_field f, uint32_t row, ps_buf *scratch)
{
    ps_pin pin;
    int err = ps_reader_pin(d->reader, row, &pin);
    if (err)
        return err;
    size_t item = ps_item_begin(a, f);
    ps_add_text(a, PS_FIELD(1, "pin"), pin.id);
    ps_add_text(a, PS_FIELD(2, "title"), pin.title);
    ps_add_text(a, PS_FIELD(3, "image"), op_image(d, pin.image, scratch));
    ps_item_end(a, item);
    return PS_OK;
}

static int add_pins(ps_context *d, ps_answer *a, uint32_t board, const ps_get_board *q)
{
    const ps_graph *graph = ps_reader_graph(d->reader);
    const ps_field pins = PS_FIELD(3, "pins");
    uint32_t n = ps_graph_degree(graph, PS_BOARDS, board);
    ps_buf scratch = {0};
    int err = PS_OK;
    ps_add_u64(a, PS_FIELD(2, "count"), n);
    ps_list_begin(a, pins);
    for (uint32_t i = q->offset; i < n && i - q->offset < q->limit && !err; i++)
        err = add_pin(d, a, pins, ps_graph_edge(graph, PS_BOARDS, board, i), &scratch);
    ps_list_end(a);
    ps_buf_done(&scratch);
    return err;
}

void ps_op_get_board(ps_context *d, const ps_request *r, const ps_get_board *q,
                     ps_reply *out)
{
    ps_why why = {0};
    uint32_t board;
    (void)r;
    int err = ps_reader_find_board(d->reader, q->board, &board, &why);
    if (err) {
        ps_reply_failed(out, err, &why);
        return;
    }
    ps_answer a = ps_answer_begin(out);
    ps_add_text(&a, PS_FIELD(1, "board"), q->board);
    err = add_pins(d, &a, board, q);
    ps_answer_end(&a, out, err);
}

/* ------------------------------ Version ------------------------------------ */

static void add_element(ps_buf *b, unsigned i, ps_text text)
{
    if (i)
        ps_buf_char(b, ',');
    ps_buf_json(b, text.data, text.len);
}

static void add_methods(ps_buf *b, const ps_engine *e)
{
    const char *name;
    ps_buf_text(b, ",\"methods\":[");
    for (unsigned i = 0; (name = ps_engine_method(e, i)); i++)
        add_element(b, i, ps_text_of(name));
    ps_buf_text(b, "]");
}

static int add_sample(ps_context *d, ps_buf *b)
{
    const uint32_t *row;
    uint32_t n = ps_reader_sample(d->reader, &row);
    ps_buf_text(b, ",\"sample\":[");
    for (uint32_t i = 0; i < n; i++) {
        ps_pin pin;
        int err = ps_reader_pin(d->reader, row[i], &pin);
        if (err)
            return err;
        add_element(b, i, pin.id);
    }
    ps_buf_text(b, "]");
    return PS_OK;
}

void ps_op_version(ps_context *d, ps_reply *out)
{
    const ps_engine *e = ps_reader_engine(d->reader);
    const ps_generation *g = ps_engine_generation(e);
    ps_buf *b = &out->body;
    ps_buf_printf(b, "{\"version\":\"%s\",\"generation\":\"%s\"", ps_version(), g->name);
    ps_buf_printf(b, ",\"pins\":%u,\"boards\":%u,\"edges\":%llu", g->n_pins, g->n_boards,
                  (unsigned long long)g->graph.pin_boards.edges);
    char *index = ps_manifest_json(g->manifest, PS_KEY_INDEX);
    ps_buf_printf(b, ",\"index\":%s", index ? index : "{}");
    free(index);
    add_methods(b, e);
    int err = add_sample(d, b);
    ps_buf_char(b, '}');
    if (err || b->failed)
        ps_reply_failed(out, err ? err : PS_ENOMEM, NULL);
}
