/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* SSIM's rows, compiled for AVX-512. */

#include "engine/kernels/ssim_rows.h"
#include "engine/kernels/x86/x86.h"

void vmafx_ssim_kernels_init_avx512(VmafxSsimKernels *k)
{
    *k = kernels;
}
