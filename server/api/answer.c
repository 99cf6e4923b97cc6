/* answer.c - the two dialects of an answer.
 *
 * Protobuf puts a message's length before it, which is known only afterwards: one byte is
 * left free for it, and what follows moves up when it needs more.
 *
 * Threads: see answer.h.
 */
#include "server/api/answer.h"

#include <string.h>

enum { VARINT = 0, EIGHT_BYTES = 1, BYTES = 2, FOUR_BYTES = 5 };

/* ------------------------------ JSON --------------------------------------- */

static void comma(ps_answer *a)
{
    if (a->more)
        ps_buf_char(a->out, ',');
    a->more = true;
}

static void key(ps_answer *a, ps_field f)
{
    unsigned skip = !a->more; /* the comma */
    ps_buf_add(a->out, f.key + skip, f.len - skip);
    a->more = true;
}

static void json_open(ps_answer *a, char bracket)
{
    ps_buf_char(a->out, bracket);
    a->more = false;
}

static void json_close(ps_answer *a, char bracket)
{
    ps_buf_char(a->out, bracket);
    a->more = true;
}

/* ------------------------------ Protobuf ----------------------------------- */

static void tag(ps_answer *a, ps_field f, unsigned kind)
{
    ps_buf_varint(a->out, f.number << 3 | kind);
}

static void bytes(ps_answer *a, ps_field f, ps_text value)
{
    tag(a, f, BYTES);
    ps_buf_varint(a->out, value.len);
    ps_buf_add(a->out, value.data, value.len);
}

/* Least significant byte first, on any machine. */
static void fixed(ps_buf *b, uint64_t bits, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        ps_buf_char(b, (char)(bits >> 8 * i));
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void fixed_double(ps_answer *a, ps_field f, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    tag(a, f, EIGHT_BYTES);
    fixed(a->out, bits, 8);
}

static size_t open(ps_answer *a, ps_field f)
{
    tag(a, f, BYTES);
    ps_buf_char(a->out, 0);
    return a->out->size;
}

static void close(ps_answer *a, size_t mark)
{
    ps_buf *b = a->out;
    if (b->failed)
        return;
    uint64_t len = b->size - mark;
    unsigned n = 1;
    for (uint64_t rest = len >> 7; rest; rest >>= 7)
        n++;
    ps_buf_add(b, "\0\0\0\0\0\0\0\0\0", n - 1);
    if (b->failed)
        return;
    if (n > 1)
        memmove(b->data + mark + n - 1, b->data + mark, len);
    for (unsigned i = 0; i < n; i++, len >>= 7)
        b->data[mark - 1 + i] = (char)((len & 0x7f) | (i + 1 < n ? 0x80 : 0));
}

/* ------------------------------ Scalars ------------------------------------ */

void ps_add_text(ps_answer *a, ps_field f, ps_text value)
{
    if (!a->binary) {
        key(a, f);
        ps_buf_json(a->out, value.data, value.len);
    } else if (value.len) {
        bytes(a, f, value);
    }
}

void ps_add_name(ps_answer *a, ps_field f, const char *value)
{
    ps_add_text(a, f, ps_text_of(value));
}

void ps_add_u64(ps_answer *a, ps_field f, uint64_t value)
{
    if (!a->binary) {
        key(a, f);
        ps_buf_u64(a->out, value);
    } else if (value) {
        tag(a, f, VARINT);
        ps_buf_varint(a->out, value);
    }
}

void ps_add_bool(ps_answer *a, ps_field f, bool value)
{
    if (!a->binary) {
        key(a, f);
        ps_buf_text(a->out, value ? "true" : "false");
    } else if (value) {
        tag(a, f, VARINT);
        ps_buf_char(a->out, 1);
    }
}

void ps_add_enum(ps_answer *a, ps_field f, unsigned value, const char *name)
{
    if (a->binary)
        ps_add_u64(a, f, value);
    else
        ps_add_name(a, f, name);
}

void ps_add_real(ps_answer *a, ps_field f, float value, int digits)
{
    if (!a->binary) {
        key(a, f);
        ps_buf_real(a->out, (double)value, digits);
    } else if (bits_of(value)) {
        tag(a, f, FOUR_BYTES);
        fixed(a->out, bits_of(value), 4);
    }
}

void ps_add_double(ps_answer *a, ps_field f, double value, int digits)
{
    if (!a->binary) {
        key(a, f);
        ps_buf_real(a->out, value, digits);
    } else if (value != 0) {
        fixed_double(a, f, value);
    }
}

/* In JSON, with all digits. */
static void add_list(ps_answer *a, const float *v, size_t n)
{
    json_open(a, '[');
    for (size_t i = 0; i < n; i++) {
        comma(a);
        ps_buf_real(a->out, (double)v[i], 9);
    }
    json_close(a, ']');
}

void ps_add_floats(ps_answer *a, ps_field f, const float *v, size_t n)
{
    if (!a->binary) {
        key(a, f);
        add_list(a, v, n);
    } else if (n) {
        tag(a, f, BYTES);
        ps_buf_varint(a->out, 4 * n);
        for (size_t i = 0; i < n; i++)
            fixed(a->out, bits_of(v[i]), 4);
    }
}

/* ------------------------------ Messages, lists, maps ---------------------- */

size_t ps_message_begin(ps_answer *a, ps_field f)
{
    if (a->binary)
        return open(a, f);
    key(a, f);
    json_open(a, '{');
    return 0;
}

void ps_message_end(ps_answer *a, size_t mark)
{
    if (a->binary)
        close(a, mark);
    else
        json_close(a, '}');
}

void ps_list_begin(ps_answer *a, ps_field f)
{
    if (a->binary)
        return;
    key(a, f);
    json_open(a, '[');
}

size_t ps_item_begin(ps_answer *a, ps_field f)
{
    if (a->binary)
        return open(a, f);
    comma(a);
    json_open(a, '{');
    return 0;
}

void ps_item_end(ps_answer *a, size_t mark)
{
    ps_message_end(a, mark);
}

void ps_item_text(ps_answer *a, ps_field f, ps_text value)
{
    if (a->binary) {
        bytes(a, f, value);
        return;
    }
    comma(a);
    ps_buf_json(a->out, value.data, value.len);
}

void ps_list_end(ps_answer *a)
{
    if (!a->binary)
        json_close(a, ']');
}

void ps_map_begin(ps_answer *a, ps_field f)
{
    if (a->binary)
        return;
    key(a, f);
    json_open(a, '{');
}

/* The pair's name; in protobuf it is the first field of a message. */
static size_t pair_begin(ps_answer *a, ps_field f, ps_text name)
{
    size_t mark = 0;
    if (a->binary) {
        mark = open(a, f);
        ps_add_text(a, PS_FIELD(1, "key"), name);
        return mark;
    }
    comma(a);
    ps_buf_json(a->out, name.data, name.len);
    ps_buf_char(a->out, ':');
    return mark;
}

void ps_pair_text(ps_answer *a, ps_field f, ps_text name, ps_text value)
{
    size_t mark = pair_begin(a, f, name);
    if (!a->binary) {
        ps_buf_json(a->out, value.data, value.len);
        return;
    }
    ps_add_text(a, PS_FIELD(2, "value"), value);
    close(a, mark);
}

void ps_pair_double(ps_answer *a, ps_field f, ps_text name, double value, int digits)
{
    size_t mark = pair_begin(a, f, name);
    if (!a->binary) {
        ps_buf_real(a->out, value, digits);
        return;
    }
    ps_add_double(a, PS_FIELD(2, "value"), value, digits);
    close(a, mark);
}

void ps_pair_floats(ps_answer *a, ps_field f, ps_text name, const float *v, size_t n,
                    bool plain)
{
    const ps_field values = PS_FIELD(1, "values");
    size_t mark = pair_begin(a, f, name);
    if (a->binary) {
        size_t vector = open(a, PS_FIELD(2, "value"));
        ps_add_floats(a, values, v, n);
        close(a, vector);
        close(a, mark);
    } else if (plain) {
        add_list(a, v, n);
    } else {
        json_open(a, '{');
        ps_add_floats(a, values, v, n);
        json_close(a, '}');
    }
}

void ps_map_end(ps_answer *a)
{
    if (!a->binary)
        json_close(a, '}');
}

/* ------------------------------ The whole ---------------------------------- */

ps_answer ps_answer_begin(ps_reply *out)
{
    ps_answer a = {.out = &out->body, .binary = out->binary};
    if (!a.binary)
        json_open(&a, '{');
    return a;
}

void ps_answer_end(ps_answer *a, ps_reply *out, int err)
{
    if (!a->binary)
        json_close(a, '}');
    if (err || a->out->failed)
        ps_reply_failed(out, err ? err : PS_ENOMEM, NULL);
    else if (a->binary)
        out->type = "application/proto";
}
