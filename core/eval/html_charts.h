/* html_charts.h - the drawings of the evaluation's page, one function each.
 *
 * Each writes a whole <svg>, or several, and nothing when it has nothing to show. A
 * method has one colour all over the page: class s0 is the first method's.
 *
 * Threads: one buffer, one thread.
 */
#ifndef PINSAGE_CORE_EVAL_HTML_CHARTS_H
#define PINSAGE_CORE_EVAL_HTML_CHARTS_H

#include "pinsage/eval.h"

/* Bars of hit-rate@cut[c] with their intervals: over all pairs, or of a bucket. */
#define CHART_ALL 3
void chart_bars(ps_buf *o, const ps_eval_report *r, uint32_t c, size_t bucket,
                const char *title);
/* Hit rate over K, K on a logarithmic axis from 1 to 1,000 or the number of pins. */
void chart_curves(ps_buf *o, const ps_eval_report *r, uint32_t n_pins);
/* Share of pairs with rank <= k. */
double chart_hit_rate(const ps_eval_report *r, const ps_eval_result *m, double k);
/* The distribution of cosines of the i-th method. */
void chart_cosines(ps_buf *o, const ps_eval_report *r, size_t i);
/* Loss, and what the valid pairs said, epoch by epoch, from the manifest's
 * train.curve. */
void chart_training(ps_buf *o, const ps_manifest *m);

/* Colour class of the i-th method. */
#define CHART_COLOURS 12
const char *chart_class(size_t i);

#endif
