/* body_json.c - JSON into a generated message, led by the message's description.
 *
 * The mapping is proto3's: names in snake_case or lowerCamelCase, numbers also as
 * strings, null for a field that is left out. Beyond it, a message that is nothing but a
 * list may be written as that list, and an enum's value without its prefix:
 *
 *     {"features": {"visual": [0.1, 0.2]}, "missing": "skip"}
 *
 * A message with a field `remove` is a merge patch: there a null, of a field or of a name
 * in a map, is an element of that list, {"title": null, "metadata": {"price": null}} the
 * same as {"remove": ["title", "metadata.price"]}.
 *
 * Threads: see body.h.
 */
#include <ctype.h>
#include <float.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/buf.h"
#include "server/api/body_inside.h"

/* Where the reader is, for words: each step knows the one around it. */
typedef struct step {
    const struct step *up;
    const char *name; /* NULL: an element of a list */
    size_t index;
} step;

typedef struct reader {
    ps_arena *arena;
    bool strict, patch;
    ps_why *why;
} reader;

static void write_path(ps_buf *out, const step *at)
{
    if (!at)
        return;
    write_path(out, at->up);
    if (at->name)
        ps_buf_printf(out, "%s%.80s", at->up ? "." : "", at->name);
    else
        ps_buf_printf(out, "[%zu]", at->index);
}

static int refuse(reader *r, const step *at, const char *text)
{
    ps_buf path = {0};
    write_path(&path, at);
    int err = ps_fail(r->why, PS_EINVAL, NULL, 0, "%.180s: %s",
                      path.data && !path.failed ? path.data : "the body", text);
    ps_buf_done(&path);
    return err;
}

/* ------------------------------ Scalars ------------------------------------ */

/* The number a JSON value is, or says as a string. */
static bool number_of(const json_t *value, double *out)
{
    if (json_is_number(value)) {
        *out = json_number_value(value);
        return true;
    }
    const char *text = json_string_value(value);
    if (!text || !*text)
        return false;
    static const struct {
        const char *name;
        double value;
    } odd[] = {{"NaN", NAN}, {"Infinity", INFINITY}, {"-Infinity", -INFINITY}};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        if (strcmp(text, odd[i].name) == 0) {
            *out = odd[i].value;
            return true;
        }
    char *end;
    bool plain = strspn(text, "0123456789+-.eE") == strlen(text);
    *out = plain ? strtod(text, &end) : 0;
    return plain && !*end && isfinite(*out);
}

static int read_float(reader *r, const step *at, const json_t *value, float *out)
{
    double x;
    if (!number_of(value, &x))
        return refuse(r, at, "not a number");
    if (isfinite(x) && fabs(x) > FLT_MAX)
        return refuse(r, at, "too large for a 32-bit float");
    *out = (float)x;
    return PS_OK;
}

static int read_u32(reader *r, const step *at, const json_t *value, uint32_t *out)
{
    double x;
    if (!number_of(value, &x) || !(x >= 0 && x <= UINT32_MAX) || trunc(x) != x)
        return refuse(r, at, "not a whole number in 0..4294967295");
    *out = (uint32_t)x;
    return PS_OK;
}

static int read_bool(reader *r, const step *at, const json_t *value,
                     protobuf_c_boolean *out)
{
    if (!json_is_boolean(value))
        return refuse(r, at, "neither true nor false");
    *out = json_is_true(value);
    return PS_OK;
}

static int read_string(reader *r, const step *at, const json_t *value, char **out)
{
    if (!json_is_string(value))
        return refuse(r, at, "not a string");
    *out = ps_arena_copy(r->arena, json_string_value(value), json_string_length(value));
    return *out ? PS_OK : PS_ENOMEM;
}

/* MISSING_SKIP is also "skip": the part behind the enum's own name, in small letters. */
static bool names_value(const char *text, const char *name, size_t prefix)
{
    if (strcmp(text, name) == 0)
        return true;
    if (strlen(name) <= prefix || strlen(name) - prefix != strlen(text))
        return false;
    for (name += prefix; *text; text++, name++)
        if (*text != tolower((unsigned char)*name))
            return false;
    return true;
}

static int refuse_value(reader *r, const step *at, const ProtobufCEnumDescriptor *d,
                        size_t prefix)
{
    ps_buf list = {0};
    ps_buf_text(&list, "none of");
    for (unsigned i = 1; i < d->n_values; i++) {
        ps_buf_text(&list, i > 1 ? ", " : " ");
        for (const char *c = d->values[i].name + prefix; *c; c++)
            ps_buf_char(&list, (char)tolower((unsigned char)*c));
    }
    int err = refuse(r, at, list.failed ? "not one of the names" : list.data);
    ps_buf_done(&list);
    return err;
}

static int read_enum(reader *r, const step *at, const json_t *value,
                     const ProtobufCEnumDescriptor *d, int *out)
{
    size_t prefix = strlen(d->short_name) + 1; /* "Missing", "MISSING_" */
    const char *text = json_string_value(value);
    for (unsigned i = 0; i < d->n_values; i++) {
        bool same = text ? names_value(text, d->values[i].name, prefix)
                         : json_is_integer(value) &&
                               json_integer_value(value) == d->values[i].value;
        if (same) {
            *out = d->values[i].value;
            return PS_OK;
        }
    }
    return refuse_value(r, at, d, prefix);
}

/* ------------------------------ Messages ----------------------------------- */

static int read_message(reader *r, const step *at, const json_t *value,
                        const ProtobufCMessageDescriptor *d, void **out);

static int read_one(reader *r, const step *at, const json_t *value,
                    const ProtobufCFieldDescriptor *f, void *place)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        return read_string(r, at, value, place);
    case PROTOBUF_C_TYPE_FLOAT:
        return read_float(r, at, value, place);
    case PROTOBUF_C_TYPE_UINT32:
        return read_u32(r, at, value, place);
    case PROTOBUF_C_TYPE_BOOL:
        return read_bool(r, at, value, place);
    case PROTOBUF_C_TYPE_ENUM:
        return read_enum(r, at, value, f->descriptor, place);
    case PROTOBUF_C_TYPE_MESSAGE:
        return read_message(r, at, value, f->descriptor, place);
    default: /* no question has such a field */
        return PS_EUNSUPPORTED;
    }
}

static size_t size_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_FLOAT:
        return sizeof(float);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    default:
        return sizeof(uint32_t);
    }
}

bool body_is_pair(const ProtobufCMessageDescriptor *d)
{
    size_t len = strlen(d->short_name);
    return d->n_fields == 2 && len > 5 && strcmp(d->short_name + len - 5, "Entry") == 0;
}

static int read_pair(reader *r, const step *at, const char *key, const json_t *value,
                     const ProtobufCMessageDescriptor *d, void **out)
{
    char *m = *out = ps_arena_alloc(r->arena, d->sizeof_message);
    char *copy = ps_arena_copy(r->arena, key, strlen(key));
    if (!m || !copy)
        return PS_ENOMEM;
    d->message_init(*out);
    memcpy(m + d->fields[0].offset, &copy, sizeof copy);
    return read_one(r, at, value, &d->fields[1], m + d->fields[1].offset);
}

static int read_map(reader *r, const step *at, json_t *object,
                    const ProtobufCMessageDescriptor *d, void **out)
{
    const char *key;
    json_t *value;
    size_t i = 0;
    json_object_foreach(object, key, value)
    {
        step here = {at, key, 0};
        if (r->patch && json_is_null(value))
            continue;
        int err = read_pair(r, &here, key, value, d, &out[i++]);
        if (err)
            return err;
    }
    return PS_OK;
}

static int read_elements(reader *r, const step *at, const json_t *list,
                         const ProtobufCFieldDescriptor *f, char *out)
{
    size_t n = json_array_size(list), size = size_of(f->type);
    for (size_t i = 0; i < n; i++) {
        step here = {at, NULL, i};
        int err = read_one(r, &here, json_array_get(list, i), f, out + i * size);
        if (err)
            return err;
    }
    return PS_OK;
}

static size_t map_size(const reader *r, json_t *object)
{
    const char *key;
    json_t *value;
    size_t n = 0;
    json_object_foreach(object, key, value)
    {
        n += !(r->patch && json_is_null(value));
    }
    return n;
}

static int read_repeated(reader *r, const step *at, json_t *value,
                         const ProtobufCFieldDescriptor *f, char *message)
{
    bool map = f->type == PROTOBUF_C_TYPE_MESSAGE && body_is_pair(f->descriptor);
    if (!(map ? json_is_object(value) : json_is_array(value)))
        return refuse(r, at, map ? "not an object" : "not a list");
    size_t n = map ? map_size(r, value) : json_array_size(value);
    if (n > BODY_LIST_MAX && size_of(f->type) == sizeof(void *))
        return refuse(r, at, "far too many");
    char *out = ps_arena_alloc(r->arena, n * size_of(f->type));
    if (!out)
        return PS_ENOMEM;
    memcpy(message + f->quantifier_offset, &n, sizeof n);
    memcpy(message + f->offset, &out, sizeof out);
    return map ? read_map(r, at, value, f->descriptor, (void **)(void *)out)
               : read_elements(r, at, value, f, out);
}

/* "boardCount" and "board_count" are the same field. */
static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *d,
                                                  const char *key)
{
    char name[64];
    size_t n = 0;
    for (; *key; key++) {
        if (n + 3 > sizeof name)
            return NULL;
        if (isupper((unsigned char)*key))
            name[n++] = '_';
        name[n++] = (char)tolower((unsigned char)*key);
    }
    name[n] = '\0';
    return protobuf_c_message_descriptor_get_field_by_name(d, name);
}

static int read_field(reader *r, const step *at, json_t *value,
                      const ProtobufCFieldDescriptor *f, char *message)
{
    if (!f)
        return r->strict ? refuse(r, at, "there is no such field") : PS_OK;
    if (json_is_null(value))
        return PS_OK;
    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        return read_repeated(r, at, value, f, message);
    return read_one(r, at, value, f, message + f->offset);
}

static bool is_list(const ProtobufCMessageDescriptor *d)
{
    return d->n_fields == 1 && d->fields[0].label == PROTOBUF_C_LABEL_REPEATED;
}

static int read_message(reader *r, const step *at, const json_t *value,
                        const ProtobufCMessageDescriptor *d, void **out)
{
    json_t *object = (json_t *)(uintptr_t)value, *field;
    const char *key;
    int err = PS_OK;
    *out = ps_arena_alloc(r->arena, d->sizeof_message);
    if (!*out)
        return PS_ENOMEM;
    d->message_init(*out);
    if (json_is_array(value) && is_list(d))
        return read_repeated(r, at, object, &d->fields[0], *out);
    if (!json_is_object(value))
        return refuse(r, at, is_list(d) ? "not a list" : "not an object");
    json_object_foreach(object, key, field)
    {
        step here = {at, key, 0};
        if (!err)
            err = read_field(r, &here, field, find_field(d, key), *out);
    }
    return err;
}

/* ------------------------------ Merge patches ------------------------------ */

typedef struct removal {
    reader *r;
    char **list; /* NULL: they are only counted */
    size_t n;
} removal;

/* map.name, or name alone. */
static int remove_path(removal *x, const char *map, const char *name)
{
    size_t len = strlen(map), more = strlen(name);
    x->n++;
    if (!x->list)
        return PS_OK;
    char *path = ps_arena_alloc(x->r->arena, len + more + 2);
    if (!path)
        return PS_ENOMEM;
    x->list[x->n - 1] = path;
    memcpy(path, map, len);
    if (len)
        path[len++] = '.';
    memcpy(path + len, name, more + 1);
    return PS_OK;
}

static int remove_nulls(removal *x, json_t *object, const ProtobufCMessageDescriptor *d)
{
    const char *key, *name;
    json_t *field, *value;
    int err = PS_OK;
    json_object_foreach(object, key, field)
    {
        const ProtobufCFieldDescriptor *f = find_field(d, key);
        if (f && json_is_null(field) && !err)
            err = remove_path(x, "", f->name);
        json_object_foreach(json_is_object(field) ? field : NULL, name, value)
        {
            if (f && json_is_null(value) && !err)
                err = remove_path(x, f->name, name);
        }
    }
    return err;
}

/* Nulls join what the list of removals says. */
static int add_removals(reader *r, json_t *object, const ProtobufCMessageDescriptor *d,
                        const ProtobufCFieldDescriptor *f, char *message)
{
    size_t told;
    char **old;
    removal x = {.r = r};
    remove_nulls(&x, object, d);
    memcpy(&told, message + f->quantifier_offset, sizeof told);
    memcpy(&old, message + f->offset, sizeof old);
    if (told + x.n > BODY_LIST_MAX)
        return refuse(r, NULL, "far too many nulls");
    char **list = ps_arena_alloc(r->arena, (told + x.n) * sizeof *list);
    if (!list)
        return PS_ENOMEM;
    if (told)
        memcpy(list, old, told * sizeof *list);
    x = (removal){.r = r, .list = list + told};
    int err = remove_nulls(&x, object, d);
    told += x.n;
    memcpy(message + f->quantifier_offset, &told, sizeof told);
    memcpy(message + f->offset, &list, sizeof list);
    return err;
}

int body_read_json(const ps_body *b, const ProtobufCMessageDescriptor *d, void **message,
                   ps_why *why)
{
    json_error_t e;
    const ProtobufCFieldDescriptor *removals =
        protobuf_c_message_descriptor_get_field_by_name(d, "remove");
    reader r = {b->arena, b->dialect == PS_STRICT_JSON, removals != NULL, why};
    json_t *root = json_loadb(b->bytes.data ? b->bytes.data : "", b->bytes.len,
                              JSON_REJECT_DUPLICATES, &e);
    if (!root)
        return ps_fail(why, PS_EINVAL, NULL, 0,
                       "the body is not JSON: %.120s (line %d, column %d)", e.text,
                       e.line, e.column);
    int err = read_message(&r, NULL, root, d, message);
    if (!err && removals)
        err = add_removals(&r, root, d, removals, *message);
    json_decref(root);
    return err;
}
