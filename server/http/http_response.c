/* http_response.c - an answer as this client may have it: packed or plain, with or
 * without leave for another site's page to read it, or only the news that nothing is new.
 *
 * Threads: see http.h.
 */
#include <string.h>

#include "server/http/http_inside.h"

/* What pages of other sites may send and see (those of the Connect clients, and ours). */
#define CORS_SEND                                                                        \
    "Content-Type, Connect-Protocol-Version, Connect-Timeout-Ms, X-Grpc-Web, "           \
    "Grpc-Timeout, X-User-Agent, Authorization, If-Match, If-None-Match"
#define CORS_SEE     "Grpc-Status, Grpc-Message, ETag, Retry-After"
#define CORS_SECONDS "7200" /* the longest that browsers keep a preflight's answer */

/* ------------------------------ What the client takes ---------------------- */

enum { TAKES_GZIP = 1, ORIGIN = 2 };

uint8_t http_variant(const ps_http *h, const ps_request *r)
{
    bool gzip = h->gzip && r->header.accept_encoding.data &&
                ps_header_names(r->header.accept_encoding, "gzip");
    unsigned origin = ps_cors_find(&h->state->cors, r->header.origin);
    return (uint8_t)((gzip ? TAKES_GZIP : 0) + ORIGIN * origin);
}

/* Text, in our types. */
static bool packs_well(const ps_reply *r)
{
    return r->fd < 0 && !r->bytes &&
           (strncmp(r->type, "application/json", 16) == 0 ||
            strncmp(r->type, "application/openmetrics", 23) == 0 ||
            strncmp(r->type, "text/", 5) == 0);
}

static bool has_header(const ps_reply *r, const char *name)
{
    for (unsigned i = 0; i < r->n_headers; i++)
        if (strcmp(r->header[i].name, name) == 0)
            return true;
    return false;
}

/* ------------------------------ Headers ------------------------------------ */

#define ADD(name, value) MHD_add_response_header(response, name, value)

static void add_vary(const ps_http *h, const ps_reply *r, struct MHD_Response *response)
{
    bool encoding = h->gzip && packs_well(r) && !has_header(r, "Vary");
    bool origin = h->state->cors.n > 0;
    if (encoding || origin)
        ADD("Vary", !origin     ? "Accept-Encoding"
                    : !encoding ? "Origin"
                                : "Accept-Encoding, Origin");
}

static void add_cors(const ps_http *h, const exchange *x, struct MHD_Response *response)
{
    const ps_reply *r = &x->reply;
    unsigned origin = x->variant / ORIGIN;
    if (!origin)
        return;
    ADD("Access-Control-Allow-Origin", ps_cors_text(&h->state->cors, origin));
    ADD("Access-Control-Expose-Headers", CORS_SEE);
    if (x->request.verb != PS_OPTIONS)
        return;
    ADD("Access-Control-Allow-Headers", CORS_SEND);
    ADD("Access-Control-Max-Age", CORS_SECONDS);
    for (unsigned i = 0; i < r->n_headers; i++)
        if (strcmp(r->header[i].name, "Allow") == 0)
            ADD("Access-Control-Allow-Methods", r->header[i].value);
}

static void add_headers(const ps_http *h, const exchange *x,
                        struct MHD_Response *response)
{
    const ps_reply *r = &x->reply;
    if (r->status != 204 && r->status != 304)
        ADD("Content-Type", r->type);
    ADD("X-Content-Type-Options", "nosniff");
    for (unsigned i = 0; i < r->n_headers; i++)
        ADD(r->header[i].name, r->header[i].value);
    if (r->etag) {
        ADD("ETag", r->etag);
        ADD("Cache-Control", h->state->cache_control);
    }
    add_vary(h, r, response);
    add_cors(h, x, response);
}

/* ------------------------------ Responses ---------------------------------- */

static struct MHD_Response *from_file(ps_reply *r)
{
    struct MHD_Response *file = MHD_create_response_from_fd64(r->size, r->fd);
    if (file)
        r->fd = -1;
    return file;
}

static struct MHD_Response *from_bytes(ps_reply *r)
{
    return MHD_create_response_from_buffer(r->size, (void *)(uintptr_t)r->bytes,
                                           MHD_RESPMEM_PERSISTENT);
}

static struct MHD_Response *from_text(ps_http *h, const exchange *x, ps_reply *r)
{
    const ps_buf *b = &r->body;
    bool packed = (x->variant & TAKES_GZIP) && packs_well(r) &&
                  b->size >= h->state->opts->gzip_bytes &&
                  ps_gzip_pack(h->gzip, b->data, b->size, &h->packed);
    if (packed)
        b = &h->packed;
    r->size = r->status == 304 || r->status == 204 ? 0 : b->size;
    struct MHD_Response *response = MHD_create_response_from_buffer(
        r->size, r->size ? b->data : "", MHD_RESPMEM_MUST_COPY);
    if (response && packed && r->size)
        ADD("Content-Encoding", "gzip");
    return response;
}

struct MHD_Response *http_response(ps_http *h, exchange *x)
{
    ps_reply *r = &x->reply;
    struct MHD_Response *response = r->fd >= 0 && r->status == 200 ? from_file(r)
                                    : r->bytes                     ? from_bytes(r)
                                                                   : from_text(h, x, r);
    if (response)
        add_headers(h, x, response);
    return response;
}
