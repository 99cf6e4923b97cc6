/* cpu.h - what a binary needs of a CPU, as bits, so that a test can take some away.
 *
 * Threads: pure functions.
 */
#ifndef PINSAGE_INDEX_CPU_H
#define PINSAGE_INDEX_CPU_H

#include "pinsage/err.h"

enum { CPU_AVX2 = 1, CPU_FMA = 2 };

/* PS_EUNSUPPORTED in words when a needed bit is not there. */
int cpu_check(unsigned needs, unsigned has, ps_why *why);

#endif
