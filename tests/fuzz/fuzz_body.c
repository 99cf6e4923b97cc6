/* fuzz_body.c - bodies of all messages in all dialects: what passes is in the ranges that
 * questions.h tells, what does not is refused in words.
 *
 * The first byte says which: message times three plus dialect.
 */
#include <math.h>
#include <string.h>

#include "pinsage/buf.h"
#include "server/api/body.h"
#include "tests/fuzz/fuzz.h"

const unsigned fuzz_rounds = 100000;

#define K_MAX 500

/* ------------------------------ Promises ----------------------------------- */

static void text(ps_text t)
{
    fuzz_must(ps_utf8_valid(t.data, t.len));
    fuzz_must(!t.len || !memchr(t.data, 0, t.len));
}

static void id(ps_text t)
{
    text(t);
    fuzz_must(t.len >= 1 && t.len <= PS_ID_MAX);
}

static void texts(const ps_text *list, uint32_t n, uint32_t max, void (*check)(ps_text))
{
    fuzz_must(n <= max);
    for (uint32_t i = 0; i < n; i++)
        check(list[i]);
}

static void vector(const float *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        fuzz_must(isfinite(v[i]));
}

static void content(const ps_content *c)
{
    text(c->title);
    text(c->text);
    text(c->image);
    fuzz_must(c->n_features <= PS_VECTORS_MAX);
    for (uint32_t i = 0; i < c->n_features; i++) {
        text(c->feature[i].name);
        fuzz_must(c->feature[i].name.len && c->feature[i].dim);
        vector(c->feature[i].value, c->feature[i].dim);
    }
    texts(c->board, c->n_boards, PS_BOARDS_MAX, id);
}

static void examples(const ps_example *e, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        fuzz_must(!e[i].pin.data == (e[i].dim > 0));
        fuzz_must(e[i].weight > 0 && isfinite(e[i].weight));
        if (e[i].pin.data)
            text(e[i].pin);
        vector(e[i].vector, e[i].dim);
    }
}

/* ------------------------------ Messages ----------------------------------- */

static int related(const ps_body *b, ps_why *why)
{
    ps_related q;
    int err = ps_body_related(b, &q, why);
    if (err)
        return err;
    id(q.pin);
    text(q.method);
    text(q.board);
    fuzz_must(q.k >= 1 && q.k <= K_MAX);
    texts(q.exclude, q.n_exclude, PS_EXCLUDE_MAX, text);
    return PS_OK;
}

static int recommend(const ps_body *b, ps_why *why)
{
    ps_recommend q;
    int err = ps_body_recommend(b, &q, why);
    if (err)
        return err;
    fuzz_must(q.n_positive >= 1 && q.n_positive + q.n_negative <= PS_EXAMPLES_MAX);
    examples(q.positive, q.n_positive);
    examples(q.negative, q.n_negative);
    texts(q.exclude, q.n_exclude, PS_EXCLUDE_MAX, text);
    texts(q.board, q.n_boards, PS_BOARDS_MAX, id);
    fuzz_must(q.diversity >= 0 && q.diversity <= 1);
    fuzz_must(q.k >= 1 && q.k <= K_MAX);
    text(q.method);
    return PS_OK;
}

static int embed(const ps_body *b, ps_why *why)
{
    ps_embed_pin q;
    int err = ps_body_embed(b, &q, why);
    if (err)
        return err;
    content(&q.content);
    fuzz_must(q.k <= K_MAX);
    texts(q.exclude, q.n_exclude, PS_EXCLUDE_MAX, text);
    return PS_OK;
}

static int put_pin(const ps_body *b, ps_why *why)
{
    ps_put_pin q;
    int err = ps_body_put_pin(b, &q, why);
    if (err)
        return err;
    id(q.pin);
    content(&q.content);
    text(q.if_match);
    return PS_OK;
}

static int patch_pin(const ps_body *b, ps_why *why)
{
    ps_put_pin q;
    int err = ps_body_patch_pin(b, &q, why);
    if (err)
        return err;
    id(q.pin);
    for (uint32_t i = 0; i < q.content.n_features; i++)
        vector(q.content.feature[i].value, q.content.feature[i].dim);
    texts(q.content.meta, 2 * q.content.n_meta, 2 * PS_METADATA_MAX + 2 * 16384, text);
    texts(q.content.board, q.content.n_boards, PS_BOARDS_MAX, id);
    return PS_OK;
}

static int save(const ps_body *b, ps_why *why)
{
    ps_save q;
    int err = ps_body_save(b, &q, why);
    if (err)
        return err;
    id(q.board);
    id(q.pin);
    return PS_OK;
}

static int get_board(const ps_body *b, ps_why *why)
{
    ps_get_board q;
    int err = ps_body_get_board(b, &q, why);
    if (err)
        return err;
    id(q.board);
    fuzz_must(q.limit <= PS_PAGE_MAX);
    return PS_OK;
}

static int vote(const ps_body *b, ps_why *why)
{
    ps_vote q;
    int err = ps_body_vote(b, &q, why);
    if (err)
        return err;
    id(q.query);
    text(q.left.method);
    text(q.right.pin);
    fuzz_must(q.left.method.len && q.right.method.len);
    fuzz_must(q.voter.len <= PS_VOTER_MAX);
    fuzz_must(q.winner == PS_LEFT || q.winner == PS_RIGHT || q.winner == PS_DRAW);
    return PS_OK;
}

static int (*const messages[])(const ps_body *, ps_why *) = {
    related, recommend, embed, put_pin, save, get_board, vote, patch_pin};

enum { N_MESSAGES = sizeof messages / sizeof *messages };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_arena arena = {0};
    ps_why why = {0};
    if (!size)
        return 0;
    ps_body b = {.bytes = {(const char *)data + 1, size - 1},
                 .dialect = (ps_dialect)(*data % 3),
                 .k_max = K_MAX,
                 .arena = &arena};
    int err = messages[*data / 3 % N_MESSAGES](&b, &why);
    fuzz_must(!err || err == PS_EINVAL);
    fuzz_must(!err || why.text[0]);
    ps_arena_done(&arena);
    return 0;
}
