/* http_reply.c - answers become responses; those that may be kept are found again.
 *
 * The key of a kept answer is the target as it was sent: the same question in another
 * spelling is another entry, which costs room and never a wrong answer.
 *
 * Threads: see http.h.
 */
#include <stdlib.h>
#include <unistd.h>

#include "pinsage/clock.h"
#include "pinsage/hash.h"
#include "server/http_inside.h"

#define MS        1000000u /* ns */
#define SEND_RATE 16384u   /* bytes a second that a client must take */

static void note_answer(ps_http *h, unsigned method, unsigned source)
{
    if (method != PS_NO_METHOD)
        ps_count_add(&h->stats->method[method].answers[source], 1);
}

static enum MHD_Result queue(ps_http *h, exchange *x, unsigned status,
                             struct MHD_Response *response, uint64_t size)
{
    x->status = status;
    x->sent = x->request.verb == PS_HEAD ? 0 : size;
    if (x->conn && x->conn->deadline != UINT64_MAX)
        x->conn->deadline = ps_now_ns() +
                            (uint64_t)h->state->opts->send_timeout * 1000000u +
                            size / SEND_RATE * 1000000000u;
    return MHD_queue_response(x->mhd, status, response);
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
    const ps_reply *r = &x->reply;
    kept *k = malloc(sizeof *k);
    if (!k) {
        MHD_destroy_response(response);
        return;
    }
    *k = (kept){.response = response,
                .size = r->size,
                .version = r->version,
                .route = (uint8_t)x->request.route,
                .method = r->method,
                .source = r->source};
    /* The library's own memory of a response is about half a kilobyte. */
    size_t weight = sizeof *k + (size_t)r->size + 512;
    if (ps_cache_put(h->cache, x->request.raw, x->hash, k, weight))
        http_free_kept(k);
}

/* An answer that a worker made may be of the engine before. */
static bool is_kept(const ps_http *h, const ps_reply *r)
{
    return r->keep && h->cache && r->install == h->door.install;
}

enum MHD_Result http_send(ps_http *h, exchange *x)
{
    ps_reply *r = &x->reply;
    bool draining = atomic_load_explicit(&h->state->draining, memory_order_relaxed);
    struct MHD_Response *response = make_response(r);
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
    if (!response)
        return MHD_NO;
    add_headers(response, r, r->close || draining);
    note_answer(h, r->method, r->source);
    enum MHD_Result sent = queue(h, x, r->status, response, r->size);
    bool worth_it = is_kept(h, r);
    ps_count_add(&h->stats->cache_misses, worth_it);
    if (worth_it && !draining)
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
    kept *k = ps_cache_find(h->cache, x->request.raw, x->hash);
    uint64_t now =
        h->door.reader ? ps_engine_version(ps_reader_engine(h->door.reader)) : 0;
    return k && k->version == now ? k : NULL; /* else something was written since */
}

static enum MHD_Result send_kept(ps_http *h, exchange *x, const kept *k)
{
    ps_count_add(&h->stats->cache_hits, 1);
    note_answer(h, k->method, k->source);
    x->request.route = k->route;
    return queue(h, x, 200, k->response, k->size);
}

/* The sooner of what the client allows, from its first line on, and what we do, from its
 * last. */
static void set_deadline(ps_http *h, exchange *x, uint64_t client_ms)
{
    bool patient = ps_route_at(x->request.route)->patient;
    uint64_t ours_ms = patient ? 0 : h->state->opts->deadline;
    uint64_t client = client_ms ? x->started + client_ms * MS : UINT64_MAX;
    uint64_t ours = ours_ms ? ps_now_ns() + ours_ms * MS : UINT64_MAX;
    uint64_t sooner = client < ours ? client : ours;
    x->request.deadline_ns = sooner == UINT64_MAX ? 0 : sooner;
}

/* False: the reply is a refusal. */
static bool admit(ps_http *h, exchange *x)
{
    ps_why why = {0};
    uint64_t client_ms;
    int err = ps_request_timeout(&x->request, &client_ms, &why);
    if (err) {
        ps_reply_failed(&x->reply, err, &why);
        return false;
    }
    if (!x->admitted && !ps_route_admit(&h->door, &x->request, &x->reply))
        return false;
    set_deadline(h, x, client_ms);
    x->request.body = (ps_text){x->body.data, x->body.size};
    return true;
}

enum MHD_Result http_answer(ps_http *h, exchange *x)
{
    if (x->answered) /* and resumed without an answer */
        return MHD_NO;
    x->answered = true;
    if (x->uploaded > x->limit) {
        ps_failure f = {.code = PS_CODE_RESOURCE_EXHAUSTED, .status = 413};
        ps_reply_error(&x->reply, f, "the body is too long");
        return http_send(h, x);
    }
    if (x->body.failed) {
        ps_reply_failed(&x->reply, PS_ENOMEM, NULL);
        return http_send(h, x);
    }
    kept *k = find_kept(h, x);
    if (k)
        return send_kept(h, x, k);
    return admit(h, x) && !http_make(h, x) ? MHD_YES : http_send(h, x);
}
