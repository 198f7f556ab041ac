/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The rows of ADM in binary32, for any machine. */

#include "engine/kernels/float_adm.h"

#include "engine/kernels/cpu.h"
#include "engine/kernels/float_adm_rows.h"
#include "engine/kernels/x86/x86.h"

void vmafx_float_adm_kernels_init(VmafxFloatAdmKernels *k, unsigned cpu)
{
    *k = kernels;
#if VMAFX_ARCH_X86
    if (cpu & VMAFX_CPU_AVX2)
        vmafx_float_adm_kernels_init_avx2(k);
    if (cpu & VMAFX_CPU_AVX512)
        vmafx_float_adm_kernels_init_avx512(k);
#endif
}
