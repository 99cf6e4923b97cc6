/* wide.h - vector code for x86-64, and whether this CPU takes it.
 *
 * The program is built for plain x86-64. A function that is marked WIDE is compiled for
 * AVX2, FMA and F16C, and called only where ps_cpu_wide says so; beside it stands a plain
 * one, which other processors take as well.
 *
 * Threads: any. Not here: what the FAISS we link needs (index/cpu.h).
 */
#ifndef PINSAGE_CORE_BASE_WIDE_H
#define PINSAGE_CORE_BASE_WIDE_H

#include <stdbool.h>

/* AVX2, FMA and F16C are all there. */
bool ps_cpu_wide(void);

#if defined(__x86_64__)
#include <immintrin.h>

#define PS_WIDE __attribute__((target("avx2,fma,f16c")))
#define PS_WIDE_INLINE                                                                   \
    static inline __attribute__((always_inline, target("avx2,fma,f16c")))

/* Sum of the eight lanes, always in the same order. */
PS_WIDE_INLINE float ps_wide_sum(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}
#endif

#endif
