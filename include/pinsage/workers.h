/* workers.h - a fixed pool of threads for loops over rows.
 *
 * ps_workers_run cuts [0, n) into pieces of `grain` items and hands them out in order;
 * the caller's thread works too. What a piece computes must depend on its items only,
 * never on the worker that got it: then any thread count gives the same result.
 *
 * Threads: one caller at a time for each workers. Not here: request queues (server/).
 */
#ifndef PINSAGE_WORKERS_H
#define PINSAGE_WORKERS_H

#include <stddef.h>

typedef struct ps_workers ps_workers;

/* Items [begin, end); worker is 0 .. count-1, for scratch space. A negative return stops
 * the loop: no new piece is handed out, and ps_workers_run returns the first such value
 * of the lowest piece that failed. */
typedef int (*ps_work)(void *cls, size_t begin, size_t end, unsigned worker);

/* n threads including the caller's; 0 means one per available core. */
int ps_workers_new(ps_workers **w, unsigned n);
unsigned ps_workers_count(const ps_workers *w);
int ps_workers_run(ps_workers *w, size_t n, size_t grain, ps_work fn, void *cls);
void ps_workers_free(ps_workers *w);

/* Cores this process may use (affinity mask, cgroup quota rounded up), at least 1. */
unsigned ps_cores(void);

#endif
