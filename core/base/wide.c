/* wide.c - what the CPU says, asked once.
 *
 * F16C is asked for by cpuid, because clang 14 has no name for it.
 *
 * Threads: several may ask at once: they find the same.
 */
#include "core/base/wide.h"

#include <stdatomic.h>

#if defined(__x86_64__)
#include <cpuid.h>

static bool ask(void)
{
    unsigned a, b, c, d;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}
#else
static bool ask(void)
{
    return false;
}
#endif

bool ps_cpu_wide(void)
{
    static atomic_int known; /* 0 not asked, 1 no, 2 yes */
    int answer = atomic_load_explicit(&known, memory_order_relaxed);
    if (!answer) {
        answer = ask() ? 2 : 1;
        atomic_store_explicit(&known, answer, memory_order_relaxed);
    }
    return answer == 2;
}
