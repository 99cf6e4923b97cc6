/* offer.h - what a generation can answer by, told from its manifest alone.
 *
 * An update takes several steps, and what the first of them leave is no good to a server:
 * vectors without an index, a model without vectors. So each generation is weighed: the
 * methods it answers by, and the step that it still waits for. One takes the place of
 * another only if it waits for nothing and answers by all that the other does.
 *
 * Threads: pure functions on the caller's memory.
 */
#ifndef PINSAGE_OFFER_H
#define PINSAGE_OFFER_H

#include <stdbool.h>
#include <stddef.h>

#include "pinsage/manifest.h"

#define PS_OFFER_MAX 48

typedef struct ps_offer {
    char method[PS_OFFER_MAX][40]; /* (n) as requests name them */
    unsigned n;
    const char *waits_for; /* the step that is missing, "embed" or "index"; NULL: none */
} ps_offer;

void ps_offer_of(ps_offer *o, const ps_manifest *m);
bool ps_offer_has(const ps_offer *o, const char *method);
/* True when `now` may take the place of `old` unasked. */
bool ps_offer_replaces(const ps_offer *now, const ps_offer *old);
/* What `old` answers by and `now` does not, "visual, pinsage", into out; how many. */
unsigned ps_offer_lost(const ps_offer *now, const ps_offer *old, char *out, size_t room);
/* Write it down, for people: "offer": {"methods": [..], "waits_for": ".."}. */
int ps_offer_note(ps_manifest *m);

#endif
