/* cors.c - origins are compared byte by byte, as browsers send them.
 *
 * Threads: see cors.h.
 */
#include "server/security/cors.h"

#include <stdlib.h>
#include <string.h>

/* "https://host" or "http://host:port": no path, no capitals, nothing else. */
static bool is_origin(ps_text t)
{
    size_t at = t.len > 8 && memcmp(t.data, "https://", 8) == 0  ? 8
                : t.len > 7 && memcmp(t.data, "http://", 7) == 0 ? 7
                                                                 : t.len;
    bool good = at < t.len;
    for (; at < t.len && good; at++) {
        char c = t.data[at];
        good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               (c && strchr("-.:[]_", c));
    }
    return good;
}

static int add_origin(ps_cors *c, ps_text t, ps_why *why)
{
    if (!is_origin(t))
        return ps_fail(why, PS_EINVAL, "--cors-origin", 0,
                       "\"%.*s\" is not like https://shop.example", (int)t.len, t.data);
    if (c->n == PS_ORIGINS_MAX)
        return ps_fail(why, PS_EINVAL, "--cors-origin", 0, "names more than %d origins",
                       PS_ORIGINS_MAX);
    c->text[c->n] = strndup(t.data, t.len);
    return c->text[c->n++] ? PS_OK : PS_ENOMEM;
}

int ps_cors_init(ps_cors *c, const char *origins, ps_why *why)
{
    *c = (ps_cors){0};
    ps_text rest = ps_text_of(origins), piece;
    c->any = origins && strcmp(origins, "*") == 0;
    int err = PS_OK;
    while (!c->any && !err && ps_text_cut(&rest, ',', &piece))
        err = add_origin(c, piece, why);
    if (err)
        ps_cors_done(c);
    return err;
}

void ps_cors_done(ps_cors *c)
{
    for (unsigned i = 0; i < c->n; i++)
        free(c->text[i]);
    *c = (ps_cors){0};
}

unsigned ps_cors_find(const ps_cors *c, ps_text origin)
{
    if (!origin.data || c->any)
        return origin.data && c->any;
    for (unsigned i = 0; i < c->n; i++)
        if (ps_text_is(origin, c->text[i]))
            return i + 1;
    return 0;
}

const char *ps_cors_text(const ps_cors *c, unsigned number)
{
    return c->any ? "*" : c->text[number - 1];
}
