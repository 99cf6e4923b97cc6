/* metrics.h - what the server counts, and the page that Prometheus reads.
 *
 * Every loop and worker has counters of its own and is their only writer: counting is a
 * plain addition, no bus lock; a scrape reads them all and adds up. The list of metrics
 * is one table (metrics.c).
 *
 * Threads: a ps_stats is written by its owner and read by any.
 * Not here: where the numbers come from (rest_metrics.c).
 */
#ifndef PINSAGE_SERVER_STATE_METRICS_H
#define PINSAGE_SERVER_STATE_METRICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "pinsage/buf.h"

#define PS_ROUTES_MAX       64
#define PS_STATUSES         24
#define PS_BUCKETS          17
#define PS_METHODS_MAX      32
#define PS_DEGRADATIONS_MAX 8

typedef _Atomic uint64_t ps_count;

/* Only the owner of a counter calls these. */
static inline void ps_count_add(ps_count *c, uint64_t n)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static inline void ps_count_set(ps_count *c, uint64_t n)
{
    atomic_store_explicit(c, n, memory_order_relaxed);
}

static inline uint64_t ps_count_get(const ps_count *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

typedef struct ps_hist {
    ps_count bucket[PS_BUCKETS + 1]; /* not cumulative; the last has no upper bound */
    ps_count ns;
} ps_hist;

typedef struct ps_stats {
    _Alignas(64) ps_count accepted; /* connections */
    ps_count closed;
    ps_count started, finished;   /* requests */
    ps_count bytes_in, bytes_out; /* bodies */
    ps_count cache_hits, cache_misses, cache_evicted, cache_entries, cache_bytes;
    ps_count refused;   /* requests that broke a rule of HTTP */
    ps_count timed_out; /* connections closed by the deadline sweep */
    ps_count ticks, tick_ns;
    ps_count requests[PS_ROUTES_MAX][PS_STATUSES];
    ps_hist latency[PS_ROUTES_MAX];
    ps_hist ranking;                        /* time of one ranking inside the engine */
    ps_count degraded[PS_DEGRADATIONS_MAX]; /* answers made cheaper, by how */
    ps_hist queued;                         /* time until a worker took a job */
    ps_count jobs_begun, jobs_done, jobs_late, jobs_refused;
    struct {
        char name[48];
        ps_count answers[4]; /* by source */
    } method[PS_METHODS_MAX];
    _Atomic unsigned n_methods;
} ps_stats;

void ps_hist_add(ps_hist *h, uint64_t ns);
void ps_stats_request(ps_stats *s, unsigned route, unsigned status, uint64_t ns);
/* Number of a method's name in s, a new one if need be; the last one takes the rest. */
unsigned ps_stats_method(ps_stats *s, const char *name);

/* What the page tells beside the loops' counters. */
typedef struct ps_facts {
    const ps_stats *stats; /* (n_stats) */
    unsigned n_stats;
    unsigned workers, queue, waiting; /* threads; jobs that may wait, and do */
    bool ready, draining;
    uint64_t log_dropped;
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
    struct ps_compaction_counts {
        uint64_t compactions, failed;
        double seconds; /* that the last one took */
        bool running;
    } compaction;
    struct ps_recall_facts {
        uint64_t sampled, hits, wanted;
        double recall; /* of the last samples; NaN before the first */
    } recall;
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
