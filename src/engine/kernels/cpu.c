/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Asking the CPU. */

#include "engine/kernels/cpu.h"

unsigned vmafx_cpu_detect(void)
{
    unsigned cpu = 0;

#if VMAFX_ARCH_X86
    if (__builtin_cpu_supports("avx2"))
        cpu |= VMAFX_CPU_AVX2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni"))
        cpu |= VMAFX_CPU_AVX512;
#elif VMAFX_ARCH_ARM64
    cpu |= VMAFX_CPU_NEON; /* belongs to the architecture */
#endif
    return cpu;
}

const char *vmafx_cpu_name(unsigned cpu)
{
    return cpu & VMAFX_CPU_AVX512 ? "avx512" : cpu & VMAFX_CPU_AVX2 ? "avx2" : cpu & VMAFX_CPU_NEON ? "neon" : "c";
}
