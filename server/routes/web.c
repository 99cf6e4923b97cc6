/* web.c - serves the pages as they are stored, gzipped, or inflated for who cannot read
 * that.
 *
 * Threads: see web.h.
 */
#include "server/routes/web.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/eval.h"
#include "pinsage/file.h"
#include "server/base/assets.h"
#include "server/base/stamp.h"

/* Pictures may come from anywhere: pins name them. Everything else is ours. */
static const char policy[] =
    "default-src 'self'; img-src 'self' https: http: data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

bool ps_web_has(ps_text name)
{
    return ps_asset_find(name) != NULL;
}

static const char *type_of(const char *name)
{
    static const char *const types[][2] = {
        {".html", "text/html; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".json", "application/json"},
        {".ico", "image/vnd.microsoft.icon"},
        {".txt", "text/plain; charset=utf-8"},
    };
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i][0], dot) == 0)
            return types[i][1];
    return "application/octet-stream";
}

static void send_plain(const ps_asset *a, const ps_request *r, ps_reply *out)
{
    void *text = ps_arena_alloc(r->arena, a->size);
    if (!text || !ps_asset_inflate(a, text)) {
        ps_reply_error(out, (ps_failure){.code = PS_CODE_INTERNAL},
                       "the page cannot be unpacked");
        return;
    }
    ps_buf_add(&out->body, text, a->size);
}

static void send_asset(const ps_asset *a, const ps_request *r, ps_reply *out)
{
    bool gzip = ps_header_names(r->header.accept_encoding, "gzip");
    char etag[40];
    int n = snprintf(etag, sizeof etag, "\"%s%s\"", a->etag, gzip ? "-gz" : "");
    const char *kept = ps_arena_copy(r->arena, etag, (size_t)n);
    out->type = type_of(a->name);
    if (kept)
        ps_reply_header(out, "ETag", kept);
    ps_reply_header(out, "Vary", "Accept-Encoding");
    ps_reply_header(out, "Cache-Control", "no-cache");
    ps_reply_header(out, "Content-Security-Policy", policy);
    ps_reply_header(out, "Referrer-Policy", "no-referrer");
    if (ps_etag_matches(r->header.if_none_match, etag)) {
        out->status = 304;
    } else if (gzip) {
        ps_reply_header(out, "Content-Encoding", "gzip");
        out->bytes = a->gzip;
        out->size = a->gzip_size;
    } else {
        send_plain(a, r, out);
    }
}

void ps_web_page(ps_context *d, const ps_request *r, ps_reply *out)
{
    (void)d;
    bool root = r->target.n_segments == 1 && r->target.segment[0].len == 0;
    const ps_asset *a =
        ps_asset_find(root ? (ps_text){"index.html", 10} : r->target.segment[0]);
    if (a)
        send_asset(a, r, out);
    else
        ps_reply_error(out, (ps_failure){.code = PS_CODE_NOT_FOUND},
                       "this program carries no such page");
}

enum { EVAL_BYTES = 16 << 20 };

void ps_web_eval(ps_context *d, const ps_request *r, ps_reply *out)
{
    (void)r;
    char path[PS_PATH_MAX];
    ps_slurp file = {0};
    if (ps_path_join(path, sizeof path, d->state->opts->catalog, PS_EVAL_FILE) ||
        ps_slurp_file(&file, path, EVAL_BYTES, NULL)) {
        ps_reply_error(out, (ps_failure){.code = PS_CODE_NOT_FOUND},
                       "there is no report yet: run `pinsage eval`");
        return;
    }
    ps_buf_add(&out->body, file.text, file.size);
    free(file.text);
}
