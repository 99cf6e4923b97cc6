/* stamp.c - looks at small files that may be exchanged under a running server.
 *
 * They are read, never mapped: a file that shrinks under a map kills the process.
 *
 * Threads: see stamp.h.
 */
#include "server/base/stamp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static ps_stamp stamp_of(const struct stat *st)
{
    return (ps_stamp){.device = st->st_dev,
                      .inode = st->st_ino,
                      .size = (uint64_t)st->st_size,
                      .seconds = st->st_mtim.tv_sec,
                      .nanoseconds = st->st_mtim.tv_nsec};
}

static bool look_at(const char *path, ps_stamp *s)
{
    struct stat st;
    bool there = stat(path, &st) == 0;
    *s = there ? stamp_of(&st) : (ps_stamp){0};
    return there;
}

ps_stamp ps_stamp_at(const char *path)
{
    ps_stamp now;
    look_at(path, &now);
    return now;
}

bool ps_stamp_differs(const ps_stamp *s, const char *path)
{
    ps_stamp now;
    return !look_at(path, &now) || now.device != s->device || now.inode != s->inode ||
           now.size != s->size || now.seconds != s->seconds ||
           now.nanoseconds != s->nanoseconds;
}

/* Up to room bytes; fewer at the end of the file, negative on failure. */
static ssize_t read_up_to(int fd, char *out, size_t room)
{
    size_t n = 0;
    while (n < room) {
        ssize_t got = read(fd, out + n, room - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

static int slurp_fd(ps_slurp *s, int fd, const char *path, size_t most, ps_why *why)
{
    struct stat st;
    if (fstat(fd, &st))
        return ps_fail_errno(why, path, "cannot look at the file");
    if (!S_ISREG(st.st_mode))
        return ps_fail(why, PS_EINVAL, path, 0, "is not a regular file");
    s->text = malloc(most + 2);
    if (!s->text)
        return PS_ENOMEM;
    ssize_t n = read_up_to(fd, s->text, most + 1);
    if (n < 0)
        return ps_fail_errno(why, path, "cannot read");
    s->size = (size_t)n;
    s->text[n] = '\0';
    s->stamp = stamp_of(&st);
    s->mode = st.st_mode & 0777;
    if (s->size > most)
        return ps_fail(why, PS_EFORMAT, path, 0, "is longer than %zu bytes", most);
    return PS_OK;
}

int ps_slurp_file(ps_slurp *s, const char *path, size_t most, ps_why *why)
{
    *s = (ps_slurp){0};
    /* O_NONBLOCK: a FIFO by mistake must not hold us. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return ps_fail_errno(why, path, "cannot open");
    int err = slurp_fd(s, fd, path, most, why);
    close(fd);
    if (err)
        ps_slurp_wipe(s);
    return err;
}

void ps_slurp_wipe(ps_slurp *s)
{
    if (s->text)
        explicit_bzero(s->text, s->size);
    free(s->text);
    s->text = NULL;
}
