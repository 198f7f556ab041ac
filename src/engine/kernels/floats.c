/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the features in binary32 have in common, for any machine. */

#include "engine/kernels/floats.h"

#include "engine/kernels/arm/arm.h"
#include "engine/kernels/cpu.h"
#include "engine/kernels/floats_rows.h"
#include "engine/kernels/x86/x86.h"

void vmafx_floats_kernels_init(VmafxFloatsKernels *k, unsigned cpu)
{
    *k = kernels;
#if VMAFX_ARCH_X86
    if (cpu & VMAFX_CPU_AVX2)
        vmafx_floats_kernels_init_avx2(k);
    if (cpu & VMAFX_CPU_AVX512)
        vmafx_floats_kernels_init_avx512(k);
#elif VMAFX_ARCH_ARM64
    if (cpu & VMAFX_CPU_NEON)
        vmafx_floats_kernels_init_neon(k);
#endif
}
