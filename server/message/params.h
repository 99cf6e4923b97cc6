/* params.h - what stands behind the question mark of an address.
 *
 * A parameter we do not know is refused by name, so that a misspelt one is noticed; so is
 * one that is given twice, unless it may be.
 *
 * Threads: no state.
 */
#ifndef PINSAGE_SERVER_MESSAGE_PARAMS_H
#define PINSAGE_SERVER_MESSAGE_PARAMS_H

#include <stdint.h>

#include "pinsage/err.h"
#include "server/message/request.h"

/* Every parameter is one of names (ended by NULL), and stands once; a name that begins
 * with "*" may stand again, and "..." at the end stands for any other. PS_EINVAL in
 * words. */
int ps_params_check(const ps_request *r, const char *const *names, ps_why *why);
/* A whole number in low..high into *out, which stays as it is without that parameter. */
int ps_params_number(const ps_request *r, const char *name, uint32_t low, uint32_t high,
                     uint32_t *out, ps_why *why);
/* true or false (or 1, 0, or nothing after the name, which is true) into *out. */
int ps_params_flag(const ps_request *r, const char *name, bool *out, ps_why *why);
/* data NULL when it is not there. */
ps_text ps_params_text(const ps_request *r, const char *name);

#endif
