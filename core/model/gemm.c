/* gemm.c - three products, by OpenBLAS on one thread; the only file that includes
 * cblas.h.
 *
 * BLAS's own threads would make sums depend on how it cuts them that day, and would fight
 * with our workers over the cores; callers cut the rows instead.
 *
 * Threads: pure functions on the caller's memory once ps_gemm_init was called.
 */
#include "pinsage/gemm.h"

#include <cblas.h>

void ps_gemm_init(void)
{
    openblas_set_num_threads(1);
}

void ps_gemm_nt(size_t n, size_t p, size_t k, const float *A, size_t lda, const float *B,
                size_t ldb, float beta, float *C, size_t ldc)
{
    if (n == 1) { /* one pin on request: B is read once, not copied first */
        cblas_sgemv(CblasRowMajor, CblasNoTrans, (blasint)p, (blasint)k, 1.0f, B,
                    (blasint)ldb, A, 1, beta, C, 1);
        return;
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)n, (blasint)p,
                (blasint)k, 1.0f, A, (blasint)lda, B, (blasint)ldb, beta, C,
                (blasint)ldc);
}

void ps_gemm_nn(size_t n, size_t p, size_t k, const float *A, size_t lda, const float *B,
                size_t ldb, float beta, float *C, size_t ldc)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)n, (blasint)p,
                (blasint)k, 1.0f, A, (blasint)lda, B, (blasint)ldb, beta, C,
                (blasint)ldc);
}

void ps_gemm_tn(size_t n, size_t p, size_t k, const float *A, size_t lda, const float *B,
                size_t ldb, float beta, float *C, size_t ldc)
{
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)n, (blasint)p,
                (blasint)k, 1.0f, A, (blasint)lda, B, (blasint)ldb, beta, C,
                (blasint)ldc);
}
