/* f16.c - half precision to single and back.
 *
 *     f16  s eeeee mmmmmmmmmm               bias 15
 *     f32  s eeeeeeee mmmmmmmmmm0000000...  bias 127
 *
 * Widening moves the ten mantissa bits up and rebiases by multiplying with 2^112: that
 * also makes subnormals right, which have no exponent to move. Narrowing lets the
 * floating-point adder round: adding a number whose last bit stands where the half's last
 * bit will be drops everything below it, to nearest, ties to even. F16C does eight at a
 * time; the build targets plain x86-64, so its functions ask for it by attribute and are
 * called after a look at the CPU.
 *
 * Threads: pure functions.
 */
#include "core/data/f16.h"

#include <string.h>

#include "pinsage/npy.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* ------------------------------ Plain ------------------------------------- */

static float widen(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t rest = (uint32_t)(half & 0x7fff) << 13;
    if (rest > 0x0f800000) /* NaN: quiet, payload kept */
        return float_of(sign | 0x7fc00000 | rest);
    if (rest == 0x0f800000)
        return float_of(sign | 0x7f800000);
    return float_of(sign | bits_of(float_of(rest) * 0x1p112f));
}

/* x >= 0 and finite. */
static uint32_t narrow_magnitude(float x)
{
    if (x < 0x1p-14f) /* subnormal half: its last bit is 2^-24, that of 0.5f */
        return bits_of(x + 0.5f) - bits_of(0.5f);
    if (x >= 65520.0f) /* half a step beyond the largest half */
        return 0x7c00;
    uint32_t bits = bits_of(x);
    bits += 0x0fff + ((bits >> 13) & 1); /* ties to even; a carry moves the exponent */
    return (bits >> 13) - ((127 - 15) << 10);
}

static uint16_t narrow(float x)
{
    uint32_t bits = bits_of(x), sign = bits >> 16 & 0x8000;
    bits &= 0x7fffffff;
    if (bits > 0x7f800000)
        return (uint16_t)(sign | 0x7e00 | (bits >> 13 & 0x3ff));
    if (bits == 0x7f800000)
        return (uint16_t)(sign | 0x7c00);
    return (uint16_t)(sign | narrow_magnitude(float_of(bits)));
}

void ps_f16_to_f32_plain(const uint16_t *in, float *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = widen(in[i]);
}

void ps_f32_to_f16_plain(const float *in, uint16_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = narrow(in[i]);
}

/* ------------------------------ F16C -------------------------------------- */

#if defined(__x86_64__)

/* clang 14 cannot be asked for F16C; every CPU with AVX2 has it. */
static int have_f16c(void)
{
    return __builtin_cpu_supports("avx2");
}

__attribute__((target("avx,f16c"))) static void widen_f16c(const uint16_t *in, float *out,
                                                           size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m128i half = _mm_loadu_si128((const __m128i *)(const void *)(in + i));
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(half));
    }
    for (; i < n; i++)
        out[i] = _cvtsh_ss(in[i]);
}

__attribute__((target("avx,f16c"))) static void narrow_f16c(const float *in,
                                                            uint16_t *out, size_t n)
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

static int have_f16c(void)
{
    return 0;
}

#define widen_f16c  ps_f16_to_f32_plain
#define narrow_f16c ps_f32_to_f16_plain

#endif

void ps_f16_to_f32(const uint16_t *in, float *out, size_t n)
{
    (have_f16c() ? widen_f16c : ps_f16_to_f32_plain)(in, out, n);
}

void ps_f32_to_f16(const float *in, uint16_t *out, size_t n)
{
    (have_f16c() ? narrow_f16c : ps_f32_to_f16_plain)(in, out, n);
}
