/* cpu.c - may this binary's FAISS run on this CPU?
 *
 * FAISS is compiled for AVX2 as a whole, so its first instruction may already be one
 * that an older CPU does not know. Nothing of FAISS is called here, and this file is
 * compiled for the plain CPU as all of ours.
 *
 * Threads: pure functions. Not here: saying it before main (server/cli/cpu_check.c).
 */
#include "index/cpu.h"

#include "pinsage/ann.h"

int cpu_check(unsigned needs, unsigned has, ps_why *why)
{
    unsigned lacks = needs & ~has;
    if (!lacks)
        return PS_OK;
    return ps_fail(
        why, PS_EUNSUPPORTED, NULL, 0,
        "this pinsage was built for CPUs with AVX2 and FMA, and this one has no "
        "%s; build it on this machine (make deps, make)",
        lacks & CPU_AVX2 ? "AVX2" : "FMA");
}

static unsigned features(void)
{
    unsigned has = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    has |= __builtin_cpu_supports("avx2") ? CPU_AVX2 : 0;
    has |= __builtin_cpu_supports("fma") ? CPU_FMA : 0;
#endif
    return has;
}

int ps_ann_cpu_check(ps_why *why)
{
#if defined(PS_FAISS_AVX2)
    return cpu_check(CPU_AVX2 | CPU_FMA, features(), why);
#else
    return cpu_check(0, features(), why);
#endif
}
