/* tls_pair.h - a certificate and its key as GnuTLS holds them.
 *
 * Threads: constant once made, but for refs (tls.c).
 */
#ifndef PINSAGE_SERVER_SECURITY_TLS_PAIR_H
#define PINSAGE_SERVER_SECURITY_TLS_PAIR_H

#include <gnutls/abstract.h>

#include "server/security/tls.h"

#define PS_TLS_CHAIN 16 /* most certificates in a row */

struct ps_tls_pair {
    ps_tls *owner; /* borrowed; its lock guards refs */
    unsigned refs, n;
    gnutls_pcert_st cert[PS_TLS_CHAIN]; /* (n), the server's own first */
    gnutls_privkey_t key;
    int64_t until; /* Unix seconds */
};

#endif
