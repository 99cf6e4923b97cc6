/* request.c - finding things in a request.
 *
 * Threads: no state.
 */
#include "server/message/request.h"

#include <string.h>
#include <strings.h>

const ps_text *ps_request_param(const ps_request *r, const char *name)
{
    for (size_t i = 0; i < r->target.n_params; i++)
        if (ps_text_is(r->target.param[i].name, name))
            return &r->target.param[i].value;
    return NULL;
}

int ps_request_timeout(const ps_request *r, uint64_t *ms, ps_why *why)
{
    ps_text t = r->header.connect_timeout;
    *ms = 0;
    if (!t.data || (t.len <= 10 && ps_text_number(t, ms)))
        return PS_OK;
    return ps_fail(why, PS_EINVAL, NULL, 0,
                   "Connect-Timeout-Ms is not a whole number of 1 to 10 digits");
}

static ps_text trim(ps_text t)
{
    while (t.len && (t.data[0] == ' ' || t.data[0] == '\t'))
        t = (ps_text){t.data + 1, t.len - 1};
    while (t.len && (t.data[t.len - 1] == ' ' || t.data[t.len - 1] == '\t'))
        t.len--;
    return t;
}

/* "q=0", "q=0.000": the client names the token to forbid it. */
static bool weighs_nothing(ps_text params)
{
    ps_text q = trim(params);
    if (q.len < 3 || strncasecmp(q.data, "q=0", 3) != 0)
        return false;
    for (size_t i = 3; i < q.len; i++)
        if (q.data[i] != '.' && q.data[i] != '0')
            return false;
    return true;
}

bool ps_header_names(ps_text value, const char *token)
{
    while (value.len) {
        const char *comma = memchr(value.data, ',', value.len);
        size_t n = comma ? (size_t)(comma - value.data) : value.len;
        const char *semi = memchr(value.data, ';', n);
        ps_text name =
            trim((ps_text){value.data, semi ? (size_t)(semi - value.data) : n});
        if (ps_text_alike(name, ps_text_of(token))) {
            size_t used = semi ? (size_t)(semi + 1 - value.data) : n;
            return !weighs_nothing((ps_text){value.data + used, n - used});
        }
        size_t step = comma ? n + 1 : n;
        value = (ps_text){value.data + step, value.len - step};
    }
    return false;
}

bool ps_type_is(ps_text content_type, const char *type)
{
    const char *semi = memchr(content_type.data, ';', content_type.len);
    if (semi)
        content_type.len = (size_t)(semi - content_type.data);
    return ps_text_alike(trim(content_type), ps_text_of(type));
}

ps_coding ps_coding_of(ps_text content_encoding)
{
    ps_text t = trim(content_encoding);
    if (!t.len || ps_text_alike(t, ps_text_of("identity")))
        return PS_CODING_NONE;
    bool gzip = ps_text_alike(t, ps_text_of("gzip")) ||
                ps_text_alike(t, ps_text_of("x-gzip")); /* RFC 9110: the same */
    return gzip ? PS_CODING_GZIP : PS_CODING_UNKNOWN;
}

bool ps_etag_matches(ps_text if_none_match, const char *etag)
{
    ps_text t = trim(if_none_match);
    if (ps_text_is(t, "*"))
        return true;
    return t.len && memmem(t.data, t.len, etag, strlen(etag)) != NULL;
}

/* Lower-case hexadecimal digits and not all zero, as the standard has them. */
static bool is_hex(const char *text, size_t len)
{
    bool any = false;
    for (size_t i = 0; i < len; i++) {
        if (!(text[i] >= '0' && text[i] <= '9') && !(text[i] >= 'a' && text[i] <= 'f'))
            return false;
        any |= text[i] != '0';
    }
    return any;
}

/* version 2, trace 32, parent 16, flags 2; later versions may go on after a dash. */
void ps_trace_id(ps_text t, char out[PS_TRACE_ID])
{
    enum { TRACE = 3, PARENT = 36, FLAGS = 53, END = 55 };
    const char *at = t.data;
    *out = '\0';
    if (t.len < END || at[TRACE - 1] != '-' || at[PARENT - 1] != '-' ||
        at[FLAGS - 1] != '-')
        return;
    bool first = memcmp(at, "00", 2) == 0;
    bool good = first ? t.len == END
                      : is_hex(at, 2) && memcmp(at, "ff", 2) != 0 &&
                            (t.len == END || at[END] == '-');
    char flags[3] = {at[FLAGS], at[FLAGS + 1], '1'}; /* these may be zero */
    if (!good || !is_hex(at + TRACE, 32) || !is_hex(at + PARENT, 16) || !is_hex(flags, 3))
        return;
    memcpy(out, at + TRACE, PS_TRACE_ID - 1);
    out[PS_TRACE_ID - 1] = '\0';
}

/* ------------------------------ Verbs -------------------------------------- */

static const struct {
    ps_verb verb;
    const char *name;
} verbs[] = {
    {PS_GET, "GET"},       {PS_HEAD, "HEAD"},   {PS_POST, "POST"},       {PS_PUT, "PUT"},
    {PS_DELETE, "DELETE"}, {PS_PATCH, "PATCH"}, {PS_OPTIONS, "OPTIONS"},
};

enum { N_VERBS = sizeof verbs / sizeof *verbs };

const char *ps_verb_name(ps_verb v)
{
    for (unsigned i = 0; i < N_VERBS; i++)
        if (verbs[i].verb == v)
            return verbs[i].name;
    return "OTHER";
}

ps_verb ps_verb_of(const char *name)
{
    for (unsigned i = 0; i < N_VERBS; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return verbs[i].verb;
    return 0;
}
