/* list.c - see list.h.
 *
 * Threads: see list.h.
 */
#include "core/base/list.h"

#include "pinsage/err.h"
#include "pinsage/text.h"

bool ps_list_has(const char *list, const char *name)
{
    ps_text rest = ps_text_of(list), piece;
    while (ps_text_cut(&rest, ',', &piece))
        if (ps_text_is(piece, name))
            return true;
    return false;
}

int ps_list_add(char *list, size_t room, const char *name)
{
    size_t used = strlen(list), len = strlen(name);
    if (used + (used > 0) + len >= room)
        return PS_ERANGE;
    if (used)
        list[used++] = ',';
    memcpy(list + used, name, len + 1);
    return PS_OK;
}
