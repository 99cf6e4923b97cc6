/* hosts.h - the names that this server answers to.
 *
 * A page of a stranger can have its own name lead to this machine (DNS rebinding): then a
 * browser here takes us for the stranger's site, and hands it our answers. It still says
 * that name in its Host header. So a server that only this machine can reach, and one
 * that was told its names, answers to them alone:
 *
 *     --listen          --allowed-hosts     reads answer to         writes without tokens
 *     127.0.0.1:8080    -                   ours                    ours
 *     0.0.0.0:8080      -                   any Host                ours
 *     any               shop.example        ours and these          ours and these
 *     any               *                   any Host                any Host
 *
 * Ours are localhost and what is below it, the name in --listen, and every address in
 * digits: no stranger's page has one of those for its name, and probes use them.
 *
 * Threads: constant once open.
 */
#ifndef PINSAGE_SERVER_SECURITY_HOSTS_H
#define PINSAGE_SERVER_SECURITY_HOSTS_H

#include <stdbool.h>

#include "pinsage/err.h"
#include "pinsage/text.h"

#define PS_HOSTS_MAX 32

typedef struct ps_hosts {
    unsigned n;
    bool any;                 /* "*" */
    bool strict;              /* reads, too, answer to these names alone */
    char *name[PS_HOSTS_MAX]; /* owned */
} ps_hosts;

/* allowed: names with commas between them, or "*"; NULL: none were told. listen is
 * --listen. Refused in words. */
int ps_hosts_init(ps_hosts *h, const char *listen, const char *allowed, ps_why *why);
void ps_hosts_done(ps_hosts *h);

/* True if a Host header ("localhost:8080", "[::1]") says one of the names. */
bool ps_hosts_know(const ps_hosts *h, ps_text host);

#endif
