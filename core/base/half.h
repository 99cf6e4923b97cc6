/* half.h - one number of half precision, by the plainest code that is right for all.
 *
 *     half   s eeeee mmmmmmmmmm               bias 15
 *     float  s eeeeeeee mmmmmmmmmm0000000...  bias 127
 *
 * The ten mantissa bits move up, and a product with 2^112 rebiases the exponent: that
 * also makes subnormals right, which have no exponent to move.
 *
 * Threads: pure functions. Not here: many at once, and back (core/data/f16.c).
 */
#ifndef PINSAGE_CORE_BASE_HALF_H
#define PINSAGE_CORE_BASE_HALF_H

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

#endif
