/* lock.h - one writer for a directory: a file in it, held by flock.
 *
 * The kernel lets go of it when its holder ends, however it ends. The file holds the
 * holder's process number and what it does, for whoever is refused.
 *
 * Threads: functions on paths; the lock belongs to whoever holds the descriptor.
 */
#ifndef PINSAGE_LOCK_H
#define PINSAGE_LOCK_H

#include "pinsage/err.h"

/* Take DIR/lock; *fd is closed to let it go. PS_EBUSY names who holds it: the process and
 * its step ("import", "serve"). */
int ps_lock_take(int *fd, const char *dir, const char *step, ps_why *why);

#endif
