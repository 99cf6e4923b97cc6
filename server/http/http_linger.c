/* http_linger.c - connections that are over for us, and not yet for their client.
 *
 * Whoever is answered in the middle of a request may still be sending. A socket that is
 * closed with bytes unread resets its peer, which then fails to send, or throws away what
 * it has not read: it never learns that it lacks a token. So a copy of the descriptor
 * outlives the library's connection: shut down for writing, read and thrown away until
 * the client ends it too, within a time and a number of bytes.
 *
 * Threads: see http.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "pinsage/clock.h"
#include "server/http/http_inside.h"

#define LINGERERS_MAX 256u                  /* of a loop; more are closed at once */
#define LINGER_NS     (2000 * (uint64_t)MS) /* from the answer on */
#define LINGER_BYTES  (64u << 20)

typedef struct lingerer {
    int fd;
    uint64_t until, left; /* ns; bytes that it may still send */
} lingerer;

void http_linger(ps_http *h, int fd)
{
    if (!h->lingering)
        h->lingering = malloc(LINGERERS_MAX * sizeof *h->lingering);
    if (!h->lingering || h->n_lingering == LINGERERS_MAX)
        return;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0)
        return;
    shutdown(copy, SHUT_WR);
    h->lingering[h->n_lingering++] =
        (lingerer){copy, ps_now_ns() + LINGER_NS, LINGER_BYTES};
}

/* True while it may send more. */
static bool read_away(lingerer *l, uint64_t now)
{
    char text[16384];
    ssize_t n = 1;
    while (n > 0 && l->left) {
        n = recvfrom(l->fd, text, sizeof text, MSG_DONTWAIT, NULL, NULL);
        if (n > 0)
            l->left -= (uint64_t)n < l->left ? (uint64_t)n : l->left;
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR) && now < l->until;
}

void http_linger_on(ps_http *h)
{
    uint64_t now = h->n_lingering ? ps_now_ns() : 0;
    unsigned left = 0;
    for (unsigned i = 0; i < h->n_lingering; i++)
        if (read_away(&h->lingering[i], now))
            h->lingering[left++] = h->lingering[i];
        else
            close(h->lingering[i].fd);
    h->n_lingering = left;
}

void http_linger_end(ps_http *h)
{
    for (unsigned i = 0; i < h->n_lingering; i++)
        close(h->lingering[i].fd);
    free(h->lingering);
}
