/* listen.h - from "127.0.0.1:8080" to listening sockets, one a loop.
 *
 * The sockets share the address by SO_REUSEPORT: the kernel spreads connections over the
 * loops. As that would also let a second server in unnoticed, the address is first bound
 * without it: somebody else's port is told as such.
 *
 * Threads: used at start.
 */
#ifndef PINSAGE_SERVER_BASE_LISTEN_H
#define PINSAGE_SERVER_BASE_LISTEN_H

#include "pinsage/err.h"

/* "[" 45-byte address "]:65535" */
#define PS_ADDRESS_MAX 64

/* Open n listening sockets into fd (n). address: "HOST:PORT", "[IPV6]:PORT", or "*:PORT"
 * for all of IPv6 and IPv4; port 0 is any free one. told gets what was really bound. */
int ps_listen(int *fd, unsigned n, const char *address, char told[PS_ADDRESS_MAX],
              ps_why *why);

/* The same from one listening TCP socket that a service manager handed over (borrowed): n
 * copies of it. It must not be told to refuse, for it goes on listening without us. */
int ps_listen_handed(int *fd, unsigned n, int handed, char told[PS_ADDRESS_MAX],
                     ps_why *why);

/* Take no new handshakes from now on; those under way still end in the queue. */
void ps_listen_refuse_new(int fd);

#endif
