/* listen.c - sockets and their addresses.
 *
 * Threads: see listen.h.
 */
#include "server/base/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pinsage/text.h"

typedef struct address {
    struct sockaddr_storage name;
    socklen_t len;
} address;

/* The port is read here: getaddrinfo would keep the low 16 bits of any number. */
static bool is_port(const char *digits)
{
    uint64_t number;
    return ps_text_number(ps_text_of(digits), &number) && number <= UINT16_MAX;
}

static bool split(const char *text, char *host, size_t room, const char **port)
{
    const char *colon = strrchr(text, ':');
    if (!colon || !is_port(colon + 1))
        return false;
    size_t len = (size_t)(colon - text);
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    } else if (memchr(text, ':', len)) {
        return false; /* an IPv6 address needs its brackets */
    }
    if (len >= room)
        return false;
    memcpy(host, text, len);
    host[len] = '\0';
    *port = colon + 1;
    return true;
}

/* A kernel may be without IPv6, which resolving an address does not tell. */
static bool has_ipv6(void)
{
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static int resolve(address *out, const char *text, ps_why *why)
{
    char host[256];
    const char *port;
    if (!split(text, host, sizeof host, &port))
        return ps_fail(why, PS_EINVAL, text, 0,
                       "is not HOST:PORT, [IPV6]:PORT or *:PORT with a port of 0 to "
                       "65535");
    bool all = !*host || strcmp(host, "*") == 0;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list;
    const char *any = all && has_ipv6() ? "::" : "0.0.0.0";
    int bad = getaddrinfo(all ? any : host, port, &hints, &list);
    if (bad)
        return ps_fail(why, PS_EINVAL, text, 0, "cannot be resolved: %s",
                       gai_strerror(bad));
    memcpy(&out->name, list->ai_addr, list->ai_addrlen);
    out->len = list->ai_addrlen;
    freeaddrinfo(list);
    return PS_OK;
}

static void tell(const address *a, char told[PS_ADDRESS_MAX])
{
    char host[INET6_ADDRSTRLEN] = "?", port[8] = "?";
    getnameinfo((const struct sockaddr *)&a->name, a->len, host, sizeof host, port,
                sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    bool six = a->name.ss_family == AF_INET6;
    snprintf(told, PS_ADDRESS_MAX, six ? "[%s]:%s" : "%s:%s", host, port);
}

/* One bound socket, or -1 with errno. */
static int bind_one(const address *a, bool shared)
{
    int family = a->name.ss_family, one = 1, zero = 0;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (shared)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
    if (bind(fd, (const struct sockaddr *)&a->name, a->len) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

/* Finds out whether the address is free, and which port 0 stands for. */
static int probe(address *a, const char *text, ps_why *why)
{
    int fd = bind_one(a, false);
    if (fd < 0 || listen(fd, 1)) {
        int err = ps_fail_errno(why, text, "cannot listen");
        if (fd >= 0)
            close(fd);
        return err;
    }
    getsockname(fd, (struct sockaddr *)&a->name, &a->len);
    close(fd);
    return PS_OK;
}

int ps_listen(int *fd, unsigned n, const char *text, char told[PS_ADDRESS_MAX],
              ps_why *why)
{
    address a = {0};
    int err = resolve(&a, text, why);
    if (!err)
        err = probe(&a, text, why);
    unsigned made = 0;
    for (; made < n && !err; made++) {
        fd[made] = bind_one(&a, true);
        if (fd[made] < 0 || listen(fd[made], 1024)) {
            err = ps_fail_errno(why, text, "cannot listen");
            if (fd[made] >= 0)
                close(fd[made]);
            break;
        }
    }
    while (err && made)
        close(fd[--made]);
    if (!err)
        tell(&a, told);
    return err;
}

int ps_listen_handed(int *fd, unsigned n, int handed, char told[PS_ADDRESS_MAX],
                     ps_why *why)
{
    address a = {.len = sizeof a.name};
    if (getsockname(handed, (struct sockaddr *)&a.name, &a.len) ||
        fcntl(handed, F_SETFL, fcntl(handed, F_GETFL) | O_NONBLOCK))
        return ps_fail_errno(why, "LISTEN_FDS", "cannot use the socket");
    tell(&a, told);
    for (unsigned i = 0; i < n; i++) {
        fd[i] = fcntl(handed, F_DUPFD_CLOEXEC, 0);
        if (fd[i] >= 0)
            continue;
        int err = ps_fail_errno(why, told, "cannot copy the socket");
        while (i)
            close(fd[--i]);
        return err;
    }
    return PS_OK;
}

/* A listener that is closed resets what was accepted for it a moment ago. So first the
 * kernel is told to drop the packets that open a connection (a TCP header's byte 13
 * has the flags; all later ones carry ACK): who comes now tries again in a second, and
 * by then is refused, or led elsewhere. */
void ps_listen_refuse_new(int fd)
{
    enum { FLAGS = 13, ACK = 0x10, PASS = 0x40000, DROP = 0 };
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, ACK, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, PASS),
        BPF_STMT(BPF_RET | BPF_K, DROP),
    };
    struct sock_fprog filter = {.len = sizeof code / sizeof *code, .filter = code};
    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter);
}
