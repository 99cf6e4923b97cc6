/* gemm.h - matrix products; the one way to BLAS.
 *
 * Row-major float32. C (n, p) = A (n, k) B^T (p, k) and its two siblings for gradients.
 * BLAS's own threads are off: callers cut rows among their workers, so results do not
 * depend on a library's scheduling.
 *
 * Threads: pure functions on the caller's memory.
 */
#ifndef PINSAGE_GEMM_H
#define PINSAGE_GEMM_H

#include <stddef.h>

/* One-thread BLAS; call once before any product (idempotent). */
void ps_gemm_init(void);
/* C (n,p; row stride ldc) = beta C + A (n,k; lda) * B(p,k; ldb)^T */
void ps_gemm_nt(size_t n, size_t p, size_t k, const float *A, size_t lda, const float *B,
                size_t ldb, float beta, float *C, size_t ldc);
/* C (n,p) = beta C + A (n,k) * B (k,p) */
void ps_gemm_nn(size_t n, size_t p, size_t k, const float *A, size_t lda, const float *B,
                size_t ldb, float beta, float *C, size_t ldc);
/* C (n,p) = beta C + A (k,n)^T * B (k,p) */
void ps_gemm_tn(size_t n, size_t p, size_t k, const float *A, size_t lda, const float *B,
                size_t ldb, float beta, float *C, size_t ldc);

#endif
