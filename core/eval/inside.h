/* inside.h - the parts of an evaluation beyond ranks and their means.
 *
 * Threads: each function's own workers, or none; see the .c files.
 */
#ifndef PINSAGE_CORE_EVAL_INSIDE_H
#define PINSAGE_CORE_EVAL_INSIDE_H

#include "core/measures/lines.h"
#include "core/measures/paired.h"
#include "pinsage/eval.h"
#include "pinsage/scorer.h"

/* cosines.c: PS_EVAL_COSINES pairs of rows of v, drawn with seed. */
int cosines_measure(const ps_npy *v, uint64_t seed, ps_workers *workers,
                    ps_eval_cosines *out);
/* Moments, quantiles and histogram of n values, which are sorted here. */
void cosines_describe(float *value, uint32_t n, ps_eval_cosines *out);

/* bias.c: report->bias from the pairs, the graph and the ranks that are in the report. */
void bias_find(const ps_generation *g, const ps_pairs *pairs, uint64_t seed,
               ps_eval_report *report);

#endif
