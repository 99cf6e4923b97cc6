/* test_body.c - bodies become questions, or are refused by the name of the field. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pinsage/v1/pinsage.pb-c.h"
#include "server/api/body.h"

static ps_arena arena;
static ps_why why;

static ps_body json(const char *text, ps_dialect dialect)
{
    memset(&why, 0, sizeof why);
    ps_arena_reset(&arena);
    return (ps_body){.bytes = {text, strlen(text)},
                     .dialect = dialect,
                     .k_max = 1000,
                     .arena = &arena};
}

static ps_body binary(const void *bytes, size_t size)
{
    ps_body b = json("", PS_BINARY);
    b.bytes = (ps_text){bytes, size};
    return b;
}

#define TEXT(t, wanted)                                                                  \
    do {                                                                                 \
        ps_text text_ = (t);                                                             \
        assert_int_equal(text_.len, strlen(wanted));                                     \
        assert_memory_equal(text_.data, wanted, sizeof(wanted) - 1);                     \
    } while (0)

/* ------------------------------ What is read ------------------------------- */

static const char whole_pin[] =
    "{\"title\":\"A \\u00e9\",\"text\":\"words\",\"image\":\"i.png\","
    "\"features\":{\"visual\":[1,-0.5,2e-3],\"annotation\":{\"values\":[\"0.25\",7]}},"
    "\"boards\":[\"one\",\"two/2\"]}";

static void check_whole_pin(const ps_put_pin *q)
{
    TEXT(q->pin, "p/1");
    TEXT(q->content.title, "A \xc3\xa9");
    TEXT(q->content.text, "words");
    TEXT(q->content.image, "i.png");
    assert_int_equal(q->content.n_features, 2);
    const ps_named_vector *visual = &q->content.feature[0];
    TEXT(visual->name, "visual");
    assert_int_equal(visual->dim, 3);
    assert_true(visual->value[0] == 1 && visual->value[1] == -0.5f &&
                visual->value[2] == 2e-3f);
    TEXT(q->content.feature[1].name, "annotation");
    assert_true(q->content.feature[1].value[0] == 0.25f);
    assert_int_equal(q->content.n_boards, 2);
    TEXT(q->content.board[1], "two/2");
    assert_null(q->if_match.data);
}

static void a_pin_is_read_with_content_and_boards(void **state)
{
    (void)state;
    ps_put_pin q;
    ps_body b = json(whole_pin, PS_STRICT_JSON);
    b.pin = (ps_text){"p/1", 3};
    assert_int_equal(ps_body_put_pin(&b, &q, &why), 0);
    check_whole_pin(&q);
}

static void the_pin_of_the_address_may_stand_in_the_body_too(void **state)
{
    (void)state;
    ps_put_pin q;
    ps_body b = json("{\"pin\":\"a\"}", PS_STRICT_JSON);
    assert_int_equal(ps_body_put_pin(&b, &q, &why), 0);
    TEXT(q.pin, "a");
    b.pin = (ps_text){"a", 1};
    assert_int_equal(ps_body_put_pin(&b, &q, &why), 0);
    b.pin = (ps_text){"b", 1};
    assert_int_equal(ps_body_put_pin(&b, &q, &why), PS_EINVAL);
    assert_string_equal(why.text, "pin: is not the one of the address");
}

static void what_a_put_does_not_tell_stays(void **state)
{
    (void)state;
    ps_put_pin q;
    ps_body b = json("{\"pin\":\"a\",\"title\":null}", PS_STRICT_JSON);
    assert_int_equal(ps_body_put_pin(&b, &q, &why), 0);
    assert_true(!q.content.title.data && !q.content.text.data && !q.content.image.data);
    assert_true(q.boards == PS_KEEP && q.metadata == PS_KEEP && q.features == PS_KEEP);
    b = json("{\"pin\":\"a\",\"title\":\"\",\"boards\":[],\"metadata\":{},"
             "\"features\":{},\"etag\":\"\\\"7\\\"\"}",
             PS_STRICT_JSON);
    assert_int_equal(ps_body_put_pin(&b, &q, &why), 0);
    assert_true(q.content.title.data && !q.content.title.len && !q.content.text.data);
    assert_true(q.boards == PS_REPLACE && q.metadata == PS_REPLACE &&
                q.features == PS_REPLACE);
    TEXT(q.if_match, "\"7\"");
}

static void a_null_in_a_patch_takes_away(void **state)
{
    (void)state;
    ps_put_pin q;
    ps_body b =
        json("{\"pin\":\"a\",\"text\":null,\"metadata\":{\"x\":\"1\",\"a.b\":null},"
             "\"features\":{\"visual\":null},\"remove\":[\"boards\"]}",
             PS_STRICT_JSON);
    assert_int_equal(ps_body_patch_pin(&b, &q, &why), 0);
    assert_true(!q.content.title.data && q.content.text.data && !q.content.text.len);
    assert_true(q.metadata == PS_MERGE && q.features == PS_MERGE);
    assert_int_equal(q.content.n_meta, 2);
    TEXT(q.content.meta[0], "x");
    TEXT(q.content.meta[2], "a.b");
    assert_null(q.content.meta[3].data);
    assert_int_equal(q.content.n_features, 1);
    assert_int_equal(q.content.feature[0].dim, 0);
    assert_true(q.boards == PS_REPLACE && !q.content.n_boards);
    b = json("{\"pin\":\"a\",\"metadata\":null,\"remove\":[\"metadata.x\"]}",
             PS_STRICT_JSON);
    assert_int_equal(ps_body_patch_pin(&b, &q, &why), PS_EINVAL);
    assert_string_equal(why.text, "remove: metadata is told as well");
}

static void examples_have_weights_and_vectors(void **state)
{
    (void)state;
    ps_recommend q;
    ps_body b = json("{\"positives\":[{\"pin\":\"a\",\"weight\":2},{\"vector\":[1,2]}],"
                     "\"negatives\":[{\"pin\":\"n\"}],\"exclude\":[\"x\"],"
                     "\"boards\":[\"b\"],\"diversity\":0.25,\"missing\":\"skip\","
                     "\"method\":\"pixie\",\"k\":7,\"explain\":true}",
                     PS_STRICT_JSON);
    assert_int_equal(ps_body_recommend(&b, &q, &why), 0);
    assert_int_equal(q.n_positive, 2);
    TEXT(q.positive[0].pin, "a");
    assert_true(q.positive[0].weight == 2 && q.positive[0].dim == 0);
    assert_null(q.positive[1].pin.data);
    assert_true(q.positive[1].weight == 1 && q.positive[1].vector[1] == 2);
    assert_int_equal(q.n_negative, 1);
    TEXT(q.exclude[0], "x");
    TEXT(q.board[0], "b");
    assert_true(q.diversity == 0.25f && q.skip_missing && q.explain && q.k == 7);
    TEXT(q.method, "pixie");
}

static void what_is_left_out_has_its_default(void **state)
{
    (void)state;
    ps_related r;
    ps_body b = json("{\"pin\":\"a\",\"method\":null}", PS_LOOSE_JSON);
    assert_int_equal(ps_body_related(&b, &r, &why), 0);
    assert_int_equal(r.k, 20);
    assert_null(r.method.data);
    assert_null(r.board.data);
    assert_int_equal(r.n_exclude, 0);
    b.k_max = 5;
    assert_int_equal(ps_body_related(&b, &r, &why), 0);
    assert_int_equal(r.k, 5);
    ps_embed_pin e;
    b = json("{}", PS_STRICT_JSON);
    assert_int_equal(ps_body_embed(&b, &e, &why), 0);
    assert_int_equal(e.k, 0);
    ps_get_board g;
    b = json("{\"board\":\"b\"}", PS_STRICT_JSON);
    assert_int_equal(ps_body_get_board(&b, &g, &why), 0);
    assert_int_equal(g.limit, PS_LIST_DEFAULT);
}

static void names_and_numbers_have_the_spellings_of_proto3(void **state)
{
    (void)state;
    ps_put_pin q;
    ps_body b = json("{\"pin\":\"a\",\"ifMatch\":\"*\"}", PS_STRICT_JSON);
    assert_int_equal(ps_body_put_pin(&b, &q, &why), 0);
    TEXT(q.if_match, "*");
    b = json("{\"pin\":\"a\",\"if_match\":\"x\"}", PS_STRICT_JSON);
    assert_int_equal(ps_body_put_pin(&b, &q, &why), 0);
    TEXT(q.if_match, "x");
    ps_related r;
    static const char *const sevens[] = {"7", "\"7\"", "7.0", "0.7e1"};
    for (size_t i = 0; i < 4; i++) {
        char text[60];
        snprintf(text, sizeof text, "{\"pin\":\"a\",\"k\":%s}", sevens[i]);
        b = json(text, PS_LOOSE_JSON);
        assert_int_equal(ps_body_related(&b, &r, &why), 0);
        assert_int_equal(r.k, 7);
    }
    ps_vote v;
    static const char *const draws[] = {"\"draw\"", "\"WINNER_DRAW\"", "3"};
    for (size_t i = 0; i < 3; i++) {
        char text[200];
        snprintf(text, sizeof text,
                 "{\"query\":\"a\",\"left\":{\"method\":\"l\"},"
                 "\"right\":{\"method\":\"r\",\"pin\":\"p\"},\"winner\":%s}",
                 draws[i]);
        b = json(text, PS_STRICT_JSON);
        assert_int_equal(ps_body_vote(&b, &v, &why), 0);
        assert_int_equal(v.winner, PS_DRAW);
        TEXT(v.right.pin, "p");
    }
}

static void unknown_fields_are_refused_or_ignored_by_dialect(void **state)
{
    (void)state;
    ps_recommend q;
    const char *text =
        "{\"positives\":[{\"pin\":\"a\",\"wieght\":2}],\"new\":{\"x\":[]}}";
    ps_body b = json(text, PS_LOOSE_JSON);
    assert_int_equal(ps_body_recommend(&b, &q, &why), 0);
    b = json(text, PS_STRICT_JSON);
    assert_int_equal(ps_body_recommend(&b, &q, &why), PS_EINVAL);
    assert_string_equal(why.text, "positives[0].wieght: there is no such field");
}

/* ------------------------------ What is refused ---------------------------- */

typedef enum kind { PIN, RECOMMEND, VOTE, RELATED, EMBED, BOARD, SAVE } kind;

static int read_as(kind k, const ps_body *b)
{
    ps_put_pin pin;
    ps_recommend recommended;
    ps_vote vote;
    ps_related related;
    ps_embed_pin embed;
    ps_get_board board;
    ps_save save;
    switch (k) {
    case PIN:
        return ps_body_put_pin(b, &pin, &why);
    case RECOMMEND:
        return ps_body_recommend(b, &recommended, &why);
    case VOTE:
        return ps_body_vote(b, &vote, &why);
    case RELATED:
        return ps_body_related(b, &related, &why);
    case EMBED:
        return ps_body_embed(b, &embed, &why);
    case BOARD:
        return ps_body_get_board(b, &board, &why);
    default:
        return ps_body_save(b, &save, &why);
    }
}

static const struct {
    kind kind;
    const char *text, *wanted;
} refused[] = {
    {PIN, "", "the body is not JSON: "},
    {PIN, "{\"pin\":", "the body is not JSON: "},
    {PIN, "{} x", "the body is not JSON: "},
    {PIN, "[]", "the body: not an object"},
    {PIN, "{\"pin\":\"a\",\"pin\":\"b\"}", "the body is not JSON: duplicate object key"},
    {PIN, "{\"pin\":\"a\\u0000b\"}", "the body is not JSON: "},
    {PIN, "{\"pin\":\"\xff\"}", "the body is not JSON: "},
    {PIN, "{}", "pin: is required"},
    {PIN, "{\"pin\":7}", "pin: not a string"},
    {PIN, "{\"pin\":\"a\",\"title\":[\"x\"]}", "title: not a string"},
    {PIN, "{\"pin\":\"a\",\"boards\":\"b\"}", "boards: not a list"},
    {PIN, "{\"pin\":\"a\",\"boards\":[\"b\",\"\"]}", "boards[1]: not 1 to 511 bytes"},
    {PIN, "{\"pin\":\"a\",\"boards\":[\"b\",7]}", "boards[1]: not a string"},
    {PIN, "{\"pin\":\"a\",\"boards\":[null]}", "boards[0]: not a string"},
    {PIN, "{\"pin\":\"a\",\"features\":[1]}", "features: not an object"},
    {PIN, "{\"pin\":\"a\",\"features\":{\"v\":3}}", "features.v: not a list"},
    {PIN, "{\"pin\":\"a\",\"features\":{\"v\":[]}}", "features.v: no numbers"},
    {PIN, "{\"pin\":\"a\",\"features\":{\"\":[1]}}", "features: a block without a name"},
    {PIN, "{\"pin\":\"a\",\"features\":{\"v\":[1,\"NaN\"]}}",
     "features.v[1]: not a finite number"},
    {PIN, "{\"pin\":\"a\",\"features\":{\"v\":[0,1,\"-Infinity\"]}}",
     "features.v[2]: not a finite number"},
    {PIN, "{\"pin\":\"a\",\"features\":{\"v\":[1e39]}}",
     "features.v[0]: too large for a 32-bit float"},
    {PIN, "{\"pin\":\"a\",\"features\":{\"v\":[true]}}", "features.v[0]: not a number"},
    {PIN, "{\"pin\":\"a\",\"features\":{\"v\":[\"0x10\"]}}",
     "features.v[0]: not a number"},
    {PIN, "{\"pin\":\"a\",\"features\":{\"v\":{\"values\":[\"\"]}}}",
     "features.v.values[0]: not a number"},
    {RELATED, "{\"pin\":\"a\",\"k\":-1}", "k: not a whole number in 0..4294967295"},
    {RELATED, "{\"pin\":\"a\",\"k\":1.5}", "k: not a whole number in 0..4294967295"},
    {RELATED, "{\"pin\":\"a\",\"k\":1001}", "k: not in 1..1000"},
    {RELATED, "{\"pin\":\"a\",\"explain\":1}", "explain: neither true nor false"},
    {EMBED, "{\"boards\":[\"b\"],\"k\":1001}", "k: not in 1..1000"},
    {BOARD, "{\"board\":\"b\",\"limit\":1025}", "limit: not in 1..1024"},
    {BOARD, "{}", "board: is required"},
    {SAVE, "{\"board\":\"b\"}", "pin: is required"},
    {RECOMMEND, "{}", "positives: at least one is needed"},
    {RECOMMEND, "{\"positives\":[\"a\"]}", "positives[0]: not an object"},
    {RECOMMEND, "{\"positives\":[{}]}", "positives[0]: not one of pin and vector"},
    {RECOMMEND, "{\"positives\":[{\"pin\":\"a\",\"vector\":[1]}]}",
     "positives[0]: not one of pin and vector"},
    {RECOMMEND,
     "{\"positives\":[{\"pin\":\"a\"}],\"negatives\":[{\"vector\":[1,\"NaN\"]}]}",
     "negatives[0].vector[1]: not a finite number"},
    {RECOMMEND, "{\"positives\":[{\"pin\":\"a\",\"weight\":-1}]}",
     "positives[0].weight: not in 1e-9..1e9"},
    {RECOMMEND, "{\"positives\":[{\"pin\":\"a\"}],\"diversity\":1.1}",
     "diversity: not in 0..1"},
    {RECOMMEND, "{\"positives\":[{\"pin\":\"a\"}],\"missing\":\"drop\"}",
     "missing: none of error, skip"},
    {VOTE, "{\"query\":\"a\"}", "left.method: is required"},
    {VOTE, "{\"query\":\"a\",\"left\":{\"method\":\"l\"},\"right\":{\"method\":\"r\"}}",
     "winner: none of left, right, draw"},
    {VOTE,
     "{\"query\":\"a\",\"left\":{\"method\":\"l\"},\"right\":{\"method\":\"r\"},"
     "\"winner\":\"both\"}",
     "winner: none of left, right, draw"},
};

static void what_is_wrong_is_refused_by_the_name_of_its_field(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        ps_body b = json(refused[i].text, PS_STRICT_JSON);
        int err = read_as(refused[i].kind, &b);
        if (err != PS_EINVAL ||
            strncmp(why.text, refused[i].wanted, strlen(refused[i].wanted)) != 0)
            fail_msg("%s gave %d \"%s\"", refused[i].text, err, why.text);
    }
}

/* {"FIELD":[ITEM,ITEM,...]} of n items, behind some more text. */
static ps_body long_list(const char *before, const char *item, size_t n, char **text)
{
    size_t room = strlen(before) + (strlen(item) + 1) * n + 8, at;
    *text = malloc(room);
    at = (size_t)snprintf(*text, room, "{%s[", before);
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(*text + at, room - at, "%s%s", i ? "," : "", item);
    snprintf(*text + at, room - at, "]}");
    return json(*text, PS_STRICT_JSON);
}

static void lists_have_their_limits(void **state)
{
    (void)state;
    static const struct {
        kind kind;
        const char *before, *item, *wanted;
        size_t max;
    } cases[] = {
        {PIN, "\"pin\":\"a\",\"boards\":", "\"b\"", "boards: more than 1024", 1024},
        {RELATED, "\"pin\":\"a\",\"exclude\":", "\"b\"", "exclude: more than 1024", 1024},
        {RECOMMEND, "\"positives\":", "{\"pin\":\"a\"}",
         "positives: with negatives more than 256", 256},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text;
        ps_body b = long_list(cases[i].before, cases[i].item, cases[i].max, &text);
        assert_int_equal(read_as(cases[i].kind, &b), 0);
        free(text);
        b = long_list(cases[i].before, cases[i].item, cases[i].max + 1, &text);
        assert_int_equal(read_as(cases[i].kind, &b), PS_EINVAL);
        assert_string_equal(why.text, cases[i].wanted);
        free(text);
        b = long_list(cases[i].before, cases[i].item, 20000, &text);
        assert_int_equal(read_as(cases[i].kind, &b), PS_EINVAL);
        assert_non_null(strstr(why.text, "far too many"));
        free(text);
    }
}

/* ------------------------------ Binary ------------------------------------- */

static void the_same_pin_is_read_from_binary(void **state)
{
    (void)state;
    float visual[] = {1, -0.5f, 2e-3f}, annotation[] = {0.25f, 7};
    Pinsage__V1__Vector v[2] = {PINSAGE__V1__VECTOR__INIT, PINSAGE__V1__VECTOR__INIT};
    Pinsage__V1__PutPinRequest__FeaturesEntry pair[2] = {
        PINSAGE__V1__PUT_PIN_REQUEST__FEATURES_ENTRY__INIT,
        PINSAGE__V1__PUT_PIN_REQUEST__FEATURES_ENTRY__INIT};
    Pinsage__V1__PutPinRequest__FeaturesEntry *pairs[] = {&pair[0], &pair[1]};
    char *boards[] = {(char *)"one", (char *)"two/2"};
    Pinsage__V1__PutPinRequest m = PINSAGE__V1__PUT_PIN_REQUEST__INIT;
    v[0].values = visual, v[0].n_values = 3;
    v[1].values = annotation, v[1].n_values = 2;
    pair[0].key = (char *)"visual", pair[0].value = &v[0];
    pair[1].key = (char *)"annotation", pair[1].value = &v[1];
    m.pin = (char *)"p/1", m.title = (char *)"A \xc3\xa9", m.text = (char *)"words";
    m.image = (char *)"i.png";
    m.features = pairs, m.n_features = 2;
    m.boards = boards, m.n_boards = 2;
    uint8_t bytes[200];
    size_t size = pinsage__v1__put_pin_request__pack(&m, bytes);
    ps_put_pin q;
    ps_body b = binary(bytes, size);
    assert_int_equal(ps_body_put_pin(&b, &q, &why), 0);
    check_whole_pin(&q);
    for (size_t cut = 1; cut < size; cut++) { /* any end is survived */
        uint8_t *part = malloc(cut);
        memcpy(part, bytes, cut);
        b = binary(part, cut);
        ps_body_put_pin(&b, &q, &why);
        free(part);
    }
}

static void odd_binary_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *wanted;
    } cases[] = {
        {"", 0, "pin: is required"},
        {"\x0a\x03"
         "a\0b",
         5, "pin: not UTF-8, or a NUL inside"},
        {"\x0a\x01\xff", 3, "pin: not UTF-8, or a NUL inside"},
        {"\x0a\x05"
         "a",
         3, "the body is not a pinsage.v1.PutPinRequest"},
        {"\x0a", 1, "the body is not a pinsage.v1.PutPinRequest"},
        {"\x00\x01", 2, "the body is not a pinsage.v1.PutPinRequest"},
        {"\x0b\x0c", 2, "the body is not a pinsage.v1.PutPinRequest"},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11,
         "the body is not a pinsage.v1.PutPinRequest"},
        {"\x0a\x01"
         "a\x2a\x03\x0a\x01"
         "v",
         8, "features.v: no numbers"},
        {"\x0a\x01"
         "a\x2a\x05\x0a\x01"
         "v\x12\x00",
         10, "features.v: no numbers"},
        {"\x0a\x01"
         "a\x2a\x0b\x0a\x01"
         "v\x12\x06\x0a\x04\x00\x00\xc0\x7f",
         16, "features.v[0]: not a finite number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ps_put_pin q;
        ps_body b = binary(cases[i].bytes, cases[i].size);
        int err = ps_body_put_pin(&b, &q, &why);
        if (err != PS_EINVAL || strcmp(why.text, cases[i].wanted) != 0)
            fail_msg("case %zu gave %d \"%s\"", i, err, why.text);
    }
}

static void a_block_told_twice_is_refused(void **state)
{
    (void)state;
    static const char bytes[] = "\x0a\x01"
                                "a\x2a\x0b\x0a\x01"
                                "v\x12\x06\x0a\x04\x00\x00\x80\x3f\x2a\x0b\x0a\x01"
                                "v\x12\x06\x0a\x04\x00\x00\x80\x3f";
    ps_put_pin q;
    ps_body b = binary(bytes, sizeof bytes - 1);
    assert_int_equal(ps_body_put_pin(&b, &q, &why), PS_EINVAL);
    assert_string_equal(why.text, "features.v: is told twice");
}

static void many_empty_messages_do_not_blow_up(void **state)
{
    (void)state;
    size_t n = 1000000;
    char *bytes = malloc(2 * n);
    for (size_t i = 0; i < n; i++)
        memcpy(bytes + 2 * i, "\x0a\x00", 2);
    ps_recommend q;
    ps_body b = binary(bytes, 2 * n);
    assert_int_equal(ps_body_recommend(&b, &q, &why), PS_EINVAL);
    assert_string_equal(why.text, "positives: far too many");
    assert_true(arena.total < 1 << 20);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pin_is_read_with_content_and_boards),
        cmocka_unit_test(the_pin_of_the_address_may_stand_in_the_body_too),
        cmocka_unit_test(what_a_put_does_not_tell_stays),
        cmocka_unit_test(a_null_in_a_patch_takes_away),
        cmocka_unit_test(examples_have_weights_and_vectors),
        cmocka_unit_test(what_is_left_out_has_its_default),
        cmocka_unit_test(names_and_numbers_have_the_spellings_of_proto3),
        cmocka_unit_test(unknown_fields_are_refused_or_ignored_by_dialect),
        cmocka_unit_test(what_is_wrong_is_refused_by_the_name_of_its_field),
        cmocka_unit_test(lists_have_their_limits),
        cmocka_unit_test(the_same_pin_is_read_from_binary),
        cmocka_unit_test(odd_binary_is_refused),
        cmocka_unit_test(a_block_told_twice_is_refused),
        cmocka_unit_test(many_empty_messages_do_not_blow_up),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ps_arena_done(&arena);
    return failed;
}
