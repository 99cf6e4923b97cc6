/* ops_bulk.c - many pins in one request: a line a pin in, a line a pin out.
 *
 * Lines are read some hundred at a time by a worker and handed to the writer; while it
 * commits them the request holds no thread. A line that is no good is answered with why,
 * and hinders no other:
 *
 *     {"line":1,"pin":"a","created":true,"etag":"\"17\""}
 *     {"line":2,"code":"invalid_argument","message":"features.visual[3]: not a number"}
 *
 * Threads: see ops.h; on_line_done is the writer's.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "server/api/body.h"
#include "server/api/ops_inside.h"
#include "server/live/writer.h"
#include "server/state/later.h"

#define LINES 256 /* handed over at a time */

typedef struct bulk bulk;

typedef struct line {
    ps_write write;
    bulk *of;
    uint64_t number;
} line;

struct bulk {
    ps_text rest;   /* not read yet */
    uint64_t lines; /* read so far */
    uint32_t n;     /* of this turn */
    line line[LINES];
    atomic_uint left; /* of this turn, with the writer; + 1 while lines are handed over */
    ps_wait *wait;
    ps_arena arena; /* of this turn's lines */
    ps_buf out;     /* answers so far */
};

static void bulk_free(void *cls)
{
    bulk *b = cls;
    ps_arena_done(&b->arena);
    ps_buf_done(&b->out);
    free(b);
}

/* ------------------------------ Answers ------------------------------------ */

static void answer_line(bulk *b, const line *l)
{
    const ps_write *w = &l->write;
    ps_buf_printf(&b->out, "{\"line\":%llu", (unsigned long long)l->number);
    if (w->pin.len) {
        ps_buf_text(&b->out, ",\"pin\":");
        ps_buf_json(&b->out, w->pin.data, w->pin.len);
    }
    if (w->err) {
        ps_code code =
            w->err == PS_EBUSY ? PS_CODE_RESOURCE_EXHAUSTED : ps_code_of(w->err);
        ps_buf_printf(&b->out, ",\"code\":\"%s\",\"message\":", ps_code_name(code));
        const char *text = *w->why.text ? w->why.text : ps_strerror(w->err);
        ps_buf_json(&b->out, text, strlen(text));
    } else {
        ps_text etag = op_etag(w->lsn, &b->arena);
        ps_buf_printf(&b->out,
                      ",\"created\":%s,\"etag\":", w->changed ? "true" : "false");
        ps_buf_json(&b->out, etag.data, etag.len);
    }
    ps_buf_text(&b->out, "}\n");
}

static void answer_all(bulk *b, ps_reply *out)
{
    if (b->out.failed) {
        ps_reply_failed(out, PS_ENOMEM, NULL);
    } else {
        out->type = "application/x-ndjson";
        ps_buf_add(&out->body, b->out.data, b->out.size);
    }
}

/* ------------------------------ Lines -------------------------------------- */

static void on_line_done(ps_write *w)
{
    line *l = w->cls;
    if (atomic_fetch_sub(&l->of->left, 1) == 1)
        ps_wait_finish(l->of->wait);
}

static bool is_blank(ps_text t)
{
    for (size_t i = 0; i < t.len; i++)
        if (t.data[i] != ' ' && t.data[i] != '\t' && t.data[i] != '\r')
            return false;
    return true;
}

/* The next line with something in it; false at the end. */
static bool next_line(bulk *b, ps_text *text)
{
    while (b->rest.len) {
        const char *end = memchr(b->rest.data, '\n', b->rest.len);
        size_t len = end ? (size_t)(end - b->rest.data) : b->rest.len;
        *text = (ps_text){b->rest.data, len};
        b->rest.data += len + (end != NULL);
        b->rest.len -= len + (end != NULL);
        b->lines++;
        if (!is_blank(*text))
            return true;
    }
    return false;
}

static void read_line(ps_context *d, bulk *b, line *l, ps_text text)
{
    ps_put_pin q;
    ps_body body = {.bytes = text,
                    .dialect = PS_STRICT_JSON,
                    .k_max = d->state->opts->k_max,
                    .arena = &b->arena};
    *l = (line){.of = b,
                .number = b->lines,
                .write = {.kind = PS_WRITE_PUT, .done = on_line_done, .cls = l}};
    ps_write *w = &l->write;
    w->err =
        text.len > d->state->opts->body_bytes
            ? ps_fail(&w->why, PS_ERANGE, NULL, 0, "the line is longer than %llu bytes",
                      (unsigned long long)d->state->opts->body_bytes)
            : ps_body_put_pin(&body, &q, &w->why);
    if (!w->err)
        w->err = op_write_pin(d, &q, &b->arena, w, &w->why);
}

/* ------------------------------ Turns -------------------------------------- */

static void take_turn(ps_context *d, const ps_request *r, bulk *b, ps_reply *out);

/* On a loop once the writer is done with this turn's lines, then on a worker. */
static void after_turn(ps_context *d, const ps_request *r, ps_reply *out, void *cls)
{
    bulk *b = cls;
    if (ps_later(d, out))
        return;
    for (uint32_t i = 0; i < b->n; i++)
        answer_line(b, &b->line[i]);
    if (b->rest.len)
        take_turn(d, r, b, out);
    else
        answer_all(b, out);
}

static void take_turn(ps_context *d, const ps_request *r, bulk *b, ps_reply *out)
{
    ps_writer *writer = ps_engine_writes(ps_reader_engine(d->reader))->writer;
    ps_text text;
    (void)out;
    ps_arena_reset(&b->arena);
    b->n = 0;
    while (b->n < LINES && next_line(b, &text))
        read_line(d, b, &b->line[b->n++], text);
    atomic_store(&b->left, 1);
    b->wait = ps_wait_begin(r, after_turn, b);
    for (uint32_t i = 0; i < b->n; i++) {
        ps_write *w = &b->line[i].write;
        if (w->err)
            continue;
        atomic_fetch_add(&b->left, 1);
        int err = ps_writer_submit(writer, w);
        if (!err) /* it is the writer's, and may be done by now */
            continue;
        w->err = err;
        atomic_fetch_sub(&b->left, 1);
    }
    if (atomic_fetch_sub(&b->left, 1) == 1)
        ps_wait_finish(b->wait);
}

void ps_op_put_pins(ps_context *d, const ps_request *r, ps_reply *out)
{
    if (ps_later(d, out))
        return;
    if (!ps_engine_writes(ps_reader_engine(d->reader))) {
        op_refuse_writes(out);
        return;
    }
    bulk *b = calloc(1, sizeof *b);
    if (!b) {
        ps_reply_failed(out, PS_ENOMEM, NULL);
        return;
    }
    ps_wait_end(r, bulk_free, b);
    b->rest = r->body;
    take_turn(d, r, b, out);
}
