/* fuzz_target.c - request targets and header values: pieces are UTF-8 without NUL, and
 * encoded anew they are read the same. */
#include <string.h>

#include "pinsage/buf.h"
#include "server/message/request.h"
#include "tests/fuzz/fuzz.h"

const unsigned fuzz_rounds = 100000;

static void encode(ps_buf *b, const ps_target *t)
{
    for (size_t i = 0; i < t->n_segments; i++) {
        ps_buf_char(b, '/');
        ps_buf_percent(b, t->segment[i].data, t->segment[i].len);
    }
    for (size_t i = 0; i < t->n_params; i++) {
        ps_buf_char(b, i ? '&' : '?');
        ps_buf_percent(b, t->param[i].name.data, t->param[i].name.len);
        ps_buf_char(b, '=');
        ps_buf_percent(b, t->param[i].value.data, t->param[i].value.len);
    }
}

static void same(ps_text a, ps_text b)
{
    fuzz_must(a.len == b.len && (!a.len || memcmp(a.data, b.data, a.len) == 0));
    fuzz_must(ps_utf8_valid(a.data, a.len));
    fuzz_must(!a.len || !memchr(a.data, 0, a.len));
}

static void read_again(const ps_target *t, ps_arena *arena)
{
    ps_buf b = {0};
    ps_target again;
    encode(&b, t);
    fuzz_must(!ps_target_parse(&again, (ps_text){b.data, b.size}, arena, NULL));
    fuzz_must(again.n_segments == t->n_segments && again.n_params == t->n_params);
    for (size_t i = 0; i < t->n_segments; i++)
        same(t->segment[i], again.segment[i]);
    for (size_t i = 0; i < t->n_params; i++) {
        same(t->param[i].name, again.param[i].name);
        same(t->param[i].value, again.param[i].value);
    }
    ps_buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_arena arena = {0};
    ps_target target;
    ps_why why = {0};
    ps_text raw = {(const char *)data, size};
    int err = ps_target_parse(&target, raw, &arena, &why);
    fuzz_must(!err || why.text[0]);
    if (!err)
        read_again(&target, &arena);
    ps_header_names(raw, "gzip");
    ps_etag_matches(raw, "\"abc\"");
    for (ps_text rest = raw, piece; ps_text_cut(&rest, ',', &piece);)
        fuzz_touch(piece.data, piece.len);
    ps_arena_done(&arena);
    return 0;
}
