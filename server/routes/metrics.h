/* metrics.h - the page that Prometheus reads.
 *
 * The list of metrics is one table (metrics.c).
 *
 * Threads: any.
 * Not here: counting (server/base/counters.h), where the other numbers come from
 * (rest_metrics.c).
 */
#ifndef PINSAGE_SERVER_ROUTES_METRICS_H
#define PINSAGE_SERVER_ROUTES_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "pinsage/buf.h"
#include "server/base/counters.h"
#include "server/state/compaction.h"
#include "server/state/recall.h"

/* What the page tells beside the loops' counters. */
typedef struct ps_facts {
    const ps_stats *stats; /* (n_stats) */
    unsigned n_stats;
    unsigned workers, queue, waiting; /* threads; jobs that may wait, and do */
    bool ready, draining;
    uint64_t log_dropped;
    uint64_t body_bytes;       /* of request bodies held now */
    double start_time;         /* Unix seconds */
    int64_t certificate_until; /* the same; 0: no TLS */
    struct ps_engine_facts {
        const char *generation; /* NULL: nothing is loaded */
        const char *index;      /* "IVF1024,SQ8", "" for none */
        uint64_t number, pins, boards, edges;
    } engine;
    struct ps_live_facts {
        bool there; /* something can be written */
        uint64_t version, pins, boards, dead, vectors, vector_bytes;
        uint64_t edges_added, edges_removed, overlay_bytes;
        uint64_t writes, refused, failed, batches, again, waiting, stale;
        double stale_age, commit_seconds;
        uint64_t records, store_bytes, map_bytes, lsn;
        bool full, trimming;
    } live;
    ps_compaction_counts compaction;
    ps_recall_counts recall;
    uint64_t reloads, reloads_failed;
    const char *const *source; /* names of the sources (n_sources) */
    unsigned n_sources;
    const char *const
        *degraded; /* names of the degradation levels (n_levels), "" for none */
    unsigned n_levels;
} ps_facts;

typedef enum ps_format { PS_PROMETHEUS, PS_OPENMETRICS } ps_format;
extern const char *const ps_format_type[]; /* content types */

void ps_metrics_write(ps_buf *out, const ps_facts *f, ps_format format);

#endif
