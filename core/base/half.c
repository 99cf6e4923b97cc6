/* half.c - half precision to single and back.
 *
 * Widening is half.h's. Narrowing lets the floating-point adder round: adding a number
 * whose last bit stands where the half's last bit will be drops everything below it, to
 * nearest, ties to even. F16C does eight at a time, where there is one (wide.h).
 *
 * Threads: pure functions.
 */
#include "pinsage/half.h"

#include "core/base/wide.h"

/* ------------------------------ Plain ------------------------------------- */

/* x >= 0 and finite. */
static uint32_t narrow_magnitude(float x)
{
    if (x < 0x1p-14f) /* subnormal half: its last bit is 2^-24, that of 0.5f */
        return ps_float_bits(x + 0.5f) - ps_float_bits(0.5f);
    if (x >= 65520.0f) /* half a step beyond the largest half */
        return 0x7c00;
    uint32_t bits = ps_float_bits(x);
    bits += 0x0fff + ((bits >> 13) & 1); /* ties to even; a carry moves the exponent */
    return (bits >> 13) - ((127 - 15) << 10);
}

static uint16_t narrow(float x)
{
    uint32_t bits = ps_float_bits(x), sign = bits >> 16 & 0x8000;
    bits &= 0x7fffffff;
    if (bits > 0x7f800000)
        return (uint16_t)(sign | 0x7e00 | (bits >> 13 & 0x3ff));
    if (bits == 0x7f800000)
        return (uint16_t)(sign | 0x7c00);
    return (uint16_t)(sign | narrow_magnitude(ps_float_of_bits(bits)));
}

void ps_f16_to_f32_plain(const uint16_t *in, float *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = ps_half_value(in[i]);
}

void ps_f32_to_f16_plain(const float *in, uint16_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = narrow(in[i]);
}

/* ------------------------------ F16C -------------------------------------- */

#if defined(__x86_64__)

static PS_WIDE void widen_f16c(const uint16_t *in, float *out, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m128i half = _mm_loadu_si128((const __m128i *)(const void *)(in + i));
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(half));
    }
    for (; i < n; i++)
        out[i] = _cvtsh_ss(in[i]);
}

static PS_WIDE void narrow_f16c(const float *in, uint16_t *out, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m128i half =
            _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT);
        _mm_storeu_si128((__m128i *)(void *)(out + i), half);
    }
    for (; i < n; i++)
        out[i] = _cvtss_sh(in[i], _MM_FROUND_TO_NEAREST_INT);
}

#else

#define widen_f16c  ps_f16_to_f32_plain
#define narrow_f16c ps_f32_to_f16_plain

#endif

void ps_f16_to_f32(const uint16_t *in, float *out, size_t n)
{
    (ps_cpu_wide() ? widen_f16c : ps_f16_to_f32_plain)(in, out, n);
}

void ps_f32_to_f16(const float *in, uint16_t *out, size_t n)
{
    (ps_cpu_wide() ? narrow_f16c : ps_f32_to_f16_plain)(in, out, n);
}
