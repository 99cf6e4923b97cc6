/* hosts.c - names are compared without their port, a final dot, and the case of letters.
 *
 * Threads: see hosts.h.
 */
#include "server/security/hosts.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

/* "name:80", "[::1]:80" without the port, and without the brackets; *six: it had some. A
 * bracket that is never closed leaves no name. */
static ps_text strip_port(ps_text host, bool *six)
{
    *six = host.len && host.data[0] == '[';
    const char *end = host.len ? memchr(host.data, *six ? ']' : ':', host.len) : NULL;
    if (*six && !end)
        return (ps_text){host.data, 0};
    size_t from = *six;
    ps_text name = {host.data + from,
                    (end ? (size_t)(end - host.data) : host.len) - from};
    if (name.len > 1 && name.data[name.len - 1] == '.')
        name.len--;
    return name;
}

/* The address in digits, as a NUL-terminated text for inet_pton. */
static bool read_address(ps_text name, bool six, unsigned char address[16])
{
    char text[INET6_ADDRSTRLEN];
    if (!name.len || name.len >= sizeof text)
        return false;
    memcpy(text, name.data, name.len);
    text[name.len] = '\0';
    return inet_pton(six ? AF_INET6 : AF_INET, text, address) == 1;
}

static bool is_localhost(ps_text name)
{
    static const char below[] = ".localhost";
    size_t n = sizeof below - 1;
    return ps_text_alike(name, ps_text_of(below + 1)) ||
           (name.len > n &&
            ps_text_alike((ps_text){name.data + name.len - n, n}, ps_text_of(below)));
}

static bool is_loopback(ps_text name, bool six)
{
    static const unsigned char one[16] = {[15] = 1};
    unsigned char address[16];
    if (is_localhost(name))
        return true;
    if (!read_address(name, six, address))
        return false;
    return six ? memcmp(address, one, sizeof one) == 0 : address[0] == 127;
}

static int add_name(ps_hosts *h, ps_text name, ps_why *why)
{
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.data[i] <= ' ' || strchr("/:*@", name.data[i]))
            name.len = 0;
    if (!name.len)
        return ps_fail(why, PS_EINVAL, "--allowed-hosts", 0,
                       "wanted names like shop.example, commas between them, or *");
    if (h->n == PS_HOSTS_MAX)
        return ps_fail(why, PS_EINVAL, "--allowed-hosts", 0, "more than %d names",
                       PS_HOSTS_MAX);
    h->name[h->n] = strndup(name.data, name.len);
    return h->name[h->n++] ? PS_OK : PS_ENOMEM;
}

int ps_hosts_init(ps_hosts *h, const char *listen, const char *allowed, ps_why *why)
{
    bool six;
    ps_text own = strip_port(ps_text_of(listen), &six), rest = ps_text_of(allowed), piece;
    unsigned char address[16];
    int err = PS_OK;
    *h = (ps_hosts){.any = allowed && strcmp(allowed, "*") == 0};
    h->strict = !h->any && (allowed || is_loopback(own, six));
    if (own.len && !ps_text_is(own, "*") && !read_address(own, six, address))
        err = add_name(h, own, why);
    while (!err && !h->any && ps_text_cut(&rest, ',', &piece))
        err = add_name(h, piece, why);
    if (err)
        ps_hosts_done(h);
    return err;
}

void ps_hosts_done(ps_hosts *h)
{
    for (unsigned i = 0; i < h->n; i++)
        free(h->name[i]);
    *h = (ps_hosts){0};
}

bool ps_hosts_know(const ps_hosts *h, ps_text host)
{
    bool six;
    ps_text name = strip_port(host, &six);
    unsigned char address[16];
    if (h->any || is_localhost(name) || read_address(name, six, address))
        return true;
    for (unsigned i = 0; i < h->n; i++)
        if (ps_text_alike(name, ps_text_of(h->name[i])))
            return true;
    return false;
}
