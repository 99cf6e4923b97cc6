/* text.h - a piece of somebody else's text: where it begins and how long it is.
 *
 * Threads: a plain value.
 */
#ifndef PINSAGE_TEXT_H
#define PINSAGE_TEXT_H

#include <stddef.h>

typedef struct ps_text {
    const char *data; /* not NUL-terminated */
    size_t len;
} ps_text;

#endif
