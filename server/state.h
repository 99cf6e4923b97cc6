/* state.h - what all loops of the server share.
 *
 * Threads: set up before the loops start and read by them; what changes later is atomic
 * or behind the lock.
 */
#ifndef PINSAGE_SERVER_STATE_H
#define PINSAGE_SERVER_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "server/auth.h"
#include "server/engine.h"
#include "server/images.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/serve.h"

typedef struct ps_state {
    const ps_serve_opts *opts; /* borrowed */
    ps_log *log;
    ps_images *images; /* NULL when no folder is served */
    ps_auth *auth;
    ps_stats *stats; /* (n_loops) */
    unsigned n_loops;
    double start_time;
    _Atomic bool draining;
    pthread_mutex_t lock;
    ps_engine *engine; /* guarded by lock; NULL until loaded */
    bool canary;       /* guarded by lock: the engine answered its test question */
} ps_state;

/* The engine in use, with a reference for the caller; NULL until one is loaded. */
ps_engine *ps_state_engine(ps_state *s);
bool ps_state_canary(ps_state *s);
/* Put another engine in its place (takes the caller's reference). */
void ps_state_install(ps_state *s, ps_engine *e, bool canary);

#endif
