/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The rows of VIF in binary32, compiled for AVX-512. */

#include "engine/kernels/float_vif_rows.h"
#include "engine/kernels/x86/x86.h"

void vmafx_float_vif_kernels_init_avx512(VmafxFloatVifKernels *k)
{
    *k = kernels;
}
