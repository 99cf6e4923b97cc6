/* text.h - a piece of somebody else's text: where it begins and how long it is.
 *
 * Threads: a plain value.
 */
#ifndef PINSAGE_TEXT_H
#define PINSAGE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

typedef struct ps_text {
    const char *data; /* not NUL-terminated */
    size_t len;
} ps_text;

/* All of s; data NULL for NULL. */
static inline ps_text ps_text_of(const char *s)
{
    return (ps_text){s, s ? strlen(s) : 0};
}

/* Byte by byte. */
static inline bool ps_text_same(ps_text a, ps_text b)
{
    return a.len == b.len && (!a.len || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool ps_text_is(ps_text t, const char *s)
{
    return ps_text_same(t, ps_text_of(s));
}

/* Whatever the case of its letters. */
static inline bool ps_text_alike(ps_text a, ps_text b)
{
    return a.len == b.len && (!a.len || strncasecmp(a.data, b.data, a.len) == 0);
}

/* Cut the next piece off *rest, up to a separator, which goes too; false when there is no
 * more (rest->data is NULL then). "a,,b" has three pieces. */
bool ps_text_cut(ps_text *rest, char separator, ps_text *piece);
/* A whole number of 1 to 19 digits and nothing else; false when it is none. */
bool ps_text_number(ps_text t, uint64_t *out);

#endif
