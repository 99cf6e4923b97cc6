/* counters.c - histograms by bounds, requests by route and status, answers by method.
 *
 * Threads: see counters.h.
 */
#include "server/base/counters.h"

#include <string.h>

const double ps_hist_bound[PS_BUCKETS] = {5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3,
                                          5e-3, 1e-2, 2.5e-2, 5e-2, 0.1,  0.25,
                                          0.5,  1,    2.5,    5,    10};

void ps_hist_add(ps_hist *h, uint64_t ns)
{
    double seconds = (double)ns * 1e-9;
    unsigned i = 0;
    while (i < PS_BUCKETS && seconds > ps_hist_bound[i])
        i++;
    ps_count_add(&h->bucket[i], 1);
    ps_count_add(&h->ns, ns);
}

const unsigned ps_counted_status[PS_STATUSES - 1] = {
    200, 204, 206, 304, 400, 401, 403, 404, 405, 408, 409, 412, 413,
    414, 415, 421, 429, 431, 499, 500, 501, 503, 504, 505, 507};

void ps_stats_request(ps_stats *s, unsigned route, unsigned status, uint64_t ns)
{
    unsigned i = 0;
    while (i < PS_STATUSES - 1 && ps_counted_status[i] != status)
        i++;
    ps_count_add(&s->requests[route][i], 1);
    ps_hist_add(&s->latency[route], ns);
}

unsigned ps_stats_method(ps_stats *s, const char *name)
{
    unsigned n = atomic_load_explicit(&s->n_methods, memory_order_relaxed), i = 0;
    size_t len = strnlen(name, sizeof s->method[0].name - 1);
    while (i < n &&
           (strncmp(s->method[i].name, name, len) != 0 || s->method[i].name[len]))
        i++;
    if (i == n && n < PS_METHODS_MAX) {
        memcpy(s->method[n].name, name, len);
        atomic_store_explicit(&s->n_methods, n + 1, memory_order_release);
    }
    return i < PS_METHODS_MAX ? i : PS_METHODS_MAX - 1;
}
