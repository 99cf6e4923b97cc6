/* safetensors.c - named tensors read by mapping, every claim of the header checked.
 *
 * The header is parsed once into a table of tensors sorted by where their data begin.
 * In that order "no overlap, no gap, nothing left over" is one comparison a tensor: each
 * must begin where the one before it ended, the last must end with the file. Sizes are
 * compared with the product of the shape, computed with overflow checks, so nothing
 * that was accepted can point outside the map.
 *
 * Threads: see safetensors.h. Not here: writing (safetensors_write.c).
 */
#include "pinsage/safetensors.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/file.h"
#include "pinsage/half.h"
#include "pinsage/npy.h"

enum { LENGTH_BYTES = 8, HEADER_MAX = 100000000 };

struct ps_safetensors {
    ps_map map;
    json_t *header; /* owned; names are borrowed from it */
    const char *data;
    size_t data_size;
    size_t n;
    ps_tensor *tensors; /* (n), by where they begin */
    char path[256];     /* for messages; cut when longer */
};

/* Where a value of the header was found, for messages. */
typedef struct reading {
    ps_safetensors *s;
    const char *path;
    ps_why *why;
} reading;

/* ------------------------------ Types ------------------------------------- */

static const struct {
    const char *name;
    size_t size;
} types[] = {[PS_TENSOR_F32] = {"F32", 4},
             [PS_TENSOR_F16] = {"F16", 2},
             [PS_TENSOR_BF16] = {"BF16", 2},
             [PS_TENSOR_U8] = {"U8", 1}};

#define N_TYPES (sizeof types / sizeof *types)

size_t ps_tensor_size(ps_tensor_type type)
{
    return types[type].size;
}

const char *ps_tensor_name(ps_tensor_type type)
{
    return types[type].name;
}

static bool type_of(const char *name, ps_tensor_type *type)
{
    for (size_t i = 0; i < N_TYPES; i++)
        if (strcmp(types[i].name, name) == 0) {
            *type = (ps_tensor_type)i;
            return true;
        }
    return false;
}

/* ------------------------------ One entry --------------------------------- */

/* A name as it may stand in a message: one line, not too long. */
typedef struct shown {
    char text[72];
} shown;

static shown show(const char *name)
{
    shown s;
    snprintf(s.text, sizeof s.text, "%s", name);
    for (char *c = s.text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';
    return s;
}

static int bad(const reading *r, const char *name, const char *what)
{
    return ps_fail(r->why, PS_EFORMAT, r->path, 0, "tensor \"%s\": %s", show(name).text,
                   what);
}

static int read_type(const reading *r, json_t *entry, ps_tensor *t)
{
    const char *name = json_string_value(json_object_get(entry, "dtype"));
    if (!name)
        return bad(r, t->name, "its dtype is missing or not a string");
    if (!type_of(name, &t->type))
        return ps_fail(r->why, PS_EUNSUPPORTED, r->path, 0,
                       "tensor \"%s\" is of type %s; F32, F16, BF16 and U8 are read",
                       show(t->name).text, show(name).text);
    return PS_OK;
}

static bool natural(json_t *value, uint64_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

static int read_shape(const reading *r, json_t *entry, ps_tensor *t)
{
    json_t *shape = json_object_get(entry, "shape");
    size_t n = json_array_size(shape);
    if (!json_is_array(shape))
        return bad(r, t->name, "its shape is missing or not a list");
    if (n < 1 || n > 2)
        return ps_fail(r->why, PS_EUNSUPPORTED, r->path, 0,
                       "tensor \"%s\" has %zu dimensions; 1 and 2 are read",
                       show(t->name).text, n);
    t->ndim = (uint32_t)n;
    t->shape[1] = 1;
    for (size_t i = 0; i < n; i++)
        if (!natural(json_array_get(shape, i), &t->shape[i]))
            return bad(r, t->name, "its shape holds something that is not a size");
    return PS_OK;
}

/* Bytes that a shape and type need; false when the product does not fit. */
static bool bytes_of(const ps_tensor *t, size_t *size)
{
    return !__builtin_mul_overflow(t->shape[0], t->shape[1], size) &&
           !__builtin_mul_overflow(*size, types[t->type].size, size);
}

static int read_offsets(const reading *r, json_t *entry, ps_tensor *t)
{
    uint64_t at[2];
    json_t *offsets = json_object_get(entry, "data_offsets");
    size_t want;
    if (json_array_size(offsets) != 2 || !natural(json_array_get(offsets, 0), &at[0]) ||
        !natural(json_array_get(offsets, 1), &at[1]))
        return bad(r, t->name, "its data_offsets are not two positions");
    if (at[1] < at[0])
        return bad(r, t->name, "its data end before they begin");
    if (at[1] > r->s->data_size)
        return ps_fail(r->why, PS_EFORMAT, r->path, 0,
                       "tensor \"%s\" ends at byte %" PRIu64
                       " of the data, but there are %zu: the file is cut off",
                       show(t->name).text, at[1], r->s->data_size);
    if (!bytes_of(t, &want))
        return bad(r, t->name, "its shape is too large");
    if (at[1] - at[0] != want)
        return ps_fail(r->why, PS_EFORMAT, r->path, 0,
                       "tensor \"%s\" has %" PRIu64 " bytes, its shape and type make %zu",
                       show(t->name).text, at[1] - at[0], want);
    t->data = r->s->data + at[0];
    return PS_OK;
}

static int read_entry(const reading *r, const char *name, json_t *entry, ps_tensor *t)
{
    t->name = name;
    if (!json_is_object(entry))
        return bad(r, name, "its entry is not an object");
    int err = read_type(r, entry, t);
    if (!err)
        err = read_shape(r, entry, t);
    if (!err)
        err = read_offsets(r, entry, t);
    return err;
}

static int read_metadata(const reading *r, json_t *meta)
{
    const char *key;
    json_t *value;
    if (!json_is_object(meta))
        return ps_fail(r->why, PS_EFORMAT, r->path, 0, "__metadata__ is not an object");
    json_object_foreach(meta, key, value) if (!json_is_string(value)) return ps_fail(
        r->why, PS_EFORMAT, r->path, 0, "__metadata__ entry \"%s\" is not a string",
        show(key).text);
    return PS_OK;
}

/* ------------------------------ The table --------------------------------- */

static size_t extent(const ps_tensor *t)
{
    size_t size = 0;
    bytes_of(t, &size);
    return size;
}

/* By begin, and an empty tensor before the one that begins at the same byte. */
static int by_place(const void *a, const void *b)
{
    const ps_tensor *x = a, *y = b;
    if (x->data != y->data)
        return (const char *)x->data < (const char *)y->data ? -1 : 1;
    size_t n = extent(x), m = extent(y);
    return n != m ? (n < m ? -1 : 1) : strcmp(x->name, y->name);
}

static int check_places(const reading *r)
{
    const ps_safetensors *s = r->s;
    const char *end = s->data;
    for (size_t i = 0; i < s->n; i++) {
        const ps_tensor *t = &s->tensors[i];
        const char *begin = t->data;
        if (begin < end)
            return ps_fail(r->why, PS_EFORMAT, r->path, 0,
                           "the data of tensors \"%s\" and \"%s\" overlap",
                           show(s->tensors[i - 1].name).text, show(t->name).text);
        if (begin > end)
            return ps_fail(r->why, PS_EFORMAT, r->path, 0,
                           "%td bytes before tensor \"%s\" belong to no tensor",
                           begin - end, show(t->name).text);
        end = begin + extent(t);
    }
    size_t left = s->data_size - (size_t)(end - s->data);
    if (left)
        return ps_fail(r->why, PS_EFORMAT, r->path, 0,
                       "the file has %zu bytes at its end that belong to no tensor",
                       left);
    return PS_OK;
}

static int read_table(const reading *r)
{
    ps_safetensors *s = r->s;
    const char *name;
    json_t *entry;
    s->tensors = calloc(json_object_size(s->header) + 1, sizeof *s->tensors);
    if (!s->tensors)
        return PS_ENOMEM;
    json_object_foreach(s->header, name, entry)
    {
        int err = strcmp(name, "__metadata__") == 0
                      ? read_metadata(r, entry)
                      : read_entry(r, name, entry, &s->tensors[s->n++]);
        if (err)
            return err;
    }
    qsort(s->tensors, s->n, sizeof *s->tensors, by_place);
    return check_places(r);
}

/* ------------------------------ The header -------------------------------- */

static uint64_t little_endian(const unsigned char *p)
{
    uint64_t value = 0;
    for (int i = 0; i < LENGTH_BYTES; i++)
        value |= (uint64_t)p[i] << (8 * i);
    return value;
}

static int parse_header(const reading *r, const char *text, size_t size)
{
    json_error_t error;
    if (size == 0 || *text != '{')
        return ps_fail(r->why, PS_EFORMAT, r->path, 0,
                       "its header does not begin with '{': not a safetensors file");
    r->s->header = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (r->s->header)
        return PS_OK;
    if (json_error_code(&error) == json_error_out_of_memory)
        return PS_ENOMEM;
    return ps_fail(r->why, PS_EFORMAT, r->path, 0, "its header is malformed: %s",
                   show(error.text).text);
}

static int read_header(const reading *r)
{
    ps_safetensors *s = r->s;
    const unsigned char *file = s->map.data;
    if (s->map.size < LENGTH_BYTES)
        return ps_fail(r->why, PS_EFORMAT, r->path, 0,
                       "%zu bytes are too few for a safetensors file", s->map.size);
    uint64_t length = little_endian(file);
    if (length > HEADER_MAX)
        return ps_fail(r->why, PS_EFORMAT, r->path, 0,
                       "its header would be %" PRIu64
                       " bytes, at most %d are read: not a safetensors file",
                       length, HEADER_MAX);
    if (length > s->map.size - LENGTH_BYTES)
        return ps_fail(r->why, PS_EFORMAT, r->path, 0,
                       "the file is cut off: its header is %" PRIu64
                       " bytes, the file has %zu",
                       length, s->map.size);
    s->data = (const char *)file + LENGTH_BYTES + length;
    s->data_size = s->map.size - LENGTH_BYTES - (size_t)length;
    return parse_header(r, (const char *)file + LENGTH_BYTES, (size_t)length);
}

/* ------------------------------ Lifetime ---------------------------------- */

int ps_safetensors_open(ps_safetensors **out, const char *path, ps_why *why)
{
    ps_safetensors *s = calloc(1, sizeof *s);
    *out = NULL;
    if (!s)
        return PS_ENOMEM;
    reading r = {.s = s, .path = path, .why = why};
    snprintf(s->path, sizeof s->path, "%s", path);
    int err = ps_map_open(&s->map, path, PS_SEQUENTIAL, why);
    if (!err)
        err = read_header(&r);
    if (!err)
        err = read_table(&r);
    if (err)
        ps_safetensors_close(s);
    else
        *out = s;
    return err;
}

void ps_safetensors_close(ps_safetensors *s)
{
    if (!s)
        return;
    json_decref(s->header);
    free(s->tensors);
    ps_map_close(&s->map);
    free(s);
}

/* ------------------------------ Looking up -------------------------------- */

const ps_tensor *ps_safetensors_at(const ps_safetensors *s, size_t i)
{
    return i < s->n ? &s->tensors[i] : NULL;
}

const ps_tensor *ps_safetensors_find(const ps_safetensors *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->tensors[i].name, name) == 0)
            return &s->tensors[i];
    return NULL;
}

const char *ps_safetensors_meta(const ps_safetensors *s, const char *key)
{
    json_t *meta = json_object_get(s->header, "__metadata__");
    return json_string_value(json_object_get(meta, key));
}

static int check_shape(const ps_safetensors *s, const ps_tensor *t, uint64_t rows,
                       uint64_t cols, ps_why *why)
{
    uint32_t ndim = cols ? 2 : 1;
    if (t->ndim == ndim && t->shape[0] == rows && t->shape[1] == (cols ? cols : 1))
        return PS_OK;
    char have[48], want[48];
    snprintf(have, sizeof have,
             t->ndim == 2 ? "(%" PRIu64 ", %" PRIu64 ")" : "(%" PRIu64 ")", t->shape[0],
             t->shape[1]);
    snprintf(want, sizeof want,
             ndim == 2 ? "(%" PRIu64 ", %" PRIu64 ")" : "(%" PRIu64 ")", rows, cols);
    return ps_fail(why, PS_EMISMATCH, s->path, 0,
                   "tensor \"%s\" has shape %s, expected is %s", show(t->name).text, have,
                   want);
}

/* The upper half of a float32. */
static void from_bf16(const char *data, float *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t half;
        memcpy(&half, data + i * sizeof half, sizeof half);
        uint32_t bits = (uint32_t)half << 16;
        memcpy(&out[i], &bits, sizeof bits);
    }
}

/* In pieces through memory of our own: the file's halves may lie at odd places. */
static void from_f16(const char *data, float *out, size_t n)
{
    uint16_t piece[512];
    const size_t room = sizeof piece / sizeof *piece;
    for (size_t i = 0; i < n; i += room) {
        size_t m = n - i < room ? n - i : room;
        memcpy(piece, data + i * sizeof *piece, m * sizeof *piece);
        ps_f16_to_f32(piece, out + i, m);
    }
}

int ps_safetensors_read_f32(const ps_safetensors *s, const char *name, uint64_t rows,
                            uint64_t cols, float *out, ps_why *why)
{
    const ps_tensor *t = ps_safetensors_find(s, name);
    if (!t)
        return ps_fail(why, PS_EMISMATCH, s->path, 0, "it has no tensor \"%s\"", name);
    int err = check_shape(s, t, rows, cols, why);
    if (err)
        return err;
    size_t n = (size_t)(t->shape[0] * t->shape[1]);
    if (t->type == PS_TENSOR_U8)
        return ps_fail(why, PS_EMISMATCH, s->path, 0,
                       "tensor \"%s\" holds bytes, expected are numbers", name);
    if (t->type == PS_TENSOR_F32 && n)
        memcpy(out, t->data, n * sizeof *out);
    else if (t->type == PS_TENSOR_F16)
        from_f16(t->data, out, n);
    else if (t->type == PS_TENSOR_BF16)
        from_bf16(t->data, out, n);
    return PS_OK;
}
