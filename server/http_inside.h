/* http_inside.h - one loop's HTTP as its own files see it.
 *
 *      connection (conn)  1 --- 0..1  request under way (exchange)
 *
 * Threads: see http.h.
 */
#ifndef PINSAGE_SERVER_HTTP_INSIDE_H
#define PINSAGE_SERVER_HTTP_INSIDE_H

#include <microhttpd.h>
#include <sys/socket.h>

#include "pinsage/arena.h"
#include "pinsage/buf.h"
#include "server/cache.h"
#include "server/http.h"
#include "server/reply.h"
#include "server/request.h"
#include "server/routes.h"

typedef struct conn {
    struct conn *next, *prev;
    struct MHD_Connection *mhd; /* borrowed */
    int fd;                     /* borrowed */
    uint64_t deadline;          /* ns: shut down when the sweep comes by later */
    struct sockaddr_storage peer;
} conn;

typedef struct exchange {
    struct exchange *next_free;
    conn *conn;
    ps_request request;
    ps_arena arena; /* reset after each request */
    ps_buf body;    /* what was uploaded */
    uint64_t started, hash;
    uint64_t uploaded;   /* bytes, also those that were thrown away */
    const char *raw_end; /* in the library's memory: where the target ended */
    bool begun, answered;
    unsigned status, route;
    uint64_t sent;   /* bytes of the answer's body */
    char place[512]; /* of the raw target, when it fits */
} exchange;

/* A finished answer in the cache. */
typedef struct kept {
    struct MHD_Response *response; /* a reference */
    uint64_t size;
    uint8_t route, method, source;
} kept;

struct ps_http {
    ps_state *state; /* borrowed */
    ps_stats *stats; /* borrowed, this loop's */
    ps_door door;    /* its reader is owned */
    ps_cache *cache; /* NULL: none */
    struct MHD_Daemon *daemon;
    conn *conns;     /* ring, NULL when empty */
    exchange *spare; /* ready for the next requests */
    ps_reply reply;  /* of the request that is being answered */
    ps_line log;     /* access lines on their way */
    uint64_t logged; /* good answers counted for sampling */
};

uint64_t http_now(void); /* CLOCK_MONOTONIC, ns */

/* ---- http_guard.c ---- */
/* Look at all headers: fills x->request.header. Refusals fill h->reply and return true.
 */
bool http_guard(ps_http *h, exchange *x, struct MHD_Connection *c, const char *method,
                const char *version);

/* ---- http_reply.c ---- */
enum MHD_Result http_answer(ps_http *h, exchange *x, struct MHD_Connection *c);
/* Send what stands in h->reply. */
enum MHD_Result http_send(ps_http *h, exchange *x, struct MHD_Connection *c);
void http_free_kept(void *value);

/* ---- http_conn.c ---- */
void http_on_connection(void *cls, struct MHD_Connection *c, void **slot,
                        enum MHD_ConnectionNotificationCode what);
exchange *http_begin(ps_http *h, struct MHD_Connection *c, const char *uri);
void http_end(ps_http *h, exchange *x, enum MHD_RequestTerminationCode how);
void http_sweep(ps_http *h);

#endif
