/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* SSIM's rows, compiled for AVX2. */

#include "engine/kernels/ssim_rows.h"
#include "engine/kernels/x86/x86.h"

void vmafx_ssim_kernels_init_avx2(VmafxSsimKernels *k)
{
    *k = kernels;
}
