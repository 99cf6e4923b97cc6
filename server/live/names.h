/* names.h - names that live writes brought: each gets a number, and keeps it.
 *
 * A generation numbers its pins and boards 0 .. first-1 in pins.mdb; names that it does
 * not know are numbered on from there, here. Names are only ever added: whether a pin is
 * there, and at which version, is not their business (view.h).
 *
 * Threads: one writer; readers are inside the epoch. What a name leads to stays until
 * the table is freed.
 */
#ifndef PINSAGE_SERVER_LIVE_NAMES_H
#define PINSAGE_SERVER_LIVE_NAMES_H

#include <stdint.h>

#include "pinsage/epoch.h"
#include "pinsage/pins.h"
#include "pinsage/text.h"

typedef struct ps_names ps_names;

int ps_names_new(ps_names **n, uint32_t first, ps_epoch *epoch);
void ps_names_free(ps_names *n); /* NULL is fine */

/* Number of a name, PS_NO_ROW when it has none. */
uint32_t ps_names_find(const ps_names *n, ps_text name);
/* Name of a number from first on; data NULL when it has none. */
ps_text ps_names_get(const ps_names *n, uint32_t number);
/* One past the last number. */
uint32_t ps_names_end(const ps_names *n);

/* Writer: the number of a name, which gets one if it had none. PS_EFULL when there is no
 * 32-bit number left; no error adds anything. */
int ps_names_add(ps_names *n, uint64_t version, ps_text name, uint32_t *number);

#endif
