/* text.c - texts cut into pieces and read as numbers.
 *
 * Threads: no state.
 */
#include "pinsage/text.h"

bool ps_text_cut(ps_text *rest, char separator, ps_text *piece)
{
    if (!rest->data)
        return false;
    const char *at = memchr(rest->data, separator, rest->len);
    *piece = (ps_text){rest->data, at ? (size_t)(at - rest->data) : rest->len};
    *rest = at ? (ps_text){at + 1, rest->len - piece->len - 1} : (ps_text){NULL, 0};
    return true;
}

bool ps_text_number(ps_text t, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < t.len; i++) {
        if (t.data[i] < '0' || t.data[i] > '9' || t.len > 19)
            return false;
        *out = *out * 10 + (uint64_t)(t.data[i] - '0');
    }
    return t.len > 0;
}
