/* state.h - what all loops and workers of the server share.
 *
 * Threads: set up before the loops start and read by them; what changes later is atomic
 * or behind the lock.
 */
#ifndef PINSAGE_SERVER_STATE_STATE_H
#define PINSAGE_SERVER_STATE_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "server/base/counters.h"
#include "server/base/images.h"
#include "server/base/log.h"
#include "server/base/worker_pool.h"
#include "server/engine/engine.h"
#include "server/live/writer.h"
#include "server/security/auth.h"
#include "server/security/cors.h"
#include "server/security/hosts.h"
#include "server/security/tls.h"
#include "server/state/reload.h"
#include "server/state/serve_opts.h"

typedef struct ps_state {
    const ps_serve_opts *opts; /* borrowed */
    ps_log *log;
    ps_images *images; /* NULL when no folder is served */
    ps_auth *auth;
    ps_tls *tls; /* NULL: plain HTTP */
    ps_cors cors;
    ps_hosts hosts;
    ps_reloader reloader;
    char cache_control[32]; /* of answers that have an ETag */
    ps_stats *stats;        /* (n_stats) those of the loops, then those of the workers */
    unsigned n_loops, n_workers, n_stats;
    struct ps_context *worker_context; /* (n_workers) each used by its worker alone */
    ps_worker_pool *pool;
    double start_time;
    _Atomic uint64_t reloads, reloads_failed;
    _Atomic uint64_t body_bytes;    /* of request bodies held now, by all loops */
    _Atomic uint64_t reloads_fewer; /* of those, because methods would go missing */
    _Atomic bool fallen_back; /* an older generation is in use: current is unfinished */
    _Atomic bool draining;
    pthread_mutex_t lock;
    struct ps_file_check *files;      /* NULL: they are not read */
    struct ps_recall *recall;         /* NULL: it is not watched */
    struct ps_compaction *compaction; /* NULL: nothing is written */
    ps_writes writes;                 /* store NULL: nothing is written */
    ps_engine *engine;                /* guarded by lock; NULL until loaded */
    uint32_t install;                 /* guarded by lock: how many engines there were */
    struct {
        char name[24]; /* "" when nothing is being opened */
        uint64_t done, total;
    } stage;     /* guarded by lock: of the opening under way */
    bool canary; /* guarded by lock: the engine answered its test question */
} ps_state;

/* The engine in use, with a reference for the caller; NULL until one is loaded. */
ps_engine *ps_state_engine(ps_state *s);
/* The same with its number, 0 for none. */
ps_engine *ps_state_current(ps_state *s, uint32_t *install);
bool ps_state_canary(ps_state *s);
/* How far the opening under way is: a ps_progress's at(), cls is the state. */
int ps_state_progress(void *s, const char *stage, uint64_t done, uint64_t total,
                      const char *unit, const char *note);
/* The same in words, "reading the index, 43 %"; "" when nothing is being opened. */
void ps_state_stage(ps_state *s, char *out, size_t room);
/* Put another engine in its place (takes the caller's reference). */
void ps_state_install(ps_state *s, ps_engine *e, bool canary);

#endif
