/* faults.h - the Nth call to the disk fails, or is the moment of a kill -9.
 *
 * Which calls are counted is the test's own: by the linker's --wrap or by a definition
 * before the C library's, it makes each of them ask due() first.
 *
 * Threads: one at a time.
 */
#ifndef PINSAGE_TESTS_SUPPORT_FAULTS_H
#define PINSAGE_TESTS_SUPPORT_FAULTS_H

#include <stdbool.h>

enum fault {
    NONE,
    FAIL,    /* that call */
    FAIL_ON, /* that call and all after it */
    KILL     /* SIGKILL instead of it */
};

/* At the at-th call from here on, which is counted from 1. */
void arm(enum fault what, int at);
/* Count a call. True if it must fail; errno is ENOSPC then. */
bool due(void);
/* Calls since arm. */
int calls_made(void);

#endif
