/* half.h - half precision: to single, and back rounded to nearest even.
 *
 *     half   s eeeee mmmmmmmmmm               bias 15
 *     float  s eeeeeeee mmmmmmmmmm0000000...  bias 127
 *
 * The ten mantissa bits move up, and a product with 2^112 rebiases the exponent: that
 * also makes subnormals right, which have no exponent to move.
 *
 * Threads: pure functions.
 */
#ifndef PINSAGE_HALF_H
#define PINSAGE_HALF_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t ps_float_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float ps_float_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* One number, by the plainest code that is right for all. */
static inline float ps_half_value(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t rest = (uint32_t)(half & 0x7fff) << 13;
    if (rest > 0x0f800000) /* NaN: quiet, payload kept */
        return ps_float_of_bits(sign | 0x7fc00000 | rest);
    if (rest == 0x0f800000)
        return ps_float_of_bits(sign | 0x7f800000);
    return ps_float_of_bits(sign | ps_float_bits(ps_float_of_bits(rest) * 0x1p112f));
}

/* Many at once; by hardware (F16C) where there is one. */
void ps_f16_to_f32(const uint16_t *in, float *out, size_t n);
void ps_f32_to_f16(const float *in, uint16_t *out, size_t n);
/* The same without it: tests hold the one against the other. */
void ps_f16_to_f32_plain(const uint16_t *in, float *out, size_t n);
void ps_f32_to_f16_plain(const float *in, uint16_t *out, size_t n);

#endif
