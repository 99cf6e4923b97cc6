/* test_answer.c - one text, two dialects: both say the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "pinsage/v1/pinsage.pb-c.h"
#include "server/api/answer.h"

static ps_reply reply;

static ps_answer begin(bool binary)
{
    ps_reply_reset(&reply);
    reply.binary = binary;
    return ps_answer_begin(&reply);
}

static const void *bytes(void)
{
    return reply.body.data ? reply.body.data : "";
}

/* ------------------------------ A related answer --------------------------- */

static void say_related(ps_answer *a, unsigned n, const char *title)
{
    const ps_field results = PS_FIELD(6, "results");
    ps_add_text(a, PS_FIELD(1, "pin"), ps_text_of("a\"b"));
    ps_add_text(a, PS_FIELD(2, "board"), ps_text_of(""));
    ps_add_name(a, PS_FIELD(3, "method"), "visual");
    ps_list_begin(a, results);
    for (unsigned i = 0; i < n; i++) {
        size_t item = ps_item_begin(a, results);
        ps_add_text(a, PS_FIELD(1, "pin"), ps_text_of("p"));
        ps_add_real(a, PS_FIELD(2, "score"), (float)i / 2, 6);
        ps_add_text(a, PS_FIELD(3, "title"), ps_text_of(title));
        ps_item_end(a, item);
    }
    ps_list_end(a);
    ps_answer_end(a, &reply, PS_OK);
}

static void json_holds_every_field_in_order(void **state)
{
    (void)state;
    ps_answer a = begin(false);
    say_related(&a, 2, "T");
    assert_string_equal(reply.body.data,
                        "{\"pin\":\"a\\\"b\",\"board\":\"\",\"method\":\"visual\","
                        "\"results\":[{\"pin\":\"p\",\"score\":0,\"title\":\"T\"},"
                        "{\"pin\":\"p\",\"score\":0.5,\"title\":\"T\"}]}");
    assert_string_equal(reply.type, "application/json");
    a = begin(false);
    say_related(&a, 0, "");
    assert_non_null(strstr(reply.body.data, "\"results\":[]}"));
}

/* Lengths of one, two and three bytes are moved into place. */
static void protobuf_is_what_its_own_reader_takes(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 110, 127, 128, 300, 16383, 20000, 2100000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char *title = calloc(1, lengths[i] + 1);
        memset(title, 't', lengths[i]);
        ps_answer a = begin(true);
        say_related(&a, 3, title);
        assert_string_equal(reply.type, "application/proto");
        Pinsage__V1__RelatedResponse *m =
            pinsage__v1__related_response__unpack(NULL, reply.body.size, bytes());
        assert_non_null(m);
        assert_string_equal(m->pin, "a\"b");
        assert_string_equal(m->method, "visual");
        assert_int_equal(m->n_results, 3);
        for (unsigned k = 0; k < 3; k++) {
            assert_string_equal(m->results[k]->title, title);
            assert_true(m->results[k]->score == (float)k / 2);
        }
        /* As short as the library writes it. */
        assert_int_equal(pinsage__v1__related_response__get_packed_size(m),
                         reply.body.size);
        pinsage__v1__related_response__free_unpacked(m, NULL);
        free(title);
    }
}

/* ------------------------------ The other kinds ---------------------------- */

static void say_explanation(ps_answer *a)
{
    const ps_field explanation = PS_FIELD(8, "explanation");
    const ps_field neighbours = PS_FIELD(1, "neighbours"), boards = PS_FIELD(3, "boards");
    const ps_field ms = PS_FIELD(5, "milliseconds");
    size_t message = ps_message_begin(a, explanation);
    ps_list_begin(a, neighbours);
    size_t item = ps_item_begin(a, neighbours);
    ps_add_text(a, PS_FIELD(1, "pin"), ps_text_of("n"));
    ps_list_begin(a, boards);
    ps_item_text(a, boards, ps_text_of("x"));
    ps_item_text(a, boards, ps_text_of(""));
    ps_list_end(a);
    ps_item_end(a, item);
    ps_list_end(a);
    ps_add_double(a, PS_FIELD(2, "vector_age_seconds"), 1e9 + 0.5, 12);
    ps_add_bool(a, PS_FIELD(3, "stale"), true);
    ps_map_begin(a, ms);
    ps_pair_double(a, ms, ps_text_of("walk"), 0.25, 6);
    ps_pair_double(a, ms, ps_text_of("total"), 0, 6);
    ps_map_end(a);
    ps_message_end(a, message);
    ps_add_text(a, PS_FIELD(7, "degraded"), ps_text_of("pixie"));
    ps_answer_end(a, &reply, PS_OK);
}

static void messages_maps_and_lists_of_texts_say_the_same(void **state)
{
    (void)state;
    ps_answer a = begin(false);
    say_explanation(&a);
    assert_string_equal(
        reply.body.data,
        "{\"explanation\":{\"neighbours\":[{\"pin\":\"n\",\"boards\":"
        "[\"x\",\"\"]}],\"vector_age_seconds\":1000000000.5,\"stale\":true,"
        "\"milliseconds\":{\"walk\":0.25,\"total\":0}},\"degraded\":\"pixie\"}");
    a = begin(true);
    say_explanation(&a);
    Pinsage__V1__RelatedResponse *m =
        pinsage__v1__related_response__unpack(NULL, reply.body.size, bytes());
    assert_non_null(m);
    const Pinsage__V1__Explanation *e = m->explanation;
    assert_int_equal(e->n_neighbours, 1);
    assert_int_equal(e->neighbours[0]->n_boards, 2);
    assert_string_equal(e->neighbours[0]->boards[0], "x");
    assert_string_equal(e->neighbours[0]->boards[1], "");
    assert_true(e->vector_age_seconds == 1e9 + 0.5 && e->stale);
    assert_int_equal(e->n_milliseconds, 2);
    assert_string_equal(e->milliseconds[0]->key, "walk");
    assert_true(e->milliseconds[0]->value == 0.25);
    assert_string_equal(m->degraded, "pixie");
    pinsage__v1__related_response__free_unpacked(m, NULL);
}

static void vectors_keep_every_bit(void **state)
{
    (void)state;
    float v[300];
    for (int i = 0; i < 300; i++)
        v[i] = sinf((float)i) * powf(10, (float)(i % 60 - 30));
    ps_answer a = begin(true);
    ps_add_floats(&a, PS_FIELD(1, "vector"), v, 300);
    ps_answer_end(&a, &reply, PS_OK);
    Pinsage__V1__EmbedResponse *m =
        pinsage__v1__embed_response__unpack(NULL, reply.body.size, bytes());
    assert_non_null(m);
    assert_int_equal(m->n_vector, 300);
    assert_memory_equal(m->vector, v, sizeof v);
    pinsage__v1__embed_response__free_unpacked(m, NULL);
    a = begin(false);
    ps_add_floats(&a, PS_FIELD(1, "vector"), v, 300);
    ps_answer_end(&a, &reply, PS_OK);
    const char *at = strchr(reply.body.data, '[');
    for (int i = 0; i < 300; i++) {
        char *end;
        assert_true(strtof(at + 1, &end) == v[i]);
        at = end;
    }
    assert_string_equal(at, "]}");
}

static void numbers_and_texts_of_a_pin_say_the_same(void **state)
{
    (void)state;
    const ps_field metadata = PS_FIELD(7, "metadata");
    for (int binary = 0; binary < 2; binary++) {
        ps_answer a = begin(binary);
        ps_add_u64(&a, PS_FIELD(6, "board_count"), 4000000000u);
        ps_map_begin(&a, metadata);
        ps_pair_text(&a, metadata, ps_text_of("author"), ps_text_of("me"));
        ps_pair_text(&a, metadata, ps_text_of(""), ps_text_of(""));
        ps_map_end(&a);
        ps_answer_end(&a, &reply, PS_OK);
        if (!binary)
            assert_string_equal(reply.body.data,
                                "{\"board_count\":4000000000,\"metadata\":"
                                "{\"author\":\"me\",\"\":\"\"}}");
    }
    Pinsage__V1__GetPinResponse *m =
        pinsage__v1__get_pin_response__unpack(NULL, reply.body.size, bytes());
    assert_non_null(m);
    assert_int_equal(m->board_count, 4000000000u);
    assert_int_equal(m->n_metadata, 2);
    assert_string_equal(m->metadata[0]->value, "me");
    pinsage__v1__get_pin_response__free_unpacked(m, NULL);
}

static void a_failure_is_json_in_both_dialects(void **state)
{
    (void)state;
    for (int binary = 0; binary < 2; binary++) {
        ps_answer a = begin(binary);
        ps_add_text(&a, PS_FIELD(1, "pin"), ps_text_of("begun"));
        ps_answer_end(&a, &reply, PS_EIO);
        assert_int_equal(reply.status, 500);
        assert_string_equal(reply.type, "application/json");
        assert_int_equal(strncmp(reply.body.data, "{\"code\":\"internal\"", 18), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_holds_every_field_in_order),
        cmocka_unit_test(protobuf_is_what_its_own_reader_takes),
        cmocka_unit_test(messages_maps_and_lists_of_texts_say_the_same),
        cmocka_unit_test(vectors_keep_every_bit),
        cmocka_unit_test(numbers_and_texts_of_a_pin_say_the_same),
        cmocka_unit_test(a_failure_is_json_in_both_dialects),
    };
    reply.fd = -1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ps_reply_done(&reply);
    return failed;
}
