/* http_reply.c - answers become responses; those that may be kept are found again.
 *
 * The key of a kept answer is the target as it was sent: the same question in another
 * spelling is another entry, which costs room and never a wrong answer.
 *
 * Threads: see http.h.
 */
#include <stdlib.h>
#include <unistd.h>

#include "pinsage/hash.h"
#include "server/http_inside.h"

#define SEND_RATE 16384u /* bytes a second that a client must take */

static void note_answer(ps_http *h, unsigned method, unsigned source)
{
    if (method != PS_NO_METHOD)
        ps_count_add(&h->stats->method[method].answers[source], 1);
}

static enum MHD_Result queue(ps_http *h, exchange *x, struct MHD_Connection *c,
                             unsigned status, struct MHD_Response *response,
                             uint64_t size)
{
    x->status = status;
    x->sent = x->request.verb == PS_HEAD ? 0 : size;
    if (x->conn && x->conn->deadline != UINT64_MAX)
        x->conn->deadline = http_now() +
                            (uint64_t)h->state->opts->send_timeout * 1000000u +
                            size / SEND_RATE * 1000000000u;
    return MHD_queue_response(c, status, response);
}

/* ------------------------------ Responses ---------------------------------- */

static struct MHD_Response *make_response(ps_reply *r)
{
    if (r->fd >= 0 && r->status == 200) {
        int fd = r->fd;
        struct MHD_Response *file = MHD_create_response_from_fd64(r->size, fd);
        if (file)
            r->fd = -1;
        return file;
    }
    if (r->bytes)
        return MHD_create_response_from_buffer(r->size, (void *)(uintptr_t)r->bytes,
                                               MHD_RESPMEM_PERSISTENT);
    r->size = r->status == 304 || r->status == 204 ? 0 : r->body.size;
    return MHD_create_response_from_buffer(r->size, r->size ? r->body.data : "",
                                           MHD_RESPMEM_MUST_COPY);
}

static void add_headers(struct MHD_Response *response, const ps_reply *r, bool close_it)
{
    if (r->status != 204 && r->status != 304)
        MHD_add_response_header(response, "Content-Type", r->type);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    for (unsigned i = 0; i < r->n_headers; i++)
        MHD_add_response_header(response, r->header[i].name, r->header[i].value);
    if (close_it)
        MHD_add_response_header(response, "Connection", "close");
}

/* ------------------------------ Keeping ------------------------------------ */

void http_free_kept(void *value)
{
    kept *k = value;
    MHD_destroy_response(k->response);
    free(k);
}

/* Takes the response's reference. */
static void keep(ps_http *h, const exchange *x, struct MHD_Response *response)
{
    const ps_reply *r = &h->reply;
    kept *k = malloc(sizeof *k);
    if (!k) {
        MHD_destroy_response(response);
        return;
    }
    *k = (kept){response, r->size, r->route, r->method, r->source};
    /* The library's own memory of a response is about half a kilobyte. */
    size_t weight = sizeof *k + (size_t)r->size + 512;
    if (ps_cache_put(h->cache, x->request.raw, x->hash, k, weight))
        http_free_kept(k);
}

enum MHD_Result http_send(ps_http *h, exchange *x, struct MHD_Connection *c)
{
    ps_reply *r = &h->reply;
    bool draining = atomic_load_explicit(&h->state->draining, memory_order_relaxed);
    struct MHD_Response *response = make_response(r);
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
    x->route = r->route;
    if (!response)
        return MHD_NO;
    add_headers(response, r, r->close || draining);
    note_answer(h, r->method, r->source);
    enum MHD_Result sent = queue(h, x, c, r->status, response, r->size);
    if (r->keep && h->cache && !draining)
        keep(h, x, response);
    else
        MHD_destroy_response(response);
    return sent;
}

/* ------------------------------ Answering ---------------------------------- */

static kept *find_kept(ps_http *h, exchange *x)
{
    if (!h->cache || !(x->request.verb & (PS_GET | PS_HEAD)) ||
        atomic_load_explicit(&h->state->draining, memory_order_relaxed))
        return NULL;
    x->hash = ps_hash(x->request.raw.data, x->request.raw.len);
    return ps_cache_find(h->cache, x->request.raw, x->hash);
}

static enum MHD_Result send_kept(ps_http *h, exchange *x, struct MHD_Connection *c,
                                 const kept *k)
{
    ps_count_add(&h->stats->cache_hits, 1);
    note_answer(h, k->method, k->source);
    x->route = k->route;
    return queue(h, x, c, 200, k->response, k->size);
}

enum MHD_Result http_answer(ps_http *h, exchange *x, struct MHD_Connection *c)
{
    bool overflow = x->uploaded > h->state->opts->body_bytes || x->body.failed;
    kept *k = overflow ? NULL : find_kept(h, x);
    if (k)
        return send_kept(h, x, c, k);
    ps_reply_reset(&h->reply);
    h->reply.route = (uint8_t)ps_route_unmatched();
    if (overflow) {
        ps_reply_error(&h->reply,
                       (ps_failure){.code = PS_CODE_RESOURCE_EXHAUSTED, .status = 413},
                       "the body is too long");
    } else {
        x->request.body = (ps_text){x->body.data, x->body.size};
        ps_dispatch(&h->door, &x->request, &h->reply);
    }
    if (h->reply.keep && h->cache)
        ps_count_add(&h->stats->cache_misses, 1);
    return http_send(h, x, c);
}
