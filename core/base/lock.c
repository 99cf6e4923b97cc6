/* lock.c - DIR/lock: flock'd by the writer; "process PID, STEP" for whoever is refused.
 *
 * Threads: see lock.h.
 */
#include "pinsage/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pinsage/file.h"

static int busy(int fd, const char *dir, ps_why *why)
{
    char who[64];
    ssize_t n = pread(fd, who, sizeof who - 1, 0);
    who[n > 0 ? n : 0] = '\0';
    who[strcspn(who, "\n")] = '\0';
    return ps_fail(why, PS_EBUSY, dir, 0, "another process is writing to it%s%s",
                   *who ? ": " : "", who);
}

/* The file that was locked may have been removed meanwhile, with a catalog that was
 * given up: then the lock protects nothing. */
static bool still_there(int fd, const char *path)
{
    struct stat a, b;
    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_ino == b.st_ino &&
           a.st_dev == b.st_dev;
}

static void sign(int fd, const char *step)
{
    char who[64];
    int n = snprintf(who, sizeof who, "process %ld, %s\n", (long)getpid(), step);
    size_t size = n < (int)sizeof who ? (size_t)n : sizeof who - 1;
    if (ftruncate(fd, 0) == 0 && pwrite(fd, who, size, 0) < 0) {
        /* Only a courtesy: the lock is held all the same. */
    }
}

int ps_lock_take(int *out, const char *dir, const char *step, ps_why *why)
{
    char path[PS_PATH_MAX];
    if (ps_path_join(path, sizeof path, dir, "lock"))
        return ps_fail(why, PS_ERANGE, dir, 0, "the path is too long");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return ps_fail_errno(why, path, "cannot be opened");
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int err = errno == EWOULDBLOCK ? busy(fd, dir, why)
                                       : ps_fail_errno(why, path, "cannot be locked");
        close(fd);
        return err;
    }
    if (!still_there(fd, path)) {
        close(fd);
        return ps_fail(why, PS_EBUSY, dir, 0, "another process has just removed it");
    }
    sign(fd, step);
    *out = fd;
    return PS_OK;
}
