/* http_conn.c - connections, the requests on them, and how long either may take.
 *
 * The library closes a connection that is silent; one that says a byte now and then it
 * keeps for ever. So each has a deadline: for a request to arrive whole, for an answer
 * to be taken, and for the next request to begin.
 *
 * Threads: see http.h.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "pinsage/clock.h"
#include "server/http/http_inside.h"

#define LOG_BATCH 32768
#define ROOM_KEPT 65536
#define SPARE_MAX 64u /* exchanges of a loop that are kept with their room */

/* ------------------------------ Connections -------------------------------- */

/* False when memory is exhausted. */
static bool enter_by_fd(ps_http *h, conn *n)
{
    enum { STEP = 256 };
    if (n->fd >= h->n_by_fd) {
        int room = n->fd / STEP * STEP + STEP;
        conn **more = realloc(h->by_fd, (size_t)room * sizeof *more);
        if (!more)
            return false;
        memset(more + h->n_by_fd, 0, (size_t)(room - h->n_by_fd) * sizeof *more);
        h->by_fd = more;
        h->n_by_fd = room;
    }
    h->by_fd[n->fd] = n;
    return true;
}

/* NULL when memory is exhausted. */
static conn *new_conn(ps_http *h, int fd)
{
    conn *n = calloc(1, sizeof *n);
    if (!n)
        return NULL;
    n->fd = fd;
    if (enter_by_fd(h, n))
        return n;
    free(n);
    return NULL;
}

static void open_conn(ps_http *h, struct MHD_Connection *c, void **slot)
{
    const union MHD_ConnectionInfo *fd =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *peer =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    conn *n = new_conn(h, fd->connect_fd);
    ps_count_add(&h->stats->accepted, 1);
    *slot = n;
    if (!n)
        return; /* its requests are refused */
    n->mhd = c;
    n->deadline = ps_now_ns() + (uint64_t)h->state->opts->header_timeout * MS;
    if (peer && peer->client_addr) {
        bool six = peer->client_addr->sa_family == AF_INET6;
        memcpy(&n->peer, peer->client_addr,
               six ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
    }
    if (h->state->tls) {
        n->pair = ps_tls_hold(h->state->tls);
        n->in_handshake = true;
        h->handshakes++;
    }
    n->next = h->conns ? h->conns : n;
    n->prev = h->conns ? h->conns->prev : n;
    n->prev->next = n->next->prev = n;
    h->conns = n;
}

static void close_conn(ps_http *h, conn *n)
{
    ps_count_add(&h->stats->closed, 1);
    if (!n)
        return;
    if (n->exchange)
        http_end(h, n->exchange, MHD_REQUEST_TERMINATED_WITH_ERROR);
    if (n->unread)
        http_linger(h, n->fd);
    h->by_fd[n->fd] = NULL;
    n->prev->next = n->next;
    n->next->prev = n->prev;
    if (h->conns == n)
        h->conns = n->next == n ? NULL : n->next;
    h->handshakes -= n->in_handshake;
    ps_tls_release(n->pair);
    free(n);
}

void http_on_connection(void *cls, struct MHD_Connection *c, void **slot,
                        enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        open_conn(cls, c, slot);
    else
        close_conn(cls, *slot);
}

/* Part of a request has come, and its end has not. */
static bool is_unfinished(const conn *c)
{
    const exchange *x = c->exchange;
    return x ? !x->answered && !x->status : c->in_line;
}

/* Its client has ended it, in the same breath as the last of what it sent: then nothing
 * more happens at the socket, and the library does not look again. Who is between two
 * requests is asked once. */
static bool is_left_alone(conn *c)
{
    char byte;
    bool asked = is_unfinished(c) || (c->fresh && !c->exchange);
    c->fresh &= c->exchange != NULL;
    return asked && recvfrom(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT, NULL, NULL) == 0;
}

/* The socket is shut down, not closed: the library finds out by reading from it. */
static void cut_off(ps_http *h, conn *c)
{
    if (c->exchange && is_unfinished(c)) {
        ps_failure f = {.code = PS_CODE_DEADLINE_EXCEEDED, .status = 408};
        ps_reply_error(&c->exchange->reply, f, "the request took too long to arrive");
        http_refuse(h, c->exchange);
    }
    shutdown(c->fd, SHUT_RDWR);
    ps_count_add(&h->stats->timed_out, 1);
    c->deadline = UINT64_MAX;
}

void http_sweep(ps_http *h)
{
    uint64_t now = ps_now_ns();
    conn *c = h->conns;
    if (!c)
        return;
    do {
        if (c->parked) {
            http_expire(h, c->parked, now);
        } else if (now > c->deadline) {
            cut_off(h, c);
        } else if (is_left_alone(c)) {
            shutdown(c->fd, SHUT_RDWR);
        }
        c = c->next;
    } while (c != h->conns);
}

/* ------------------------------ Requests ----------------------------------- */

static exchange *take_spare(ps_http *h)
{
    exchange *x = h->spare;
    if (x) {
        h->spare = x->next_free;
        h->n_spare--;
    } else {
        x = calloc(1, sizeof *x);
    }
    return x;
}

exchange *http_begin(ps_http *h, conn *c, const char *uri)
{
    exchange *x = take_spare(h);
    if (!x)
        return NULL;
    size_t len = uri ? strlen(uri) : 0;
    bool fits = len + 1 < sizeof x->place;
    x->http = h;
    x->mhd = c->mhd;
    x->started = ps_now_ns();
    x->conn = c;
    c->exchange = x;
    c->in_line = false;
    if (c->in_handshake) {
        c->in_handshake = false;
        h->handshakes--;
    }
    x->begun = x->admitted = x->answered = x->abandoned = false;
    x->declined = x->refused = x->chunked = x->bodyless = false;
    x->wait = (ps_wait){.finish = http_wait_finish};
    x->then = NULL;
    x->declared = x->uploaded = x->limit = x->sent = 0;
    x->variant = 0;
    x->status = 0;
    ps_reply_reset(&x->reply);
    x->raw_end = uri ? uri + len : NULL;
    x->raw_key = fits ? x->place : ps_arena_alloc(&x->arena, len + 1);
    if (!x->raw_key)
        x->raw_key = x->place, len = 0;
    memcpy(x->raw_key + 1, uri ? uri : "", len);
    x->key = (ps_text){x->raw_key, len + 1};
    x->request = (ps_request){.raw = {x->raw_key + 1, len},
                              .route = ps_route_unmatched(),
                              .wait = &x->wait,
                              .peer = &c->peer,
                              .arena = &x->arena};
    c->deadline = x->started + (uint64_t)h->state->opts->header_timeout * MS;
    ps_count_add(&h->stats->started, 1);
    return x;
}

/* ------------------------------ The access log ----------------------------- */

static ps_text name_peer(const conn *c, char *out, socklen_t room)
{
    const struct sockaddr_storage *p = &c->peer;
    const void *address = NULL;
    if (p->ss_family == AF_INET)
        address = &((const struct sockaddr_in *)(const void *)p)->sin_addr;
    else if (p->ss_family == AF_INET6)
        address = &((const struct sockaddr_in6 *)(const void *)p)->sin6_addr;
    if (!address || !inet_ntop(p->ss_family, address, out, room))
        return (ps_text){"", 0};
    return ps_text_of(out);
}

static bool is_worth_a_line(ps_http *h, const exchange *x, unsigned status, uint64_t ns)
{
    const ps_serve_opts *o = h->state->opts;
    if (*o->access_log == 'o') /* off */
        return false;
    if ((status >= 500 && !ps_route_at(x->request.route)->probe) ||
        (o->slow && ns > (uint64_t)o->slow * MS))
        return true;
    return *o->access_log == 'a' && h->logged++ % o->access_sample == 0;
}

static void log_request(ps_http *h, const exchange *x, unsigned status, uint64_t ns)
{
    ps_level level = status >= 500 ? PS_LOG_WARN : PS_LOG_INFO;
    if (!ps_log_wants(h->state->log, level))
        return;
    char peer[INET6_ADDRSTRLEN];
    ps_line *l = &h->log;
    ps_line_begin(l, h->state->log, level, "request");
    ps_line_text(l, "method",
                 ps_text_of(x->request.verb ? ps_verb_name(x->request.verb) : ""));
    ps_line_text(l, "path", x->request.raw);
    ps_line_u64(l, "status", status);
    ps_line_u64(l, "bytes", x->sent);
    ps_line_real(l, "duration", (double)ns * 1e-9);
    ps_line_text(l, "remote", name_peer(x->conn, peer, sizeof peer));
    if (x->request.who.len)
        ps_line_text(l, "who", x->request.who);
    if (*x->request.trace_id)
        ps_line_text(l, "trace_id", (ps_text){x->request.trace_id, PS_TRACE_ID - 1});
    ps_line_end(l);
    if (l->text.size > LOG_BATCH)
        ps_log_put(h->state->log, l, false);
}

/* 499: the client went away; 408: it took too long; 400: the library refused it. */
static unsigned final_status(const exchange *x, enum MHD_RequestTerminationCode how)
{
    if (x->refused)
        return x->status;
    if (how == MHD_REQUEST_TERMINATED_COMPLETED_OK)
        return x->status ? x->status : 400;
    if (how == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED)
        return 408;
    return how == MHD_REQUEST_TERMINATED_DAEMON_SHUTDOWN ? 503 : 499;
}

void http_end(ps_http *h, exchange *x, enum MHD_RequestTerminationCode how)
{
    uint64_t now = ps_now_ns(), ns = now - x->started;
    const ps_serve_opts *o = h->state->opts;
    unsigned status = final_status(x, how);
    ps_stats_request(h->stats, x->request.route, status, ns);
    ps_count_add(&h->stats->finished, 1);
    ps_count_add(&h->stats->bytes_out, x->sent);
    if (is_worth_a_line(h, x, status, ns))
        log_request(h, x, status, ns);
    http_allow(x, now + ((uint64_t)o->idle_timeout + (uint64_t)o->header_timeout) * MS);
    x->conn->exchange = NULL;
    x->conn->fresh = true;
    x->abandoned = x->wait.begun && !x->wait.finished;
    if (x->abandoned)
        h->abandoned++;
    else
        http_recycle(h, x);
}

/* Memory of usual requests is kept for the next; that of large ones is not. */
static void clear(ps_buf *b)
{
    if (b->room > ROOM_KEPT)
        ps_buf_done(b);
    ps_buf_clear(b);
    b->failed = false;
}

void http_recycle(ps_http *h, exchange *x)
{
    if (x->wait.end)
        x->wait.end(x->wait.end_cls);
    x->wait.end = NULL;
    http_body_release(h, x);
    if (h->n_spare == SPARE_MAX) {
        http_free(x);
        return;
    }
    ps_arena_reset(&x->arena);
    if (x->arena.total > ROOM_KEPT)
        ps_arena_done(&x->arena);
    clear(&x->body);
    clear(&x->reply.body);
    x->next_free = h->spare;
    h->spare = x;
    h->n_spare++;
}

void http_free(exchange *x)
{
    ps_reply_done(&x->reply);
    ps_arena_done(&x->arena);
    ps_buf_done(&x->body);
    free(x);
}
