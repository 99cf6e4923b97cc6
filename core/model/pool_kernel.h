/* pool_kernel.h - the loops of pool.c, compiled once for each kind of CPU.
 *
 * No include guard: pool.c includes it with TARGET (function attribute), KERNEL(name)
 * and, where the CPU converts half precision, LOAD_HALF. A strip of 64 columns is summed
 * in eight registers of eight floats over all T rows, so each output is written once.
 *
 * Threads: pure functions.
 */

typedef float KERNEL(v8) __attribute__((vector_size(32), aligned(4), may_alias));

enum { KERNEL(STRIP) = 64, KERNEL(LINE) = 64 };

TARGET static inline void KERNEL(fetch_rows)(const ps_pool *p, size_t u,
                                             const char *messages, size_t row_bytes)
{
    for (uint32_t t = 0; t < p->T; t++) {
        const char *row = messages + p->nbr[u * p->T + t] * row_bytes;
        for (size_t at = 0; at < row_bytes && at < 512; at += KERNEL(LINE))
            __builtin_prefetch(row + at, 0, 1);
    }
}

TARGET static inline void KERNEL(sum_strip)(const uint32_t *nbr, const float *weight,
                                            uint32_t T, const float *x, size_t m,
                                            float *y)
{
    KERNEL(v8) acc[8] = {{0}};
    for (uint32_t t = 0; t < T; t++) {
        const KERNEL(v8) *row = (const KERNEL(v8) *)(const void *)(x + nbr[t] * m);
        float w = weight[t];
        if (w == 0.0f)
            continue;
        for (int i = 0; i < 8; i++)
            acc[i] += w * row[i];
    }
    for (int i = 0; i < 8; i++)
        ((KERNEL(v8) *)(void *)y)[i] = acc[i];
}

TARGET static inline void KERNEL(sum_tail)(const uint32_t *nbr, const float *weight,
                                           uint32_t T, const float *x, size_t m, float *y,
                                           size_t n)
{
    for (size_t j = 0; j < n; j++) {
        float acc = 0.0f;
        for (uint32_t t = 0; t < T; t++)
            if (weight[t] != 0.0f)
                acc += weight[t] * x[nbr[t] * m + j];
        y[j] = acc;
    }
}

TARGET static void KERNEL(sum_rows)(const ps_pool *p, size_t begin, size_t end,
                                    const void *messages, float *out)
{
    const float *x = messages;
    size_t m = p->m;
    for (size_t u = begin; u < end; u++) {
        if (u + 1 < end)
            KERNEL(fetch_rows)(p, u + 1, messages, m * sizeof *x);
        const uint32_t *nbr = p->nbr + u * p->T;
        const float *weight = p->weight + u * p->T;
        size_t j = 0;
        for (; j + KERNEL(STRIP) <= m; j += KERNEL(STRIP))
            KERNEL(sum_strip)(nbr, weight, p->T, x + j, m, out + u * m + j);
        KERNEL(sum_tail)(nbr, weight, p->T, x + j, m, out + u * m + j, m - j);
    }
}

TARGET static void KERNEL(axpy)(float a, const float *x, float *y, size_t n)
{
    size_t j = 0;
    for (; j + 8 <= n; j += 8)
        *(KERNEL(v8) *)(void *)(y + j) += a * *(const KERNEL(v8) *)(const void *)(x + j);
    for (; j < n; j++)
        y[j] += a * x[j];
}

#ifdef LOAD_HALF

TARGET static inline void KERNEL(half_strip)(const uint32_t *nbr, const float *weight,
                                             uint32_t T, const uint16_t *x, size_t m,
                                             float *y)
{
    __m256 acc[8];
    for (int i = 0; i < 8; i++)
        acc[i] = _mm256_setzero_ps();
    for (uint32_t t = 0; t < T; t++) {
        const uint16_t *row = x + nbr[t] * m;
        __m256 w = _mm256_set1_ps(weight[t]);
        if (weight[t] == 0.0f)
            continue;
        for (int i = 0; i < 8; i++)
            acc[i] = _mm256_fmadd_ps(w, LOAD_HALF(row + 8 * i), acc[i]);
    }
    for (int i = 0; i < 8; i++)
        _mm256_storeu_ps(y + 8 * i, acc[i]);
}

#endif

/* The last columns, and all of them where the CPU has no conversion. */
TARGET static inline void KERNEL(half_tail)(const uint32_t *nbr, const float *weight,
                                            uint32_t T, const uint16_t *x, size_t m,
                                            float *y, size_t n)
{
    float row[KERNEL(STRIP)];
    for (size_t j = 0; j < n; j += KERNEL(STRIP)) {
        size_t width = n - j < KERNEL(STRIP) ? n - j : KERNEL(STRIP);
        memset(y + j, 0, width * sizeof *y);
        for (uint32_t t = 0; t < T; t++) {
            if (weight[t] == 0.0f)
                continue;
            ps_f16_to_f32(x + nbr[t] * m + j, row, width);
            KERNEL(axpy)(weight[t], row, y + j, width);
        }
    }
}

TARGET static void KERNEL(sum_halves)(const ps_pool *p, size_t begin, size_t end,
                                      const void *messages, float *out)
{
    const uint16_t *x = messages;
    size_t m = p->m;
    for (size_t u = begin; u < end; u++) {
        if (u + 1 < end)
            KERNEL(fetch_rows)(p, u + 1, messages, m * sizeof *x);
        const uint32_t *nbr = p->nbr + u * p->T;
        const float *weight = p->weight + u * p->T;
        size_t j = 0;
#ifdef LOAD_HALF
        for (; j + KERNEL(STRIP) <= m; j += KERNEL(STRIP))
            KERNEL(half_strip)(nbr, weight, p->T, x + j, m, out + u * m + j);
#endif
        KERNEL(half_tail)(nbr, weight, p->T, x + j, m, out + u * m + j, m - j);
    }
}
