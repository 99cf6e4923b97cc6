/* notify.h - what a service manager is told, and what it hands over (systemd's
 * protocols).
 *
 *     told      a datagram of lines, "READY=1\nSTATUS=...", to $NOTIFY_SOCKET
 *     wanted    a sign of life within every $WATCHDOG_USEC
 *     handed    listening sockets, from descriptor 3 on: $LISTEN_FDS, $LISTEN_FDNAMES
 *
 * Where none of those variables is set nothing is told and nothing was handed over. The
 * protocols are a few lines each, so no library of systemd's is needed.
 *
 * Threads: the main thread. Not here: what there is to tell (serve.c).
 */
#ifndef PINSAGE_SERVER_BASE_NOTIFY_H
#define PINSAGE_SERVER_BASE_NOTIFY_H

#include <stdint.h>

#include "pinsage/err.h"

typedef struct ps_notify {
    int fd;               /* -1: nobody wants to be told */
    uint32_t watchdog_ms; /* 0: no sign of life is wanted */
    int listener;         /* in the place of --listen, -1: none was handed over */
    int admin_listener;   /* named "admin": in the place of --admin-listen */
} ps_notify;

/* Read the environment, and take those variables out of it: they are meant for this
 * process alone. Fails when a socket was handed over that is of no use. */
int ps_notify_init(ps_notify *n, ps_why *why);
/* Tell it, or nobody: what cannot be sent is lost. */
void ps_notify_tell(const ps_notify *n, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The handed sockets too are closed here: whoever listens on them made copies. */
void ps_notify_done(ps_notify *n);

#endif
