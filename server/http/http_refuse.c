/* http_refuse.c - refusals that libmicrohttpd cannot send, or sends badly.
 *
 * The library answers some requests without asking us: heads that do not fit its memory
 * or cannot be read, lengths that are none, broken chunks. It does so with a page in
 * HTML, after a bad length with two heads, or hangs up without a word. And in the middle
 * of a body it lets nobody answer. Such requests are answered here: the answer is written
 * to the socket, which is shut down for writing then, so that nothing the library says
 * reaches the client; it finds out and closes.
 *
 * It tells its log before it answers, but not whom. That is the connection at hand: whose
 * bytes were read last on this thread, or whom a callback was about since. The library
 * has no hook where it reads; it calls recv, and the recv below stands before the C
 * library's. (Looking at the bytes beforehand, by MSG_PEEK, would be another system call
 * a request, and blind under TLS; so would a parser of our own be the second one.)
 *
 * Threads: see http.h; what is at hand is each thread's own.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "server/http/http_inside.h"

static _Thread_local struct {
    ps_http *http; /* whose connections are read on this thread; NULL: none */
    int fd;
} at_hand;

void http_runs(ps_http *h)
{
    at_hand.http = h;
}

void http_at_hand(const conn *c)
{
    at_hand.fd = c->fd;
}

/* ------------------------------ Speaking ----------------------------------- */

static void write_head(ps_buf *out, const ps_reply *r)
{
    char date[64];
    struct tm tm;
    time_t now = time(NULL);
    gmtime_r(&now, &tm);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    ps_buf_printf(out, "HTTP/1.1 %u %s\r\nDate: %s\r\nConnection: close\r\n", r->status,
                  MHD_get_reason_phrase_for(r->status), date);
    ps_buf_printf(out, "Content-Type: %s\r\nX-Content-Type-Options: nosniff\r\n",
                  r->type);
    for (unsigned i = 0; i < r->n_headers; i++)
        ps_buf_printf(out, "%s: %s\r\n", r->header[i].name, r->header[i].value);
    ps_buf_printf(out, "Content-Length: %zu\r\n\r\n", r->body.size);
}

void http_refuse(ps_http *h, exchange *x)
{
    conn *c = x->conn;
    ps_buf text = {0};
    if (c->spoken)
        return;
    write_head(&text, &x->reply);
    if (x->request.verb != PS_HEAD)
        ps_buf_add(&text, x->reply.body.data, x->reply.body.size);
    if (text.failed)
        ps_buf_clear(&text);
    if (c->pair)
        http_tls_last_words(c, text.data, text.size);
    else
        send(c->fd, text.data, text.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(c->fd, SHUT_WR);
    ps_count_add(&h->stats->refused, 1);
    x->refused = c->spoken = c->unread = true;
    x->status = x->reply.status;
    x->sent = x->reply.body.size;
    ps_buf_done(&text);
}

/* ------------------------------ For the library ---------------------------- */

/* What the library does not like, as far as we can tell. */
static const char *name_trouble(const exchange *x)
{
    if (x->begun)
        return "a chunk of the body is malformed";
    return MHD_get_connection_info(x->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)
               ? "Content-Length is not a number of bytes"
               : "the request line or a header line is malformed";
}

static void fill(exchange *x, unsigned status)
{
    static const struct {
        unsigned status;
        ps_code code;
        const char *text;
    } known[] = {
        {413, PS_CODE_RESOURCE_EXHAUSTED, "the body is too long"},
        {414, PS_CODE_INVALID_ARGUMENT, "the request target is too long"},
        {431, PS_CODE_RESOURCE_EXHAUSTED, "the request header is too long"},
        {500, PS_CODE_INTERNAL, "the request could not be read"},
        {505, PS_CODE_UNIMPLEMENTED, "HTTP/1.1 is spoken here"},
    };
    ps_failure f = {.code = PS_CODE_INVALID_ARGUMENT, .status = status};
    const char *text = name_trouble(x);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].status == status) {
            f.code = known[i].code;
            text = known[i].text;
        }
    ps_reply_reset(&x->reply);
    ps_reply_error(&x->reply, f, "%s", text);
}

static conn *find(const ps_http *h, int fd)
{
    return h && fd >= 0 && fd < h->n_by_fd ? h->by_fd[fd] : NULL;
}

void http_refuse_for_library(ps_http *h, unsigned status)
{
    conn *c = find(h, at_hand.fd);
    exchange *x = !c ? NULL : c->exchange ? c->exchange : http_begin(h, c, NULL);
    if (!x || c->spoken)
        return;
    fill(x, status);
    http_refuse(h, x);
}

/* ------------------------------ Reading ------------------------------------ */

/* A first line without a space: the library hangs up on it. Empty lines may come first.
 */
static bool is_no_request(const char *data, size_t n)
{
    size_t from = 0;
    while (from < n && (data[from] == '\r' || data[from] == '\n'))
        from++;
    const char *end = memchr(data + from, '\n', n - from);
    return end && !memchr(data + from, ' ', (size_t)(end - data) - from);
}

static void look_at(conn *c, const char *data, size_t n)
{
    if (c->exchange || c->pair || c->spoken)
        return;
    if (!c->in_line && is_no_request(data, n))
        http_refuse_for_library(at_hand.http, 400);
    c->in_line = !memchr(data, '\n', n);
}

/* recv, as the libraries that this program is linked with find it. */
ssize_t http_recv(int fd, void *data, size_t size, int flags) __asm__("recv");

__attribute__((visibility("default"))) ssize_t http_recv(int fd, void *data, size_t size,
                                                         int flags)
{
    ssize_t n = recvfrom(fd, data, size, flags, NULL, NULL);
    at_hand.fd = fd;
    conn *c = find(at_hand.http, fd);
    if (c && n > 0)
        look_at(c, data, (size_t)n);
    return n;
}
