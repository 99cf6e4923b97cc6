/* quoted.c - where a quoted field ends.
 *
 * Threads: see quoted.h.
 */
#include "core/data/quoted.h"

#include <string.h>

/* What follows the quote at i, when that is the last of its pair. */
static ps_quoted judge(const char *data, size_t len, size_t i, bool whole)
{
    size_t left = len - i - 1;
    if (left == 0 || (left == 1 && data[i + 1] == '\r'))
        return whole ? PS_QUOTED : PS_QUOTED_OPEN;
    if (data[i + 1] == '\r')
        return data[i + 2] == '\n' ? PS_QUOTED : PS_QUOTED_NOT;
    return data[i + 1] == '\t' || data[i + 1] == '\n' ? PS_QUOTED : PS_QUOTED_NOT;
}

ps_quoted ps_quoted_close(const char *data, size_t len, size_t *at, bool whole)
{
    const char *quote;
    while ((quote = memchr(data + *at, '"', len - *at))) {
        *at = (size_t)(quote - data);
        if (*at + 1 == len || data[*at + 1] != '"')
            return judge(data, len, *at, whole);
        *at += 2;
    }
    *at = len;
    return whole ? PS_QUOTED_NOT : PS_QUOTED_OPEN;
}

size_t ps_quoted_strip(char *data, size_t len)
{
    char *quote = memchr(data, '"', len);
    if (!quote)
        return len;
    size_t to = (size_t)(quote - data);
    for (size_t from = to; from < len; from++) {
        data[to++] = data[from];
        from += data[from] == '"'; /* its twin */
    }
    return to;
}
