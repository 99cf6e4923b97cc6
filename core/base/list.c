/* list.c - see list.h.
 *
 * Threads: see list.h.
 */
#include "core/base/list.h"

#include <string.h>

#include "pinsage/err.h"

bool ps_list_has(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, name, len) == 0 && (at[len] == ',' || at[len] == '\0'))
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
