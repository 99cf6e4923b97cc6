/* faults.c - see faults.h. */
#include "tests/support/faults.h"

#include <errno.h>
#include <signal.h>

static struct {
    enum fault what;
    int at, count;
} faults;

void arm(enum fault what, int at)
{
    faults.what = what;
    faults.at = at;
    faults.count = 0;
}

bool due(void)
{
    faults.count++;
    if (faults.what == NONE || faults.count < faults.at)
        return false;
    if (faults.what == KILL)
        raise(SIGKILL);
    if (faults.what == FAIL && faults.count != faults.at)
        return false;
    errno = ENOSPC;
    return true;
}

int calls_made(void)
{
    return faults.count;
}
