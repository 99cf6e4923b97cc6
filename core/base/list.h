/* list.h - names in one string, with commas between them: "annotation,visual".
 *
 * Threads: pure functions on the caller's memory.
 */
#ifndef PINSAGE_CORE_BASE_LIST_H
#define PINSAGE_CORE_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* True if the list, which may be NULL, has the name. */
bool ps_list_has(const char *list, const char *name);
/* The name at the end of a list in `room` bytes, "" at first. PS_ERANGE when it does not
 * fit: then the list is as it was. */
int ps_list_add(char *list, size_t room, const char *name);

#endif
