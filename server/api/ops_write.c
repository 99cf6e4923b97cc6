/* ops_write.c - operations that change something: handed to the writer, answered when it
 * is done.
 *
 * The request waits (later.h) while its write is in a group; nothing is copied, for texts
 * and vectors stay in the request's arena until then.
 *
 *     ps_op_put_pin -> ps_writer_submit ... on_done (the writer's thread) -> answer_put
 *
 * Threads: see ops.h; on_done is the writer's.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "server/api/ops_inside.h"
#include "server/live/writer.h"
#include "server/state/later.h"

typedef struct pending {
    ps_write write;
    ps_wait *wait;
} pending;

static void on_done(ps_write *w)
{
    pending *p = w->cls;
    ps_wait_finish(p->wait);
}

/* ------------------------------ Submitting --------------------------------- */

static const ps_writes *writes_of(const ps_context *d)
{
    return ps_engine_writes(ps_reader_engine(d->reader));
}

static void refuse_full(ps_reply *out)
{
    ps_reply_error(out, (ps_failure){.code = PS_CODE_RESOURCE_EXHAUSTED},
                   "too many writes are waiting");
    ps_reply_header(out, "Retry-After", "1");
}

void op_refuse_writes(ps_reply *out)
{
    ps_reply_error(out, (ps_failure){.code = PS_CODE_PERMISSION_DENIED},
                   "this server takes no writes");
}

static pending *pending_new(ps_context *d, const ps_request *r, ps_write write,
                            ps_reply *out)
{
    pending *p = ps_arena_alloc(r->arena, sizeof *p);
    if (!writes_of(d)) {
        op_refuse_writes(out);
        return NULL;
    }
    if (!p) {
        ps_reply_failed(out, PS_ENOMEM, NULL);
        return NULL;
    }
    *p = (pending){.write = write};
    p->write.done = on_done;
    p->write.cls = p;
    return p;
}

/* then: makes the answer from the pending write. */
static void submit(ps_context *d, const ps_request *r, ps_write write, ps_then then,
                   ps_reply *out)
{
    pending *p = pending_new(d, r, write, out);
    if (!p)
        return;
    p->wait = ps_wait_begin(r, then, p);
    int err = ps_writer_submit(writes_of(d)->writer, &p->write);
    if (!err)
        return;
    p->write.err = err;
    ps_wait_finish(p->wait);
}

/* ------------------------------ Answers ------------------------------------ */

/* What an ETag says: "123" of a pin that was written, "g7" of one as the generation with
 * identity 7 has it;
 * also with W/ in front, or without quotes. False for anything else. */
static bool parse_etag(ps_text t, uint64_t *lsn)
{
    if (t.len > 2 && memcmp(t.data, "W/", 2) == 0)
        t = (ps_text){t.data + 2, t.len - 2};
    if (t.len >= 2 && t.data[0] == '"' && t.data[t.len - 1] == '"')
        t = (ps_text){t.data + 1, t.len - 2};
    bool stored = t.len > 0 && *t.data == 'g';
    if (stored)
        t = (ps_text){t.data + 1, t.len - 1};
    if (!ps_text_number(t, lsn))
        return false;
    *lsn |= stored ? PS_STORED_IN : 0;
    return true;
}

int op_write_match(ps_text if_match, ps_write *w, ps_why *why)
{
    if (!if_match.data || !if_match.len)
        return PS_OK;
    w->match = ps_text_is(if_match, "*") ? PS_MATCH_THERE : PS_MATCH_LSN;
    if (w->match == PS_MATCH_THERE || parse_etag(if_match, &w->match_lsn))
        return PS_OK;
    return ps_fail(why, PS_EINVAL, NULL, 0,
                   "if_match: neither an ETag of ours nor \"*\"");
}

ps_text op_etag(uint64_t lsn, ps_arena *arena)
{
    char text[32];
    int n = snprintf(text, sizeof text, "\"%s%" PRIu64 "\"",
                     lsn & PS_STORED_IN ? "g" : "", lsn & ~PS_STORED_IN);
    const char *kept = ps_arena_copy(arena, text, (size_t)n);
    return kept ? (ps_text){kept, (size_t)n} : (ps_text){"\"\"", 2};
}

/* True after making out an error when nothing was written. */
static bool failed(ps_context *d, const ps_write *w, ps_reply *out)
{
    if (!w->err)
        return false;
    if (w->err == PS_EBUSY) {
        refuse_full(out);
    } else if (w->err == PS_ENOENT) {
        ps_reader_begin(d->reader); /* a wait has ended the one of the request */
        op_refuse_pin(d, w->pin, &w->why, out);
        ps_reader_end(d->reader);
    } else if (w->err == PS_EMISMATCH) {
        ps_reply_error(out,
                       (ps_failure){.code = PS_CODE_FAILED_PRECONDITION, .status = 412},
                       "%s", w->why.text);
    } else if (w->err == PS_EFULL || w->err == PS_EIO) {
        ps_reply_error(out,
                       (ps_failure){.code = PS_CODE_RESOURCE_EXHAUSTED, .status = 503},
                       "not written: %s", w->why.text);
        ps_reply_header(out, "Retry-After", "5");
    } else {
        ps_reply_failed(out, w->err, &w->why);
    }
    return true;
}

static void answer_put(ps_context *d, const ps_request *r, ps_reply *out, void *cls)
{
    const ps_write *w = &((pending *)cls)->write;
    if (failed(d, w, out))
        return;
    ps_text etag = op_etag(w->lsn, r->arena);
    ps_answer a = ps_answer_begin(out);
    ps_add_text(&a, PS_FIELD(1, "pin"), w->pin);
    ps_add_bool(&a, PS_FIELD(2, "created"), w->changed);
    ps_add_text(&a, PS_FIELD(3, "etag"), etag);
    ps_answer_end(&a, out, PS_OK);
    ps_reply_header(out, "ETag", etag.data);
}

static void answer_patch(ps_context *d, const ps_request *r, ps_reply *out, void *cls)
{
    const ps_write *w = &((pending *)cls)->write;
    if (failed(d, w, out))
        return;
    ps_text etag = op_etag(w->lsn, r->arena);
    ps_answer a = ps_answer_begin(out);
    ps_add_text(&a, PS_FIELD(1, "pin"), w->pin);
    ps_add_text(&a, PS_FIELD(2, "etag"), etag);
    ps_answer_end(&a, out, PS_OK);
    ps_reply_header(out, "ETag", etag.data);
}

static void answer_delete(ps_context *d, const ps_request *r, ps_reply *out, void *cls)
{
    const ps_write *w = &((pending *)cls)->write;
    (void)r;
    if (failed(d, w, out))
        return;
    ps_answer a = ps_answer_begin(out);
    ps_add_text(&a, PS_FIELD(1, "pin"), w->pin);
    ps_answer_end(&a, out, PS_OK);
}

static void answer_board(ps_context *d, const ps_request *r, ps_reply *out, void *cls)
{
    const ps_write *w = &((pending *)cls)->write;
    (void)r;
    if (failed(d, w, out))
        return;
    ps_answer a = ps_answer_begin(out);
    ps_add_text(&a, PS_FIELD(1, "board"), w->board);
    ps_add_text(&a, PS_FIELD(2, "pin"), w->pin);
    ps_add_bool(&a, PS_FIELD(3, "changed"), w->changed);
    ps_answer_end(&a, out, PS_OK);
}

static void answer_vote(ps_context *d, const ps_request *r, ps_reply *out, void *cls)
{
    const ps_write *w = &((pending *)cls)->write;
    (void)r;
    if (failed(d, w, out))
        return;
    ps_answer a = ps_answer_begin(out);
    ps_add_u64(&a, PS_FIELD(1, "votes"), w->votes);
    ps_answer_end(&a, out, PS_OK);
}

/* ------------------------------ Operations --------------------------------- */

int op_write_pin(ps_context *d, const ps_put_pin *q, ps_arena *arena, ps_write *w,
                 ps_why *why)
{
    w->pin = q->pin;
    w->content = q->content;
    w->features = q->features;
    w->metadata = q->metadata;
    w->boards = q->boards;
    int err = ps_engine_check(ps_reader_engine(d->reader), &q->content, why);
    if (!err)
        err = op_image_name(d, &w->content.image, arena);
    return err ? err : op_write_match(q->if_match, w, why);
}

static void write_pin(ps_context *d, const ps_request *r, const ps_put_pin *q,
                      ps_write_kind kind, ps_then then, ps_reply *out)
{
    ps_why why = {0};
    ps_write w = {.kind = kind};
    int err = op_write_pin(d, q, r->arena, &w, &why);
    if (err)
        ps_reply_failed(out, err, &why);
    else
        submit(d, r, w, then, out);
}

void ps_op_put_pin(ps_context *d, const ps_request *r, const ps_put_pin *q, ps_reply *out)
{
    write_pin(d, r, q, PS_WRITE_PUT, answer_put, out);
}

void ps_op_patch_pin(ps_context *d, const ps_request *r, const ps_put_pin *q,
                     ps_reply *out)
{
    write_pin(d, r, q, PS_WRITE_PATCH, answer_patch, out);
}

void ps_op_delete_pin(ps_context *d, const ps_request *r, const ps_delete_pin *q,
                      ps_reply *out)
{
    ps_why why = {0};
    ps_write w = {.kind = PS_WRITE_DELETE, .pin = q->pin};
    int err = op_write_match(q->if_match, &w, &why);
    if (err)
        ps_reply_failed(out, err, &why);
    else
        submit(d, r, w, answer_delete, out);
}

void ps_op_save(ps_context *d, const ps_request *r, const ps_save *q, ps_reply *out)
{
    ps_write w = {.kind = PS_WRITE_SAVE, .pin = q->pin, .board = q->board};
    submit(d, r, w, answer_board, out);
}

void ps_op_unsave(ps_context *d, const ps_request *r, const ps_save *q, ps_reply *out)
{
    ps_write w = {.kind = PS_WRITE_UNSAVE, .pin = q->pin, .board = q->board};
    submit(d, r, w, answer_board, out);
}

/* The votes file is for people and programs: one JSON object each. */
static ps_text vote_json(const ps_vote *q, ps_arena *arena)
{
    static const char *const winner[] = {"left", "right", "draw"};
    ps_buf b = {0};
    ps_buf_text(&b, "{\"query\":");
    ps_buf_json(&b, q->query.data, q->query.len);
    const ps_candidate *const side[] = {&q->left, &q->right};
    for (int i = 0; i < 2; i++) {
        ps_buf_printf(&b, ",\"%s\":{\"method\":", winner[i]);
        ps_buf_json(&b, side[i]->method.data, side[i]->method.len);
        ps_buf_text(&b, ",\"pin\":");
        ps_buf_json(&b, side[i]->pin.data, side[i]->pin.len);
        ps_buf_char(&b, '}');
    }
    ps_buf_printf(&b, ",\"winner\":\"%s\",\"voter\":", winner[q->winner]);
    ps_buf_json(&b, q->voter.data, q->voter.len);
    ps_buf_char(&b, '}');
    char *kept = b.failed ? NULL : ps_arena_copy(arena, b.data, b.size);
    ps_text json = {kept, kept ? b.size : 0};
    ps_buf_done(&b);
    return json;
}

void ps_op_vote(ps_context *d, const ps_request *r, const ps_vote *q, ps_reply *out)
{
    ps_write w = {.kind = PS_WRITE_VOTE, .json = vote_json(q, r->arena)};
    if (w.json.data)
        submit(d, r, w, answer_vote, out);
    else
        ps_reply_failed(out, PS_ENOMEM, NULL);
}
