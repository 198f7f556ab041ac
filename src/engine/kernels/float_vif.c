/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The rows of VIF in binary32 for any machine. */

#include "engine/kernels/float_vif.h"

#include "engine/kernels/arm/arm.h"
#include "engine/kernels/cpu.h"
#include "engine/kernels/float_vif_rows.h"
#include "engine/kernels/x86/x86.h"

void vmafx_float_vif_kernels_init(VmafxFloatVifKernels *k, unsigned cpu)
{
    *k = kernels;
#if VMAFX_ARCH_X86
    if (cpu & VMAFX_CPU_AVX2)
        vmafx_float_vif_kernels_init_avx2(k);
    if (cpu & VMAFX_CPU_AVX512)
        vmafx_float_vif_kernels_init_avx512(k);
#elif VMAFX_ARCH_ARM64
    if (cpu & VMAFX_CPU_NEON)
        vmafx_float_vif_kernels_init_neon(k);
#endif
}
