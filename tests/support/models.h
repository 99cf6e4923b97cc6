/* models.h - random models in a planted catalog, and their vectors by the slowest code.
 *
 * Threads: one. Everything aborts the test when it fails.
 */
#ifndef PINSAGE_TESTS_SUPPORT_MODELS_H
#define PINSAGE_TESTS_SUPPORT_MODELS_H

#include "core/neighbours/tables.h"
#include "pinsage/features.h"
#include "pinsage/model.h"
#include "tests/support/planted.h"

/* A planted that tests share, of 150 pins in 6 groups; for cmocka's groups. */
enum { MODEL_PINS = 150 };
extern planted model_world;
int models_open(void **state);
int models_close(void **state);

/* Two layers over the planted blocks, T 6; widths that leave tails. */
ps_model_config model_config(void);
/* Random weights and biases. */
ps_model model_random(const ps_model_config *c, uint64_t seed);
/* The lists of the model's walks (or k-hop draws) from pins "p0", "p1"...; to
 * ps_table_done. */
ps_table model_table(const ps_graph *g, const ps_model_config *c);
/* The next generation of `catalog` (changes.h), an imported planted, with
 * model.safetensors and the lists. */
void model_install(const ps_model *m);

/* z (N, e) of all pins in double precision, from the paper's formulas, one number at a
 * time; for the caller to free. nbr may be NULL for K = 0. */
double *slow_vectors(const ps_model *m, const ps_features *f, const ps_table *nbr);
/* Fail unless each of n numbers is within `most` of the other. */
void near_vectors(const float *got, const double *want, size_t n, double most);

#endif
