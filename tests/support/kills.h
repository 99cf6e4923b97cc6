/* kills.h - work that does not come to its end: killed in a child, or stopped by its
 * listener.
 *
 * Threads: one; a listener may hear several.
 */
#ifndef PINSAGE_TESTS_SUPPORT_KILLS_H
#define PINSAGE_TESTS_SUPPORT_KILLS_H

#include <stdbool.h>

#include "pinsage/progress.h"

/* run(cls) in a child. True if it came to its end and returned 0, false if SIGKILL ended
 * it; all else fails the test. */
bool survives(int (*run)(void *cls), void *cls);
/* The same, killed from outside after so many microseconds. */
bool survives_for(long microseconds, int (*run)(void *cls), void *cls);

/* run(progress), which makes generation 2 of `catalog` (changes.h), killed at its first
 * word of progress, at its second and so on until it comes to its end; each time the
 * current generation is whole, and is 2 at that end alone. Returns how often it ran. */
int killed_at_each_word(int (*run)(void *progress));

/* A word of progress, and those after it. */
typedef struct moment {
    const char *stage; /* of this stage; NULL: of any */
    uint64_t done;     /* with exactly so much done; 0: any */
    int nth;           /* which of these words, from 1; 0: none */
    _Atomic int heard; /* how many there were */
} moment;

/* Listeners that ask the work to stop then, or raise SIGKILL. */
ps_progress stop_at(moment *m);
ps_progress kill_at(moment *m);

#endif
