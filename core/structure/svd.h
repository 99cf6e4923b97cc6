/* svd.h - the randomised decomposition behind the structure block.
 *
 * Threads: uses the workers it is given; same result for any number.
 */
#ifndef PINSAGE_CORE_STRUCTURE_SVD_H
#define PINSAGE_CORE_STRUCTURE_SVD_H

#include "pinsage/graph.h"
#include "pinsage/progress.h"
#include "pinsage/workers.h"

/* What is decomposed: entry (p, b) of an edge is pin_scale[p] * board_scale[b]. */
typedef struct ps_bipartite {
    const ps_graph *graph;
    const float *pin_scale, *board_scale; /* (pins), (boards) */
} ps_bipartite;

/* The k largest singular values, descending, into value (k), and their right singular
 * vectors as columns of right (boards, k). k at most the smaller side; directions that
 * the matrix has not get value 0 and a zero column. */
int ps_svd_right(const ps_bipartite *a, uint32_t k, uint32_t iterations, uint64_t seed,
                 ps_workers *workers, const ps_progress *progress, double *value,
                 float *right);

/* Eigenvalues (descending) and eigenvectors (columns of vectors, (n, n)) of the symmetric
 * matrix a (n, n), which is destroyed. Cyclic Jacobi. */
void ps_eigen_symmetric(double *a, uint32_t n, double *value, double *vectors);

#endif
