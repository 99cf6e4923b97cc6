/* tls.h - the server's certificate and key, exchanged while connections go on.
 *
 * Both are PEM files, the certificate followed by those that vouch for it. They are
 * checked together before they are used: a pair that does not match, a key behind a
 * password, a certificate that is out of date is refused in words. A new pair is used by
 * handshakes that begin afterwards; connections that exist keep what they have.
 *
 * Threads: ps_tls_hold and _release from any; ps_tls_refresh from one.
 * Not here: how libmicrohttpd asks for them (http_tls.c).
 */
#ifndef PINSAGE_SERVER_SECURITY_TLS_H
#define PINSAGE_SERVER_SECURITY_TLS_H

#include <stdbool.h>
#include <stdint.h>

#include "pinsage/err.h"
#include "server/base/log.h"

typedef struct ps_tls ps_tls;

typedef struct ps_tls_opts {
    const char *cert, *key; /* paths; both NULL: no TLS */
    const char *priorities; /* GnuTLS's words for ciphers and their kind; versions below
                               1.2 are never spoken, whatever they say */
} ps_tls_opts;
#define PS_TLS_PRIORITIES "NORMAL:%SERVER_PRECEDENCE"

/* opts and log are borrowed. */
int ps_tls_open(ps_tls **t, const ps_tls_opts *opts, ps_log *log, ps_why *why);
void ps_tls_close(ps_tls *t); /* NULL is fine */

/* Look whether the files have changed, about once a second, and read them again once they
 * rest (now: at once, if they have). A pair that is no good is told in the log, and the
 * one in use stays. Says in the log when the certificate in use is near its end. */
void ps_tls_refresh(ps_tls *t, bool now);

/* The priorities, with what keeps old versions out. Borrowed. */
const char *ps_tls_priorities(const ps_tls *t);
/* When the certificate in use ends, Unix seconds. */
int64_t ps_tls_until(ps_tls *t);

/* A pair as GnuTLS wants it (gnutls_pcert_st, gnutls_privkey_t), kept while held. */
typedef struct ps_tls_pair ps_tls_pair;
ps_tls_pair *ps_tls_hold(ps_tls *t);
void ps_tls_release(ps_tls_pair *p);

#endif
