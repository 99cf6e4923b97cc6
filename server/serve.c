/* serve.c - starts the loops, waits for a signal, drains.
 *
 * Threads: the main thread.
 */
#include "server/serve.h"

int ps_serve(const ps_serve_opts *opts, ps_why *why)
{
    return ps_fail(why, PS_EUNSUPPORTED, opts->catalog, 0, "serving is not built yet");
}
