/* ops.c - operations and their JSON, written straight into the reply.
 *
 * Threads: see ops.h.
 */
#include "server/ops.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/process.h"

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ------------------------------ Pieces ------------------------------------- */

static void add_text(ps_buf *b, const char *name, ps_text value)
{
    ps_buf_text(b, name);
    ps_buf_json(b, value.data, value.len);
}

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

/* Names of files below --images become addresses of this server. */
static void add_image(const ps_door *d, ps_buf *b, ps_text image)
{
    ps_buf_text(b, ",\"image\":");
    if (!d->state->images || !image.len || is_absolute(image)) {
        ps_buf_json(b, image.data, image.len);
        return;
    }
    ps_buf_text(b, "\"/images/");
    ps_buf_percent(b, image.data, image.len);
    ps_buf_char(b, '"');
}

static void finish(ps_reply *out, int err)
{
    if (err)
        ps_reply_failed(out, err, NULL);
    else if (out->body.failed)
        ps_reply_failed(out, PS_ENOMEM, NULL);
}

/* An unknown pin gets an error that names those near it. */
static void refuse_pin(ps_door *d, ps_text pin, const ps_why *why, ps_reply *out)
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

static int add_results(ps_door *d, ps_buf *b, const ps_ranking *a)
{
    for (uint32_t i = 0; i < a->n; i++) {
        ps_pin pin;
        int err = ps_reader_pin(d->reader, a->result[i].row, &pin);
        if (err)
            return err;
        add_text(b, i ? ",{\"pin\":" : "{\"pin\":", pin.id);
        ps_buf_text(b, ",\"score\":");
        ps_buf_real(b, (double)a->result[i].score, 6);
        add_text(b, ",\"title\":", pin.title);
        add_image(d, b, pin.image);
        ps_buf_char(b, '}');
    }
    return PS_OK;
}

static void write_related(ps_door *d, const ps_related *q, const ps_ranking *a,
                          ps_reply *out)
{
    ps_buf *b = &out->body;
    const char *generation = ps_engine_generation(ps_reader_engine(d->reader))->name;
    add_text(b, "{\"pin\":", q->pin);
    if (q->board.data)
        add_text(b, ",\"board\":", q->board);
    add_text(b, ",\"method\":", (ps_text){a->method, strlen(a->method)});
    ps_buf_printf(b, ",\"source\":\"%s\",\"generation\":\"%s\",\"results\":[",
                  ps_source_name[a->source], generation);
    int err = add_results(d, b, a);
    ps_buf_text(b, "]}");
    finish(out, err);
}

void ps_op_related(ps_door *d, const ps_related *q, ps_reply *out)
{
    ps_why why = {0};
    ps_ranking answer;
    uint64_t start = now_ns();
    int err = ps_reader_related(d->reader, q, &answer, &why);
    if (err) {
        uint32_t row;
        bool unknown =
            err == PS_ENOENT && ps_reader_find_pin(d->reader, q->pin, &row, NULL);
        if (unknown)
            refuse_pin(d, q->pin, &why, out);
        else
            ps_reply_failed(out, err, &why);
        return;
    }
    ps_hist_add(&d->stats->ranking, now_ns() - start);
    out->method = (uint8_t)ps_stats_method(d->stats, answer.method);
    out->source = (uint8_t)answer.source;
    write_related(d, q, &answer, out);
}

/* ------------------------------ Pins and boards ---------------------------- */

static int add_boards(ps_door *d, ps_buf *b, uint32_t row, const ps_get_pin *q)
{
    const ps_csr *m =
        &ps_engine_generation(ps_reader_engine(d->reader))->graph.pin_boards;
    uint32_t n = ps_csr_degree(m, row);
    const uint32_t *board = ps_csr_row(m, row);
    ps_buf_text(b, ",\"boards\":[");
    for (uint32_t i = q->offset; i < n && i - q->offset < q->limit; i++) {
        ps_text name;
        int err = ps_reader_board(d->reader, board[i], &name);
        if (err)
            return err;
        add_text(b, i > q->offset ? "," : "", name);
    }
    ps_buf_text(b, "],\"board_count\":");
    ps_buf_u64(b, n);
    return PS_OK;
}

static void add_metadata(ps_buf *b, const ps_pin *pin)
{
    size_t at = 0;
    ps_text name, value;
    ps_buf_text(b, ",\"metadata\":{");
    for (bool more = false; ps_pin_meta(pin, &at, &name, &value); more = true) {
        add_text(b, more ? "," : "", name);
        add_text(b, ":", value);
    }
    ps_buf_char(b, '}');
}

void ps_op_get_pin(ps_door *d, const ps_get_pin *q, ps_reply *out)
{
    ps_why why = {0};
    uint32_t row;
    ps_pin pin;
    ps_buf *b = &out->body;
    if (ps_reader_find_pin(d->reader, q->pin, &row, &why)) {
        refuse_pin(d, q->pin, &why, out);
        return;
    }
    int err = ps_reader_pin(d->reader, row, &pin);
    if (!err) {
        add_text(b, "{\"pin\":", pin.id);
        add_text(b, ",\"title\":", pin.title);
        add_text(b, ",\"text\":", pin.text);
        add_image(d, b, pin.image);
        err = add_boards(d, b, row, q);
        add_metadata(b, &pin);
        ps_buf_char(b, '}');
    }
    finish(out, err);
}

static int add_pins(ps_door *d, ps_buf *b, uint32_t board, const ps_get_board *q)
{
    const ps_csr *m =
        &ps_engine_generation(ps_reader_engine(d->reader))->graph.board_pins;
    uint32_t n = ps_csr_degree(m, board);
    const uint32_t *row = ps_csr_row(m, board);
    ps_buf_text(b, ",\"count\":");
    ps_buf_u64(b, n);
    ps_buf_text(b, ",\"pins\":[");
    for (uint32_t i = q->offset; i < n && i - q->offset < q->limit; i++) {
        ps_pin pin;
        int err = ps_reader_pin(d->reader, row[i], &pin);
        if (err)
            return err;
        add_text(b, i > q->offset ? ",{\"pin\":" : "{\"pin\":", pin.id);
        add_text(b, ",\"title\":", pin.title);
        add_image(d, b, pin.image);
        ps_buf_char(b, '}');
    }
    return PS_OK;
}

void ps_op_get_board(ps_door *d, const ps_get_board *q, ps_reply *out)
{
    ps_why why = {0};
    uint32_t board;
    int err = ps_reader_find_board(d->reader, q->board, &board, &why);
    if (err) {
        ps_reply_failed(out, err, &why);
        return;
    }
    add_text(&out->body, "{\"board\":", q->board);
    err = add_pins(d, &out->body, board, q);
    ps_buf_text(&out->body, "]}");
    finish(out, err);
}

/* ------------------------------ Version ------------------------------------ */

static void add_methods(ps_buf *b, const ps_engine *e)
{
    const char *name;
    for (unsigned i = 0; (name = ps_engine_method(e, i)); i++)
        add_text(b, i ? "," : ",\"methods\":[", (ps_text){name, strlen(name)});
    ps_buf_text(b, "]");
}

static int add_sample(ps_door *d, ps_buf *b)
{
    const uint32_t *row;
    uint32_t n = ps_engine_sample(ps_reader_engine(d->reader), &row);
    ps_buf_text(b, ",\"sample\":[");
    for (uint32_t i = 0; i < n; i++) {
        ps_pin pin;
        int err = ps_reader_pin(d->reader, row[i], &pin);
        if (err)
            return err;
        add_text(b, i ? "," : "", pin.id);
    }
    ps_buf_text(b, "]");
    return PS_OK;
}

void ps_op_version(ps_door *d, ps_reply *out)
{
    const ps_engine *e = ps_reader_engine(d->reader);
    const ps_generation *g = ps_engine_generation(e);
    ps_buf *b = &out->body;
    ps_buf_printf(b, "{\"version\":\"%s\",\"generation\":\"%s\"", ps_version(), g->name);
    ps_buf_printf(b, ",\"pins\":%u,\"boards\":%u,\"edges\":%llu", g->n_pins, g->n_boards,
                  (unsigned long long)g->graph.pin_boards.edges);
    char *index = ps_manifest_json(g->manifest, "index");
    ps_buf_printf(b, ",\"index\":%s", index ? index : "{}");
    free(index);
    add_methods(b, e);
    int err = add_sample(d, b);
    ps_buf_char(b, '}');
    finish(out, err);
}

/* ------------------------------ Not there yet ------------------------------ */

#define NOT_YET(name, question)                                                          \
    void ps_op_##name(ps_door *d, const question *q, ps_reply *out)                      \
    {                                                                                    \
        (void)d;                                                                         \
        (void)q;                                                                         \
        ps_reply_error(out, (ps_failure){.code = PS_CODE_UNIMPLEMENTED},                 \
                       "this server cannot do that yet");                                \
    }
NOT_YET(recommend, ps_recommend)
NOT_YET(embed, ps_embed_pin)
NOT_YET(put_pin, ps_put_pin)
NOT_YET(delete_pin, ps_delete_pin)
NOT_YET(save, ps_save)
NOT_YET(unsave, ps_save)
NOT_YET(vote, ps_vote)
