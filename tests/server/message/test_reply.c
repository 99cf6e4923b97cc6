/* test_reply.c - every error has the one shape, and details decode. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "server/message/reply.h"

static ps_reply reply = {.fd = -1};

static json_t *parsed(void)
{
    json_error_t error;
    json_t *j = json_loadb(reply.body.data, reply.body.size, 0, &error);
    if (!j)
        fail_msg("%s: %s", error.text, reply.body.data);
    return j;
}

static const char *member(const json_t *j, const char *name)
{
    return json_string_value(json_object_get(j, name));
}

static void an_error_has_code_message_and_details(void **state)
{
    (void)state;
    ps_reply_reset(&reply);
    reply.cacheable = true;
    ps_buf_text(&reply.body, "half an answer");
    ps_reply_error(&reply, (ps_failure){.code = PS_CODE_NOT_FOUND}, "no pin \"%s\"",
                   "a\"\n\xff");
    json_t *j = parsed();
    assert_int_equal(reply.status, 404);
    assert_false(reply.cacheable);
    assert_string_equal(member(j, "code"), "not_found");
    assert_string_equal(member(j, "message"), "no pin \"a\"\n\xef\xbf\xbd\"");
    assert_int_equal(json_array_size(json_object_get(j, "details")), 0);
    assert_int_equal(json_object_size(j), 3);
    json_decref(j);
}

static void a_message_that_is_too_long_is_still_json(void **state)
{
    (void)state;
    char text[4000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    ps_reply_reset(&reply);
    ps_reply_error(&reply, (ps_failure){.code = PS_CODE_INTERNAL}, "%s", text);
    json_decref(parsed());
}

static void errors_of_the_engine_become_codes_and_statuses(void **state)
{
    (void)state;
    static const struct {
        int err;
        unsigned status;
        const char *code;
    } cases[] = {
        {PS_EINVAL, 400, "invalid_argument"},
        {PS_ERANGE, 400, "out_of_range"},
        {PS_ENOENT, 404, "not_found"},
        {PS_EEXIST, 409, "already_exists"},
        {PS_EFULL, 429, "resource_exhausted"},
        {PS_ENOMEM, 429, "resource_exhausted"},
        {PS_EBUSY, 503, "unavailable"},
        {PS_ETIMEOUT, 504, "deadline_exceeded"},
        {PS_EIO, 500, "internal"},
        {PS_EFORMAT, 500, "data_loss"},
        {PS_ELIBRARY, 500, "internal"},
        {PS_ECANCELLED, 499, "canceled"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ps_reply_reset(&reply);
        ps_reply_failed(&reply, cases[i].err, NULL);
        json_t *j = parsed();
        assert_int_equal(reply.status, cases[i].status);
        assert_string_equal(member(j, "code"), cases[i].code);
        assert_string_equal(member(j, "message"), ps_strerror(cases[i].err));
        json_decref(j);
    }
}

static void near_names_stand_as_protobuf_and_as_json(void **state)
{
    (void)state;
    ps_text near[] = {{"cat", 3}, {"c\"", 2}};
    ps_failure f = {.code = PS_CODE_NOT_FOUND,
                    .near = {"pinsage.v1.NearPins", "pins", near, 2}};
    ps_reply_reset(&reply);
    ps_reply_error(&reply, f, "gone");
    json_t *j = parsed(), *d = json_array_get(json_object_get(j, "details"), 0);
    assert_string_equal(member(d, "type"), "pinsage.v1.NearPins");
    /* 0a 03 "cat" 0a 02 "c\"" */
    assert_string_equal(member(d, "value"), "CgNjYXQKAmMi");
    const json_t *pins = json_object_get(json_object_get(d, "debug"), "pins");
    assert_int_equal(json_array_size(pins), 2);
    assert_string_equal(json_string_value(json_array_get(pins, 1)), "c\"");
    json_decref(j);
}

static void base64_ends_without_padding(void **state)
{
    (void)state;
    static const char *const value[] = {"CgFh", "CgJhYg", "CgNhYmM"};
    for (size_t len = 1; len <= 3; len++) {
        ps_text near[] = {{"abc", len}};
        ps_failure f = {.near = {"t", "pins", near, 1}};
        ps_reply_reset(&reply);
        ps_reply_error(&reply, f, "gone");
        json_t *j = parsed(), *d = json_array_get(json_object_get(j, "details"), 0);
        assert_string_equal(member(d, "value"), value[len - 1]);
        json_decref(j);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_has_code_message_and_details),
        cmocka_unit_test(a_message_that_is_too_long_is_still_json),
        cmocka_unit_test(errors_of_the_engine_become_codes_and_statuses),
        cmocka_unit_test(near_names_stand_as_protobuf_and_as_json),
        cmocka_unit_test(base64_ends_without_padding),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ps_reply_done(&reply);
    return failed;
}
