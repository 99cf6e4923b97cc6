/* rest.c - reads what an address asks for and calls the operation.
 *
 * Threads: see rest.h.
 */
#include "server/routes/rest.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "server/api/ops.h"
#include "server/message/params.h"
#include "server/routes/health.h"

/* ------------------------------ Related ------------------------------------ */

static int add_id(ps_text *list, uint32_t *n, ps_text id, ps_why *why)
{
    if (!id.len)
        return PS_OK;
    if (*n == PS_EXCLUDE_MAX)
        return ps_fail(why, PS_EINVAL, NULL, 0, "exclude names more than %d pins",
                       PS_EXCLUDE_MAX);
    list[(*n)++] = id;
    return PS_OK;
}

/* An id may hold a comma: the whole value is a pin too, beside its parts. */
static int add_excluded(ps_text *list, uint32_t *n, ps_text value, ps_why *why)
{
    int err = add_id(list, n, value, why);
    if (!memchr(value.data, ',', value.len))
        return err;
    ps_text part;
    while (!err && ps_text_cut(&value, ',', &part))
        err = add_id(list, n, part, why);
    return err;
}

static int read_excluded(const ps_request *r, ps_related *q, ps_why *why)
{
    if (!ps_request_param(r, "exclude"))
        return PS_OK;
    ps_text *list = ps_arena_alloc(r->arena, PS_EXCLUDE_MAX * sizeof *list);
    int err = list ? PS_OK : PS_ENOMEM;
    for (size_t i = 0; i < r->target.n_params && !err; i++)
        if (ps_text_is(r->target.param[i].name, "exclude"))
            err = add_excluded(list, &q->n_exclude, r->target.param[i].value, why);
    q->exclude = list;
    return err;
}

void ps_rest_related(ps_context *d, const ps_request *r, ps_reply *out)
{
    ps_why why = {0};
    ps_related q = {.pin = r->arg[0],
                    .k = d->state->opts->k_max < 20 ? d->state->opts->k_max : 20,
                    .method = ps_params_text(r, "method"),
                    .board = ps_params_text(r, "board")};
    int err = ps_params_number(r, "k", 1, d->state->opts->k_max, &q.k, &why);
    if (!err)
        err = ps_params_flag(r, "explain", &q.explain, &why);
    if (!err)
        err = read_excluded(r, &q, &why);
    if (err)
        ps_reply_failed(out, err, &why);
    else
        ps_op_related(d, r, &q, out);
}

/* ------------------------------ Pins, boards, version ---------------------- */

static int read_page(const ps_request *r, uint32_t *limit, uint32_t *offset, ps_why *why)
{
    *offset = 0;
    int err = ps_params_number(r, "limit", 0, PS_PAGE_MAX, limit, why);
    if (!err)
        err = ps_params_number(r, "offset", 0, UINT32_MAX, offset, why);
    return err;
}

void ps_rest_pin(ps_context *d, const ps_request *r, ps_reply *out)
{
    ps_why why = {0};
    ps_get_pin q = {.pin = r->arg[0], .limit = PS_BOARDS_MAX, .plain = true};
    int err = read_page(r, &q.limit, &q.offset, &why);
    if (!err)
        err = ps_params_flag(r, "features", &q.features, &why);
    if (err)
        ps_reply_failed(out, err, &why);
    else
        ps_op_get_pin(d, r, &q, out);
}

void ps_rest_board(ps_context *d, const ps_request *r, ps_reply *out)
{
    ps_why why = {0};
    ps_get_board q = {.board = r->arg[0], .limit = PS_LIST_DEFAULT};
    int err = read_page(r, &q.limit, &q.offset, &why);
    if (err)
        ps_reply_failed(out, err, &why);
    else
        ps_op_get_board(d, r, &q, out);
}

void ps_rest_version(ps_context *d, const ps_request *r, ps_reply *out)
{
    (void)r;
    ps_op_version(d, out);
}

/* ------------------------------ Images ------------------------------------- */

static const char *http_date(time_t t, ps_arena *arena)
{
    struct tm tm;
    char text[40];
    gmtime_r(&t, &tm);
    size_t n = strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    const char *kept = ps_arena_copy(arena, text, n);
    return kept ? kept : "";
}

/* Ours is the only form of date we compare: a client sends back what it was given. */
static bool is_unchanged(const ps_request *r, const char *etag, const char *date)
{
    if (r->header.if_none_match.data)
        return ps_etag_matches(r->header.if_none_match, etag);
    ps_text since = r->header.if_modified_since;
    return since.data && ps_text_is(since, date);
}

void ps_rest_image(ps_context *d, const ps_request *r, ps_reply *out)
{
    ps_why why = {0};
    ps_image image;
    int err = d->state->images
                  ? ps_image_open(&image, d->state->images, r->arg[0], &why)
                  : ps_fail(&why, PS_ENOENT, NULL, 0, "no images are served");
    if (err) {
        ps_reply_failed(out, err, &why);
        return;
    }
    const char *date = http_date(image.modified, r->arena);
    const char *etag = ps_arena_copy(r->arena, image.etag, strlen(image.etag));
    out->type = image.type;
    out->fd = image.fd;
    out->size = image.size;
    ps_reply_header(out, "ETag", etag ? etag : "\"\"");
    ps_reply_header(out, "Last-Modified", date);
    ps_reply_header(out, "Cache-Control", "public, max-age=3600");
    if (image.script)
        ps_reply_header(out, "Content-Security-Policy",
                        "default-src 'none'; style-src 'unsafe-inline'; sandbox");
    if (is_unchanged(r, image.etag, date))
        out->status = 304;
}
