/* eval_page.h - an evaluation as one page that can be mailed, kept and printed.
 *
 * Threads: none.
 */
#ifndef PINSAGE_SERVER_CLI_EVAL_PAGE_H
#define PINSAGE_SERVER_CLI_EVAL_PAGE_H

#include <stddef.h>

#include "pinsage/buf.h"
#include "pinsage/err.h"

/* server/web/eval.html with its style, its script and the report (JSON text, size bytes)
 * inside, appended to out; nothing in it is fetched from elsewhere. Failure is sticky. */
void ps_eval_page(ps_buf *out, const char *report, size_t size);

#endif
