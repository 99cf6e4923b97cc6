/* http_body.c - what a request may send is decided by its headers; then it is taken in.
 *
 * Whoever may not ask this, or send that, is told so before a byte of the body is read,
 * and a client that waits for "100 Continue" before it sends any. A body is kept up to
 * its limit, unpacked as it comes if it is gzip. All bodies together have a limit, too:
 * --body-memory, of which each takes what it has brought so far, not what it announces:
 * announcing costs nothing.
 *
 * Threads: see http.h; the sum of all bodies is the state's, and atomic.
 * Not here: whether the headers are fit to be believed (http_guard.c).
 */
#include "server/http/http_inside.h"

/* ------------------------------ The memory of all -------------------------- */

static uint64_t memory_left(const ps_http *h)
{
    uint64_t used = atomic_load_explicit(&h->state->body_bytes, memory_order_relaxed);
    uint64_t all = h->state->opts->body_memory;
    return used < all ? all - used : 0;
}

static bool reserve(ps_http *h, exchange *x, uint64_t bytes)
{
    if (bytes > memory_left(h))
        return false;
    atomic_fetch_add_explicit(&h->state->body_bytes, bytes, memory_order_relaxed);
    x->reserved += bytes;
    return true;
}

void http_body_release(ps_http *h, exchange *x)
{
    atomic_fetch_sub_explicit(&h->state->body_bytes, x->reserved, memory_order_relaxed);
    x->reserved = 0;
    ps_gunzip_free(x->gunzip);
    x->gunzip = NULL;
}

/* ------------------------------ Refusals ----------------------------------- */

static bool refuse(exchange *x, ps_code code, unsigned status, const char *text)
{
    ps_reply_error(&x->reply, (ps_failure){.code = code, .status = status}, "%s", text);
    return true;
}

static bool refuse_for_memory(ps_http *h, exchange *x)
{
    ps_count_add(&h->stats->bodies_refused, 1);
    refuse(x, PS_CODE_UNAVAILABLE, 503, "too many request bodies are being read");
    ps_reply_header(&x->reply, "Retry-After", "1");
    return true;
}

static bool refuse_length(exchange *x)
{
    return refuse(x, PS_CODE_RESOURCE_EXHAUSTED, 413, "the body is too long");
}

static bool refuse_any(exchange *x)
{
    return refuse(x, PS_CODE_INVALID_ARGUMENT, 400, "this address takes no body");
}

/* ------------------------------ Admission ---------------------------------- */

static uint64_t limit_of(const ps_http *h, const ps_route *route)
{
    const ps_serve_opts *o = h->state->opts;
    uint64_t limit = o->body_bytes;
    if (route->bulk && o->bulk_bytes > limit)
        limit = o->bulk_bytes;
    return limit < o->body_memory ? limit : o->body_memory;
}

/* Calls of RPC say by themselves, and in words of their own, what they cannot unpack. */
static bool refuse_coding(ps_http *h, exchange *x, const ps_route *route)
{
    ps_coding coding = ps_coding_of(x->request.header.content_encoding);
    if (coding == PS_CODING_NONE || (coding == PS_CODING_UNKNOWN && route->rpc))
        return false;
    if (coding == PS_CODING_UNKNOWN) {
        ps_reply_header(&x->reply, "Accept-Encoding", "gzip, identity");
        return refuse(x, PS_CODE_INVALID_ARGUMENT, 415,
                      "Content-Encoding: wanted gzip or identity");
    }
    if (!reserve(h, x, PS_GUNZIP_BYTES) || ps_gunzip_new(&x->gunzip))
        return refuse_for_memory(h, x);
    return false;
}

static bool refuse_body(ps_http *h, exchange *x)
{
    const ps_route *route = ps_route_at(x->request.route);
    x->bodyless = !ps_route_takes_body(route);
    x->limit = x->bodyless ? 0 : limit_of(h, route);
    if (x->bodyless && x->declared)
        return refuse_any(x);
    if (x->declared > x->limit)
        return refuse_length(x);
    if (!x->bodyless && (x->declared || x->chunked) && refuse_coding(h, x, route))
        return true;
    return x->declared > memory_left(h) && refuse_for_memory(h, x);
}

bool http_admit(ps_http *h, exchange *x)
{
    bool sends = x->declared || x->chunked;
    if (!sends && (x->request.verb & (PS_GET | PS_HEAD)))
        return false; /* it may be answered without even finding its row */
    x->declined = !http_may_ask(h, x) || refuse_body(h, x);
    return x->declined && sends;
}

/* ------------------------------ Taking it in ------------------------------- */

static int take_packed(ps_http *h, exchange *x, const char *data, size_t size)
{
    uint64_t before = x->body.size, left = memory_left(h);
    bool scarce = before + left < x->limit;
    size_t limit = (size_t)(scarce ? before + left : x->limit);
    int err = ps_gunzip_add(x->gunzip, data, size, &x->body, limit);
    if (err == PS_ERANGE && scarce)
        return PS_EFULL;
    return err ? err : reserve(h, x, x->body.size - before) ? PS_OK : PS_EFULL;
}

static int take_plain(ps_http *h, exchange *x, const char *data, size_t size)
{
    if (!reserve(h, x, size))
        return PS_EFULL;
    ps_buf_add(&x->body, data, size);
    return x->body.failed ? PS_ENOMEM : PS_OK;
}

/* True: refused, the reply says why. */
static bool take(ps_http *h, exchange *x, const char *data, size_t size)
{
    if (x->bodyless)
        return refuse_any(x);
    if (x->uploaded > x->limit)
        return refuse_length(x);
    int err = x->gunzip ? take_packed(h, x, data, size) : take_plain(h, x, data, size);
    if (err == PS_ERANGE)
        return refuse_length(x);
    if (err == PS_EFORMAT)
        return refuse(x, PS_CODE_INVALID_ARGUMENT, 400,
                      "the body is not gzip, or damaged");
    return err && refuse_for_memory(h, x);
}

enum MHD_Result http_take(ps_http *h, exchange *x, const char *data, size_t *size)
{
    size_t n = *size;
    *size = 0;
    x->uploaded += n;
    ps_count_add(&h->stats->bytes_in, n);
    http_allow(x, x->started + (uint64_t)h->state->opts->header_timeout * MS +
                      x->uploaded / HTTP_RATE * 1000 * MS);
    if (!take(h, x, data, n))
        return MHD_YES;
    http_refuse(h, x);
    return MHD_NO;
}

bool http_taken(exchange *x)
{
    if (!x->gunzip || !x->uploaded || ps_gunzip_is_whole(x->gunzip))
        return true;
    return !refuse(x, PS_CODE_INVALID_ARGUMENT, 400,
                   "the body is gzip and ends in the middle");
}
