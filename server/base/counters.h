/* counters.h - what loops and workers count.
 *
 * Each has counters of its own and is their only writer: counting is a plain addition, no
 * bus lock; whoever wants a sum reads them all and adds up.
 *
 * Threads: a ps_stats is written by its owner and read by any.
 * Not here: the page that shows them (server/routes/metrics.h).
 */
#ifndef PINSAGE_SERVER_BASE_COUNTERS_H
#define PINSAGE_SERVER_BASE_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

#define PS_ROUTES_MAX       64
#define PS_STATUSES         26
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
    ps_count bodies_refused; /* for want of --body-memory */
    ps_count refused;        /* requests that broke a rule of HTTP */
    ps_count timed_out;      /* connections closed by the deadline sweep */
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

/* Upper bounds of the buckets, seconds. */
extern const double ps_hist_bound[PS_BUCKETS];
/* Statuses that are told apart; all others are counted together behind them. */
extern const unsigned ps_counted_status[PS_STATUSES - 1];

void ps_hist_add(ps_hist *h, uint64_t ns);
void ps_stats_request(ps_stats *s, unsigned route, unsigned status, uint64_t ns);
/* Number of a method's name in s, a new one if need be; the last one takes the rest. */
unsigned ps_stats_method(ps_stats *s, const char *name);

#endif
