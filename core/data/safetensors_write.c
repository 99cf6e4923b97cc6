/* safetensors_write.c - tensors written as one stream, hashed on the way.
 *
 * The format allows no gap between tensors, so alignment comes from order: the header
 * is padded with blanks until the data begin at a multiple of 64, and wider numbers
 * stand before narrower ones.
 *
 * Threads: see safetensors.h.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/buf.h"
#include "pinsage/file.h"
#include "pinsage/safetensors.h"

enum { LENGTH_BYTES = 8, ALIGN = 64, WIDEST = 4, HEADER_MAX = 100000000 };

/* ------------------------------ Checks ------------------------------------ */

static bool valid_text(const char *text)
{
    return ps_utf8_valid(text, strlen(text));
}

static bool valid_tensor(const ps_tensor *t)
{
    size_t size;
    bool shaped = t->ndim == 2 || (t->ndim == 1 && t->shape[1] == 1);
    return shaped && t->name && valid_text(t->name) && strcmp(t->name, "__metadata__") &&
           !__builtin_mul_overflow(t->shape[0], t->shape[1], &size) &&
           !__builtin_mul_overflow(size, ps_tensor_size(t->type), &size);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_unique(const char **names, size_t n, const char *path, ps_why *why)
{
    qsort(names, n, sizeof *names, by_text);
    for (size_t i = 1; i < n; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            return ps_fail(why, PS_EINVAL, path, 0, "\"%.80s\" would stand twice",
                           names[i]);
    return PS_OK;
}

static int check(const char *path, const ps_tensor *tensors, size_t n,
                 const char *const (*meta)[2], size_t n_meta, ps_why *why)
{
    const char **names = calloc(n + n_meta + 1, sizeof *names);
    int err = names ? PS_OK : PS_ENOMEM;
    for (size_t i = 0; i < n && !err; i++) {
        names[i] = tensors[i].name;
        if (!valid_tensor(&tensors[i]))
            err = ps_fail(why, PS_EINVAL, path, 0,
                          "tensor %zu has a name or shape that no reader would take", i);
    }
    if (!err)
        err = check_unique(names, n, path, why);
    for (size_t i = 0; i < n_meta && !err; i++) {
        names[i] = meta[i][0];
        if (!valid_text(meta[i][0]) || !valid_text(meta[i][1]))
            err = ps_fail(why, PS_EINVAL, path, 0, "metadata %zu is not UTF-8", i);
    }
    if (!err)
        err = check_unique(names, n_meta, path, why);
    free(names);
    return err;
}

/* ------------------------------ Header ------------------------------------ */

static size_t bytes_of(const ps_tensor *t)
{
    return (size_t)t->shape[0] * (size_t)t->shape[1] * ps_tensor_size(t->type);
}

static void add_meta(ps_buf *b, const char *const (*meta)[2], size_t n_meta)
{
    ps_buf_text(b, "\"__metadata__\":{");
    for (size_t i = 0; i < n_meta; i++) {
        if (i)
            ps_buf_char(b, ',');
        ps_buf_json(b, meta[i][0], strlen(meta[i][0]));
        ps_buf_char(b, ':');
        ps_buf_json(b, meta[i][1], strlen(meta[i][1]));
    }
    ps_buf_char(b, '}');
}

static void add_tensor(ps_buf *b, const ps_tensor *t, uint64_t *at)
{
    if (b->size > 1)
        ps_buf_char(b, ',');
    ps_buf_json(b, t->name, strlen(t->name));
    ps_buf_printf(b, ":{\"dtype\":\"%s\",\"shape\":[", ps_tensor_name(t->type));
    ps_buf_u64(b, t->shape[0]);
    if (t->ndim == 2) {
        ps_buf_char(b, ',');
        ps_buf_u64(b, t->shape[1]);
    }
    ps_buf_text(b, "],\"data_offsets\":[");
    ps_buf_u64(b, *at);
    ps_buf_char(b, ',');
    ps_buf_u64(b, *at += bytes_of(t));
    ps_buf_text(b, "]}");
}

static void add_header(ps_buf *b, const ps_tensor *tensors, size_t n,
                       const char *const (*meta)[2], size_t n_meta)
{
    uint64_t at = 0;
    ps_buf_char(b, '{');
    if (n_meta)
        add_meta(b, meta, n_meta);
    for (size_t width = WIDEST; width > 0; width /= 2)
        for (size_t i = 0; i < n; i++)
            if (ps_tensor_size(tensors[i].type) == width)
                add_tensor(b, &tensors[i], &at);
    ps_buf_char(b, '}');
    while ((LENGTH_BYTES + b->size) % ALIGN)
        ps_buf_char(b, ' ');
}

/* ------------------------------ Writing ----------------------------------- */

static void write_header(ps_out *o, const ps_buf *header)
{
    unsigned char length[LENGTH_BYTES];
    for (int i = 0; i < LENGTH_BYTES; i++)
        length[i] = (unsigned char)((uint64_t)header->size >> (8 * i));
    ps_out_write(o, length, sizeof length);
    ps_out_write(o, header->data, header->size);
}

static void write_data(ps_out *o, const ps_tensor *tensors, size_t n)
{
    for (size_t width = WIDEST; width > 0; width /= 2)
        for (size_t i = 0; i < n; i++)
            if (ps_tensor_size(tensors[i].type) == width && bytes_of(&tensors[i]))
                ps_out_write(o, tensors[i].data, bytes_of(&tensors[i]));
}

int ps_safetensors_write(const char *path, const ps_tensor *tensors, size_t n,
                         const char *const (*meta)[2], size_t n_meta, uint64_t *size,
                         uint64_t *hash, ps_why *why)
{
    ps_buf header = {0};
    ps_out *o = NULL;
    int err = check(path, tensors, n, meta, n_meta, why);
    if (err)
        return err;
    add_header(&header, tensors, n, meta, n_meta);
    if (header.failed)
        err = PS_ENOMEM;
    else if (header.size > HEADER_MAX)
        err = ps_fail(why, PS_ERANGE, path, 0, "its header would be over 100 MB");
    if (!err)
        err = ps_out_open(&o, path, why);
    if (err)
        goto out;
    write_header(o, &header);
    write_data(o, tensors, n);
    if (size)
        *size = ps_out_size(o);
    err = ps_out_close(o, hash, why);
out:
    ps_buf_done(&header);
    return err;
}
