/* clock.h - seconds that only go forward, for durations and rates.
 *
 * Threads: pure function.
 */
#ifndef PINSAGE_CLOCK_H
#define PINSAGE_CLOCK_H

#include <time.h>

static inline double ps_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
