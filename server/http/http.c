/* http.c - libmicrohttpd's part of a loop: its daemon and its callbacks.
 *
 * A request passes through on_target (the request line is there: it gets its exchange),
 * on_request (headers; then pieces of the body; then the end, where it is answered) and
 * on_completed. An error may be answered in the first call, which ends the connection; a
 * good answer in the first call would too, so it waits for the last.
 *
 * Threads: see http.h.
 */
#include "server/http/http.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pinsage/clock.h"
#include "server/base/listen.h"
#include "server/http/http_inside.h"

/* ------------------------------ Callbacks ---------------------------------- */

/* The library would make a record of each parameter in the memory for headers, and hang
 * up when that is too small for them. Nobody reads those records: targets are taken apart
 * by us. So it finds an empty query: it has looked for the question mark already, and
 * splits what follows after this call, in memory that is its to change. */
static void hide_query(const char *uri)
{
    char *mark = (char *)(uintptr_t)strchr(uri, '?');
    if (mark && mark[1])
        mark[1] = '\0';
}

static void *on_target(void *cls, const char *uri, struct MHD_Connection *c)
{
    conn *n =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    exchange *x = n ? http_begin(cls, n, uri) : NULL;
    if (x)
        http_at_hand(n);
    if (uri)
        hide_query(uri);
    return x;
}

/* Undo nothing: targets are decoded by us, from the raw text. */
static size_t on_unescape(void *cls, struct MHD_Connection *c, char *text)
{
    (void)cls;
    (void)c;
    return strlen(text);
}

/* Before its body, if it has one, is read: the library takes an answer now and ends the
 * connection after it. */
static enum MHD_Result send_early(ps_http *h, exchange *x)
{
    x->reply.close = x->conn->unread = true;
    return http_send(h, x);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version,
                                  const char *data, size_t *size, void **slot)
{
    (void)url;
    ps_http *h = cls;
    exchange *x = *slot;
    if (!x)
        return MHD_NO; /* no memory for it */
    http_at_hand(x->conn);
    if (!x->begun) {
        x->begun = true;
        bool odd = http_guard(h, x, c, method, version);
        ps_count_add(&h->stats->refused, odd);
        return odd || http_admit(h, x) ? send_early(h, x) : MHD_YES;
    }
    if (*size)
        return http_take(h, x, data, size);
    return http_answer(h, x);
}

static void on_completed(void *cls, struct MHD_Connection *c, void **slot,
                         enum MHD_RequestTerminationCode how)
{
    (void)c;
    exchange *x = *slot;
    *slot = NULL;
    if (!x)
        return;
    http_at_hand(x->conn); /* what it sent next may be looked at now, without a read */
    http_end(cls, x, how);
}

/* How the library tells its log that it will answer by itself; the status follows. */
#define LIBRARY_REFUSES "Error processing request (HTTP response code is %u"

static void on_message(void *cls, const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));

static void on_message(void *cls, const char *fmt, va_list args)
{
    ps_http *h = cls;
    char text[256];
    if (strncmp(fmt, LIBRARY_REFUSES, sizeof LIBRARY_REFUSES - 1) == 0) {
        va_list copy;
        va_copy(copy, args);
        http_refuse_for_library(h, va_arg(copy, unsigned));
        va_end(copy);
    }
    if (!ps_log_wants(h->state->log, PS_LOG_DEBUG))
        return;
    vsnprintf(text, sizeof text, fmt, args);
    text[strcspn(text, "\r\n")] = '\0';
    ps_log_say(h->state->log, PS_LOG_DEBUG, "libmicrohttpd", "text", text, NULL);
}

/* ------------------------------ Lifetime ----------------------------------- */

static unsigned share_of_connections(const ps_state *s)
{
    return s->opts->connections / s->n_loops + (s->opts->connections % s->n_loops != 0);
}

static struct MHD_Daemon *start_daemon(ps_http *h, int listener)
{
    const ps_serve_opts *o = h->state->opts;
    unsigned seconds = (o->idle_timeout + 999) / 1000;
    struct MHD_OptionItem tls[3];
    http_tls_options(h, tls);
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | http_tls_flags(h),
        0, NULL, NULL, on_request, h, MHD_OPTION_EXTERNAL_LOGGER, on_message, h,
        MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_CONNECTION_LIMIT,
        share_of_connections(h->state), MHD_OPTION_CONNECTION_TIMEOUT, seconds,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)o->header_bytes,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_URI_LOG_CALLBACK, on_target, h,
        MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, h, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, h, MHD_OPTION_NOTIFY_CONNECTION, http_on_connection, h,
        MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
}

int ps_http_start(ps_http **out, ps_state *state, unsigned loop, int listener,
                  ps_why *why)
{
    ps_http *h = calloc(1, sizeof *h);
    size_t share = (size_t)(state->opts->cache_bytes / state->n_loops);
    int err = h ? PS_OK : PS_ENOMEM;
    if (!err) {
        *h = (ps_http){.state = state, .stats = &state->stats[loop]};
        h->context = (ps_context){.state = state, .stats = h->stats};
        if (share)
            err = ps_cache_new(&h->cache, share, http_free_kept);
    }
    if (!err && state->opts->gzip_bytes)
        err = ps_gzip_new(&h->gzip);
    if (!err)
        h->daemon = start_daemon(h, listener);
    if (!err && h->daemon) {
        *out = h;
        return PS_OK;
    }
    close(listener);
    if (h) {
        ps_gzip_free(h->gzip);
        ps_cache_free(h->cache);
    }
    free(h);
    return ps_fail(why, err ? err : PS_ELIBRARY, "http", 0, "cannot start");
}

void ps_http_stop(ps_http *h)
{
    if (!h)
        return;
    MHD_stop_daemon(h->daemon);
    if (h->log.text.size)
        ps_log_put(h->state->log, &h->log, false);
    ps_cache_free(h->cache);
    ps_reader_free(h->context.reader);
    assert(!h->abandoned);
    ps_gzip_free(h->gzip);
    ps_buf_done(&h->packed);
    http_linger_end(h);
    free(h->by_fd);
    for (exchange *x = h->spare, *next; x; x = next) {
        next = x->next_free;
        http_free(x);
    }
    ps_line_done(&h->log);
    free(h);
}

/* ------------------------------ The loop's side ---------------------------- */

void ps_http_begin(void *cls, ps_loop *loop)
{
    ps_http *h = cls;
    h->loop = loop;
}

int ps_http_fd(const ps_http *h)
{
    return MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

void ps_http_run(void *cls)
{
    ps_http *h = cls;
    http_runs(h);
    MHD_run(h->daemon);
    http_linger_on(h);
}

int64_t ps_http_timeout(void *cls, unsigned turns)
{
    ps_http *h = cls;
    MHD_UNSIGNED_LONG_LONG ms;
    if (MHD_get_timeout(h->daemon, &ms) != MHD_YES)
        ms = UINT64_MAX;
    if (h->n_lingering && ms > LINGER_MS)
        return LINGER_MS;
    if (ms == UINT64_MAX)
        return -1;
    return ms ? (int64_t)ms : http_tls_patience(h, turns);
}

void ps_http_tick(void *cls)
{
    ps_http *h = cls;
    ps_count_add(&h->stats->ticks, 1);
    ps_count_set(&h->stats->tick_ns, ps_now_ns());
    if (h->cache) {
        ps_cache_counts n = ps_cache_count(h->cache);
        ps_count_set(&h->stats->cache_entries, n.entries);
        ps_count_set(&h->stats->cache_bytes, n.bytes);
        ps_count_set(&h->stats->cache_evicted, n.evicted);
    }
    if (h->log.text.size)
        ps_log_put(h->state->log, &h->log, false);
    http_sweep(h);
}

int ps_http_install(ps_http *h, ps_engine *e, uint32_t install)
{
    ps_reader *reader;
    int err = ps_reader_new(&reader, e);
    if (err)
        return err;
    ps_reader_end(reader);
    ps_reader_free(h->context.reader);
    h->context.reader = reader;
    h->context.install = install;
    if (h->cache)
        ps_cache_clear(h->cache);
    return PS_OK;
}

void ps_http_stop_listening(ps_http *h)
{
    ps_listen_refuse_new(
        MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_LISTEN_FD)->listen_fd);
}

/* What the kernel has accepted already is served; closing the socket would reset it. */
static void take_waiting(ps_http *h, int listener)
{
    for (;;) {
        struct sockaddr_storage peer;
        socklen_t len = sizeof peer;
        int fd = accept4(listener, (struct sockaddr *)&peer, &len,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        MHD_add_connection(h->daemon, fd, (struct sockaddr *)&peer, len);
    }
}

void ps_http_quiesce(ps_http *h)
{
    int listener = MHD_quiesce_daemon(h->daemon);
    if (listener >= 0) {
        take_waiting(h, listener);
        close(listener);
    }
    conn *c = h->conns;
    if (!c)
        return;
    do
        MHD_set_connection_option(c->mhd, MHD_CONNECTION_OPTION_TIMEOUT, 1u);
    while ((c = c->next) != h->conns);
}

void ps_http_release(ps_http *h)
{
    conn *c = h->conns;
    if (!c)
        return;
    do {
        if (c->parked)
            http_give_up(h, c->parked);
        c = c->next;
    } while (c != h->conns);
    MHD_run(h->daemon);
}
