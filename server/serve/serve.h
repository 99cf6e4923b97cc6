/* serve.h - the daemon: from options to a running server, and back at SIGTERM.
 *
 * ps_serve opens the sockets, starts the I/O loops, opens the catalog's current
 * generation, asks it a canary question and then says on stderr
 *
 *     level=info msg=listening addr=127.0.0.1:8080 generation=gen-000003 ...
 *
 * SIGTERM drains: readiness fails, every answer closes its connection, and after
 * drain_delay the listeners close; when the last connection is gone, or after
 * drain_limit, ps_serve returns PS_OK. SIGINT does the same without the delay. A second
 * signal cuts the wait short. SIGHUP opens the catalog's current generation anew.
 *
 * Threads: one call in a process, from the main thread, which should have started no
 * other: signals are blocked in those made here.
 * Not here: the options' help texts (server/cli/).
 */
#ifndef PINSAGE_SERVER_SERVE_SERVE_H
#define PINSAGE_SERVER_SERVE_SERVE_H

#include "pinsage/err.h"
#include "server/state/serve_opts.h"

/* Serve until a signal says stop. Fails, in words, when it cannot start. */
int ps_serve(const ps_serve_opts *opts, ps_why *why);

#endif
