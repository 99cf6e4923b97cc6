/* f16.h - the plain versions behind ps_f16_to_f32 and ps_f32_to_f16 (npy.h).
 *
 * Tests hold them against the hardware's; nobody else needs them.
 *
 * Threads: pure functions.
 */
#ifndef PINSAGE_CORE_DATA_F16_H
#define PINSAGE_CORE_DATA_F16_H

#include <stddef.h>
#include <stdint.h>

void ps_f16_to_f32_plain(const uint16_t *in, float *out, size_t n);
void ps_f32_to_f16_plain(const float *in, uint16_t *out, size_t n);

#endif
