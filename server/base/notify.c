/* notify.c - one datagram socket, and descriptors that were there before us.
 *
 * The socket is connected at start, so that a sandbox put up later need not allow it.
 *
 * Threads: see notify.h.
 */
#include "server/base/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define HANDED_FIRST 3 /* the first descriptor after stderr */
#define HANDED_MAX   64
#define SEND_SECONDS 5 /* a manager that does not read holds us up no longer */

/* ------------------------------ Telling ------------------------------------ */

static int connect_to(const char *path, ps_why *why)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || len >= sizeof to.sun_path)
        return ps_fail(why, PS_EINVAL, "NOTIFY_SOCKET", 0,
                       "\"%s\" is neither a path nor an abstract name", path);
    memcpy(to.sun_path, path, len);
    if (path[0] == '@')
        to.sun_path[0] = '\0';
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, size)) {
        int err = ps_fail_errno(why, path, "cannot reach the service manager");
        if (fd >= 0)
            close(fd);
        return err;
    }
    struct timeval limit = {.tv_sec = SEND_SECONDS};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    return fd;
}

void ps_notify_tell(const ps_notify *n, const char *fmt, ...)
{
    char text[512];
    va_list args;
    if (n->fd < 0)
        return;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    size_t size = len < (int)sizeof text ? (size_t)len : sizeof text - 1;
    while (send(n->fd, text, size, MSG_NOSIGNAL) < 0 && errno == EINTR)
        ;
}

/* ------------------------------ The environment ---------------------------- */

/* A number from the environment, 0 when there is none. */
static unsigned long long number(const char *name)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : 0;
}

/* Variables of a parent, inherited by accident, name another process. */
static bool is_for_us(const char *pid_variable, bool required)
{
    unsigned long long pid = number(pid_variable);
    return pid ? pid == (unsigned long long)getpid() : !required;
}

static bool is_tcp_listener(int fd)
{
    struct sockaddr_storage name;
    socklen_t size = sizeof name, room = sizeof(int);
    int type = 0, listens = 0;
    return getsockname(fd, (struct sockaddr *)&name, &size) == 0 &&
           (name.ss_family == AF_INET || name.ss_family == AF_INET6) &&
           getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &room) == 0 &&
           type == SOCK_STREAM &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &room) == 0 && listens;
}

static int take_one(ps_notify *n, int fd, const char *name, ps_why *why)
{
    int *place = strcmp(name, "admin") == 0 ? &n->admin_listener : &n->listener;
    if (!is_tcp_listener(fd))
        return ps_fail(why, PS_EINVAL, "LISTEN_FDS", 0,
                       "descriptor %d (\"%s\") is no listening TCP socket", fd, name);
    if (*place >= 0)
        return ps_fail(why, PS_EINVAL, "LISTEN_FDS", 0,
                       "descriptor %d (\"%s\") is one too many: one socket is wanted, "
                       "and one more named \"admin\"",
                       fd, name);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    *place = fd;
    return PS_OK;
}

static int take_sockets(ps_notify *n, ps_why *why)
{
    unsigned long long count = number("LISTEN_FDS");
    if (!count || !is_for_us("LISTEN_PID", true))
        return PS_OK;
    if (count > HANDED_MAX)
        return ps_fail(why, PS_EINVAL, "LISTEN_FDS", 0, "is more than %d", HANDED_MAX);
    const char *at = getenv("LISTEN_FDNAMES");
    int err = PS_OK;
    for (unsigned i = 0; i < count && !err; i++) {
        char name[32];
        size_t len = at ? strcspn(at, ":") : 0;
        snprintf(name, sizeof name, "%.*s", (int)len, at ? at : "");
        err = take_one(n, HANDED_FIRST + (int)i, name, why);
        at = at && at[len] ? at + len + 1 : NULL;
    }
    return err;
}

static uint32_t watchdog(void)
{
    unsigned long long ms = number("WATCHDOG_USEC") / 1000;
    if (!is_for_us("WATCHDOG_PID", false))
        return 0;
    return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

/* ------------------------------ Lifetime ----------------------------------- */

int ps_notify_init(ps_notify *n, ps_why *why)
{
    static const char *const variables[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC",
                                            "WATCHDOG_PID",  "LISTEN_PID",
                                            "LISTEN_FDS",    "LISTEN_FDNAMES"};
    *n = (ps_notify){.fd = -1, .listener = -1, .admin_listener = -1};
    const char *path = getenv("NOTIFY_SOCKET");
    int err = take_sockets(n, why);
    if (!err && path && *path) {
        n->fd = connect_to(path, why);
        err = n->fd < 0 ? n->fd : PS_OK;
        n->watchdog_ms = watchdog();
    }
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        unsetenv(variables[i]);
    return err;
}

void ps_notify_done(ps_notify *n)
{
    int *const fds[] = {&n->fd, &n->listener, &n->admin_listener};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}
