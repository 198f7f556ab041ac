/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* SpEED's rows for any machine. */

#include "engine/kernels/speed.h"

#include <vmafx/engine.h>

#include "engine/kernels/arm/arm.h"
#include "engine/kernels/cpu.h"
#include "engine/kernels/speed_rows.h"
#if VMAFX_ARCH_X86
#include "engine/kernels/x86/x86.h"
#endif

void vmafx_speed_kernels_init(VmafxSpeedKernels *k, unsigned cpu)
{
    *k = kernels;
#if VMAFX_ARCH_X86
    if (cpu & VMAFX_CPU_AVX2)
        vmafx_speed_kernels_init_avx2(k);
    if (cpu & VMAFX_CPU_AVX512)
        vmafx_speed_kernels_init_avx512(k);
#elif VMAFX_ARCH_ARM64
    if (cpu & VMAFX_CPU_NEON)
        vmafx_speed_kernels_init_neon(k);
#endif
}
