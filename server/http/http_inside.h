/* http_inside.h - one loop's HTTP as its own files see it.
 *
 *      connection (conn)  1 --- 0..1  request under way (exchange)
 *
 * The connection ends its request, if the library does not: some requests it hangs up on
 * without a word to us.
 *
 * Threads: see http.h.
 */
#ifndef PINSAGE_SERVER_HTTP_HTTP_INSIDE_H
#define PINSAGE_SERVER_HTTP_HTTP_INSIDE_H

#include <microhttpd.h>
#include <sys/socket.h>

#include "pinsage/arena.h"
#include "pinsage/buf.h"
#include "server/base/cache.h"
#include "server/base/gunzip.h"
#include "server/base/gzip.h"
#include "server/base/loop.h"
#include "server/http/http.h"
#include "server/message/reply.h"
#include "server/message/request.h"
#include "server/routes/routes.h"
#include "server/state/later.h"

typedef struct conn {
    struct conn *next, *prev;
    struct MHD_Connection *mhd; /* borrowed */
    int fd;                     /* borrowed */
    uint64_t deadline;          /* ns: shut down when the sweep comes by later */
    struct exchange *exchange;  /* its request under way; NULL: none */
    struct exchange *parked;    /* its request waits for its answer; NULL: it does not */
    struct sockaddr_storage peer;
    ps_tls_pair *pair; /* held; NULL without TLS */
    bool in_handshake; /* it has TLS, and no request has begun on it */
    bool fresh;        /* a request has ended on it since the last sweep */
    bool in_line;      /* a part of a request line was read, and not its end */
    bool spoken;       /* http_refuse has had the last word */
    bool unread;       /* answered before its request was read to the end */
} conn;

/* How an exchange that waits is seen by the loop: while `working` a worker has it, and
 * the loop touches wait.finished and abandoned alone. */
typedef struct exchange {
    struct exchange *next_free;
    ps_http *http;
    struct MHD_Connection *mhd; /* borrowed */
    conn *conn;
    ps_request request;
    ps_reply reply;
    ps_arena arena; /* reset after each request */
    ps_buf body;    /* what was uploaded */
    ps_job job;
    ps_wait wait;
    ps_then then; /* what makes the answer, with cls; NULL: the route's handler */
    void *cls;
    unsigned worker; /* that had it last */
    uint64_t started, hash;
    uint64_t client_ms;       /* that the client waits; 0: any time */
    uint64_t declared;        /* Content-Length, 0 without */
    uint64_t uploaded, limit; /* bytes of the body as it is sent; and it may have */
    uint64_t reserved;        /* of the memory for all bodies */
    ps_gunzip *gunzip;        /* its body is packed; NULL: it is not */
    bool chunked, bodyless;   /* it comes in chunks; it must not have any */
    const char *raw_end;      /* in the library's memory: where the target ended */
    char *raw_key;            /* the variant, then the target */
    ps_text key;              /* of the cache */
    uint8_t variant;
    bool begun, admitted, answered, working, abandoned;
    bool declined; /* its headers are enough to say no; the reply does */
    bool refused;  /* by http_refuse */
    unsigned status;
    uint64_t sent;   /* bytes of the answer's body */
    char place[512]; /* of the key, when it fits */
} exchange;

/* A finished answer in the cache. */
typedef struct kept {
    struct MHD_Response *response; /* a reference */
    uint64_t size, version;
    uint8_t route, method, source;
    char etag[PS_ETAG_ROOM];
} kept;

struct ps_http {
    ps_state *state;    /* borrowed */
    ps_loop *loop;      /* borrowed; runs this */
    ps_stats *stats;    /* borrowed, this loop's */
    ps_context context; /* its reader is owned */
    ps_cache *cache;    /* NULL: none */
    ps_gzip *gzip;      /* NULL: nothing is packed */
    ps_buf packed;      /* what it made last */
    struct MHD_Daemon *daemon;
    conn *conns;  /* ring, NULL when empty */
    conn **by_fd; /* (n_by_fd), owned */
    int n_by_fd;
    struct lingerer *lingering; /* (n_lingering), owned */
    unsigned n_lingering;
    exchange *spare; /* (n_spare) ready for the next requests */
    unsigned n_spare;
    unsigned abandoned;  /* exchanges that ended before their wait did */
    ps_line log;         /* access lines on their way */
    uint64_t logged;     /* good answers counted for sampling */
    unsigned handshakes; /* connections that are */
    uint64_t moved;      /* what http_tls_patience saw last */
};

#define MS        1000000u /* ns */
#define HTTP_RATE 16384u   /* bytes a second at which bodies must come, and answers go */

/* Its connection may take until then (ns), unless it is being shut down already. */
static inline void http_allow(exchange *x, uint64_t until)
{
    if (x->conn->deadline != UINT64_MAX)
        x->conn->deadline = until;
}

/* ---- http_guard.c ---- */
/* Look at all headers: fills x->request.header, x->declared, x->chunked. True: refused,
 * x->reply says why. */
bool http_guard(ps_http *h, exchange *x, struct MHD_Connection *c, const char *method,
                const char *version);

/* ---- http_body.c ---- */
/* With its headers: may it ask this, and send that? True: it is refused before it sends
 * it. (Declined without a body to come, it is answered at its end, and may go on.) */
bool http_admit(ps_http *h, exchange *x);
/* Take a piece of the body. */
enum MHD_Result http_take(ps_http *h, exchange *x, const char *data, size_t *size);
/* False: its end is missing, x->reply says so. */
bool http_taken(exchange *x);
/* It is of no use any more. */
void http_body_release(ps_http *h, exchange *x);

/* ---- http_refuse.c ---- */
/* Answer at once what stands in x->reply, past the library, and end the connection: also
 * in the middle of a body, where MHD_queue_response cannot. */
void http_refuse(ps_http *h, exchange *x);
/* The library is about to answer the request at hand by itself: we do. */
void http_refuse_for_library(ps_http *h, unsigned status);
/* On this thread, from now on: this loop reads; this is the connection at hand. */
void http_runs(ps_http *h);
void http_at_hand(const conn *c);

/* ---- http_linger.c ---- */
/* What a client still sends to a connection that we have ended is read for a while and
 * thrown away: closed at once it would be reset, and the client might lose our answer. */
#define LINGER_MS 5 /* between two looks */
void http_linger(ps_http *h, int fd);
void http_linger_on(ps_http *h);  /* read what has come, close what is over */
void http_linger_end(ps_http *h); /* close all */

/* ---- http_reply.c ---- */
/* True if x may ask what it asks, once and for all; else x->reply says why not. */
bool http_may_ask(ps_http *h, exchange *x);
enum MHD_Result http_answer(ps_http *h, exchange *x);
/* Send what stands in x->reply. */
enum MHD_Result http_send(ps_http *h, exchange *x);
void http_free_kept(void *value);

/* ---- http_response.c ---- */
/* What this client takes: answers for one variant may be sent to all of it. */
uint8_t http_variant(const ps_http *h, const ps_request *r);
/* From x->reply; a file becomes the response's. NULL when memory is exhausted. */
struct MHD_Response *http_response(ps_http *h, exchange *x);

/* ---- http_later.c ---- */
/* Make the answer: 1 it stands in x->reply, 0 it comes later. */
int http_make(ps_http *h, exchange *x);
/* A ps_wait.finish. */
void http_wait_finish(ps_wait *w);
/* To be called when the connection's deadlines are looked after. */
void http_expire(ps_http *h, exchange *x, uint64_t now);
/* Answer what waits, whoever has it: the loop is about to end, the pool has. */
void http_give_up(ps_http *h, exchange *x);

/* ---- http_tls.c ---- */
/* What the daemon needs for TLS; nothing without it. */
unsigned http_tls_flags(const ps_http *h);
void http_tls_options(const ps_http *h, struct MHD_OptionItem out[3]);
/* ms to wait when the library wants to run at once, and did `turns` times. */
int64_t http_tls_patience(ps_http *h, unsigned turns);
/* Send the last words of a connection, as much of them as it takes. */
void http_tls_last_words(const conn *c, const char *data, size_t size);

/* ---- http_conn.c ---- */
void http_on_connection(void *cls, struct MHD_Connection *c, void **slot,
                        enum MHD_ConnectionNotificationCode what);
/* NULL when memory is exhausted. uri NULL: no request line was read. */
exchange *http_begin(ps_http *h, conn *c, const char *uri);
void http_end(ps_http *h, exchange *x, enum MHD_RequestTerminationCode how);
void http_recycle(ps_http *h, exchange *x);
void http_free(exchange *x);
void http_sweep(ps_http *h);

#endif
