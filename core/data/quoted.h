/* quoted.h - a field in quotes, as RFC 4180 has it and pandas and Excel write it.
 *
 *     a<TAB>"Say ""hi"""<TAB>"two<LF>lines"        three fields
 *
 * A quote elsewhere than at a field's begin is a quote. So is one at its begin when the
 * closing one is not at the field's end: then nobody who quotes wrote it.
 *
 * Threads: pure functions. Not here: who has the bytes (tsv.c).
 */
#ifndef PINSAGE_CORE_DATA_QUOTED_H
#define PINSAGE_CORE_DATA_QUOTED_H

#include <stdbool.h>
#include <stddef.h>

typedef enum ps_quoted {
    PS_QUOTED_NOT, /* the quote is text */
    PS_QUOTED,     /* *at is the closing quote's place */
    PS_QUOTED_OPEN /* more bytes are needed to tell; go on at *at */
} ps_quoted;

/* Look for the closing quote of a field in data (len) from *at on, at first behind its
 * opening one. whole: nothing comes after data, so there is always an answer. */
ps_quoted ps_quoted_close(const char *data, size_t len, size_t *at, bool whole);
/* What lies between the quotes, doubled ones made single in place; its new length. */
size_t ps_quoted_strip(char *data, size_t len);

#endif
