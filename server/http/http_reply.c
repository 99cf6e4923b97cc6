/* http_reply.c - answers become responses; those that may be kept are found again.
 *
 * The key of a kept answer is what the client takes (its variant) and the target as it
 * was sent: the same question in another spelling is another entry, which costs room and
 * never a wrong answer. What was written since makes it one of yesterday: then it is not
 * found.
 *
 * Threads: see http.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "pinsage/clock.h"
#include "pinsage/hash.h"
#include "server/http/http_inside.h"

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
    snprintf(k->etag, sizeof k->etag, "%s", r->etag ? r->etag : "");
    /* The library's own memory of a response is about half a kilobyte. */
    size_t weight = sizeof *k + (size_t)r->size + 512;
    if (ps_cache_put(h->cache, x->key, x->hash, k, weight))
        http_free_kept(k);
}

/* An answer that a worker made may be of the engine before. */
static bool is_worth_keeping(const ps_http *h, const ps_reply *r)
{
    return r->cacheable && h->cache && r->install == h->context.install;
}

static bool is_draining(const ps_http *h)
{
    return atomic_load_explicit(&h->state->draining, memory_order_relaxed);
}

static kept *find_kept(ps_http *h, exchange *x)
{
    if (!h->cache || !(x->request.verb & (PS_GET | PS_HEAD)) || is_draining(h))
        return NULL;
    x->hash = ps_hash(x->key.data, x->key.len);
    kept *k = ps_cache_find(h->cache, x->key, x->hash);
    return k && k->version == ps_context_version(&h->context) ? k : NULL;
}

/* ------------------------------ Sending ------------------------------------ */

static enum MHD_Result queue(ps_http *h, exchange *x, struct MHD_Response *response,
                             uint64_t size)
{
    const ps_reply *r = &x->reply;
    x->status = r->status;
    x->sent = x->request.verb == PS_HEAD ? 0 : size;
    if (r->method != PS_NO_METHOD)
        ps_count_add(&h->stats->method[r->method].answers[r->source], 1);
    http_allow(x, ps_now_ns() + (uint64_t)h->state->opts->send_timeout * MS +
                      size / HTTP_RATE * 1000 * MS);
    return MHD_queue_response(x->mhd, r->status, response);
}

/* The client has this answer already; W/ of either side says nothing here. */
static bool is_known(const exchange *x, const char *etag)
{
    ps_text known = x->request.header.if_none_match;
    return known.data && etag && *etag &&
           ps_etag_matches(known, *etag == 'W' ? etag + 2 : etag);
}

/* The client wants the answer that it knows, or none; a weak tag will do. */
static bool is_another(const exchange *x, const char *etag)
{
    ps_text wanted = x->request.header.if_match;
    return wanted.data && (x->request.verb & (PS_GET | PS_HEAD)) && etag && *etag &&
           !ps_etag_matches(wanted, *etag == 'W' ? etag + 2 : etag);
}

static enum MHD_Result send_another(ps_http *h, exchange *x)
{
    ps_failure f = {.code = PS_CODE_FAILED_PRECONDITION, .status = 412};
    if (x->reply.fd >= 0)
        close(x->reply.fd);
    ps_reply_reset(&x->reply);
    ps_reply_error(&x->reply, f, "If-Match: this is not the answer any more");
    return http_send(h, x);
}

static enum MHD_Result send_unchanged(ps_http *h, exchange *x, const char *etag)
{
    x->reply.status = 304;
    x->reply.etag = etag;
    struct MHD_Response *response = http_response(h, x);
    if (!response)
        return MHD_NO;
    if (is_draining(h))
        MHD_add_response_header(response, "Connection", "close");
    enum MHD_Result sent = queue(h, x, response, 0);
    MHD_destroy_response(response);
    return sent;
}

static enum MHD_Result send_kept(ps_http *h, exchange *x, const kept *k)
{
    ps_count_add(&h->stats->cache_hits, 1);
    x->request.route = k->route;
    if (is_another(x, k->etag))
        return send_another(h, x);
    x->reply.method = k->method;
    x->reply.source = k->source;
    return is_known(x, k->etag) ? send_unchanged(h, x, k->etag)
                                : queue(h, x, k->response, k->size);
}

enum MHD_Result http_send(ps_http *h, exchange *x)
{
    ps_reply *r = &x->reply;
    if (r->status == 200 && is_another(x, r->etag))
        return send_another(h, x);
    bool keeps = is_worth_keeping(h, r) && !is_draining(h);
    struct MHD_Response *response = http_response(h, x);
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
    if (!response)
        return MHD_NO;
    if (r->close || is_draining(h))
        MHD_add_response_header(response, "Connection", "close");
    bool known = r->status == 200 && is_known(x, r->etag);
    enum MHD_Result sent = known ? MHD_YES : queue(h, x, response, r->size);
    ps_count_add(&h->stats->cache_misses, keeps);
    if (keeps)
        keep(h, x, response);
    else
        MHD_destroy_response(response);
    return known ? send_unchanged(h, x, r->etag) : sent;
}

/* ------------------------------ Answering ---------------------------------- */

/* The sooner of what the client allows, from its first line on, and what we do, from its
 * last. */
static void set_deadline(ps_http *h, exchange *x)
{
    bool no_deadline = ps_route_at(x->request.route)->no_deadline;
    uint64_t ours_ms = no_deadline ? 0 : h->state->opts->deadline;
    uint64_t client = x->client_ms ? x->started + x->client_ms * MS : UINT64_MAX;
    uint64_t ours = ours_ms ? ps_now_ns() + ours_ms * MS : UINT64_MAX;
    uint64_t sooner = client < ours ? client : ours;
    x->request.deadline_ns = sooner == UINT64_MAX ? 0 : sooner;
}

/* Fills x->client_ms; false after refusing what is no time. */
static bool read_timeout(exchange *x)
{
    ps_why why = {0};
    int err = ps_request_timeout(&x->request, &x->client_ms, &why);
    if (err)
        ps_reply_failed(&x->reply, err, &why);
    return !err;
}

bool http_may_ask(ps_http *h, exchange *x)
{
    if (!x->admitted)
        x->admitted =
            read_timeout(x) && ps_route_admit(&h->context, &x->request, &x->reply);
    return x->admitted;
}

enum MHD_Result http_answer(ps_http *h, exchange *x)
{
    if (x->answered) /* and resumed without an answer */
        return MHD_NO;
    x->answered = true;
    x->variant = http_variant(h, &x->request);
    x->raw_key[0] = (char)x->variant;
    if (x->declined || !http_taken(x) || !read_timeout(x))
        return http_send(h, x);
    kept *k = find_kept(h, x);
    if (k)
        return send_kept(h, x, k);
    if (!http_may_ask(h, x))
        return http_send(h, x);
    set_deadline(h, x);
    x->request.body = (ps_text){x->body.data, x->body.size};
    return http_make(h, x) ? http_send(h, x) : MHD_YES;
}
