/* blend_scorer.h - the blend as a method that scores every pin.
 *
 * Threads: see scorer.h.
 */
#ifndef PINSAGE_CORE_RANK_BLEND_SCORER_H
#define PINSAGE_CORE_RANK_BLEND_SCORER_H

#include "pinsage/scorer.h"

/* Opens the method `blend`. PS_EUNSUPPORTED in words when none was fitted. */
int blend_open(ps_scorer *out, ps_generation *g, const ps_scorer_opts *opts, ps_why *why);

#endif
