/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* SSIM's rows for any machine. */

#include "engine/kernels/ssim.h"

#include <vmafx/engine.h>

#include "engine/kernels/arm/arm.h"
#include "engine/kernels/cpu.h"
#include "engine/kernels/ssim_rows.h"
#if VMAFX_ARCH_X86
#include "engine/kernels/x86/x86.h"
#endif

void vmafx_ssim_kernels_init(VmafxSsimKernels *k, unsigned cpu)
{
    *k = kernels;
#if VMAFX_ARCH_X86
    if (cpu & VMAFX_CPU_AVX2)
        vmafx_ssim_kernels_init_avx2(k);
    if (cpu & VMAFX_CPU_AVX512)
        vmafx_ssim_kernels_init_avx512(k);
#elif VMAFX_ARCH_ARM64
    if (cpu & VMAFX_CPU_NEON)
        vmafx_ssim_kernels_init_neon(k);
#endif
}
