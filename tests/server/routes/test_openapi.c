/* test_openapi.c - the description at /openapi.json against the tables it tells of: the
 * routes with their parameters, and the messages of the service.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>

#include "pinsage/v1/pinsage.pb-c.h"
#include "server/routes/routes.h"

static json_t *told;

static json_t *at(json_t *o, const char *a, const char *b)
{
    return json_object_get(json_object_get(o, a), b);
}

/* Follows {"$ref": "#/components/KIND/NAME"}. */
static json_t *resolve(json_t *o)
{
    const char *ref = json_string_value(json_object_get(o, "$ref"));
    char kind[32], name[64];
    if (!ref || sscanf(ref, "#/components/%31[^/]/%63s", kind, name) != 2)
        return o;
    return json_object_get(at(told, "components", kind), name);
}

/* ------------------------------ Routes ------------------------------------- */

/* Not for this description: the RPC has its own, pages of the explorer are its parts. */
static bool is_told_elsewhere(const ps_route *r)
{
    return !r->handle || strncmp(r->path, "/pinsage.v1.", 12) == 0 ||
           strncmp(r->path, "/grpc.", 6) == 0 || strcmp(r->path, "/{page}") == 0;
}

/* "/images/{image...}" is "/images/{image}" there. */
static void told_path(const ps_route *r, char *out, size_t room)
{
    snprintf(out, room, "%s", r->path);
    char *dots = strstr(out, "...}");
    if (dots)
        memmove(dots, dots + 3, strlen(dots + 3) + 1);
}

static json_t *operation_of(const ps_route *r)
{
    char path[128], verb[16];
    told_path(r, path, sizeof path);
    snprintf(verb, sizeof verb, "%s", ps_verb_name(r->verb));
    for (char *c = verb; *c; c++)
        *c = (char)(*c | 0x20);
    return json_object_get(at(told, "paths", path), verb);
}

static void every_route_is_told(void **state)
{
    (void)state;
    for (unsigned i = 0; ps_route_at(i); i++) {
        const ps_route *r = ps_route_at(i);
        if (!is_told_elsewhere(r) && !operation_of(r))
            fail_msg("%s %s is not told", ps_verb_name(r->verb), r->path);
    }
}

static unsigned operations(void)
{
    const char *path, *verb;
    json_t *item, *operation;
    unsigned n = 0;
    json_object_foreach(json_object_get(told, "paths"), path, item)
    {
        json_object_foreach(item, verb, operation)
        {
            n++;
        }
    }
    return n;
}

static void nothing_else_is_told(void **state)
{
    (void)state;
    unsigned n = 0;
    for (unsigned i = 0; ps_route_at(i); i++)
        n += !is_told_elsewhere(ps_route_at(i)) && operation_of(ps_route_at(i));
    assert_int_equal(operations(), n);
}

/* ------------------------------ Parameters --------------------------------- */

static json_t *find_param(json_t *operation, const char *name, size_t len, const char *in)
{
    size_t i;
    json_t *p;
    json_array_foreach(json_object_get(operation, "parameters"), i, p)
    {
        p = resolve(p);
        const char *told_name = json_string_value(json_object_get(p, "name"));
        if (strlen(told_name) == len && memcmp(told_name, name, len) == 0 &&
            strcmp(json_string_value(json_object_get(p, "in")), in) == 0)
            return p;
    }
    return NULL;
}

static size_t count_params(json_t *operation, const char *in)
{
    size_t i, n = 0;
    json_t *p;
    json_array_foreach(json_object_get(operation, "parameters"), i, p)
    {
        n += strcmp(json_string_value(json_object_get(resolve(p), "in")), in) == 0;
    }
    return n;
}

static void check_query(const ps_route *r, json_t *operation)
{
    size_t n = 0;
    for (; r->params && r->params[n] && strcmp(r->params[n], "...") != 0; n++) {
        const char *name = r->params[n] + (*r->params[n] == '*');
        json_t *p = find_param(operation, name, strlen(name), "query");
        if (!p)
            fail_msg("%s %s: \"%s\" is not told", ps_verb_name(r->verb), r->path, name);
        const char *type = json_string_value(at(p, "schema", "type"));
        assert_int_equal(strcmp(type, "array") == 0, *r->params[n] == '*');
    }
    if (count_params(operation, "query") != n)
        fail_msg("%s %s: a parameter is told that is none", ps_verb_name(r->verb),
                 r->path);
}

static void check_path(const ps_route *r, json_t *operation)
{
    size_t n = 0;
    for (const char *open = r->path; (open = strchr(open, '{')); n++) {
        size_t len = strcspn(++open, ".}");
        if (!find_param(operation, open, len, "path"))
            fail_msg("%s: a part of the path is not told", r->path);
    }
    assert_int_equal(count_params(operation, "path"), n);
}

static void parameters_are_those_of_the_table(void **state)
{
    (void)state;
    for (unsigned i = 0; ps_route_at(i); i++) {
        const ps_route *r = ps_route_at(i);
        if (is_told_elsewhere(r))
            continue;
        check_query(r, operation_of(r));
        check_path(r, operation_of(r));
    }
}

static void what_changes_something_wants_a_token(void **state)
{
    (void)state;
    for (unsigned i = 0; ps_route_at(i); i++) {
        const ps_route *r = ps_route_at(i);
        if (is_told_elsewhere(r))
            continue;
        json_t *security = json_object_get(operation_of(r), "security");
        if ((security != NULL) != (r->write || r->admin))
            fail_msg("%s %s: wrong about tokens", ps_verb_name(r->verb), r->path);
    }
}

/* ------------------------------ Messages ----------------------------------- */

static bool is_pair(const ProtobufCMessageDescriptor *d)
{
    return d->n_fields == 2 && strstr(d->short_name, "Entry");
}

/* "string", "integer", ... or the name of a schema. */
static const char *type_of(const ProtobufCFieldDescriptor *f)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        return "string";
    case PROTOBUF_C_TYPE_BOOL:
        return "boolean";
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        return "number";
    case PROTOBUF_C_TYPE_ENUM:
        return ((const ProtobufCEnumDescriptor *)f->descriptor)->short_name;
    case PROTOBUF_C_TYPE_MESSAGE: {
        const ProtobufCMessageDescriptor *d = f->descriptor;
        return is_pair(d)                              ? "object"
               : d == &pinsage__v1__vector__descriptor ? "array"
                                                       : d->short_name;
    }
    default:
        return "integer";
    }
}

static const char *told_type(json_t *schema)
{
    const char *ref = json_string_value(json_object_get(schema, "$ref"));
    json_t *type = json_object_get(schema, "type");
    if (json_is_array(type)) /* or null */
        type = json_array_get(type, 0);
    return ref ? strrchr(ref, '/') + 1 : json_string_value(type);
}

static void check_field(const char *message, const ProtobufCFieldDescriptor *f,
                        json_t *schema)
{
    bool list = f->label == PROTOBUF_C_LABEL_REPEATED &&
                (f->type != PROTOBUF_C_TYPE_MESSAGE || !is_pair(f->descriptor));
    const char *type = told_type(schema);
    if (list && (!type || strcmp(type, "array") != 0))
        fail_msg("%s.%s is told to be no list", message, f->name);
    if (list)
        type = told_type(json_object_get(schema, "items"));
    if (!type || strcmp(type, type_of(f)) != 0)
        fail_msg("%s.%s is told as %s", message, f->name, type ? type : "nothing");
}

/* Fields that travel in a header on this transport. */
static bool is_header(const ProtobufCFieldDescriptor *f)
{
    return strcmp(f->name, "if_match") == 0;
}

static unsigned check_message(const ProtobufCMessageDescriptor *d)
{
    json_t *schema = at(at(told, "components", "schemas"), d->short_name, "properties");
    unsigned checked = schema != NULL, n = 0;
    for (unsigned i = 0; i < d->n_fields && schema; i++) {
        if (is_header(&d->fields[i]))
            continue;
        json_t *field = json_object_get(schema, d->fields[i].name);
        if (!field)
            fail_msg("%s.%s is not told", d->short_name, d->fields[i].name);
        check_field(d->short_name, &d->fields[i], field);
        n++;
    }
    if (schema && json_object_size(schema) != n)
        fail_msg("%s: a field is told that is none", d->short_name);
    for (unsigned i = 0; i < d->n_fields; i++)
        if (d->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
            checked += check_message(d->fields[i].descriptor);
    return checked;
}

/* Every answer, and every question that has a body, down to their parts. */
static void schemas_are_the_messages_of_the_service(void **state)
{
    (void)state;
    const ProtobufCServiceDescriptor *s = &pinsage__v1__recommend_service__descriptor;
    unsigned questions = 0;
    for (unsigned i = 0; i < s->n_methods; i++) {
        assert_true(check_message(s->methods[i].output) > 0);
        questions += check_message(s->methods[i].input) > 0;
    }
    assert_int_equal(questions, 5);
}

static void enums_have_their_short_names(void **state)
{
    (void)state;
    static const ProtobufCEnumDescriptor *const enums[] = {
        &pinsage__v1__missing__descriptor, &pinsage__v1__winner__descriptor};
    for (size_t e = 0; e < 2; e++) {
        json_t *list =
            at(at(told, "components", "schemas"), enums[e]->short_name, "enum");
        assert_int_equal(json_array_size(list), enums[e]->n_values - 1);
        for (unsigned i = 1; i < enums[e]->n_values; i++) {
            const char *name =
                enums[e]->values[i].name + strlen(enums[e]->short_name) + 1;
            const char *want = json_string_value(json_array_get(list, i - 1));
            assert_int_equal(strcasecmp(name, want), 0);
        }
    }
}

static int setup(void **state)
{
    (void)state;
    told = json_load_file("server/web/openapi.json", 0, NULL);
    return told ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    json_decref(told);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_told),
        cmocka_unit_test(nothing_else_is_told),
        cmocka_unit_test(parameters_are_those_of_the_table),
        cmocka_unit_test(what_changes_something_wants_a_token),
        cmocka_unit_test(schemas_are_the_messages_of_the_service),
        cmocka_unit_test(enums_have_their_short_names),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
