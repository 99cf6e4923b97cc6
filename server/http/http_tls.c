/* http_tls.c - hands libmicrohttpd the certificate that a new connection holds.
 *
 * A connection takes hold of the pair in use when it is accepted, and the handshake
 * finds it there: what is asked of GnuTLS's session leads to the library's connection,
 * that to ours.
 *
 * Version 0.9.75 of the library thinks that a handshake which waits for its peer could be
 * run at once, again and again. Nobody would stop it from taking a whole core, so while
 * there are handshakes and nothing moves, it is run some milliseconds later; when the
 * peer does send something, the descriptor is ready and it is run at once.
 *
 * Threads: see http.h.
 */
#include <gnutls/gnutls.h>

#include "server/http/http_inside.h"
#include "server/security/tls_pair.h"

static int on_certificate(gnutls_session_t session, const gnutls_datum_t *authorities,
                          int n_authorities, const gnutls_pk_algorithm_t *algorithms,
                          int n_algorithms, gnutls_pcert_st **certs, unsigned *n_certs,
                          gnutls_privkey_t *key)
{
    (void)authorities;
    (void)n_authorities;
    (void)algorithms;
    (void)n_algorithms;
    struct MHD_Connection *c = gnutls_session_get_ptr(session);
    const union MHD_ConnectionInfo *info =
        c ? MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT) : NULL;
    conn *n = info ? info->socket_context : NULL;
    if (!n || !n->pair)
        return -1;
    *certs = n->pair->cert;
    *n_certs = n->pair->n;
    *key = n->pair->key;
    return 0;
}

unsigned http_tls_flags(const ps_http *h)
{
    return h->state->tls ? MHD_USE_TLS : 0;
}

void http_tls_options(const ps_http *h, struct MHD_OptionItem out[3])
{
    unsigned n = 0;
    if (h->state->tls) {
        out[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_CERT_CALLBACK, 0,
                                           (void *)(uintptr_t)on_certificate};
        out[n++] =
            (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0,
                                    (void *)(uintptr_t)ps_tls_priorities(h->state->tls)};
    }
    out[n] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
}

/* Two turns are let pass: at the end of a handshake the request may be there already. */
int64_t http_tls_patience(ps_http *h, unsigned turns)
{
    const ps_stats *s = h->stats;
    uint64_t under_way = ps_count_get(&s->started) - ps_count_get(&s->finished);
    uint64_t moved = ps_count_get(&s->started) + ps_count_get(&s->finished) +
                     ps_count_get(&s->closed) + ps_count_get(&s->bytes_in);
    bool still = moved == h->moved;
    h->moved = moved;
    return h->handshakes && still && turns >= 2 ? (under_way ? 1 : 20) : 0;
}

void http_tls_last_words(const conn *c, const char *data, size_t size)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (!info || c->in_handshake)
        return;
    gnutls_record_send(info->tls_session, data, size);
    gnutls_bye(info->tls_session, GNUTLS_SHUT_WR);
}
