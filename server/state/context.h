/* context.h - what one thread answers requests with: the state, its counters, its reader.
 *
 * Threads: a context belongs to one loop or worker.
 */
#ifndef PINSAGE_SERVER_STATE_CONTEXT_H
#define PINSAGE_SERVER_STATE_CONTEXT_H

#include "server/message/reply.h"
#include "server/state/state.h"

/* One thread's way from requests to answers. */
typedef struct ps_context {
    ps_state *state;
    ps_stats *stats;   /* this thread's */
    ps_reader *reader; /* this thread's way into the engine; NULL until one is loaded */
    uint32_t install;  /* number of the reader's engine, as the state has it */
    bool worker;       /* a worker's: may take its time */
    uint32_t etag_install; /* what etag was made for */
    uint64_t etag_version;
    char etag[PS_ETAG_ROOM]; /* of answers at that version */
} ps_context;

/* What its engine has seen written; 0 without one. */
static inline uint64_t ps_context_version(const ps_context *d)
{
    return d->reader ? ps_engine_version(ps_reader_engine(d->reader)) : 0;
}

#endif
