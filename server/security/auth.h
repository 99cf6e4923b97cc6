/* auth.h - who may write: bearer tokens, or being on this machine; and how often.
 *
 *     token file   writes and /admin need    otherwise
 *     ----------   -----------------------   ---------------------------------------
 *     set          a token of the file       401 unauthenticated
 *     not set      a peer on the loopback    403 permission_denied
 *
 * Reading is open to all, whatever a request shows. A server that is read-only answers
 * every write 403, and a token that asks more often than the rate limit 429.
 *
 * Without tokens "a peer on the loopback" leaves out what only seems to be one: requests
 * that a proxy on this machine passes on (a header tells, or HTTP/1.0), and those that a
 * page of another site makes a browser here send (their Origin is not ours, or their Host
 * is none of our names: hosts.h). No header ever gives a right.
 *
 * Threads: ps_auth_check from any; ps_auth_refresh from one.
 * Not here: which addresses write (routes.c).
 */
#ifndef PINSAGE_SERVER_SECURITY_AUTH_H
#define PINSAGE_SERVER_SECURITY_AUTH_H

#include <stdbool.h>

#include "pinsage/err.h"
#include "server/base/log.h"
#include "server/message/reply.h"
#include "server/message/request.h"

typedef struct ps_auth ps_auth;

typedef struct ps_auth_opts {
    const char *token_file; /* NULL: the loopback alone */
    double rate;            /* 0, 0..1e6: writes a second for each token; 0 = any */
    uint32_t burst;         /* 100, 1..1000000: at once, after a rest */
    bool read_only;
} ps_auth_opts;

/* What a route is, beside a question. */
typedef enum ps_power { PS_MAY_READ = 0, PS_MAY_WRITE = 1, PS_MAY_ADMIN = 2 } ps_power;

/* opts and log are borrowed. Says in the log what is unwise about the file. */
int ps_auth_open(ps_auth **a, const ps_auth_opts *opts, ps_log *log, ps_why *why);
void ps_auth_close(ps_auth *a); /* NULL is fine */

/* Read the file again if it has changed. One that is no good is told in the log, and the
 * tokens in use stay. Call it about once a second. */
void ps_auth_refresh(ps_auth *a);

/* True if r may do what needs these powers; then r->who names its token. Else out is the
 * answer. */
bool ps_auth_check(ps_auth *a, ps_request *r, unsigned powers, ps_reply *out);

/* True for 127.0.0.0/8, ::1, and the former written as IPv6. */
struct sockaddr_storage;
bool ps_is_loopback(const struct sockaddr_storage *peer);

#endif
