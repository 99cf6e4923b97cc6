/* web.c - serves the pages as they are stored, gzipped, or inflated for who cannot read
 * that.
 *
 * Threads: see web.h.
 */
#include "server/routes/web.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "server/routes/assets.h"

/* Pictures may come from anywhere: pins name them. Everything else is ours. */
static const char policy[] =
    "default-src 'self'; img-src 'self' https: http: data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

static const ps_asset *find_asset(ps_text name)
{
    for (size_t i = 0; i < ps_n_assets; i++)
        if (ps_text_is(name, ps_assets[i].name))
            return &ps_assets[i];
    return NULL;
}

bool ps_web_has(ps_text name)
{
    return find_asset(name) != NULL;
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

static bool inflate_into(void *out, const ps_asset *a)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)a->gzip,
                  .avail_in = (uInt)a->gzip_size,
                  .next_out = out,
                  .avail_out = (uInt)a->size};
    if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
        return false;
    bool whole = inflate(&z, Z_FINISH) == Z_STREAM_END && z.total_out == a->size;
    inflateEnd(&z);
    return whole;
}

static void send_plain(const ps_asset *a, const ps_request *r, ps_reply *out)
{
    void *text = ps_arena_alloc(r->arena, a->size);
    if (!text || !inflate_into(text, a)) {
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
        find_asset(root ? (ps_text){"index.html", 10} : r->target.segment[0]);
    if (a)
        send_asset(a, r, out);
    else
        ps_reply_error(out, (ps_failure){.code = PS_CODE_NOT_FOUND},
                       "this program carries no such page");
}
